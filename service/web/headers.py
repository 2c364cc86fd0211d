"""The headers that requests and answers carry beside their content."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from aiohttp import web

from service.core.leases import Admission, Allowance, OverLimit

REQUEST_ID = "X-Request-Id"
NOTES = "X-Mimo-Gateway-Notes"
_MAX_NOTES_CHARS = 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def is_request_id(text: str) -> bool:
    """Whether a client may call its request so: it stands in headers, logs and Redis."""
    return _REQUEST_ID.fullmatch(text) is not None


def notes_header(notes: Iterable[str]) -> dict[str, str]:
    """What the normaliser changed, joined by "; ". Notes quote client text: only printable ASCII gets
    through."""
    text = re.sub(r"[^ -~]", "?", "; ".join(dict.fromkeys(notes)))
    return {NOTES: text[:_MAX_NOTES_CHARS]} if text else {}


def openai_limit_headers(admission: Admission | OverLimit) -> dict[str, str]:
    """OpenAI's `x-ratelimit-*`, for the limits that the key has."""
    headers: dict[str, str] = {}
    for name, allowance in (("requests", admission.requests), ("tokens", admission.tokens)):
        if allowance is not None:
            headers |= _limit_headers(name, allowance)
    return headers


def _limit_headers(name: str, allowance: Allowance) -> dict[str, str]:
    return {
        f"X-Ratelimit-Limit-{name.title()}": str(allowance.limit),
        f"X-Ratelimit-Remaining-{name.title()}": str(allowance.remaining),
        f"X-Ratelimit-Reset-{name.title()}": f"{math.ceil(allowance.resets_in_s)}s",
    }


def anthropic_limit_headers(admission: Admission | OverLimit, *, now_s: float) -> dict[str, str]:
    """Anthropic's `anthropic-ratelimit-*`: the reset is an instant in RFC 3339, `now_s` is Unix time."""
    headers: dict[str, str] = {}
    for name, allowance in (("requests", admission.requests), ("tokens", admission.tokens)):
        if allowance is not None:
            resets_at = datetime.fromtimestamp(now_s + allowance.resets_in_s, UTC)
            prefix = f"Anthropic-Ratelimit-{name.title()}"
            headers |= {
                f"{prefix}-Limit": str(allowance.limit),
                f"{prefix}-Remaining": str(allowance.remaining),
                f"{prefix}-Reset": resets_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
    return headers


def presented_key(request: web.Request) -> str | None:
    """The API key of the request: `Authorization: Bearer`, `x-api-key` or `api-key`, all three alike."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key") or request.headers.get("api-key")
