"""Errors of the OpenAI dialects: GatewayError -> status and body (server role), and an upstream's error body
-> GatewayError (client role).

Server role: OpenAI's envelope and words. Source: OpenAI API reference, "Error codes", and bodies quoted in
public issue threads, read 2026-11-20. Client role: MiMo's bodies as in mimo-api.md 1.9 and 3: a string for
`code`, the reason in `param`, a `data:` prefix, HTML, or nothing; the status alone misleads (a 400 may be an
outage), so the text is looked at as well. Matching on words is confined to this file's tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from service.core.errors import (
    ContentFiltered,
    ContextOverflow,
    GatewayError,
    Kind,
    UpstreamAccountError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)


class _Row(NamedTuple):
    """How a kind is shown. `code` stands where the error carries none of its own."""

    status: int
    type: str
    code: str | None


_INVALID, _RATE, _SERVER = "invalid_request_error", "rate_limit_error", "server_error"

_ROWS: Mapping[Kind, _Row] = {
    Kind.INVALID_REQUEST: _Row(400, _INVALID, None),
    Kind.UNAUTHENTICATED: _Row(401, _INVALID, "invalid_api_key"),
    Kind.PERMISSION_DENIED: _Row(403, "permission_error", "permission_denied"),
    Kind.NOT_FOUND: _Row(404, _INVALID, "not_found"),
    Kind.METHOD_NOT_ALLOWED: _Row(405, _INVALID, "method_not_allowed"),
    Kind.CONFLICT: _Row(409, _INVALID, "conflict"),
    Kind.MODEL_NOT_FOUND: _Row(404, _INVALID, "model_not_found"),
    Kind.BODY_TOO_LARGE: _Row(413, _INVALID, "body_too_large"),
    Kind.CONTEXT_OVERFLOW: _Row(400, _INVALID, "context_length_exceeded"),
    Kind.CONTENT_FILTERED: _Row(400, _INVALID, "content_filter"),
    # The two 429s: the caller's own limit here, and the limit of the account that we call MiMo with.
    Kind.RATE_LIMITED: _Row(429, _RATE, "rate_limit_exceeded"),
    Kind.UPSTREAM_RATE_LIMITED: _Row(429, _RATE, "upstream_rate_limit_exceeded"),
    Kind.UPSTREAM_REFUSED: _Row(400, _INVALID, "upstream_refused"),
    Kind.OVERLOADED: _Row(503, _SERVER, "overloaded"),
    Kind.NO_ACCOUNT: _Row(503, _SERVER, "no_account_available"),
    Kind.STORE_UNAVAILABLE: _Row(503, _SERVER, "store_unavailable"),
    # 502 and not the upstream's 401 or 402: the caller's key is right, the gateway's is not.
    Kind.UPSTREAM_ACCOUNT: _Row(502, _SERVER, "upstream_account_error"),
    Kind.UPSTREAM_UNAVAILABLE: _Row(502, _SERVER, "upstream_unavailable"),
    Kind.UPSTREAM_PROTOCOL: _Row(502, _SERVER, "upstream_protocol_error"),
    Kind.UPSTREAM_UNMET: _Row(502, _SERVER, "answer_unmet"),
    Kind.UPSTREAM_TIMEOUT: _Row(504, _SERVER, "upstream_timeout"),
    Kind.INTERNAL: _Row(500, _SERVER, "internal_error"),
}

STATUS: Mapping[Kind, int] = {kind: row.status for kind, row in _ROWS.items()}


def encode_error(error: GatewayError) -> tuple[int, bytes]:
    """The HTTP status and the body `{"error": {"message", "type", "param", "code"}}`."""
    return STATUS[error.kind], orjson.dumps(error_object(error))


def error_object(error: GatewayError) -> dict[str, object]:
    """The body as a value; the same object is the in-band error of a stream."""
    row = _ROWS[error.kind]
    return {
        "error": {
            "message": error.message,
            "type": row.type,
            "param": error.param,
            "code": error.code or row.code,
        }
    }


# --- client role --------------------------------------------------------------------------------------------

_MAX_BODY_BYTES = 64 << 10
_MAX_TEXT = 500

_OUTAGE = re.compile(
    r"connection (?:refused|reset)|finishconnect|upstream request failed|timed out|gateway time-?out"
    r"|temporarily unavailable|service unavailable|is overloaded|internal server error",
    re.IGNORECASE,
)
_RISK_CONTROL = re.compile(r"risk control|illegal[_ ]access", re.IGNORECASE)
_OVERFLOW = re.compile(
    r"context[_ ](?:length|window)|maximum context|context_length_exceeded"
    r"|(?:prompt|input|messages?)\b.{0,40}\b(?:is )?too long"
    r"|exceeds? the (?:model's )?max(?:imum)?\b.{0,30}\btokens?"
    r"|too many (?:input |prompt )?tokens",
    re.IGNORECASE,
)
_MODERATION = re.compile(
    r"content[_ ]?(?:filter|moderation|policy)|moderation|sensitive (?:content|words?)|high risk",
    re.IGNORECASE,
)
_NO_MEDIA = re.compile(r"support (?:image|audio|video|file) input", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"(?:unsupported|unknown|invalid) model|model\b.{0,80}\b(?:not found|not exist)", re.IGNORECASE
)
_NO_REASONING = re.compile(r"reasoning[_ ]content\b.{0,80}\bpassed back", re.IGNORECASE)
_NO_SEARCH = re.compile(r"web[_ -]?search", re.IGNORECASE)  # switched off in the account's console

# Words that OpenAI's wire has for `code` or `type` where MiMo has the status as a string.
_STATUS_BY_WORD: Mapping[str, int] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "limitation": 429,
    "insufficient_quota": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "content_filter": 421,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "server_error": 500,
    "overloaded_error": 503,
}


@dataclass(frozen=True, slots=True)
class _Fault:
    """What an error body says. `text` is one line, bounded; "" when it says nothing to a reader."""

    text: str
    code: str = ""
    type: str = ""
    param: str | None = None


def decode_error(status: int, body: bytes, *, retry_after_s: float | None = None) -> GatewayError:
    """What an upstream's answer of `status` (not 2xx) means, by its status and its text.

    The text is shown to the client, except where the account is at fault: then it is added to the error as
    a note (`__notes__`), for the log."""
    return _classified(status, _fault_of_body(body), retry_after_s)


def decode_error_value(value: object) -> GatewayError:
    """The `error` of a body or a stream event whose HTTP status was 200: its own `code` or `type` tells."""
    fault = _fault_of_value({"error": value})
    words = (fault.code.lower(), fault.type.lower())
    known = next((_STATUS_BY_WORD[word] for word in words if word in _STATUS_BY_WORD), None)
    if known is None and fault.code.isdecimal() and 400 <= int(fault.code[:4]) < 600:
        known = int(fault.code)
    return _classified(known or 500, fault, None)


def _classified(status: int, fault: _Fault, retry_after_s: float | None) -> GatewayError:
    if status in (401, 402, 403, 451, 461):
        return _account_error(status, fault, retry_after_s)
    if status == 421:
        return _filtered(fault)
    if status == 429:
        return _noted(
            UpstreamRateLimited(
                "MiMo limits the rate of the account that the gateway calls it with; this is not a limit of "
                f"your API key.{_when(retry_after_s)}",
                status=status,
                retry_after_s=retry_after_s,
            ),
            fault,
        )
    if status >= 500 or status == 408:
        return _unavailable(status, fault, retry_after_s)
    if status < 400:
        return UpstreamProtocolError(f"The upstream answered with HTTP {status}.", status=status)
    return _refusal(status, fault, retry_after_s)


def _when(retry_after_s: float | None) -> str:
    return "" if retry_after_s is None else f" Try again in {retry_after_s:.0f} s."


def _refusal(status: int, fault: _Fault, retry_after_s: float | None) -> GatewayError:
    """A 400, 404 or the like, which may be the request's fault, the account's or an outage."""
    if _RISK_CONTROL.search(fault.text):
        return _account_error(status, fault, retry_after_s)
    if _OUTAGE.search(fault.text):
        return _unavailable(status, fault, retry_after_s)
    if fault.code == "context_length_exceeded" or says_overflow(fault.text):
        return ContextOverflow(_told("The conversation does not fit the model's context window", fault))
    if _MODERATION.search(fault.text):
        return _filtered(fault)
    return UpstreamRefused(
        _told("The upstream refused the request", fault),
        status=status,
        param=fault.param,
        code=_refusal_code(fault.text),
        retry_after_s=retry_after_s,
    )


def says_overflow(text: str) -> bool:
    """Whether a refusal's words are about a prompt that is longer than the model's context window."""
    return _OVERFLOW.search(text) is not None


def _refusal_code(text: str) -> str | None:
    if _NO_MEDIA.search(text):
        return "unsupported_media"
    if _NO_MODEL.search(text):
        return "model_not_found"
    if _NO_REASONING.search(text):
        return "reasoning_not_passed_back"
    if _NO_SEARCH.search(text):
        return "web_search_unavailable"
    return None


def _account_error(status: int, fault: _Fault, retry_after_s: float | None) -> GatewayError:
    return _noted(
        UpstreamAccountError(
            "The account that the gateway calls MiMo with was not accepted; the operator has to look at it.",
            status=status,
            retry_after_s=retry_after_s,
        ),
        fault,
    )


def _unavailable(status: int, fault: _Fault, retry_after_s: float | None) -> GatewayError:
    told = _told("The upstream is unavailable at present", fault)
    return UpstreamUnavailable(told, status=status, retry_after_s=retry_after_s)


def _filtered(fault: _Fault) -> GatewayError:
    return ContentFiltered(_told("MiMo's content moderation refused the request", fault))


def _told(sentence: str, fault: _Fault) -> str:
    return f"{sentence}: {fault.text}" if fault.text else f"{sentence}."


def _noted(error: UpstreamError, fault: _Fault) -> UpstreamError:
    if fault.text:
        error.add_note(f"the upstream said: {fault.text}")
    return error


def _fault_of_body(body: bytes) -> _Fault:
    """Reads JSON with or without a `data:` prefix; of HTML nothing is kept, of other text one line."""
    body = body[:_MAX_BODY_BYTES].strip()
    if body.startswith(b"data:"):
        body = body[5:].split(b"\n", 1)[0].strip()
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _Fault("" if body.startswith(b"<") else _line(body.decode("utf-8", "replace")))
    return _fault_of_value(value)


def _fault_of_value(value: object) -> _Fault:
    """`{"error": {…}}`, `{"error": "text"}`, and bodies without that key: `message`, `msg` or `detail`."""
    if not isinstance(value, dict):
        return _Fault(_line(value) if isinstance(value, str) else "")
    error = value.get("error") or value
    if isinstance(error, str):
        return _Fault(_line(error))
    if not isinstance(error, dict):
        return _Fault("")
    texts = [error.get(key) for key in ("message", "msg", "detail")]
    message = next((text for text in texts if isinstance(text, str) and text), "")
    param, code, kind = error.get("param"), error.get("code"), error.get("type")
    if isinstance(param, str) and _is_sentence(param):
        message, param = f"{message}: {param}" if message not in ("", param) else param, None
    return _Fault(
        text=_line(message),
        code=str(code) if isinstance(code, str | int) else "",
        type=kind if isinstance(kind, str) else "",
        param=param if isinstance(param, str) and param else None,
    )


def _is_sentence(param: str) -> bool:
    """MiMo puts the reason into `param`; OpenAI the path of a field, which holds no blank."""
    return " " in param or "`" in param or not param.isascii()


def _line(text: str) -> str:
    """One printable line of at most 500 characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _MAX_TEXT]).split())
    return line if len(line) <= _MAX_TEXT else line[:_MAX_TEXT] + "…"
