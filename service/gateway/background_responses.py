"""Responses that run on after their request has ended (`background: true`).

`start` returns once the key is admitted; the run goes on in this process, whoever leaves. All that others
need of it is in Redis: the response object (queued, in_progress, then its end), the bytes of its events, a
sign of life with a short lifetime, and a word for the runner (cancel, delete) that it reads about once a
second. So any worker polls, follows and cancels; when the sign of life stops before the end was stored, every
worker reads the response as failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from service.config import ApiKey
from service.core.completion import AnswerHead
from service.core.dialects.openai_responses.output import CANCELLED, IN_PROGRESS, QUEUED, Item, Seal
from service.core.dialects.openai_responses.response import encode_status
from service.core.dialects.openai_responses.stored import (
    encode_end,
    events_after,
    failed_response,
    sequence_numbers,
)
from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.errors import GatewayError, Internal, InvalidRequest, NotFound, StoreUnavailable
from service.core.events import Failed
from service.core.leases import Admission
from service.core.response_events import KeptEvents, StopWord
from service.gateway.background import Background
from service.gateway.chat import Answer, Chat
from service.gateway.ports import Clock, Ids, ResponseEvents
from service.gateway.responses import Prepared, Responses, StoredResponse
from service.gateway.running_response import RunningResponse, RunPolicy
from service.telemetry.log import request_fields
from service.telemetry.metrics import Metrics
from service.telemetry.record import RequestRecord
from service.telemetry.tracing import PASSING_ON, Tracing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A response that runs: what its request is told."""

    response: Item
    admission: Admission


