"""`GET /v1/models`, `GET /v1/models/{id}`, `POST /v1/models/refresh`."""

from __future__ import annotations

import orjson
from aiohttp import web

from service.core.dialects.anthropic_messages.models import encode_model as encode_anthropic_model
from service.core.dialects.anthropic_messages.models import encode_models as encode_anthropic_models
from service.core.dialects.openai_chat.models import encode_model, encode_models
from service.core.models import facts_of
from service.web.context import SERVICES
from service.web.errors import speaks_anthropic


async def index(request: web.Request) -> web.Response:
    """Every model that some account serves, in the shape of the caller's dialect."""
    offered = request.app[SERVICES].models.offered
    encode = encode_anthropic_models if speaks_anthropic(request) else encode_models
    return web.Response(body=encode(map(facts_of, offered)), content_type="application/json")


async def show(request: web.Request) -> web.Response:
    """One model, under any name that leads to it. Raises ModelNotFound."""
    resolution = request.app[SERVICES].models.resolve(request.match_info["model"])
    encode = encode_anthropic_model if speaks_anthropic(request) else encode_model
    return web.Response(body=encode(facts_of(resolution.model)), content_type="application/json")


async def refresh(request: web.Request) -> web.Response:
    """Ask every account now; the new listing comes back."""
    services = request.app[SERVICES]
    await services.models.refresh()
    body = {"status": "ok", "models": list(services.models.offered)}
    return web.Response(body=orjson.dumps(body), content_type="application/json")
