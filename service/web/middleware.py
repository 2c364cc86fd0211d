"""The one middleware: request id, record, key, errors in the route's dialect, CORS, one log line, metrics.

It sees requests and errors; it never wraps a body or a stream."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from service.core.errors import (
    GatewayError,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
)
from service.telemetry import trace
from service.telemetry.log import request_fields
from service.telemetry.record import RequestRecord
from service.telemetry.trace import NO_TRACE
from service.web.admin.guard import is_admin
from service.web.context import API_KEY, RECORD, SERVICES, Services
from service.web.drain import shutting_down
from service.web.errors import error_response
from service.web.headers import REQUEST_ID, is_request_id, presented_key
from service.web.routes import OPEN_PATHS, route_name
from service.web.stream import write_in_time

log = structlog.get_logger()

_MAX_USER_AGENT_CHARS = 120
# What the kernel takes without waiting for the client; longer answers may wait for ever.
_LARGE_BYTES = 64 << 10
_METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD")
_CORS_METHODS = "GET, POST, DELETE, OPTIONS"


@web.middleware
async def gateway_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request goes through here, once."""
    services = request.app[SERVICES]
    record = _record(request, services)
    request[RECORD] = record
    gauge = services.metrics.inflight[record.route,]
    gauge.inc()
    task = asyncio.current_task()
    if record.route != "ops" and task is not None:
        services.open_requests.begin(task)
    try:
        response = await _answered(request, handler, services, record)
        record.status = response.status
        return response
    except (asyncio.CancelledError, ConnectionError):
        # The client left: 499 is what nginx calls it. Nobody reads the answer.
        record.is_cancelled, record.status = True, 499
        raise
    finally:
        gauge.dec()
        if task is not None:
            services.open_requests.finish(task)
        _tell(services, record)


async def _answered(
    request: web.Request, handler: Handler, services: Services, record: RequestRecord
) -> web.StreamResponse:
    cors = _cors_headers(request, services)
    if request.method == "OPTIONS" and cors:
        return web.Response(status=204, headers=cors)
    try:
        if record.route != "ops":
            await _authenticate(request, services, record)
        response = await handler(request)
    except asyncio.CancelledError:
        if not services.open_requests.was_ended():
            raise
        record.error, record.is_drained, record.is_cancelled = shutting_down(), True, False
        response = error_response(request, record.error, request_id=record.request_id)
    except ConnectionError:
        raise
    except Exception as error:
        record.error = _as_ours(error, record)
        response = error_response(request, record.error, request_id=record.request_id)
    if not response.prepared:
        await _finished(request, response, services, record, cors)
    return response


async def _finished(
    request: web.Request,
    response: web.StreamResponse,
    services: Services,
    record: RequestRecord,
    cors: dict[str, str],
) -> None:
    """The headers that every answer carries; and a long body goes out here, where a client that takes nothing
    is noticed."""
    response.headers[REQUEST_ID] = record.request_id
    if record.trace.trace_id:
        response.headers[trace.ANSWER_HEADER] = record.trace.trace_id
    response.headers.update(cors)
    if services.is_draining:
        response.force_close()
    if isinstance(response, web.Response) and (response.content_length or 0) > _LARGE_BYTES:
        await write_in_time(request, _sent(request, response))


async def _sent(request: web.Request, response: web.Response) -> None:
    await response.prepare(request)
    await response.write_eof()


def _record(request: web.Request, services: Services) -> RequestRecord:
    sent, route = request.headers.get(REQUEST_ID, ""), route_name(request.path)
    return RequestRecord(
        request_id=sent if is_request_id(sent) else services.ids.new("req_"),
        route=route,
        method=request.method if request.method in _METHODS else "other",
        started_at_s=services.clock.monotonic_s(),
        trace=_trace(request, services) if route != "ops" else NO_TRACE,
        client_net=_network(request.remote or ""),
        user_agent=request.headers.get("User-Agent", "")[:_MAX_USER_AGENT_CHARS],
    )


def _trace(request: web.Request, services: Services) -> trace.Trace:
    states = ",".join(request.headers.getall(trace.STATE_HEADER, ()))
    return services.tracing.begin(request.headers.get(trace.HEADER, ""), states)


def _network(address: str) -> str:
    """The address of who calls, without its host part: /24, or /48. Enough to see where floods come from."""
    if ":" in address:
        return ":".join(address.split(":")[:3]) + "::"
    return address.rpartition(".")[0] + ".0" if address else ""


async def _authenticate(request: web.Request, services: Services, record: RequestRecord) -> None:
    if request.path in OPEN_PATHS or is_admin(request.path):  # the admin's routes have a guard of their own
        return
    presented = presented_key(request)
    try:
        key = services.keyring.known(presented) or await services.keyring.find(presented)
    except Unauthenticated as error:
        services.metrics.auth_failures[error.code or "invalid_api_key",].inc()
        raise
    request[API_KEY] = key
    record.key_id, record.key_name = key.key_id, key.name


def _as_ours(error: Exception, record: RequestRecord) -> GatewayError:
    """What a handler raised, as an error that the dialects know. Raises what is an answer, not an error."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        return _http_error(error)
    if isinstance(error, web.RequestPayloadError | HttpProcessingError):
        return InvalidRequest("The request body could not be read: it is not what its headers say.")
    log.error("handler_failed", request_id=record.request_id, error_type=type(error).__name__)
    return Internal()


def _http_error(error: web.HTTPException) -> GatewayError:
    """aiohttp's own refusals (routing, expectations) in our words."""
    match error:
        case web.HTTPNotFound():
            return NotFound("No such route. See /docs for the routes of this gateway.")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(
                "This route does not take that method.", allowed=tuple(error.allowed_methods)
            )
        case _:
            return InvalidRequest(f"The request could not be read: {error.reason}.")


def _cors_headers(request: web.Request, services: Services) -> dict[str, str]:
    """CORS is off unless origins are configured; an origin outside the list is told nothing. No page of
    another origin has business with the admin's routes."""
    origin = request.headers.get("Origin")
    if origin is None or origin not in services.security.cors_origins or is_admin(request.path):
        return {}
    asked = request.headers.get("Access-Control-Request-Headers", "authorization, content-type")
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": _CORS_METHODS,
        "Access-Control-Allow-Headers": asked,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }


def _tell(services: Services, record: RequestRecord) -> None:
    duration_s = services.clock.monotonic_s() - record.started_at_s
    services.metrics.observe(record, duration_s=duration_s)
    if record.route != "ops":
        services.tracing.finish(record, duration_s=duration_s)
        log.info("request_ended", **request_fields(record, duration_s=duration_s))
