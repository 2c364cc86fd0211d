"""The URL table, one screen."""

from __future__ import annotations

from aiohttp import web

from service.web import audio, batches, chat_completions, docs, files, health, messages, models, responses
from service.web.admin.routes import add_admin_routes

# Without an API key: probes, metrics, and nothing that costs or tells anything of a caller.
OPEN_PATHS = frozenset(
    {"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{file}"},
)

# Names that are routes of their own are no ids: what such a route does not take, the id's does not either.
_A_MODEL = "/v1/models/{model:(?!refresh$).+}"
_A_MESSAGE = "{message_id:(?!count_tokens$)[^/]+}"

_ROUTE_NAMES = (
    ("/v1/chat/completions", "chat"),
    ("/v1/responses", "responses"),
    ("/v1/messages/batches", "batches"),
    ("/v1/messages/count_tokens", "count_tokens"),
    ("/v1/messages", "messages"),
    ("/v1/batches", "batches"),
    ("/v1/files", "files"),
    ("/v1/models", "models"),
    ("/v1/audio/speech", "speech"),
    ("/v1/audio/transcriptions", "transcriptions"),
    ("/admin", "admin"),
)


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/chat/completions", chat_completions.create)
    app.router.add_get("/v1/models", models.index, allow_head=False)
    app.router.add_post("/v1/models/refresh", models.refresh)
    app.router.add_get(_A_MODEL, models.show, allow_head=False)
    app.router.add_post("/v1/responses", responses.create)
    app.router.add_get("/v1/responses", responses.upgrade, allow_head=False)
    app.router.add_get("/v1/responses/{response_id}", responses.show, allow_head=False)
    app.router.add_delete("/v1/responses/{response_id}", responses.delete)
    app.router.add_get("/v1/responses/{response_id}/input_items", responses.input_items, allow_head=False)
    app.router.add_post("/v1/responses/{response_id}/cancel", responses.cancel)
    app.router.add_post("/v1/audio/speech", audio.speech)
    app.router.add_post("/v1/audio/transcriptions", audio.transcriptions)
    app.router.add_post("/v1/files", files.create)
    app.router.add_get("/v1/files", files.index, allow_head=False)
    app.router.add_get("/v1/files/{file_id}", files.show, allow_head=False)
    app.router.add_delete("/v1/files/{file_id}", files.delete)
    app.router.add_get("/v1/files/{file_id}/content", files.content, allow_head=False)
    app.router.add_post("/v1/batches", batches.create_from_file)
    app.router.add_get("/v1/batches", batches.index_openai, allow_head=False)
    app.router.add_get("/v1/batches/{batch_id}", batches.show_openai, allow_head=False)
    app.router.add_post("/v1/batches/{batch_id}/cancel", batches.cancel_openai)
    for prefix in ("/v1", "/anthropic/v1"):
        app.router.add_post(f"{prefix}/messages", messages.create)
        app.router.add_post(f"{prefix}/messages/count_tokens", messages.count_tokens)
        app.router.add_post(f"{prefix}/messages/batches", batches.create)
        app.router.add_get(f"{prefix}/messages/batches", batches.index, allow_head=False)
        app.router.add_get(f"{prefix}/messages/batches/{{batch_id}}", batches.show, allow_head=False)
        app.router.add_delete(f"{prefix}/messages/batches/{{batch_id}}", batches.delete)
        app.router.add_post(f"{prefix}/messages/batches/{{batch_id}}/cancel", batches.cancel)
        app.router.add_get(
            f"{prefix}/messages/batches/{{batch_id}}/results", batches.results, allow_head=False
        )
        app.router.add_get(f"{prefix}/messages/{_A_MESSAGE}", messages.show, allow_head=False)
    app.router.add_get("/anthropic/v1/models", models.index, allow_head=False)
    app.router.add_get(f"/anthropic{_A_MODEL}", models.show, allow_head=False)
    app.router.add_get("/openapi.json", docs.document, allow_head=False)
    app.router.add_get("/docs", docs.page, allow_head=False)
    app.router.add_get("/docs/{file}", docs.asset, allow_head=False)
    add_admin_routes(app)
    add_ops_routes(app)


def add_ops_routes(app: web.Application) -> None:
    """What `ops_port` serves, and the main port too."""
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", health.metrics)


def route_name(path: str) -> str:
    """The route's name for logs and metrics: a closed set, whatever the path holds."""
    if path in OPEN_PATHS or path.startswith("/docs/"):
        return "ops"
    path = path.removeprefix("/anthropic")
    return next((name for prefix, name in _ROUTE_NAMES if path.startswith(prefix)), "other")
