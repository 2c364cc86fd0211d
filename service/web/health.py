"""Probes and metrics. Liveness knows nothing of Redis: a restart would not bring it back. Readiness does."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

from service import __version__
from service.web.context import SERVICES

_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def healthz(_: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return _json({"status": "ok", "version": __version__})


async def readyz(request: web.Request) -> web.Response:
    """200 when requests can be served; 503 with the reasons otherwise.

    Redis away: 503 until it was there once. After that the gateway goes on without it, each worker with its
    share of the limits, and says `degraded`: were every pod to call itself unready, nobody would be left."""
    services = request.app[SERVICES]
    trouble = await services.store_health.check()
    if trouble is None:
        services.was_ready = True
    reasons = [] if trouble is None else [trouble]
    if services.is_draining:
        reasons = ["the process is shutting down", *reasons]
    if services.is_draining or not services.was_ready:
        return _json({"status": "unavailable", "reasons": reasons}, status=503)
    status = "degraded" if reasons else "ready"
    return _json({"status": status, "reasons": reasons, "models": list(services.models.offered)})


async def metrics(request: web.Request) -> web.Response:
    """The exposition text, rendered in a thread: a large registry would stop the loop for milliseconds.

    OpenMetrics for whoever takes it when there are spans: only that form carries exemplars."""
    services = request.app[SERVICES]
    if services.tracing.makes_spans and "application/openmetrics-text" in request.headers.get("Accept", ""):
        body = await asyncio.to_thread(services.metrics.render_openmetrics)
        return web.Response(body=body, headers={"Content-Type": _OPENMETRICS})
    body = await asyncio.to_thread(services.metrics.render)
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
