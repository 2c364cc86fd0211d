"""`/admin/api/models`: what is offered, under which names, by which accounts."""

from __future__ import annotations

from aiohttp import web

from service.core.errors import ModelNotFound
from service.core.models import facts_of
from service.gateway.models import Models
from service.web.admin.reading import reply
from service.web.context import SERVICES


async def index(request: web.Request) -> web.Response:
    return reply(request, _told(request.app[SERVICES].models))


async def refresh(request: web.Request) -> web.Response:
    """Ask every account now; one that does not answer keeps what it had."""
    models = request.app[SERVICES].models
    await models.refresh()
    return reply(request, _told(models))


def _told(models: Models) -> dict[str, object]:
    aliases = [{"alias": alias, "model": model} for alias, model in models.aliases.items() if model]
    names_by_model: dict[str, list[str]] = {}
    for entry in aliases:
        names_by_model.setdefault(_meant(models, entry["model"]), []).append(entry["alias"])
    return {
        "models": [_model(models, model, names_by_model.get(model, [])) for model in models.offered],
        "aliases": aliases,
    }


def _meant(models: Models, target: str) -> str:
    """The offered id that an alias ends at: its target may be another spelling, or retired."""
    try:
        return models.resolve(target).model
    except ModelNotFound:
        return target


def _model(models: Models, model: str, aliases: list[str]) -> dict[str, object]:
    facts = facts_of(model)
    return {
        "id": model,
        "context_tokens": facts.context_tokens,
        "max_output_tokens": facts.max_output_tokens,
        "accounts": [account.name for account in models.accounts_for(model)],
        "aliases": aliases,
        "input": ["text", *sorted(str(kind) for kind in facts.media)],
    }
