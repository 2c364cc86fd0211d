"""Streamed answers: events -> `chat.completion.chunk` lines (server role), and back (client role)."""

from __future__ import annotations

from collections.abc import Collection

from service.core.completion import AnswerHead
from service.core.events import Event


class StreamEncoder:
    """Events in, SSE bytes out."""

    def __init__(self, head: AnswerHead, *, includes_usage: bool, custom_tools: Collection[str] = ()) -> None:
        raise NotImplementedError

    def feed(self, event: Event) -> bytes:
        """The bytes that tell the event; b"" for one that this dialect does not show."""
        raise NotImplementedError

    def ping(self) -> bytes:
        """A comment line, to show that the connection lives."""
        raise NotImplementedError


class StreamDecoder:
    """Bytes of an OpenAI or MiMo stream in, events out. A `pipeline.Decoder`."""

    @property
    def is_done(self) -> bool:
        """True after `[DONE]`."""
        raise NotImplementedError

    def feed(self, chunk: bytes) -> list[Event]:
        raise NotImplementedError

    def finish(self) -> list[Event]:
        raise NotImplementedError
