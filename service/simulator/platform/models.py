"""`GET /v1/models`."""

from __future__ import annotations

from aiohttp import web

from service.simulator.engine import Refusal
from service.simulator.platform import accounts
from service.simulator.world import WORLD


async def list_models(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    with world.recorded(request, "models") as entry:
        try:
            account = accounts.authenticate(world, request)
        except Refusal as refusal:
            entry.status, entry.outcome = refusal.status, "refused"
            return refusal.response()
        entry.account = account.name
        entry.status, entry.outcome = 200, "answered"
        return web.Response(body=accounts.model_list(world, account), content_type="application/json")
