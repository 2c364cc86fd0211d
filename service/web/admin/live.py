"""`/admin/api/live`: what runs now, and ending it."""

from __future__ import annotations

from aiohttp import web

from service.web.admin.guard import WHO
from service.web.admin.reading import reply
from service.web.context import SERVICES


async def index(request: web.Request) -> web.Response:
    """Of every worker, the oldest first; while Redis is away, of this one."""
    return reply(request, {"requests": await request.app[SERVICES].admin.fleet.live()})


async def stop(request: web.Request) -> web.Response:
    """End it: `is_here` says at once, else its worker hears of it within two seconds. Raises
    StoreUnavailable."""
    admin, request_id = request.app[SERVICES].admin, request.match_info["request_id"]
    is_here = await admin.fleet.stop(request_id)
    await admin.audit.note(who=request[WHO], action="request_stopped", target=request_id[:128])
    return reply(request, {"request_id": request_id, "is_here": is_here}, status=202)
