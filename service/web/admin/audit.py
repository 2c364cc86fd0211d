"""`/admin/api/audit`: who changed what."""

from __future__ import annotations

from aiohttp import web

from service.core.errors import InvalidRequest
from service.web.admin.reading import reply
from service.web.context import SERVICES

_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000


async def index(request: web.Request) -> web.Response:
    """The newest changes first. Raises InvalidRequest, StoreUnavailable."""
    text = request.query.get("limit") or str(_DEFAULT_LIMIT)
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MAX_LIMIT):
        raise InvalidRequest(f"limit must be a number from 1 to {_MAX_LIMIT}.", param="limit")
    entries = await request.app[SERVICES].admin.audit.newest(int(text))
    return reply(request, {"entries": entries})
