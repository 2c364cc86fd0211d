"""Errors of this dialect: GatewayError -> status and body, for answers and for the in-band `error` event.

The types and words are chosen by what clients do with them: a 400 ends the try, "prompt is too long" makes
an agent compact its history, 401 stops, 413 says the body is too long, 429 and 529 back off and try again,
other 5xx are tried again soon. 404 is kept for models and stored objects: an agent reads it as "no such
model", so an upstream's own 404 becomes a 400 here.

Source: anthropic 2.11.0, types/shared/*_error.py and types/thread_*_error.py; Anthropic, "Errors". Read
2026-11-20.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.core.errors import GatewayError, InvalidRequest, Kind, NotFound

STATUS: Mapping[Kind, int] = {
    Kind.INVALID_REQUEST: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PERMISSION_DENIED: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.CONFLICT: 409,
    Kind.MODEL_NOT_FOUND: 404,
    Kind.BODY_TOO_LARGE: 413,
    Kind.CONTEXT_OVERFLOW: 400,
    Kind.CONTENT_FILTERED: 400,
    Kind.RATE_LIMITED: 429,
    Kind.OVERLOADED: 529,
    Kind.NO_ACCOUNT: 529,
    Kind.UPSTREAM_RATE_LIMITED: 429,
    Kind.UPSTREAM_REFUSED: 400,
    Kind.UPSTREAM_ACCOUNT: 502,
    Kind.UPSTREAM_UNAVAILABLE: 502,
    Kind.UPSTREAM_TIMEOUT: 504,
    Kind.UPSTREAM_PROTOCOL: 502,
    Kind.UPSTREAM_UNMET: 502,
    Kind.STORE_UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}

_TYPE_BY_STATUS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# The word for a spent budget or an empty balance, in `GatewayError.code`: 402 stops a client, 429 would not.
BUDGET_SPENT = "insufficient_quota"

# Either makes Claude Code help itself: the first compacts the history, the second asks for fewer tokens. It
# reads the numbers where they stand as in "prompt is too long: 210000 tokens > 200000 maximum" and "input
# length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or
# `max_tokens` …".
_CONTEXT_WORDS = ("prompt is too long", "input length and `max_tokens` exceed context limit")


class ThreadUnsupported(InvalidRequest):
    """The request wants a message thread kept on the server. The SDKs go on at once with full histories."""

    details: Mapping[str, object] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}

    def __init__(self, *, param: str) -> None:
        super().__init__(
            "Message threads are not supported. Send the full conversation without `thread`.", param=param
        )


class ThreadNotFound(NotFound):
    """The request goes on with a thread that is not here. The SDKs send everything again, as a new thread."""

    details: Mapping[str, object] = {"error_code": "thread_not_found"}

    def __init__(self) -> None:
        super().__init__("No thread was found for `previous_message_id`. Send the full conversation.")


def encode_error(error: GatewayError, *, request_id: str | None = None) -> tuple[int, bytes]:
    """The HTTP status and the body `{"type":"error","error":{"type","message"},"request_id"}`."""
    status = _status(error)
    shown: dict[str, object] = {"type": _TYPE_BY_STATUS[status], "message": _message(error)}
    if isinstance(error, ThreadUnsupported | ThreadNotFound):
        shown["details"] = error.details
    return status, orjson.dumps({"type": "error", "error": shown, "request_id": request_id})


def _status(error: GatewayError) -> int:
    if error.kind is Kind.RATE_LIMITED and error.code == BUDGET_SPENT:
        return 402
    return STATUS[error.kind]


def _message(error: GatewayError) -> str:
    """The message, with the field at fault before it, as Anthropic has no field for that."""
    if error.kind is Kind.CONTEXT_OVERFLOW and not error.message.lower().startswith(_CONTEXT_WORDS):
        return f"{_CONTEXT_WORDS[0]}: {error.message}"
    if error.kind in (Kind.INVALID_REQUEST, Kind.MODEL_NOT_FOUND) and error.param:
        return f"{error.param}: {error.message}"
    return error.message
