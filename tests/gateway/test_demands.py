"""Demands on answers, on in-memory ports: where the model is asked once more, what it costs, when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.conversation import (
    ResponseFormat,
    ResponseFormatKind,
    Role,
    ToolChoice,
    ToolChoiceMode,
    ToolSpec,
)
from service.core.errors import AnswerUnmet, UpstreamUnavailable
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from service.core.leases import AccountState
from tests.fakes.upstream import Script
from tests.gateway.test_chat import DONE, HELLO, KEY, USAGE, World, text_of

FORCED = replace(HELLO, tools=(ToolSpec(name="look"),), tool_choice=ToolChoice(mode=ToolChoiceMode.REQUIRED))
STRICT = replace(
    HELLO, response_format=ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT, strict=True), streams=True
)
LIVE = replace(STRICT, response_format=ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT))
CALL: list[Event] = [
    ToolCallStart(0, "call_1", "look"),
    ToolCallDelta(0, "{}"),
    ToolCallEnd(0),
    UsageReport(USAGE),
    Finish(FinishReason.TOOL_CALLS),
]
PROSE = Script(batches=[[TextDelta("No.")], [*DONE]])
CALLED = Script(batches=[CALL])


async def test_model_is_asked_once_more_on_the_lease_there_is() -> None:
    world = World([PROSE, CALLED])
    assert await world.events(FORCED) == CALL
    assert len(set(world.upstream.opened)) == 1
    again = world.upstream.conversations[1]
    assert [turn.role for turn in again.turns] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert again.turns[1].text == "No."
    assert [attempt.result for attempt in world.record.attempts] == ["ok", "ok"]
    assert world.record.tools_called == 1
    assert world.record.repair == ("tool_choice", "repaired")
    await world.settled()
    (settled,) = world.ledger.settled
    assert settled.usage.input_tokens == 2 * USAGE.input_tokens, "both answers are paid for"
    assert settled.usage.output_tokens == 2 * USAGE.output_tokens


async def test_second_answer_that_will_not_do_is_an_error_and_no_fault_of_the_account() -> None:
    world = World([PROSE, PROSE])
    with pytest.raises(AnswerUnmet, match="tool_choice"):
        await world.events(FORCED)
    assert set((await world.states()).values()) == {AccountState.READY}
    await world.settled()


async def test_nobody_is_asked_again_after_the_time_for_retries() -> None:
    world = World([PROSE])
    world.clock.turn(1000)
    with pytest.raises(AnswerUnmet):
        await world.events(FORCED)
    await world.settled()


async def test_second_try_may_move_on_to_another_account() -> None:
    world = World([PROSE, Script(refusal=UpstreamUnavailable("down", status=503)), CALLED])
    assert await world.events(FORCED) == CALL
    assert len(set(world.upstream.opened)) == 2
    assert world.upstream.conversations[2] == world.upstream.conversations[1]
    await world.settled()


async def test_failure_of_an_answer_that_is_held_back_moves_on() -> None:
    broken = Script(batches=[[TextDelta('{"a": ')], [Failed(UpstreamUnavailable("broke"))]])
    good = Script(batches=[[TextDelta('{"a": 1}'), *DONE]])
    world = World([broken, good])
    assert text_of(await world.events(STRICT)) == '{"a": 1}'
    await world.settled()


async def test_empty_json_answer_is_asked_for_once_more() -> None:
    world = World([Script(batches=[[*DONE]]), Script(batches=[[TextDelta("{}"), *DONE]])])
    assert text_of(await world.events(STRICT)) == "{}"
    await world.settled()


async def test_long_json_is_judged_beside_the_loop() -> None:
    text = '{"a": "' + "x" * 50_000 + '"}'
    world = World([Script(batches=[[TextDelta(text[:30_000])], [TextDelta(text[30_000:]), *DONE]])])
    assert text_of(await world.events(STRICT)) == text
    await world.settled()


@pytest.mark.parametrize("start", [[ReasoningDelta("hm")], [TextDelta("{")]])
async def test_wrong_stream_that_was_begun_ends_in_its_error(start: list[Event]) -> None:
    world = World([Script(batches=[start, [TextDelta("{not JSON}"), *DONE]])])
    events = await world.events(LIVE)
    assert isinstance(events[-1], Failed)
    assert world.record.error is events[-1].error
    assert world.record.outcome == "truncated"
    assert set((await world.states()).values()) == {AccountState.READY}
    await world.settled()


async def test_stream_that_stops_to_be_json_is_not_read_to_its_end() -> None:
    endless = [[TextDelta('{"a": 1')], [TextDelta(", }")], *[[TextDelta("more")]] * 1000]
    world = World([Script(batches=endless)])
    *shown, failed = await world.events(LIVE)
    assert text_of(shown) == '{"a": 1, '
    assert isinstance(failed, Failed)
    assert world.upstream.open_calls == 0
    assert world.record.repair == ("response_format", "not_asked")
    await world.settled()
    (settled,) = world.ledger.settled
    assert 0 < settled.usage.output_tokens < 100, "what came until then is paid for"


async def test_request_without_demands_is_read_as_it_comes() -> None:
    world = World([PROSE])
    async with world.chat.open(HELLO, key=KEY, record=world.record) as answer:
        batches = [batch async for batch in answer.batches()]
    assert batches[0] == [TextDelta("No.")]
    await world.settled()
