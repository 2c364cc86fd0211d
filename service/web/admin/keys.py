"""`/admin/api/keys`: who may call the gateway."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from service.gateway.admin_api_keys import AdminApiKeys
from service.web.admin.guard import WHO
from service.web.admin.reading import read_object, reply
from service.web.context import SERVICES


def _use_case(request: web.Request) -> AdminApiKeys:
    return request.app[SERVICES].admin.keys


async def index(request: web.Request) -> web.Response:
    return reply(request, {"keys": await _use_case(request).every()})


async def create(request: web.Request) -> web.Response:
    """The only answer that ever holds a key."""
    key, made = await _use_case(request).create(await read_object(request), who=request[WHO])
    return reply(request, {"key": key, **asdict(made)}, status=201)


async def change(request: web.Request) -> web.Response:
    asked = await read_object(request)
    return reply(
        request, await _use_case(request).change(request.match_info["key_id"], asked, who=request[WHO])
    )


async def delete(request: web.Request) -> web.Response:
    await _use_case(request).revoke(request.match_info["key_id"], who=request[WHO])
    return web.Response(status=204)
