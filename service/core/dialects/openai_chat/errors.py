"""Errors of the OpenAI dialects: GatewayError -> status and body, and an upstream's error body back."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.errors import GatewayError, Kind

STATUS: Mapping[Kind, int] = {}


def encode_error(error: GatewayError) -> tuple[int, bytes]:
    """The HTTP status and the body `{"error": {"message", "type", "param", "code"}}`."""
    raise NotImplementedError


def decode_error(status: int, body: bytes, *, retry_after_s: float | None = None) -> GatewayError:
    """What an upstream's answer of `status` (not 200) means, by its status and its text."""
    raise NotImplementedError
