"""Events onto a StreamResponse: one write for each upstream read, keep-alives in silence, and an honest end.

The response's head is sent with the first event, so that a failure before it still gets a status line. After
`keepalive_s` of silence the head is sent all the same, with a comment (or ping): from then on failures are
in-band. A write that waits for the client holds up the reading of the upstream, so memory stays bounded; one
that waits for `write_s` cuts the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from aiohttp import web

from service.core.errors import GatewayError
from service.core.events import Failed, Finish
from service.telemetry import trace
from service.web.context import RECORD, SERVICES, Services
from service.web.drain import shutting_down

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    # Balancers such as nginx would hold the events back otherwise.
    "X-Accel-Buffering": "no",
}


_Event = TypeVar("_Event")
_Event_contra = TypeVar("_Event_contra", contravariant=True)


class Batches(Protocol[_Event]):
    """Lists of events, none of them empty."""

    def __aiter__(self) -> AsyncIterator[list[_Event]]: ...

    def aclose(self) -> Awaitable[None]: ...


class Answered(Protocol[_Event]):
    """What can be streamed: a chat's answer, a speech. Its last event is a Finish or a Failed."""

    def batches(self) -> Batches[_Event]: ...


class EventEncoder(Protocol[_Event_contra]):
    """Events -> bytes for the client. A Failed becomes the in-band error."""

    def feed(self, event: _Event_contra | Failed) -> bytes: ...

    def ping(self) -> bytes: ...


class ClientStream(Generic[_Event]):
    """One client's side of a stream. `headers` is called once, when the head is sent; `tap` sees every event;
    `before_end` is awaited when the end is encoded and not yet sent."""

    def __init__(
        self,
        request: web.Request,
        encoder: EventEncoder[_Event],
        headers: Callable[[], Mapping[str, str]],
        *,
        tap: Callable[[_Event], None] | None = None,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._request = request
        self._services: Services = request.app[SERVICES]
        self._record = request[RECORD]
        self._encoder = encoder
        self._headers = headers
        self._tap = tap
        self._before_end = before_end
        self._begin_lock = asyncio.Lock()
        self._response: web.StreamResponse | None = None
        self._written_at_s = self._services.clock.monotonic_s()
        self._event_at_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing_since_s: float | None = None
        self._has_ended = False

    async def send(self, answer: Answered[_Event]) -> web.StreamResponse:
        """The whole answer. Raises a GatewayError only while nothing was sent."""
        self._arm()
        streams_open = self._services.metrics.streams_open[self._record.route,]
        streams_open.inc()
        try:
            await self._relay(answer)
        except GatewayError as error:
            await self._fail(error)
        except asyncio.CancelledError:
            if not self._services.open_requests.was_ended():
                raise
            self._record.is_drained = True
            await self._fail(shutting_down())
        finally:
            streams_open.dec()
            self._has_ended = True
            if self._timer is not None:
                self._timer.cancel()
        response = await self._begun()
        await response.write_eof()
        return response

    async def _relay(self, answer: Answered[_Event]) -> None:
        async with aclosing(answer.batches()) as batches:
            async for events in batches:
                if self._tap is not None:
                    for event in events:
                        self._tap(event)
                data = b"".join(map(self._encoder.feed, events))
                if self._before_end is not None and isinstance(events[-1], Finish | Failed):
                    await self._before_end()
                await self._write(data)

    async def _fail(self, error: GatewayError) -> None:
        """In-band when the head was sent, raised when a status line can still tell it."""
        if self._response is None:
            raise error
        self._record.error = error
        data = self._encoder.feed(Failed(error))
        if self._before_end is not None:
            await self._before_end()
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        if data:
            response = self._response or await self._begun()
            self._written_at_s = now_s = self._services.clock.monotonic_s()
            record = self._record
            record.bytes_out += len(data)
            record.chunks += 1
            self._writing_since_s = now_s
            await response.write(data)
            self._writing_since_s = None
            if self._event_at_s is None:
                record.first_write_at_s = self._services.clock.monotonic_s()
            elif now_s - self._event_at_s > record.longest_gap_s:
                record.longest_gap_s = now_s - self._event_at_s
            self._event_at_s = now_s

    async def _begun(self) -> web.StreamResponse:
        async with self._begin_lock:
            if self._response is None:
                response = web.StreamResponse(headers={**STREAM_HEADERS, **self._headers()})
                if self._record.trace.trace_id:
                    response.headers[trace.ANSWER_HEADER] = self._record.trace.trace_id
                if self._services.is_draining:
                    response.force_close()
                await response.prepare(self._request)
                self._response = response
            return self._response

    def _arm(self) -> None:
        """Look again when the silence, or a write, would have lasted long enough. A timer costs
        nothing per event; a task would."""
        timeouts, now_s = self._services.timeouts, self._services.clock.monotonic_s()
        if self._writing_since_s is None:
            wait_s = min(timeouts.keepalive_s - (now_s - self._written_at_s), timeouts.write_s)
        else:
            wait_s = timeouts.write_s - (now_s - self._writing_since_s)
        self._timer = asyncio.get_running_loop().call_later(max(wait_s, 0.001), self._on_timer)

    def _on_timer(self) -> None:
        now_s = self._services.clock.monotonic_s()
        silent_s = now_s - self._written_at_s
        if self._writing_since_s is not None:
            if now_s - self._writing_since_s >= self._services.timeouts.write_s:
                cut_slow_reader(self._request)
                return
        elif silent_s >= self._services.timeouts.keepalive_s and not self._has_ended:
            self._services.background.spawn(self._ping(), name="keepalive")
            self._written_at_s = self._services.clock.monotonic_s()
        if not self._has_ended:
            self._arm()

    async def _ping(self) -> None:
        try:
            response = await self._begun()
            if not self._has_ended:
                await response.write(self._encoder.ping())
        except ConnectionError:
            return  # the client left: its handler is being cancelled


def cut_slow_reader(request: web.Request) -> None:
    """The client takes nothing: its handler ends as if it had left."""
    request[RECORD].notes.append("the client did not read: its connection was cut")
    request.app[SERVICES].metrics.slow_client_cuts.inc()
    if request.transport is not None:
        request.transport.abort()


async def write_in_time(request: web.Request, work: Awaitable[None]) -> None:
    """Await a write that is not a stream's. Raises ConnectionResetError when the client takes nothing."""
    try:
        async with asyncio.timeout(request.app[SERVICES].timeouts.write_s):
            await work
    except TimeoutError:
        cut_slow_reader(request)
        raise ConnectionResetError("the client did not read") from None
