"""GatewayError -> the shape of the dialect whose route was called."""

from __future__ import annotations

import math

from aiohttp import web

from service.core.dialects.anthropic_messages.errors import encode_error as encode_anthropic
from service.core.dialects.openai_chat.errors import encode_error as encode_openai
from service.core.errors import GatewayError


def speaks_anthropic(request: web.Request) -> bool:
    """Anthropic's routes, and any other route called with Anthropic's version header."""
    path = request.path
    return path.startswith(("/v1/messages", "/anthropic/")) or "anthropic-version" in request.headers


def error_response(request: web.Request, error: GatewayError, *, request_id: str) -> web.Response:
    """The whole answer for a request that failed before its first byte."""
    if speaks_anthropic(request):
        status, body = encode_anthropic(error, request_id=request_id)
    else:
        status, body = encode_openai(error)
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(math.ceil(error.retry_after_s), 1))
    elif status in (429, 503, 529):
        # Clients that are told nothing come back at once: mimo-api.md 3 asks to always say when.
        headers["Retry-After"] = "5"
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mimo-gateway"'
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
