"""The laws of service/core/events.py, as a checker for every stream of events that any test produces."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

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
    UsageReport,
)
from service.core.pipeline import joined


def check_events(events: Sequence[Event], *, checks_arguments: bool = True) -> None:
    """Raises AssertionError naming the first law that `events`, one whole answer, breaks.

    `checks_arguments` False lets the arguments of a call be any text: a decoder passes on what a model wrote.
    """
    assert events, "no event at all: a stream ends with a Finish or a Failed"
    assert isinstance(events[-1], Finish | Failed), f"ends with {events[-1]}"
    calls = _Calls(checks_arguments=checks_arguments)
    for number, event in enumerate(events):
        where = f"event {number} ({event})"
        if isinstance(event, Finish | Failed):
            assert number == len(events) - 1, f"{where} is not the last one"
        if isinstance(event, TextDelta | ReasoningDelta):
            assert event.text, f"{where} is empty"
            assert not calls.is_open, f"{where} stands inside a call"
        if isinstance(event, Citation):
            assert not calls.is_open, f"{where} stands inside a call"
        if isinstance(event, UsageReport):
            rest = events[number + 1 :]
            assert all(isinstance(e, UsageReport | Finish | Failed) for e in rest), (
                f"{where} is not at the end"
            )
        calls.feed(event, where)
    if isinstance(events[-1], Finish) and events[-1].reason in (FinishReason.TOOL_CALLS, FinishReason.STOP):
        is_cut = calls.is_open or calls.has_cut
        assert not is_cut, "an answer with a cut call is announced as whole"
        is_called = events[-1].reason is FinishReason.TOOL_CALLS
        assert is_called == (calls.count > 0), f"{events[-1]} after {calls.count} calls"


class _Calls:
    """Start, Delta*, End or Cut; contiguous indexes; one open at a time."""

    def __init__(self, *, checks_arguments: bool) -> None:
        self._checks_arguments = checks_arguments
        self.count = 0
        self.is_open = False
        self.has_cut = False
        self._pieces: list[str] = []

    def feed(self, event: Event, where: str) -> None:
        match event:
            case ToolCallStart():
                assert not self.is_open, f"{where} begins inside another call"
                assert event.index == self.count, f"{where} should have index {self.count}"
                assert event.call_id, f"{where} has no id"
                assert event.name, f"{where} has no name"
                self.count, self.is_open, self._pieces = self.count + 1, True, []
            case ToolCallDelta():
                assert self.is_open, f"{where} belongs to no open call"
                assert event.index == self.count - 1, f"{where} belongs to another call"
                assert event.fragment, f"{where} is empty"
                self._pieces.append(event.fragment)
            case ToolCallEnd():
                assert self.is_open, f"{where} ends no open call"
                assert event.index == self.count - 1, f"{where} ends another call"
                self.is_open = False
                if self._checks_arguments:
                    arguments = orjson.loads("".join(self._pieces))
                    assert isinstance(arguments, dict), f"{where}: the arguments are no JSON object"
            case ToolCallCut():
                assert self.is_open, f"{where} cuts no open call"
                assert event.index == self.count - 1, f"{where} cuts another call"
                self.is_open, self.has_cut = False, True
            case _:
                pass


def normalised(events: Sequence[Event]) -> list[Event]:
    """The same answer in its shortest form: no Notice, adjacent deltas joined, citations first, since no wire
    keeps their place. What a test compares."""
    citations: list[Event] = [event for event in events if isinstance(event, Citation)]
    return citations + joined([event for event in events if not isinstance(event, Citation | Notice)])
