"""GatewayError -> the shape of the dialect whose route was called."""

from __future__ import annotations

import math

from aiohttp import web

from service.core.dialects.anthropic_messages.errors import encode_error as encode_anthropic
from service.core.dialects.openai_chat.errors import encode_error as encode_openai
from service.core.dialects.openai_responses.errors import encode_error as encode_responses
from service.core.errors import GatewayError, MethodNotAllowed
from service.core.leases import OverLimit
from service.web.context import RECORD, SERVICES
from service.web.headers import REQUEST_ID, anthropic_limit_headers, notes_header, openai_limit_headers

_RESPONSES_PATH = "/v1/responses"
_PLAYGROUND = "/admin/api/playground/"
_OPENAI_PATHS = (_RESPONSES_PATH, "/v1/chat/", "/v1/files", "/v1/batches", "/v1/audio/", "/admin")
_ANTHROPIC_PATHS = ("/v1/messages", "/anthropic/", f"{_PLAYGROUND}messages")


def speaks_anthropic(request: web.Request) -> bool:
    """Anthropic's routes, and those of no dialect when called with Anthropic's version header."""
    path = request.path
    if path.startswith(_ANTHROPIC_PATHS):
        return True
    return "anthropic-version" in request.headers and not path.startswith(_OPENAI_PATHS)


def request_id_headers(request: web.Request) -> dict[str, str]:
    """The request's id under the name that the dialect's clients read: Anthropic's read `request-id`."""
    request_id = request[RECORD].request_id
    headers = {REQUEST_ID: request_id}
    if speaks_anthropic(request):
        headers["Request-Id"] = request_id
    return headers


def error_response(request: web.Request, error: GatewayError, *, request_id: str) -> web.Response:
    """The whole answer for a request that failed before its first byte."""
    record = request[RECORD]
    headers = {**request_id_headers(request), **notes_header(record.notes)}
    limits = error if isinstance(error, OverLimit) else record.admission
    if speaks_anthropic(request):
        status, body = encode_anthropic(error, request_id=request_id)
        if limits is not None:
            headers |= anthropic_limit_headers(limits, now_s=request.app[SERVICES].clock.unix_s())
    elif request.path.startswith((_RESPONSES_PATH, f"{_PLAYGROUND}responses")):
        status, body = encode_responses(error)
    else:
        status, body = encode_openai(error)
    if limits is not None and not speaks_anthropic(request):
        headers |= openai_limit_headers(limits)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(math.ceil(error.retry_after_s), 1))
    elif isinstance(error, OverLimit):
        headers["X-Should-Retry"] = "false"  # the SDKs' word: no waiting helps
    elif status in (429, 503, 529):
        # Clients that are told nothing come back at once: mimo-api.md 3 asks to always say when.
        headers["Retry-After"] = "5"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)  # RFC 9110, 15.5.6
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mimo-gateway"'
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
