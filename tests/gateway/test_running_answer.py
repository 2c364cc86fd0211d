"""Ending a request from outside, at whatever it waits for."""

from __future__ import annotations

import asyncio

import pytest

from service.config import ApiKey
from service.core.conversation import Conversation
from service.gateway.background import Background
from service.gateway.reasoning import NoMemory, Thoughts
from service.gateway.running_answer import EndedByOperator, RunningAnswer
from service.gateway.tally import Tally
from service.telemetry.record import RequestRecord
from tests.fakes.clock import FakeClock


@pytest.fixture
def running() -> RunningAnswer:
    record = RequestRecord(request_id="req_1", route="chat", started_at_s=0.0)
    thoughts = Thoughts(NoMemory(), Background(), ApiKey(name="k", key_sha256="0" * 64))
    return RunningAnswer(record, Tally(Conversation(model="m", turns=()), record, thoughts, FakeClock()))


async def wait_within(running: RunningAnswer, began: asyncio.Event) -> str:
    """As an Answer waits for its upstream, before anything was shown."""
    try:
        running.wait()
        began.set()
        await asyncio.Event().wait()
        running.is_waiting = False
    except (asyncio.CancelledError, EndedByOperator) as error:
        running.last_words(error, None)
    return "never"


async def test_wait_is_ended_and_the_task_lives_on(running: RunningAnswer) -> None:
    began = asyncio.Event()

    async def handled() -> str:
        try:
            return await wait_within(running, began)
        except EndedByOperator:
            await asyncio.sleep(0)  # the task is not cancelled any more
            return "ended"

    task = asyncio.ensure_future(handled())
    await began.wait()
    running.stop()
    assert await task == "ended"
    assert task.cancelling() == 0


async def test_next_wait_does_not_begin(running: RunningAnswer) -> None:
    running.stop()
    with pytest.raises(EndedByOperator):
        await wait_within(running, asyncio.Event())


async def test_client_that_leaves_is_no_operator(running: RunningAnswer) -> None:
    began = asyncio.Event()
    task = asyncio.ensure_future(wait_within(running, began))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_stop_between_two_waits_cancels_nothing(running: RunningAnswer) -> None:
    running.wait()
    await asyncio.sleep(0)
    running.is_waiting = False
    running.stop()
    await asyncio.sleep(0)  # what goes on beside the waits is not cancelled
    with pytest.raises(EndedByOperator):
        running.wait()
