"""`/admin/api/accounts`: whom the gateway calls."""

from __future__ import annotations

from aiohttp import web

from service.gateway.admin_accounts import AdminAccounts
from service.web.admin.guard import WHO
from service.web.admin.reading import read_object, reply
from service.web.context import SERVICES


def _use_case(request: web.Request) -> AdminAccounts:
    return request.app[SERVICES].admin.accounts


async def index(request: web.Request) -> web.Response:
    return reply(request, {"accounts": await _use_case(request).every()})


async def create(request: web.Request) -> web.Response:
    added = await _use_case(request).add(await read_object(request), who=request[WHO])
    return reply(request, added, status=201)


async def recognise(request: web.Request) -> web.Response:
    return reply(request, _use_case(request).recognise(await read_object(request)))


async def change(request: web.Request) -> web.Response:
    asked = await read_object(request)
    return reply(request, await _use_case(request).change(_name(request), asked, who=request[WHO]))


async def delete(request: web.Request) -> web.Response:
    await _use_case(request).remove(_name(request), who=request[WHO])
    return web.Response(status=204)


async def test(request: web.Request) -> web.Response:
    return reply(request, await _use_case(request).test(_name(request), who=request[WHO]))


async def reset(request: web.Request) -> web.Response:
    return reply(request, await _use_case(request).reset(_name(request), who=request[WHO]))


def _name(request: web.Request) -> str:
    return request.match_info["name"]
