"""`POST /v1/responses`, and what is kept of it: `GET`, `DELETE`, `…/input_items`, `…/cancel`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from aiohttp import web

from service.core.completion import AnswerHead
from service.core.dialects.openai_responses.errors import encode_error_event
from service.core.dialects.openai_responses.request import DecodeOptions, decode_request
from service.core.dialects.openai_responses.response import encode_completion
from service.core.dialects.openai_responses.stored import encode_deleted, encode_input_items
from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.errors import GatewayError, InvalidRequest, MethodNotAllowed
from service.core.leases import Admission
from service.core.sse import encode_comment
from service.gateway.chat import Answer
from service.gateway.responses import Prepared
from service.gateway.sealing import Sealer
from service.web.body import read_body
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.drain import shutting_down
from service.web.headers import REQUEST_ID, notes_header, openai_limit_headers, presented_key
from service.web.stream import STREAM_HEADERS, ClientStream, write_in_time

_PING = encode_comment("ping")


async def create(request: web.Request) -> web.StreamResponse:
    """Decode, put the history in front, answer, keep, and settle on the way out."""
    services, record, key = request.app[SERVICES], request[RECORD], request[API_KEY]
    sealer = Sealer(presented_key(request) or "")
    options = DecodeOptions(unseal=sealer.unseal, streams_by_query=_flag(request, "stream"))
    decoded = decode_request(await read_body(request), options)
    prepared = await services.responses.prepare(decoded, key_id=key.key_id)
    record.notes += prepared.request.notes
    if prepared.request.is_background:
        return await _in_background(request, prepared, sealer)
    async with services.chat.open(prepared.request.conversation, key=key, record=record) as answer:
        head = AnswerHead(
            answer_id=services.ids.new("resp_"), model=answer.model, created_at_s=int(services.clock.unix_s())
        )
        if prepared.request.conversation.streams:
            return await _streamed(request, answer, head, prepared, sealer)
        encoded = encode_completion(
            await answer.complete(), head, prepared.request, new_id=services.ids.new, seal=sealer.seal
        )
        if prepared.request.is_stored:
            await services.responses.keep(prepared, encoded.response, key_id=key.key_id)
        return _json(request, encoded.body, admission=answer.admission)


async def _streamed(
    request: web.Request, answer: Answer, head: AnswerHead, prepared: Prepared, sealer: Sealer
) -> web.StreamResponse:
    services, key_id = request.app[SERVICES], request[API_KEY].key_id
    encoder = StreamEncoder(head, prepared.request, new_id=services.ids.new, seal=sealer.seal)

    async def keep() -> None:
        """Before the end is shown: a client may go on from it at once, at another worker."""
        if prepared.request.is_stored and encoder.response is not None:
            await services.responses.keep(prepared, encoder.response, key_id=key_id)

    stream = ClientStream(request, encoder, lambda: _headers(request, answer.admission), before_end=keep)
    return await stream.send(answer)


# --- in the background --------------------------------------------------------------------------------------


async def _in_background(request: web.Request, prepared: Prepared, sealer: Sealer) -> web.StreamResponse:
    """Begin the run; then tell how it stands, or follow it."""
    runs, record = request.app[SERVICES].background_responses, request[RECORD]
    started = await runs.start(prepared, key=request[API_KEY], record=record, seal=sealer.seal)
    if not prepared.request.conversation.streams:
        return _json(request, orjson.dumps(started.response), admission=started.admission)
    events = runs.follow(str(started.response["id"]), key_id=request[API_KEY].key_id)
    return await _followed(request, events, admission=started.admission)


async def _followed(
    request: web.Request, events: AsyncGenerator[bytes, None], *, admission: Admission | None = None
) -> web.StreamResponse:
    """Events of a run onto the connection. A client that leaves ends the following, not the run."""
    services, record = request.app[SERVICES], request[RECORD]
    async with aclosing(events):
        piece = await anext(events)  # what is wrong before the first event still gets a status
        response = web.StreamResponse(headers={**STREAM_HEADERS, **_headers(request, admission)})
        await response.prepare(request)
        written_at_s = services.clock.monotonic_s()
        try:
            while True:
                silent_s = services.clock.monotonic_s() - written_at_s
                if not piece and silent_s >= services.timeouts.keepalive_s:
                    piece = _PING
                if piece:
                    await write_in_time(request, response.write(piece))
                    record.bytes_out += len(piece)
                    written_at_s = services.clock.monotonic_s()
                piece = await anext(events)
        except StopAsyncIteration:
            pass
        except GatewayError as error:
            record.error = error
            await response.write(encode_error_event(error, sequence_number=0))
        except asyncio.CancelledError:
            if not services.open_requests.was_ended():
                raise
            record.error, record.is_drained = shutting_down(), True
            await response.write(encode_error_event(record.error, sequence_number=0))
    await response.write_eof()
    return response


# --- what is kept -------------------------------------------------------------------------------------------


async def show(request: web.Request) -> web.StreamResponse:
    """The response as it stands, or with `?stream=true` its events after `starting_after`.

    Raises NotFound, InvalidRequest."""
    runs, key_id = request.app[SERVICES].background_responses, request[API_KEY].key_id
    response_id = request.match_info["response_id"]
    if _flag(request, "stream"):
        starting_after = _integer(request, "starting_after", default=-1)
        return await _followed(
            request, runs.follow(response_id, key_id=key_id, starting_after=starting_after)
        )
    return _json(request, (await runs.show(response_id, key_id=key_id)).body)


async def delete(request: web.Request) -> web.Response:
    """Forget it; one that still runs is stopped. Raises NotFound."""
    runs, response_id = request.app[SERVICES].background_responses, request.match_info["response_id"]
    await runs.delete(response_id, key_id=request[API_KEY].key_id)
    return _json(request, encode_deleted(response_id))


async def cancel(request: web.Request) -> web.Response:
    """Stop a background response and show how it ended. Raises NotFound, InvalidRequest."""
    runs, response_id = request.app[SERVICES].background_responses, request.match_info["response_id"]
    stored = await runs.cancel(response_id, key_id=request[API_KEY].key_id)
    return _json(request, stored.body)


async def input_items(request: web.Request) -> web.Response:
    """One page of the items that the request brought, newest first unless `order=asc`. Raises NotFound."""
    stored = await request.app[SERVICES].responses.load(
        request.match_info["response_id"], key_id=request[API_KEY].key_id
    )
    body = encode_input_items(
        stored.items,
        limit=_integer(request, "limit", default=20),
        after=request.query.get("after"),
        before=request.query.get("before"),
        order=request.query.get("order", "desc"),
    )
    return _json(request, body)


async def upgrade(request: web.Request) -> web.Response:
    """`GET /v1/responses`: Codex asks for a WebSocket here, and goes on with POST at once when it is told
    426."""
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        raise MethodNotAllowed("Send a POST to this route.", allowed=("POST",))
    error = {
        "message": "Responses are served over HTTP, not over WebSockets: send a POST.",
        "type": "invalid_request_error",
        "param": None,
        "code": "upgrade_required",
    }
    # RFC 9110, 15.5.22: a 426 names what to upgrade to.
    headers = {"Upgrade": "HTTP/1.1", "Connection": "Upgrade"}
    body = orjson.dumps({"error": error})
    return web.Response(status=426, body=body, content_type="application/json", headers=headers)


# --- small things -------------------------------------------------------------------------------------------


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _integer(request: web.Request, name: str, *, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest(
            f"Invalid type for '{name}': expected an integer, but got something else instead.",
            param=name,
            code="invalid_type",
        )
    return int(text)


def _json(request: web.Request, body: bytes, *, admission: Admission | None = None) -> web.Response:
    request[RECORD].bytes_out = len(body)
    return web.Response(body=body, content_type="application/json", headers=_headers(request, admission))


def _headers(request: web.Request, admission: Admission | None) -> dict[str, str]:
    record = request[RECORD]
    limits = {} if admission is None else openai_limit_headers(admission)
    return {REQUEST_ID: record.request_id, **notes_header(record.notes), **limits}
