"""Whole answers: Completion -> chat.completion (server role), and a body -> events (client role)."""

from __future__ import annotations

from collections.abc import Collection

from service.core.completion import AnswerHead, Completion
from service.core.events import Event


def encode_completion(
    completion: Completion, head: AnswerHead, *, custom_tools: Collection[str] = ()
) -> bytes:
    """The `chat.completion` object. Calls of `custom_tools` (names) come back as custom calls."""
    raise NotImplementedError


def decode_completion(body: bytes) -> list[Event]:
    """The body of a 200 that did not stream, as events. What is no answer gives one Failed."""
    raise NotImplementedError


class CompletionDecoder:
    """`decode_completion` in the shape of a Decoder: collects, and gives all events at the end."""

    def __init__(self, *, max_bytes: int = 32 << 20) -> None:
        raise NotImplementedError

    @property
    def is_done(self) -> bool:
        raise NotImplementedError

    def feed(self, chunk: bytes) -> list[Event]:
        raise NotImplementedError

    def finish(self) -> list[Event]:
        raise NotImplementedError
