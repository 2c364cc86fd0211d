"""`GET /v1/models`, `GET /v1/models/{id}`, `POST /v1/models/refresh`."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from aiohttp import web

from service.core.conversation import MediaKind
from service.core.dialects.anthropic_messages.models import encode_model as encode_anthropic_model
from service.core.dialects.anthropic_messages.models import encode_models as encode_anthropic_models
from service.core.dialects.openai_chat.models import encode_model, encode_models
from service.core.dialects.openai_responses.models import CodexModel, codex_models
from service.core.models import ModelFacts, facts_of
from service.web.context import SERVICES
from service.web.errors import request_id_headers, speaks_anthropic
from service.web.headers import notes_header


async def index(request: web.Request) -> web.Response:
    """Every model that some account serves, in the shape of the caller's dialect.

    In OpenAI's shape Codex's metadata stands beside `data`, under `models`: it reads the list from here when
    its `model_catalog_url` says so."""
    offered = [facts_of(model) for model in request.app[SERVICES].models.offered]
    if speaks_anthropic(request):
        return _json(request, encode_anthropic_models(offered))
    metadata = codex_models(_codex_model(facts, rank) for rank, facts in enumerate(offered))
    return _json(request, encode_models(offered)[:-1] + b',"models":' + orjson.dumps(metadata) + b"}")


def _codex_model(facts: ModelFacts, rank: int) -> CodexModel:
    return CodexModel(
        model_id=facts.model_id,
        context_window_tokens=facts.context_tokens,
        takes_images=MediaKind.IMAGE in facts.media,
        priority=rank,
    )


async def show(request: web.Request) -> web.Response:
    """One model, under any name that leads to it. Raises ModelNotFound."""
    resolution = request.app[SERVICES].models.resolve(request.match_info["model"])
    encode = encode_anthropic_model if speaks_anthropic(request) else encode_model
    return _json(request, encode(facts_of(resolution.model)), notes=resolution.notes)


async def refresh(request: web.Request) -> web.Response:
    """Ask every account now; the new listing comes back."""
    services = request.app[SERVICES]
    await services.models.refresh()
    return _json(request, orjson.dumps({"status": "ok", "models": list(services.models.offered)}))


def _json(request: web.Request, body: bytes, *, notes: Sequence[str] = ()) -> web.Response:
    headers = {**request_id_headers(request), **notes_header(notes)}
    return web.Response(body=body, content_type="application/json", headers=headers)
