"""`/admin/api/playground/…`: the three public routes, for an operator, under a built-in key without limits.

The same handlers answer with the same bytes; the ledger has the usage under the key's own name."""

from __future__ import annotations

import hashlib

from aiohttp import web

from service.config import ApiKey
from service.web import chat_completions, messages, responses
from service.web.context import API_KEY, RECORD, SERVICES

KEY_NAME = "admin-playground"
# The key's id, the same everywhere: what the ledger books under. 16 digits, as every id of a key.
KEY_ID = hashlib.sha256(KEY_NAME.encode()).hexdigest()[:16]


async def chat(request: web.Request) -> web.StreamResponse:
    """As `POST /v1/chat/completions`."""
    _enter(request, "chat")
    return await chat_completions.create(request)


async def create_response(request: web.Request) -> web.StreamResponse:
    """As `POST /v1/responses`."""
    _enter(request, "responses")
    return await responses.create(request)


async def message(request: web.Request) -> web.StreamResponse:
    """As `POST /v1/messages`."""
    _enter(request, "messages")
    return await messages.create(request)


def _enter(request: web.Request, route: str) -> None:
    """From here on the request is one of the built-in key's, in logs and metrics too."""
    key = builtin_key(request.app[SERVICES].admin.playground_secret)
    record = request[RECORD]
    request[API_KEY] = key
    record.route, record.key_id, record.key_name = route, key.key_id, key.name


def builtin_key(secret: str) -> ApiKey:
    """The key that nobody can show: no string has this digest. What it owns is sealed under the rest of it,
    which is as secret as `secret`."""
    rest = hashlib.sha256(f"{KEY_NAME} {secret}".encode()).hexdigest()
    return ApiKey(name=KEY_NAME, key_sha256=KEY_ID + rest[len(KEY_ID) :])
