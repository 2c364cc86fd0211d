"""Reasoning kept and put back, on in-memory ports: when the store is asked, and what goes upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from service.config import ApiKey
from service.core.conversation import (
    Conversation,
    Reasoning,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
    Turn,
)
from service.core.errors import RateLimited, UpstreamRefused
from service.core.events import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.leases import Admission
from service.core.reasoning import Replay
from service.gateway.chat import Chat
from service.gateway.reasoning import MAX_REASONING_CHARS, NoMemory
from tests.fakes.limits import FakeLimits
from tests.fakes.stored import FakeReasoningMemory
from tests.fakes.upstream import Script
from tests.gateway.test_chat import DONE, GOOD, KEY, World

TOOL = ToolSpec(name="look")
LOST = Turn(role=Role.ASSISTANT, parts=(ToolCall(call_id="call_1", name="look", arguments="{}"),))
ASKED = Turn(role=Role.USER, parts=(Text(text="Hello"),))
REFUSED = UpstreamRefused("no", status=400, code="reasoning_not_passed_back")


def asked(*turns: Turn, thinking: Thinking = Thinking.DEFAULT) -> Conversation:
    return Conversation(
        model="mimo-v2.6-pro", turns=(ASKED, *turns), tools=(TOOL,), streams=True, thinking=thinking
    )


def called(*thoughts: str, call_id: str = "call_1") -> list[Event]:
    return [
        *map(ReasoningDelta, thoughts),
        ToolCallStart(0, call_id, "look"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        Finish(FinishReason.TOOL_CALLS),
    ]


class Remembering(World):
    """A World whose Chat has a memory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.memory = FakeReasoningMemory()
        self.chat = self.with_memory(self.memory)

    def with_memory(self, memory: FakeReasoningMemory) -> Chat:
        before = self.chat
        return Chat(
            upstreams=before._parts.upstreams,
            accounts=self.accounts,
            limits=self.limits,
            ledger=self.ledger,
            models=before.models,
            background=self.background,
            holdings=self.holdings,
            clock=self.clock,
            ids=before._parts.ids,
            policy=self.policy,
            reasoning=memory,
        )


async def test_reasoning_is_kept_before_the_end_is_shown() -> None:
    world = Remembering([Script(batches=[called("I should ", "look.")])])
    async with world.chat.open(asked(), key=KEY, record=world.record) as answer:
        async for events in answer.batches():
            if isinstance(events[-1], Finish):
                assert world.memory.texts == {(KEY.key_id, "call_1"): "I should look."}
    await world.settled()


async def test_store_that_stalls_holds_the_end_up_for_a_moment_only() -> None:
    class Stalled(FakeReasoningMemory):
        async def keep(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> None:
            await asyncio.Event().wait()

    world = Remembering([Script(batches=[called("hm")])])
    world.chat = world.with_memory(Stalled())
    async with asyncio.timeout(30):
        assert await world.events(asked())
    await world.background.drain(timeout_s=0)


async def test_client_that_leaves_after_the_call_may_bring_it_back() -> None:
    events = called("I should look.")
    world = Remembering([Script(batches=[events[:-1]], stalls=True)])
    async with world.chat.open(asked(), key=KEY, record=world.record) as answer:
        await anext(answer.batches())
    await world.background.drain(timeout_s=1)
    assert list(world.memory.texts.values()) == ["I should look."]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([ReasoningDelta("hm"), TextDelta("Hi"), *DONE], id="no call"),
        pytest.param(called(), id="no reasoning"),
        pytest.param(called("x" * MAX_REASONING_CHARS, "y"), id="too much of it"),
    ],
)
async def test_nothing_is_kept_where_nothing_will_be_asked_for(events: list[Event]) -> None:
    world = Remembering([Script(batches=[events])])
    await world.events(asked())
    await world.settled()
    assert world.memory.texts == {}


async def test_lost_reasoning_goes_upstream_again() -> None:
    world = Remembering([GOOD])
    await world.memory.keep(KEY, ["call_1"], "I should look.")
    await world.events(asked(LOST))
    (sent,) = world.upstream.conversations
    assert sent.turns[1].parts == (Reasoning(text="I should look."), *LOST.parts)
    assert world.record.reasoning_replay == Replay(restored=1)
    assert any("1 restored" in note for note in world.record.notes)
    await world.settled()


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param(asked(), id="no turn with calls"),
        pytest.param(asked(LOST, thinking=Thinking.DISABLED), id="thinking is off"),
        pytest.param(
            asked(Turn(role=Role.ASSISTANT, parts=(Reasoning(text="I know."), *LOST.parts))),
            id="the client sent it",
        ),
    ],
)
async def test_store_is_not_asked_when_no_turn_needs_it(conversation: Conversation) -> None:
    world = Remembering([GOOD])
    await world.events(conversation)
    assert world.memory.recalls == 0
    assert world.upstream.conversations == [conversation]
    assert world.record.notes == []


async def test_store_is_asked_while_the_key_is_admitted() -> None:
    """No round trip of its own: were it asked later, this key would wait for ever."""

    class Asked(FakeReasoningMemory):
        def __init__(self) -> None:
            super().__init__()
            self.was_asked = asyncio.Event()

        async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
            self.was_asked.set()
            return await super().recall(key, call_ids)

    class Waiting(FakeLimits):
        async def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
            await memory.was_asked.wait()
            return await super().admit(key, request_id=request_id, estimated_tokens=estimated_tokens)

    world, memory = Remembering([GOOD]), Asked()
    world.limits = Waiting(world.clock.monotonic_s)
    world.chat = world.with_memory(memory)
    async with asyncio.timeout(30):
        await world.events(asked(LOST))
    assert memory.recalls == 1


async def test_store_is_asked_once_whatever_is_tried() -> None:
    world = Remembering([Script(refusal=REFUSED), GOOD])
    await world.events(asked(LOST))
    assert world.memory.recalls == 1
    first, second = world.upstream.conversations
    assert first.thinking is Thinking.DEFAULT
    assert second.thinking is Thinking.DISABLED
    assert len(set(world.upstream.opened)) == 1, "the account is not at fault"
    assert world.record.reasoning_replay == Replay(missing=1)
    assert [attempt.result for attempt in world.record.attempts] == ["upstream_refused", "ok"]
    await world.settled()


async def test_thinking_is_switched_off_once() -> None:
    world = Remembering([Script(refusal=REFUSED), Script(refusal=REFUSED)])
    with pytest.raises(UpstreamRefused):
        await world.events(asked(LOST))
    await world.settled()


async def test_no_try_without_thinking_after_the_time_for_retries() -> None:
    world = Remembering([Script(refusal=REFUSED)])
    world.clock.turn(1000)
    with pytest.raises(UpstreamRefused):
        await world.events(asked(LOST))
    await world.settled()


async def test_request_that_is_refused_here_leaves_no_question_behind() -> None:
    world = Remembering([])
    with pytest.raises(RateLimited):
        await world.events(asked(LOST), key=replace(KEY, requests_per_minute=0))
    await world.background.drain(timeout_s=1)


async def test_memory_that_fails_is_one_that_knows_nothing() -> None:
    class Broken(FakeReasoningMemory):
        async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
            raise RuntimeError("a defect")

    world = Remembering([GOOD])
    world.chat = world.with_memory(Broken())
    assert await world.events(asked(LOST))
    assert world.record.reasoning_replay == Replay(missing=1)
    await world.settled()


async def test_chat_without_a_memory_forgets() -> None:
    memory = NoMemory()
    await memory.keep(KEY, ["call_1"], "text")
    assert await memory.recall(KEY, ["call_1"]) == {}
