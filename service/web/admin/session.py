"""`/admin/api/session`: who is signed in, signing in and out."""

from __future__ import annotations

from aiohttp import web

from service import __version__
from service.gateway.admin_gate import SESSION_S, Session
from service.web.admin.guard import COOKIE, address_of, is_https, require_csrf
from service.web.admin.reading import read_object, reply, text_of
from service.web.context import SERVICES

_PATH = "/admin"


async def show(request: web.Request) -> web.Response:
    """Open: it tells a browser of itself only."""
    gate = request.app[SERVICES].admin.gate
    return _told(request, await gate.session(request.cookies.get(COOKIE)))


async def create(request: web.Request) -> web.Response:
    """A session for who knows the admin key. Raises PermissionDenied, Unauthenticated, RateLimited,
    StoreUnavailable."""
    services = request.app[SERVICES]
    services.admin.gate.require_configured()
    key = text_of(await read_object(request), "admin_key")
    token, session = await services.admin.gate.sign_in(key.strip(), address=address_of(request))
    await services.admin.audit.note(who=session.who, action="signed_in", target="session")
    response = _told(request, session)
    response.set_cookie(
        COOKIE,
        token,
        path=_PATH,
        max_age=SESSION_S,
        httponly=True,
        samesite="Strict",
        secure=is_https(request),
    )
    return response


async def delete(request: web.Request) -> web.Response:
    """The session ends on every worker. Raises PermissionDenied, StoreUnavailable."""
    gate = request.app[SERVICES].admin.gate
    token = request.cookies.get(COOKIE, "")
    if (session := await gate.session(token)) is not None:
        require_csrf(request, session)
        await gate.sign_out(token)
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path=_PATH)
    return response


def _told(request: web.Request, session: Session | None) -> web.Response:
    return reply(
        request,
        {
            "is_configured": request.app[SERVICES].admin.gate.is_configured,
            "is_signed_in": session is not None,
            "csrf_token": None if session is None else session.csrf_token,
            "expires_at": None if session is None else session.expires_at_s,
            "version": __version__,
        },
    )
