"""Reasoning as text, where there is nothing else."""

from __future__ import annotations

import pytest

from service.core.errors import UpstreamUnavailable
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.promotion import MAX_CHARS, PROMOTED, ReasoningAsText

STOP = Finish(FinishReason.STOP)
USED = UsageReport(Usage(output_tokens=3))


def fed(*events: Event) -> list[Event]:
    stage = ReasoningAsText()
    return [shown for event in events for shown in stage.feed(event)]


def test_reasoning_alone_becomes_text_before_the_end() -> None:
    assert fed(ReasoningDelta("It is "), ReasoningDelta("42."), USED, STOP) == [
        *(ReasoningDelta("It is "), ReasoningDelta("42.")),
        *(Notice(PROMOTED), TextDelta("It is 42."), USED, STOP),
    ]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([ReasoningDelta("hm"), TextDelta("42"), USED, STOP], id="there is text"),
        pytest.param(
            [ReasoningDelta("hm"), ToolCallStart(0, "c", "f"), ToolCallEnd(0), USED, STOP],
            id="there is a call",
        ),
        pytest.param([USED, STOP], id="there is nothing"),
        pytest.param([ReasoningDelta("hm"), Finish(FinishReason.LENGTH)], id="a limit cut it"),
        pytest.param([ReasoningDelta("hm"), Failed(UpstreamUnavailable("cut"))], id="it broke off"),
        pytest.param([TextDelta("42"), ReasoningDelta("hm"), STOP], id="text came first"),
    ],
)
def test_other_answers_stay_as_they_are(events: list[Event]) -> None:
    assert fed(*events) == events


def test_endless_reasoning_is_not_kept() -> None:
    text = "x" * MAX_CHARS
    shown = fed(ReasoningDelta(text), ReasoningDelta("y"), STOP)
    assert shown[-2] == TextDelta(text)
