"""`GET /v1/models`."""

from __future__ import annotations

from aiohttp import web

from service.simulator.platform import accounts, errors
from service.simulator.playback import Turn
from service.simulator.record import Entry
from service.simulator.scripted import Dropped, Refusal, obey_standing_script
from service.simulator.world import WORLD, ClientClosed, World


async def list_models(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    try:
        with world.recorded(request, "models") as entry:
            return await _listed(world, request, entry)
    except ClientClosed:
        return web.Response()  # to nobody


async def _listed(world: World, request: web.Request, entry: Entry) -> web.Response:
    try:
        account = accounts.authenticate(world, request)
        entry.account = account.name
        await obey_standing_script(world, request, entry, _worded)
    except Refusal as refusal:
        entry.status, entry.outcome = refusal.status, "refused"
        return refusal.response()
    except Dropped:
        entry.outcome = "faulted"
        return web.Response()  # to nobody
    entry.status, entry.outcome = 200, "answered"
    return web.Response(body=accounts.model_list(world, account), content_type="application/json")


def _worded(turn: Turn, status: int) -> Refusal:
    return errors.refusal(turn.world, status, streams=False, directive=turn.directive)
