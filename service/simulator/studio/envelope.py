"""`{code, msg, data}` and the studio's sessions: cookies by two names, `xiaomichatbot_ph` on every POST."""

from __future__ import annotations

import orjson
from aiohttp import web

from service.simulator.directives import NO_DIRECTIVE, Directive
from service.simulator.engine import Refusal
from service.simulator.options import StudioSession
from service.simulator.world import World

LOGIN_URL = (
    "https://account.xiaomi.com/pass/serviceLogin?sid=xiaomichatbot&callback="
    "https%3A%2F%2Faistudio.xiaomimimo.com%2Fsts"
)
_MESSAGES = {
    400: "bad request",
    401: "unauthorized",
    403: "forbidden",
    421: "content blocked",
    429: "too many requests",
    451: "account temporarily restricted",
    461: "account permanently restricted",
    500: "internal error",
    503: "service busy",
}


def succeed(data: object) -> web.Response:
    return web.Response(
        body=orjson.dumps({"code": 0, "msg": "success", "data": data}), content_type="application/json"
    )


def fail(status: int, *, code: int | None = None, message: str | None = None) -> Refusal:
    """An error of the envelope. 401 and 302 carry the `loginUrl` that a browser would follow."""
    body: dict[str, object] = {
        "code": status if code is None else code,
        "msg": _MESSAGES.get(status, f"HTTP {status}") if message is None else message,
        "data": None,
    }
    if status in (302, 401):
        body["loginUrl"] = LOGIN_URL
    return Refusal(status, orjson.dumps(body))


def scripted_failure(status: int, directive: Directive = NO_DIRECTIVE) -> Refusal:
    """The same, worded by the directive; `code` there must be a number."""
    message = directive.text("message")
    param = directive.text("param")
    if param and message:
        message = f"{message}: {param}"
    return fail(status, code=directive.number("code"), message=message or param)


def cookies_of(request: web.Request) -> dict[str, str]:
    """Cookies as sent, surrounding double quotes stripped, nothing else decoded."""
    found: dict[str, str] = {}
    for pair in request.headers.get("Cookie", "").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            value = value.strip()
            found[name] = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return found


def authenticate(world: World, request: web.Request) -> StudioSession:
    """The session of the cookies. Raises Refusal 401, also for a POST whose query lacks the right `ph`."""
    cookies = cookies_of(request)
    token = cookies.get("serviceToken") or cookies.get("xiaomichatbot_serviceToken") or ""
    session = world.studio_by_token.get(token)
    if session is None or cookies.get("userId") != session.user_id:
        raise fail(401)
    if cookies.get("xiaomichatbot_ph", session.ph) != session.ph:
        raise fail(401)
    if request.method == "POST" and request.query.get("xiaomichatbot_ph") != session.ph:
        raise fail(401)
    return session


async def decode_object(request: web.Request) -> dict[str, object]:
    """The JSON object of a POST. Raises Refusal 400."""
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise fail(400) from error
    if not isinstance(body, dict):
        raise fail(400)
    return body
