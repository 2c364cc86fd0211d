"""The laws of a stream of events, and that the checker which every test uses knows a breach."""

from __future__ import annotations

import pytest
from hypothesis import given

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

STOP, LENGTH, TOOL_CALLS = (
    Finish(FinishReason.STOP),
    Finish(FinishReason.LENGTH),
    Finish(FinishReason.TOOL_CALLS),
)
FAILED = Failed(Overloaded("x"))
USAGE = UsageReport(Usage())
START, DELTA, END = ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0)


@given(event_streams())
def test_the_strategy_keeps_the_laws(events: list[Event]) -> None:
    check_events(events)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([STOP], id="an empty answer"),
        pytest.param([FAILED], id="a failure at once"),
        pytest.param([TextDelta("a"), USAGE, STOP], id="text"),
        pytest.param([START, DELTA, END, TOOL_CALLS], id="a call"),
        pytest.param([START, ToolCallDelta(0, "{"), LENGTH], id="a call that was cut"),
        pytest.param([START, ToolCallDelta(0, "{"), USAGE, FAILED], id="a call that broke off"),
        pytest.param([START, ToolCallCut(0), TextDelta("a"), LENGTH], id="text behind a call that was cut"),
        pytest.param(
            [
                START,
                ToolCallCut(0),
                ToolCallStart(1, "d", "g"),
                ToolCallDelta(1, "{}"),
                ToolCallEnd(1),
                LENGTH,
            ],
            id="a call behind one that was cut",
        ),
        pytest.param([START, Notice("call_repaired"), DELTA, END, TOOL_CALLS], id="a notice inside a call"),
    ],
)
def test_lawful_streams(events: list[Event]) -> None:
    check_events(events)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([TextDelta("a")], id="no end"),
        pytest.param([STOP, STOP], id="two ends"),
        pytest.param([STOP, TextDelta("a"), STOP], id="something after the end"),
        pytest.param([TextDelta(""), STOP], id="an empty delta"),
        pytest.param([ReasoningDelta(""), STOP], id="empty reasoning"),
        pytest.param([START, ToolCallDelta(0, ""), END, TOOL_CALLS], id="an empty fragment"),
        pytest.param([USAGE, TextDelta("a"), STOP], id="usage in the middle"),
        pytest.param([START, TextDelta("a"), DELTA, END, TOOL_CALLS], id="text inside a call"),
        pytest.param([START, ToolCallStart(1, "d", "g"), END, TOOL_CALLS], id="a call inside a call"),
        pytest.param([ToolCallStart(1, "c", "f"), TOOL_CALLS], id="an index that is not the next"),
        pytest.param([ToolCallStart(0, "", "f"), DELTA, END, TOOL_CALLS], id="no id"),
        pytest.param([ToolCallStart(0, "c", ""), DELTA, END, TOOL_CALLS], id="no name"),
        pytest.param([DELTA, STOP], id="a fragment of no call"),
        pytest.param([START, ToolCallDelta(1, "{}"), END, TOOL_CALLS], id="a fragment of another call"),
        pytest.param([END, STOP], id="the end of no call"),
        pytest.param([START, DELTA, ToolCallEnd(1), TOOL_CALLS], id="the end of another call"),
        pytest.param([START, ToolCallDelta(0, "[]"), END, TOOL_CALLS], id="arguments that are no object"),
        pytest.param([START, DELTA, TOOL_CALLS], id="a cut call announced as whole"),
        pytest.param([START, ToolCallCut(0), TOOL_CALLS], id="a call that was cut announced as whole"),
        pytest.param([START, ToolCallCut(0), END, LENGTH], id="the end of a call that was cut"),
        pytest.param([START, ToolCallCut(0), DELTA, LENGTH], id="a fragment of a call that was cut"),
        pytest.param([START, ToolCallCut(1), LENGTH], id="the cut of another call"),
        pytest.param([ToolCallCut(0), LENGTH], id="the cut of no call"),
        pytest.param([START, DELTA, END, STOP], id="a stop after calls"),
        pytest.param([TOOL_CALLS], id="calls announced and none made"),
    ],
)
def test_breaches(events: list[Event]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_events(events)


def test_the_shortest_form_of_a_stream() -> None:
    citation = Citation("https://x")
    assert normalised([TextDelta("a"), Notice("x"), TextDelta("b"), citation, TextDelta("c"), STOP]) == [
        citation,
        TextDelta("abc"),
        STOP,
    ]


def test_total_tokens() -> None:
    assert Usage(input_tokens=3, output_tokens=4, cached_tokens=2, reasoning_tokens=1).total_tokens == 7
