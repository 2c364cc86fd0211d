"""`/admin/api/overview`: whether all is well."""

from __future__ import annotations

from aiohttp import web

from service.web.admin.reading import reply
from service.web.context import SERVICES


async def show(request: web.Request) -> web.Response:
    """Raises InvalidRequest. A Redis that is away is told, not raised."""
    period = request.query.get("period") or "hour"
    return reply(request, await request.app[SERVICES].admin.overview.look(period))