class BackgroundResponses:
    """The use cases of background responses."""

    def __init__(
        self,
        *,
        chat: Chat,
        responses: Responses,
        events: ResponseEvents,
        background: Background,
        metrics: Metrics,
        clock: Clock,
        ids: Ids,
        policy: RunPolicy | None = None,
        tracing: Tracing = PASSING_ON,
    ) -> None:
        self._chat = chat
        self._responses = responses
        self._events = events
        self._background = background
        self._metrics = metrics
        self._tracing = tracing
        self._clock = clock
        self._ids = ids
        self._policy = policy or RunPolicy()
        self._running: dict[str, RunningResponse] = {}
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def start(self, prepared: Prepared, *, key: ApiKey, record: RequestRecord, seal: Seal) -> Started:
        """Admit the key and begin. Raises what Chat.open raises, and StoreUnavailable: a response that cannot
        be polled is not begun."""
        response_id = self._ids.new("resp_")
        await self._events.begin(key.key_id, response_id)
        own_record = RequestRecord(
            request_id=record.request_id,
            route=record.route,
            method=record.method,
            started_at_s=self._clock.monotonic_s(),
            key_id=record.key_id,
            key_name=record.key_name,
            notes=record.notes,
            trace=self._tracing.inside(record.trace),
        )
        admitted: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        # A client that left waits for nothing: its exception must not count as a forgotten one.
        admitted.add_done_callback(lambda done: done.cancelled() or done.exception())
        run = self._run(prepared, response_id, key=key, record=own_record, seal=seal, admitted=admitted)
        self._background.spawn(run, name="background_response")
        return await asyncio.shield(admitted)

    async def show(self, response_id: str, *, key_id: str) -> StoredResponse:
        """The response as it stands. One whose runner was lost reads failed. Raises NotFound,
        StoreUnavailable."""
        stored = await self._responses.load(response_id, key_id=key_id)
        if not stored.is_running or await self._events.is_running(key_id, response_id):
            return stored
        # It may have ended between the two looks.
        stored = await self._responses.load(response_id, key_id=key_id)
        return (
            replace(stored, response=failed_response(stored.response, _Lost()))
            if stored.is_running
            else stored
        )

    async def cancel(self, response_id: str, *, key_id: str) -> StoredResponse:
        """Stop the run, wherever it is, and wait for its end. One that has ended is shown as it is.

        Raises NotFound, InvalidRequest for a response that is no background one, StoreUnavailable."""
        stored = await self.show(response_id, key_id=key_id)
        if not stored.is_background:
            raise InvalidRequest(
                "Cannot cancel a synchronous response: only responses with 'background' can be cancelled."
            )
        if not stored.is_running:
            return stored
        await self._stop(response_id, key_id, StopWord.CANCEL)
        deadline_s = self._clock.monotonic_s() + self._policy.cancel_wait_s
        while stored.is_running and self._clock.monotonic_s() < deadline_s:
            await asyncio.sleep(self._policy.look_s)
            stored = await self.show(response_id, key_id=key_id)
        return stored

    async def delete(self, response_id: str, *, key_id: str) -> None:
        """Forget the response, its items and its events; stop it when it runs. Raises NotFound,
        StoreUnavailable."""
        stored = await self._responses.load(response_id, key_id=key_id)
        if stored.is_running:
            await self._stop(response_id, key_id, StopWord.DELETE)
        await self._responses.delete(stored, key_id=key_id)
        if stored.is_background:
            await self._events.forget(key_id, response_id)

    async def follow(
        self, response_id: str, *, key_id: str, starting_after: int = -1
    ) -> AsyncGenerator[bytes, None]:
        """The events after number `starting_after`: those that are kept at once, then each as it comes, to
        the end. b"" every few seconds of silence.

        Raises, before anything is given out, NotFound, StoreUnavailable and InvalidRequest for a response
        that has no such events."""
        stored = await self.show(response_id, key_id=key_id)
        if not stored.is_background:
            raise InvalidRequest("Only responses with 'background' can be streamed again.", param="stream")
        number, after, has_begun = -1, "0", False
        while True:
            wait_s = self._policy.follow_wait_s if has_begun or stored.is_running else 0.0
            entries = await self._events.read(key_id, response_id, after=after, wait_s=wait_s)
            if not entries and not has_begun and not stored.is_running:
                raise _events_gone(response_id)
            for kept in entries:
                if not has_begun:
                    _refuse_gap(kept, starting_after, response_id)
                has_begun = True
                after = kept.entry_id
                # A write whose reply was lost is in the stream twice: only what is new is shown.
                shown = events_after(kept.events, max(number, starting_after))
                number = max([number, *sequence_numbers(kept.events)])
                if shown:
                    yield shown
            if entries and entries[-1].is_last:
                return
            if not entries:
                stored = await self.show(response_id, key_id=key_id)
                if not stored.is_running and await self._is_over(key_id, response_id, after):
                    yield encode_end(stored.response, sequence_number=number + 1)
                    return
                yield b""

    async def drain(self, *, timeout_s: float) -> None:
        """Give what runs the time to end, as open streams are given it."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_idle.wait()
        except TimeoutError:
            return  # the shutdown ends them; without a sign of life they read as failed

    async def _is_over(self, key_id: str, response_id: str, after: str) -> bool:
        """No event is to come. A response is kept before its last events are: the runner's silence tells."""
        if await self._events.is_running(key_id, response_id):
            return False
        return not await self._events.read(key_id, response_id, after=after, wait_s=0.0)

    async def _stop(self, response_id: str, key_id: str, word: StopWord) -> None:
        await self._events.ask(key_id, response_id, word)
        if (here := self._running.get(response_id)) is not None:
            here.stop(word)

    # --- the run --------------------------------------------------------------------------------------------

    async def _run(
        self,
        prepared: Prepared,
        response_id: str,
        *,
        key: ApiKey,
        record: RequestRecord,
        seal: Seal,
        admitted: asyncio.Future[Started],
    ) -> None:
        conversation = replace(prepared.request.conversation, streams=True)
        run = RunningResponse(self._events, key_id=key.key_id, response_id=response_id, policy=self._policy)
        self._running[response_id] = run
        self._is_idle.clear()
        try:
            async with self._chat.open(conversation, key=key, record=record) as answer:
                head = AnswerHead(
                    answer_id=response_id, model=answer.model, created_at_s=int(self._clock.unix_s())
                )
                await self._admitted(answer, head, prepared, run, admitted)
                self._background.spawn(run.watch(), name="background_response_watch")
                encoder = StreamEncoder(head, prepared.request, new_id=self._ids.new, seal=seal)
                await self._answered(answer, encoder, prepared, run, record)
        except GatewayError as error:  # before the answer began: the request is told
            record.error = error
            if not admitted.done():
                admitted.set_exception(error)
            await run.end()
        except Exception:
            record.error = Internal()
            if not admitted.done():
                admitted.set_exception(Internal())
            raise
        finally:
            run.ended.set()
            del self._running[response_id]
            if not self._running:
                self._is_idle.set()
            self._tell(record)

    async def _admitted(
        self,
        answer: Answer,
        head: AnswerHead,
        prepared: Prepared,
        run: RunningResponse,
        admitted: asyncio.Future[Started],
    ) -> None:
        queued = encode_status(head, prepared.request, QUEUED).response
        if not await self._responses.keep(prepared, queued, key_id=run.key_id):
            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")
        if not admitted.done():
            admitted.set_result(Started(response=queued, admission=answer.admission))

    async def _answered(
        self,
        answer: Answer,
        encoder: StreamEncoder,
        prepared: Prepared,
        run: RunningResponse,
        record: RequestRecord,
    ) -> None:
        """The answer, event by event, into Redis; then its end. Raises nothing that the answer caused."""
        tail = b""  # the end is held back until the response is kept: who sees it may go on from it
        try:
            async with run.until_stopped():
                await run.write(encoder.start())
                await self._responses.keep(prepared, encoder.snapshot(IN_PROGRESS), key_id=run.key_id)
                async with aclosing(answer.batches()) as batches:
                    async for events in batches:
                        shown = b"".join(map(encoder.feed, events))
                        if encoder.response is not None:
                            tail = shown
                        else:
                            await run.write(shown)
        except GatewayError as error:
            record.error = error
            tail += encoder.feed(Failed(error))
        final = encoder.response
        if final is None:
            record.is_cancelled = True
            final = encoder.snapshot(CANCELLED)
            tail = encode_end(final, sequence_number=encoder.next_sequence_number)
        await self._kept(prepared, final, tail, run)

    async def _kept(self, prepared: Prepared, final: Item, tail: bytes, run: RunningResponse) -> None:
        """The end, stored: tried again while Redis is away, since a poller has nothing else."""
        for _ in range(self._policy.keep_tries):
            await run.listen()
            if run.stopped is StopWord.DELETE:
                await run.forget()
                return
            if await self._responses.keep(prepared, final, key_id=run.key_id):
                break
            await asyncio.sleep(self._policy.beat_s)
        await run.end(tail)

    def _tell(self, record: RequestRecord) -> None:
        """The run's own line and metrics: its request was answered long before."""
        duration_s = self._clock.monotonic_s() - record.started_at_s
        record.status = record.status or 200
        self._metrics.observe(record, duration_s=duration_s)
        self._tracing.finish(record, duration_s=duration_s)
        log.info("response_ended", **request_fields(record, duration_s=duration_s))


class _Lost(Internal):
    """The worker went away in the middle of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.message = "The worker that ran this response ended before the response was complete."


def _events_gone(response_id: str) -> NotFound:
    return NotFound(f"The events of response '{response_id[:64]}' are no longer kept.")


def _refuse_gap(first: KeptEvents, starting_after: int, response_id: str) -> None:
    """Events were dropped from the front of a very long stream: a hole is not passed off as a whole."""
    numbers = sequence_numbers(first.events)
    if numbers and numbers[0] > max(starting_after, -1) + 1:
        raise _events_gone(response_id)
