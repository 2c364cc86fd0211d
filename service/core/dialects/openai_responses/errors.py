"""Failures in OpenAI's words: the HTTP error body, and the error inside a response that has begun.

The codes are what clients act on: Codex and the SDKs back off on 429 and 5xx, stop on 401, compact on
context_length_exceeded, and give up on invalid_prompt. A failure of an upstream account is never a 401 or
403 here: the caller's own key is fine. A failed response has OpenAI's few codes only. Source: OpenAI's
error-code guide and openai-python 3.52 response_error.py, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from service.core.errors import GatewayError, Kind


@dataclass(frozen=True, slots=True)
class _Row:
    """`code` of the HTTP body, None where OpenAI has none; `stream_code` of a failed response."""

    status: int
    type: str
    code: str | None
    stream_code: str


_INVALID = "invalid_request_error"
_RATE = "rate_limit_error"
_SERVER = "server_error"
_LIMIT = "rate_limit_exceeded"
_PROMPT = "invalid_prompt"
_OVERFLOW = "context_length_exceeded"

_ROWS: Mapping[Kind, _Row] = MappingProxyType(
    {
        Kind.INVALID_REQUEST: _Row(400, _INVALID, None, _PROMPT),
        Kind.UNAUTHENTICATED: _Row(401, _INVALID, "invalid_api_key", _PROMPT),
        Kind.PERMISSION_DENIED: _Row(403, "permission_error", "permission_denied", _PROMPT),
        Kind.NOT_FOUND: _Row(404, _INVALID, "not_found", _PROMPT),
        Kind.METHOD_NOT_ALLOWED: _Row(405, _INVALID, "method_not_allowed", _PROMPT),
        Kind.CONFLICT: _Row(409, _INVALID, "conflict", _PROMPT),
        Kind.MODEL_NOT_FOUND: _Row(404, _INVALID, "model_not_found", _PROMPT),
        Kind.BODY_TOO_LARGE: _Row(413, _INVALID, "body_too_large", _PROMPT),
        Kind.CONTEXT_OVERFLOW: _Row(400, _INVALID, _OVERFLOW, _OVERFLOW),
        Kind.CONTENT_FILTERED: _Row(400, _INVALID, "content_filter", _PROMPT),
        Kind.RATE_LIMITED: _Row(429, _RATE, _LIMIT, _LIMIT),
        Kind.OVERLOADED: _Row(503, _SERVER, "overloaded", _SERVER),
        Kind.NO_ACCOUNT: _Row(503, _SERVER, "no_account_available", _SERVER),
        Kind.UPSTREAM_RATE_LIMITED: _Row(429, _RATE, "upstream_rate_limit_exceeded", _LIMIT),
        Kind.UPSTREAM_REFUSED: _Row(400, _INVALID, "upstream_refused", _PROMPT),
        Kind.UPSTREAM_ACCOUNT: _Row(502, _SERVER, "upstream_account_error", _SERVER),
        Kind.UPSTREAM_UNAVAILABLE: _Row(502, _SERVER, "upstream_unavailable", _SERVER),
        Kind.UPSTREAM_TIMEOUT: _Row(504, _SERVER, "upstream_timeout", _SERVER),
        Kind.UPSTREAM_PROTOCOL: _Row(502, _SERVER, "upstream_protocol_error", _SERVER),
        Kind.UPSTREAM_UNMET: _Row(502, _SERVER, "answer_unmet", _SERVER),
        Kind.STORE_UNAVAILABLE: _Row(503, _SERVER, "store_unavailable", _SERVER),
        Kind.INTERNAL: _Row(500, _SERVER, "internal_error", _SERVER),
    }
)

STATUS: Mapping[Kind, int] = MappingProxyType({kind: row.status for kind, row in _ROWS.items()})


def encode_error(error: GatewayError) -> tuple[int, bytes]:
    """The HTTP status and the JSON body `{"error": {"message", "type", "param", "code"}}`.

    The error's own `code` wins over the table's; a code that is also OpenAI's error type (insufficient_quota)
    is both."""
    row = _ROWS[error.kind]
    code = error.code or row.code
    kind = code if code == "insufficient_quota" else row.type
    body = {"message": error.message, "type": kind, "param": error.param, "code": code}
    return row.status, orjson.dumps({"error": body})


def response_error(error: GatewayError) -> dict[str, object]:
    """The `error` of a failed response: `{"code", "message"}`. A known wait stands in the message, since no
    header can carry it any more and Codex reads it from there."""
    code = "insufficient_quota" if error.code == "insufficient_quota" else _ROWS[error.kind].stream_code
    message = error.message
    if code == "rate_limit_exceeded" and error.retry_after_s is not None:
        message = f"{message.rstrip('. ')}. Please try again in {error.retry_after_s:.3f}s."
    return {"code": code, "message": message}


def encode_error_event(error: GatewayError, *, sequence_number: int) -> bytes:
    """The stream event `error`, for a stream that has no response to fail (a resumed one, say)."""
    body = {
        "type": "error",
        "sequence_number": sequence_number,
        "code": error.code or _ROWS[error.kind].stream_code,
        "message": error.message,
        "param": error.param,
    }
    return b"event: error\ndata: %b\n\n" % orjson.dumps(body)
