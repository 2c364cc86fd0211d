"""Events and the one value they make: there, and back again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given

from service.core.completion import (
    AnswerReasoning,
    AnswerSearch,
    AnswerText,
    CalledTool,
    Collector,
    Completion,
    collect,
    replay,
)
from service.core.errors import Overloaded
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.grammar.events import check_events, normalised
from tests.strategies import event_streams

STOP = Finish(FinishReason.STOP)


def test_parts_keep_their_order_and_adjacent_deltas_are_one() -> None:
    completion = collect(
        [
            ReasoningDelta("a"),
            ReasoningDelta("b"),
            TextDelta("c"),
            Notice("call_found"),
            TextDelta("d"),
            ToolCallStart(0, "c0", "f"),
            ToolCallDelta(0, '{"a"'),
            ToolCallDelta(0, ":1}"),
            ToolCallEnd(0),
            Citation("https://x"),
            Citation("https://y"),
            TextDelta("e"),
            Citation("https://z"),
            ToolCallStart(1, "c1", "g"),
            ToolCallDelta(1, "{"),
            UsageReport(Usage(input_tokens=1)),
            UsageReport(Usage(input_tokens=2)),
            Finish(FinishReason.LENGTH),
        ]
    )
    assert completion == Completion(
        parts=(
            AnswerReasoning(text="ab"),
            AnswerText(text="cd"),
            CalledTool(call_id="c0", name="f", arguments='{"a":1}'),
            AnswerSearch(sources=(Citation("https://x"), Citation("https://y"))),
            AnswerText(text="e"),
            AnswerSearch(sources=(Citation("https://z"),)),
            CalledTool(call_id="c1", name="g", arguments="{", is_complete=False),
        ),
        finish=Finish(FinishReason.LENGTH),
        usage=Usage(input_tokens=2),
    )
    assert [source.url[-1] for source in completion.citations] == ["x", "y", "z"]
    assert completion.text == "cde"
    assert completion.reasoning == "ab"
    assert [call.call_id for call in completion.tool_calls] == ["c0", "c1"]


def test_a_call_that_another_thing_cuts_off_is_not_complete() -> None:
    completion = collect([ToolCallStart(0, "c0", "f"), TextDelta("a"), Finish(FinishReason.LENGTH)])
    assert completion.parts == (
        CalledTool(call_id="c0", name="f", arguments="", is_complete=False),
        AnswerText(text="a"),
    )


def test_sources_that_come_inside_a_call_stand_after_it() -> None:
    source = Citation("https://x")
    completion = collect([ToolCallStart(0, "c0", "f"), source, ToolCallEnd(0), Finish(FinishReason.STOP)])
    assert completion.parts == (
        CalledTool(call_id="c0", name="f", arguments=""),
        AnswerSearch(sources=(source,)),
    )


def test_a_failure_is_raised() -> None:
    with pytest.raises(Overloaded):
        collect([TextDelta("a"), Failed(Overloaded("x"))])


def test_an_answer_without_an_end_is_none() -> None:
    collector = Collector()
    collector.feed(TextDelta("a"))
    with pytest.raises(ValueError, match="did not end"):
        collector.completion()


@given(event_streams(can_fail=False))
def test_replayed_it_is_the_same_answer(events: list[Event]) -> None:
    completion = collect(events)
    replayed = replay(completion)
    check_events(replayed)
    assert collect(replayed) == completion
    assert normalised(replayed) == normalised(events)


def test_a_cut_call_in_the_midst_is_replayed_as_one() -> None:
    events: list[Event] = [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"x'),
        ToolCallCut(0),
        TextDelta("t"),
        Finish(FinishReason.LENGTH),
    ]
    completion = collect(events)
    assert [call.is_complete for call in completion.tool_calls] == [False]
    assert replay(completion) == events


def test_a_call_without_arguments_is_replayed_without_a_delta() -> None:
    events: list[Event] = [ToolCallStart(0, "a", "f"), ToolCallEnd(0), STOP]
    assert replay(collect(events)) == events


def test_a_call_that_the_end_cut_is_replayed_without_an_end() -> None:
    events: list[Event] = [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"x'),
        Finish(FinishReason.LENGTH),
    ]
    assert replay(collect(events)) == events


def test_four_times_the_answer_takes_less_than_eight_times_as_long() -> None:
    def took_s(count: int) -> float:
        took = []
        for _ in range(3):
            start = time.process_time()
            collect([*[TextDelta("x" * 20)] * count, STOP])
            took.append(time.process_time() - start)
        return min(took)

    assert took_s(40_000) < 8 * took_s(10_000)
