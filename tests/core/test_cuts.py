"""Stop sequences and the single call: what is cut off, and that no cut of the input changes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.cuts import SingleCall, StopSequences
from service.core.errors import UpstreamProtocolError
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
from tests.strategies import event_streams

STOP = Finish(FinishReason.STOP)


def cut(sequences: list[str], *events: Event) -> list[Event]:
    stage = StopSequences(sequences)
    return [out for event in events for out in stage.feed(event)]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def specified(text: str, sequences: list[str]) -> tuple[str, str | None]:
    """The rule, written as slowly as it reads: the text before the first complete sequence, and which it
    was."""
    for end in range(1, len(text) + 1):
        complete = [s for s in sequences if text[:end].endswith(s)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


@pytest.mark.parametrize(
    ("sequences", "text", "shown", "stop"),
    [
        pytest.param(["END"], "one END two", "one ", "END", id="cut before the sequence"),
        pytest.param(["END"], "END", "", "END", id="nothing before it"),
        pytest.param(["END"], "one EN", "one EN", None, id="a start is no sequence"),
        pytest.param(["x", "y"], "a y x", "a ", "y", id="the first in the text, not in the list"),
        pytest.param(["ab", "abc"], "1abc", "1", "ab", id="the shorter is complete first"),
        pytest.param(["abcd", "bc"], "1abcd", "1a", "bc", id="complete first, though it starts later"),
        pytest.param(["bc", "abc"], "1abc", "1", "abc", id="both end together: the longer"),
        pytest.param(["aab"], "aaab", "a", "aab", id="a start within a start"),
        pytest.param(["\n\n"], "a\nb\n\nc", "a\nb", "\n\n", id="line ends"),
        pytest.param(["。"], "好。坏", "好", "。", id="beyond ASCII"),
    ],
)
def test_stop_sequences(sequences: list[str], text: str, shown: str, stop: str | None) -> None:
    assert specified(text, sequences) == (shown, stop)
    for size in (1, 2, len(text)):
        pieces = [TextDelta(text[i : i + size]) for i in range(0, len(text), size)]
        events = cut(sequences, *pieces, STOP)
        assert text_of(events) == shown
        assert events[-1] == Finish(FinishReason.STOP, stop)


def test_nothing_follows_the_cut() -> None:
    usage = UsageReport(Usage(input_tokens=1))
    assert cut(["x"], TextDelta("ax"), ReasoningDelta("r"), usage, STOP) == [
        TextDelta("a"),
        Finish(FinishReason.STOP, "x"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        ReasoningDelta("END"),
        ToolCallStart(0, "c", "END"),
        ToolCallDelta(0, '{"a": "END"}'),
        ToolCallEnd(0),
        Citation("http://END"),
        UsageReport(Usage()),
        STOP,
        Failed(UpstreamProtocolError("END")),
    ],
)
def test_only_text_is_searched_and_what_was_held_comes_before(event: Event) -> None:
    assert cut(["END"], TextDelta("a E"), event) == [TextDelta("a "), TextDelta("E"), event]
    assert cut(["END"], TextDelta("a"), event) == [TextDelta("a"), event]


def test_a_notice_does_not_part_the_text() -> None:
    notice = Notice("garbage_skipped")
    assert cut(["END"], TextDelta("EN"), notice, TextDelta("D")) == [notice, Finish(FinishReason.STOP, "END")]


def test_no_more_is_held_than_may_still_become_a_sequence() -> None:
    assert cut(["END"], TextDelta("the EN")) == [TextDelta("the ")]
    assert cut(["END"], TextDelta("the en")) == [TextDelta("the en")]


_sequences = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)


@given(_sequences, st.text("abc", max_size=30), st.data())
def test_any_cut_of_the_text_gives_the_specified_answer(
    sequences: list[str], text: str, data: st.DataObject
) -> None:
    shown, stop = specified(text, sequences)
    marks = sorted(data.draw(st.sets(st.integers(1, max(len(text) - 1, 1)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *marks], [*marks, len(text)], strict=True)]
    events = cut(sequences, *(TextDelta(piece) for piece in pieces if piece), STOP)
    assert text_of(events) == shown
    assert events[-1] == Finish(FinishReason.STOP, stop)
    assert all(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.slow
@given(event_streams())
def test_a_stream_without_the_sequence_comes_out_whole(events: list[Event]) -> None:
    """Slow: random event streams take most of a second to draw."""
    out = cut(["\U0010fffe never"], *events)
    assert text_of(out) == text_of(events)
    assert [e for e in out if not isinstance(e, TextDelta)] == [
        e for e in events if not isinstance(e, TextDelta)
    ]


def test_a_long_sequence_costs_memory_and_time_in_proportion() -> None:
    """Its prefixes as a set would be 80 GB; comparing each with each end of the text, minutes."""
    sequence = "a" * 400_000 + "b"
    stage = StopSequences([sequence])
    assert stage.feed(TextDelta("c" + "a" * 400_000)) == [TextDelta("c")]
    assert stage.feed(TextDelta("b")) == [Finish(FinishReason.STOP, sequence)]


# --- one call -----------------------------------------------------------------------------------------------


def test_only_the_first_call_passes() -> None:
    stage = SingleCall()
    first: list[Event] = [ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0)]
    second: list[Event] = [ToolCallStart(1, "b", "f"), ToolCallDelta(1, "{}"), ToolCallEnd(1)]
    second += [ToolCallStart(2, "c", "f"), ToolCallCut(2)]
    rest: list[Event] = [TextDelta("t"), Finish(FinishReason.TOOL_CALLS)]
    assert [out for event in first + second + rest for out in stage.feed(event)] == first + rest
