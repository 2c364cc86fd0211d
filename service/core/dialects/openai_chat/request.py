"""OpenAI Chat Completions requests: body -> Conversation (server role) and back (client role)."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.conversation import Conversation


def decode_request(body: bytes) -> Conversation:
    """The body of `POST /v1/chat/completions` as a Conversation. Raises InvalidRequest(param)."""
    raise NotImplementedError


def decode_body(body: Mapping[str, object]) -> Conversation:
    """The same for a body that is decoded already (a batch's line). Raises InvalidRequest(param)."""
    raise NotImplementedError


def encode_request(conversation: Conversation) -> dict[str, object]:
    """The Conversation as a plain OpenAI Chat body, keys always in the same order."""
    raise NotImplementedError
