"""What stands before every route of the admin API: the key or a session, and the headers of each answer."""

from __future__ import annotations

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler

from service.core.errors import PermissionDenied, RateLimited, Unauthenticated
from service.gateway.admin_gate import BY_KEY, Session
from service.web.context import SERVICES
from service.web.headers import presented_key

COOKIE = "mgw_admin"
CSRF_HEADER = "X-CSRF-Token"
WHO: web.RequestKey[str] = web.RequestKey("admin_who", str)

# Answers of the API are data: no browser is to show, frame or keep one.
API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE_METHODS = ("GET", "HEAD")


def guarded(handler: Handler) -> Handler:
    """The handler, for who may administer. Raises PermissionDenied, Unauthenticated, RateLimited."""

    async def guard(request: web.Request) -> web.StreamResponse:
        request[WHO] = await _who(request)
        return await handler(request)

    return guard


async def _who(request: web.Request) -> str:
    gate = request.app[SERVICES].admin.gate
    gate.require_configured()
    try:
        if (presented := presented_key(request)) is not None:
            await gate.check_key(presented, address=address_of(request))
            return BY_KEY
        session = await gate.session(request.cookies.get(COOKIE))
        if session is None:
            raise Unauthenticated(
                "Sign in, or send the admin key as 'Authorization: Bearer KEY'.", code="not_signed_in"
            )
    except (Unauthenticated, RateLimited):
        request.app[SERVICES].metrics.auth_failures["admin",].inc()
        raise
    require_csrf(request, session)
    return session.who


def require_csrf(request: web.Request, session: Session) -> None:
    """A cookie alone changes nothing: another site can have a browser send it. Raises PermissionDenied."""
    if request.method in _SAFE_METHODS:
        return
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), session.csrf_token.encode()):
        raise PermissionDenied(
            f"The header {CSRF_HEADER} must hold the session's csrf_token.", code="csrf_token_missing"
        )


def address_of(request: web.Request) -> str:
    """Whom wrong keys are counted by: an address, of IPv6 its /64, which one caller has to themselves."""
    address = request.remote or ""
    return ":".join(address.split(":")[:4]) if ":" in address else address


def is_admin(path: str) -> bool:
    """Whether the path is one of the admin's: those take no API key."""
    return path == "/admin" or path.startswith("/admin/")


async def set_api_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: errors and streams of the API carry the headers, too."""
    if is_admin(request.path):
        for name, value in API_HEADERS.items():
            response.headers.setdefault(name, value)


def is_https(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy that is trusted to say so."""
    if request.app[SERVICES].security.trusts_forwarded_proto:
        told = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        if told in ("http", "https"):
            return told == "https"
    return request.secure
