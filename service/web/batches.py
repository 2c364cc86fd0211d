"""Batches of both dialects: `/v1/messages/batches` (under `/anthropic` too) and `/v1/batches`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from service.core.batches import Batch
from service.core.dialects.anthropic_messages import batches as anthropic
from service.core.dialects.openai_chat import batches as openai
from service.core.errors import BodyTooLarge, GatewayError, InvalidRequest
from service.gateway.batches import MESSAGES, OPENAI
from service.web.body import read_body
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.errors import request_id_headers
from service.web.stream import write_in_time

_MAX_PAGE = {MESSAGES: 1000, OPENAI: 100}
_DEFAULT_PAGE = 20


# --- Anthropic ----------------------------------------------------------------------------------------------


async def create(request: web.Request) -> web.Response:
    """The body is read as it comes: each request is checked and stored before the next is looked at."""
    services = request.app[SERVICES]
    max_bytes = services.batches.policy.max_bytes
    if request.content_length is not None and request.content_length > max_bytes:
        raise BodyTooLarge(max_bytes=max_bytes)
    batch = await services.batches.create(request[API_KEY], body_chunks(request))
    return _json(request, anthropic.encode_batch(_shown(request, batch)))


async def index(request: web.Request) -> web.Response:
    """One page, newest first."""
    after_id, before_id = request.query.get("after_id"), request.query.get("before_id")
    if after_id is not None and before_id is not None:
        raise InvalidRequest("Only one of after_id and before_id may be sent.", param="before_id")
    batches, has_more = await request.app[SERVICES].batches.page(
        request[API_KEY],
        MESSAGES,
        after_id=after_id,
        before_id=before_id,
        limit=page_limit(request, maximum=_MAX_PAGE[MESSAGES], default=_DEFAULT_PAGE),
    )
    shown = [_shown(request, batch) for batch in batches]
    return _json(request, anthropic.encode_page(shown, has_more=has_more))


async def show(request: web.Request) -> web.Response:
    batch = await _found(request, MESSAGES)
    return _json(request, anthropic.encode_details(_shown(request, batch)))


async def cancel(request: web.Request) -> web.Response:
    batches, batch_id = request.app[SERVICES].batches, request.match_info["batch_id"]
    batch = await batches.cancel(request[API_KEY], batch_id, MESSAGES)
    return _json(request, anthropic.encode_canceled(_shown(request, batch)))


async def delete(request: web.Request) -> web.Response:
    batch_id = request.match_info["batch_id"]
    await request.app[SERVICES].batches.delete(request[API_KEY], batch_id)
    return _json(request, anthropic.encode_deleted(batch_id))


async def results(request: web.Request) -> web.StreamResponse:
    """The results as JSONL, once the batch has ended."""
    batch = await _found(request, MESSAGES)
    if not batch.is_over:
        raise InvalidRequest("The batch has not ended: its results are not available yet.")
    lines = request.app[SERVICES].batches.lines(request[API_KEY], batch)
    return await download(request, lines, content_type="application/x-jsonl")


def _shown(request: web.Request, batch: Batch) -> dict[str, object]:
    """The object, with the address of its results under the prefix that the client came by."""
    prefix = request.path.partition("/v1/")[0]
    url = f"{_origin(request)}{prefix}/v1/messages/batches/{batch.batch_id}/results"
    return anthropic.batch_object(batch, results_url=url)


def _origin(request: web.Request) -> str:
    """The scheme and host that the client used: the SDKs send their key to the address made of it."""
    scheme = request.scheme
    if request.app[SERVICES].security.trusts_forwarded_proto:
        told = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        scheme = told if told in ("http", "https") else scheme
    return f"{scheme}://{request.host}"


# --- OpenAI -------------------------------------------------------------------------------------------------


async def create_from_file(request: web.Request) -> web.Response:
    asked = openai.decode_create(await read_body(request))
    batch = await request.app[SERVICES].batches.create_from_file(
        request[API_KEY], asked.kind, input_file_id=asked.input_file_id, metadata=asked.metadata
    )
    return _json(request, openai.encode(openai.batch_object(batch)))


async def index_openai(request: web.Request) -> web.Response:
    batches, has_more = await request.app[SERVICES].batches.page(
        request[API_KEY],
        OPENAI,
        after_id=request.query.get("after"),
        before_id=None,
        limit=page_limit(request, maximum=_MAX_PAGE[OPENAI], default=_DEFAULT_PAGE),
    )
    return _json(request, openai.encode_page(list(map(openai.batch_object, batches)), has_more=has_more))


async def show_openai(request: web.Request) -> web.Response:
    batch = await _found(request, OPENAI)
    return _json(request, openai.encode(openai.batch_object(batch)))


async def cancel_openai(request: web.Request) -> web.Response:
    batches, batch_id = request.app[SERVICES].batches, request.match_info["batch_id"]
    batch = await batches.cancel(request[API_KEY], batch_id, OPENAI)
    return _json(request, openai.encode(openai.batch_object(batch)))


# --- both ---------------------------------------------------------------------------------------------------


async def _found(request: web.Request, family: str) -> Batch:
    batches = request.app[SERVICES].batches
    return await batches.find(request[API_KEY], request.match_info["batch_id"], family)


async def body_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. No time for the whole, which may be long; each read has one."""
    services, record = request.app[SERVICES], request[RECORD]
    while True:
        try:
            async with asyncio.timeout(services.timeouts.body_s):
                chunk = await request.content.readany()
        except TimeoutError:
            raise InvalidRequest("The request body did not arrive in time.", code="body_timeout") from None
        if not chunk:
            return
        record.bytes_in += len(chunk)
        yield chunk


def page_limit(request: web.Request, *, maximum: int, default: int) -> int:
    """The query's `limit`. Raises InvalidRequest."""
    sent = request.query.get("limit")
    if sent is None:
        return default
    if not (sent.isascii() and sent.isdecimal() and 1 <= int(sent[:9]) <= maximum):
        raise InvalidRequest(f"limit must be a number from 1 to {maximum}.", param="limit")
    return int(sent)


async def download(
    request: web.Request, pieces: AsyncIterator[bytes], *, content_type: str
) -> web.StreamResponse:
    """Pieces onto the connection: what is held does not grow with the file. A failure after the first piece
    cuts the connection, so that nobody takes a part for the whole."""
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers={"Content-Type": content_type, **request_id_headers(request)})
    await response.prepare(request)
    record = request[RECORD]
    try:
        await write_in_time(request, response.write(first))
        record.bytes_out += len(first)
        async for piece in pieces:
            await write_in_time(request, response.write(piece))
            record.bytes_out += len(piece)
    except (GatewayError, asyncio.CancelledError) as error:
        if request.transport is not None:
            request.transport.abort()
        if isinstance(error, GatewayError):
            record.error = error
            raise ConnectionResetError("the download was broken off") from error
        raise
    await response.write_eof()
    return response


def _json(request: web.Request, body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers=request_id_headers(request))
