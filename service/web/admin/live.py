"""`/admin/api/live`: what runs now, and ending it."""

from __future__ import annotations

from aiohttp import web

from service.core.errors import NotFound
from service.web.admin.guard import WHO
from service.web.admin.reading import reply
from service.web.context import SERVICES
from service.web.headers import is_request_id


async def index(request: web.Request) -> web.Response:
    """Of every worker, the oldest first; while Redis is away, of this one."""
    return reply(request, {"requests": await request.app[SERVICES].admin.fleet.live()})


async def stop(request: web.Request) -> web.Response:
    """End it: `is_here` says at once, else its worker hears of it within two seconds. Raises NotFound for
    what can be no request's id, StoreUnavailable."""
    admin, request_id = request.app[SERVICES].admin, request.match_info["request_id"]
    if not is_request_id(request_id):
        raise NotFound("No request has such an id.")
    is_here = await admin.fleet.stop(request_id)
    await admin.audit.note(who=request[WHO], action="request_stopped", target=request_id)
    return reply(request, {"request_id": request_id, "is_here": is_here}, status=202)
