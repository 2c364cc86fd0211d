"""Background runs on in-memory ports: what happens when Redis comes and goes, and when events are missing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import orjson
import pytest

from service.core.dialects.openai_responses.request import decode_request
from service.core.errors import InvalidRequest, NotFound, UpstreamRefused
from service.core.events import TextDelta
from service.core.response_events import StopWord
from service.gateway.background_responses import BackgroundResponses
from service.gateway.responses import Responses
from service.gateway.running_response import RunningResponse, RunPolicy
from service.telemetry.metrics import Metrics
from tests.fakes.clock import CountingIds
from tests.fakes.stored import FakeObjects, FakeResponseEvents
from tests.fakes.upstream import Script
from tests.gateway.test_chat import DONE, GOOD, KEY, World
from tests.grammar.openai_responses import check_stream

POLICY = RunPolicy(beat_s=0.01, look_s=0.001, follow_wait_s=0.02, cancel_wait_s=1.0)
STUCK = Script(batches=[[TextDelta("Hi")]], stalls=True)


class Runs:
    """The use cases over fakes. `seen` is what a follower got."""

    def __init__(self, *scripts: Script, policy: RunPolicy = POLICY) -> None:
        self.world = World(list(scripts))
        self.objects, self.events = FakeObjects(), FakeResponseEvents()
        ids = CountingIds()
        self.responses = Responses(objects=self.objects, ids=ids)
        self.runs = BackgroundResponses(
            chat=self.world.chat,
            responses=self.responses,
            events=self.events,
            background=self.world.background,
            metrics=Metrics(),
            clock=self.world.clock,
            ids=ids,
            policy=policy,
        )

    async def start(self) -> str:
        body = {"model": "mimo-v2.6-pro", "input": "Hello", "background": True}
        prepared = await self.responses.prepare(decode_request(orjson.dumps(body)), key_id=KEY.key_id)
        started = await self.runs.start(prepared, key=KEY, record=self.world.record, seal=lambda text: text)
        return str(started.response["id"])

    async def status(self, response_id: str) -> str:
        return (await self.runs.show(response_id, key_id=KEY.key_id)).status

    async def follow(self, response_id: str, starting_after: int = -1) -> bytes:
        following = self.runs.follow(response_id, key_id=KEY.key_id, starting_after=starting_after)
        async with aclosing(following) as pieces:
            return b"".join([piece async for piece in pieces])


async def test_run_is_followed_charged_and_kept() -> None:
    runs = Runs(GOOD)
    response_id = await runs.start()
    events = check_stream(await runs.follow(response_id))
    assert events[-1]["response"]["status"] == "completed"
    assert await runs.status(response_id) == "completed"
    await runs.runs.drain(timeout_s=30)
    await runs.world.settled()
    assert len(runs.world.ledger.settled) == 1


async def test_redis_that_is_away_in_the_middle_costs_no_event() -> None:
    runs = Runs(Script(batches=[[TextDelta("a")], [TextDelta("b")], [TextDelta("c"), *DONE]]))
    response_id = await runs.start()
    runs.events.is_away = runs.objects.is_away = True
    for _ in range(20):
        await asyncio.sleep(0.001)
    runs.events.is_away = runs.objects.is_away = False
    events = check_stream(await runs.follow(response_id))
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "abc"


async def test_end_is_shown_from_the_store_when_its_event_was_lost() -> None:
    runs = Runs(GOOD)
    response_id = await runs.start()
    await runs.runs.drain(timeout_s=30)
    entries = runs.events.entries[KEY.key_id, response_id]
    del entries[-1]
    raw = await runs.follow(response_id)
    assert raw.rindex(b"event: response.completed") > raw.rindex(b"event: response.output_text.delta")
    assert orjson.loads(raw.rstrip().rsplit(b"data: ", 1)[1])["response"]["status"] == "completed"


async def test_event_that_was_written_twice_is_shown_once() -> None:
    runs = Runs(GOOD)
    response_id = await runs.start()
    await runs.runs.drain(timeout_s=30)
    entries = runs.events.entries[KEY.key_id, response_id]
    entries.insert(1, entries[0])
    check_stream(await runs.follow(response_id))


async def test_events_that_are_no_longer_kept_are_not_found() -> None:
    runs = Runs(GOOD)
    response_id = await runs.start()
    await runs.runs.drain(timeout_s=30)
    entries = runs.events.entries[KEY.key_id, response_id]
    del entries[0]  # trimmed at the front
    with pytest.raises(NotFound, match="no longer kept"):
        await runs.follow(response_id)
    entries.clear()
    with pytest.raises(NotFound, match="no longer kept"):
        await runs.follow(response_id)


async def test_cancel_wins_over_waiting_and_loses_to_the_end() -> None:
    runs = Runs(STUCK, GOOD)
    stuck = await runs.start()
    await asyncio.sleep(0.01)
    cancelled = await runs.runs.cancel(stuck, key_id=KEY.key_id)
    assert cancelled.status == "cancelled"
    assert b"response_cancelled" in await runs.follow(stuck)
    done = await runs.start()
    await runs.runs.drain(timeout_s=30)
    assert (await runs.runs.cancel(done, key_id=KEY.key_id)).status == "completed"
    await runs.world.settled()


async def test_runner_hears_a_cancel_of_another_worker() -> None:
    runs = Runs(STUCK)
    response_id = await runs.start()
    await runs.events.ask(KEY.key_id, response_id, StopWord.CANCEL)
    await runs.runs.drain(timeout_s=30)
    assert await runs.status(response_id) == "cancelled"
    await runs.world.settled()


async def test_lost_runner_reads_as_failed_and_stays_so() -> None:
    runs = Runs(STUCK, policy=RunPolicy(beat_s=60, follow_wait_s=0.02))
    response_id = await runs.start()
    await asyncio.sleep(0.01)
    runs.events.running.clear()
    assert await runs.status(response_id) == "failed"
    assert b"event: response.failed" in (await runs.follow(response_id))
    await runs.world.background.drain(timeout_s=0)
    assert await runs.status(response_id) == "failed"


async def test_refusal_before_the_answer_begins_is_raised_and_leaves_nothing() -> None:
    runs = Runs(GOOD)
    runs.objects.is_away = True
    with pytest.raises(Exception, match="store does not answer"):
        await runs.start()
    await runs.world.settled()
    assert runs.events.running == set()


async def test_failure_of_the_answer_is_a_failed_response() -> None:
    runs = Runs(Script(refusal=UpstreamRefused("No.", status=400)))
    response_id = await runs.start()
    events = check_stream(await runs.follow(response_id))
    assert events[-1]["response"]["error"] == {"code": "invalid_prompt", "message": "No."}
    assert await runs.status(response_id) == "failed"


async def test_response_of_the_foreground_has_no_events() -> None:
    runs = Runs()
    prepared = await runs.responses.prepare(decode_request(b'{"model":"m","input":"Hi"}'), key_id=KEY.key_id)
    response = {"id": "resp_1", "status": "completed", "output": [], "background": False}
    await runs.responses.keep(prepared, response, key_id=KEY.key_id)
    with pytest.raises(InvalidRequest):
        await runs.follow("resp_1")


async def test_long_answer_travels_in_larger_pieces() -> None:
    events = FakeResponseEvents()
    policy = RunPolicy(whole_entries=3, piece_bytes=10)
    run = RunningResponse(events, key_id="k", response_id="r", policy=policy)
    for _ in range(20):
        await run.write(b"123")
    await run.end(b"end")
    entries = events.entries["k", "r"]
    assert b"".join(entry.events for entry in entries) == b"123" * 20 + b"end"
    assert [len(entry.events) for entry in entries] == [3, 3, 3, 12, 12, 12, 12, 6]
    assert [entry.is_last for entry in entries] == [False] * 7 + [True]
