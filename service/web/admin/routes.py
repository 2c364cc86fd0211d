"""The admin's URL table. What is not open stands behind `guarded`, here and nowhere else."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from service.web.admin import accounts, audit, keys, live, models, overview, page, playground, session, usage
from service.web.admin.guard import guarded, set_api_headers

API = "/admin/api"

# Without the admin key: the page, whose files hold no data, and the way in.
OPEN: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/admin", page.index),
    ("GET", "/admin/", page.slash),
    ("GET", "/admin/assets/{file}", page.asset),
    ("GET", f"{API}/session", session.show),
    ("POST", f"{API}/session", session.create),
    ("DELETE", f"{API}/session", session.delete),
)
GUARDED: tuple[tuple[str, str, Handler], ...] = (
    ("GET", f"{API}/overview", overview.show),
    ("GET", f"{API}/live", live.index),
    ("DELETE", f"{API}/live/{{request_id}}", live.stop),
    ("GET", f"{API}/accounts", accounts.index),
    ("POST", f"{API}/accounts", accounts.create),
    ("POST", f"{API}/accounts/recognise", accounts.recognise),
    ("PATCH", f"{API}/accounts/{{name}}", accounts.change),
    ("DELETE", f"{API}/accounts/{{name}}", accounts.delete),
    ("POST", f"{API}/accounts/{{name}}/test", accounts.test),
    ("POST", f"{API}/accounts/{{name}}/reset", accounts.reset),
    ("GET", f"{API}/keys", keys.index),
    ("POST", f"{API}/keys", keys.create),
    ("PATCH", f"{API}/keys/{{key_id}}", keys.change),
    ("DELETE", f"{API}/keys/{{key_id}}", keys.delete),
    ("GET", f"{API}/usage", usage.show),
    ("GET", f"{API}/models", models.index),
    ("POST", f"{API}/models/refresh", models.refresh),
    ("POST", f"{API}/playground/chat", playground.chat),
    ("POST", f"{API}/playground/responses", playground.create_response),
    ("POST", f"{API}/playground/messages", playground.message),
    ("GET", f"{API}/audit", audit.index),
)


def add_admin_routes(app: web.Application) -> None:
    app[page.ASSETS] = page.load_assets()
    app.on_response_prepare.append(set_api_headers)
    for method, path, handler in OPEN:
        app.router.add_route(method, path, handler)
        if method == "GET" and not path.startswith(API):
            app.router.add_route("HEAD", path, handler)
    for method, path, handler in GUARDED:
        app.router.add_route(method, path, guarded(handler))
