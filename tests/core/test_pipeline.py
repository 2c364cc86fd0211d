"""How stages join: one end, nothing after it, and what is held is given out before a failure."""

from __future__ import annotations

import pytest
from hypothesis import given

from service.core.errors import Overloaded, UpstreamProtocolError
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from service.core.pipeline import AnswerSource, Transcode, joined
from tests.strategies import event_streams

STOP = Finish(FinishReason.STOP)


class Script:
    """A decoder whose wire is words: `.` is the end, `!` raises, `?` tells of a failure, `~` is the marker
    that all is done; any other word is text."""

    def __init__(self) -> None:
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        return [event for word in chunk.decode().split() for event in self._word(word)]

    def finish(self) -> list[Event]:
        return [TextDelta("tail")]

    def _word(self, word: str) -> list[Event]:
        match word:
            case "!":
                raise UpstreamProtocolError("garbage")
            case "?":
                return [Failed(Overloaded("busy"))]
            case "~":
                self.is_done = True
                return []
            case ".":
                return [STOP]
            case _:
                return [TextDelta(word)]


class LateEnd(Script):
    def finish(self) -> list[Event]:
        return [TextDelta("tail"), STOP]


class BrokenEnd(Script):
    def finish(self) -> list[Event]:
        raise UpstreamProtocolError("garbage at the end")


class Holder:
    """A stage that holds text back until the end comes by."""

    def __init__(self) -> None:
        self._held: list[Event] = []

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, Finish | Failed):
            return [*self._held, event]
        self._held.append(event)
        return []


class Words:
    """An encoder that shows each event as one word."""

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                return event.text.encode() + b" "
            case Failed():
                return f"<{event.error}>".encode()
            case _:
                return b"."

    def ping(self) -> bytes:
        return b"ping"


def test_adjacent_deltas_of_one_read_are_joined() -> None:
    assert AnswerSource(Script()).feed(b"a b c .") == [TextDelta("abc"), STOP]


def test_after_the_end_nothing_follows() -> None:
    source = AnswerSource(Script())
    assert not source.is_done
    assert source.feed(b"a .") == [TextDelta("a"), STOP]
    assert source.is_done
    assert source.feed(b"b") == []
    assert source.finish() == []
    assert source.fail(Overloaded("late")) == []


def test_the_wire_s_own_marker_is_an_end_of_reading() -> None:
    source = AnswerSource(Script())
    assert source.feed(b"~") == []
    assert source.is_done


@pytest.mark.parametrize(
    ("decoder", "chunk", "message"),
    [
        pytest.param(Script(), b"a", "closed the connection", id="no end at all"),
        pytest.param(BrokenEnd(), b"a", "garbage at the end", id="the decoder raises at the end"),
    ],
)
def test_an_answer_without_an_end_has_failed(decoder: Script, chunk: bytes, message: str) -> None:
    source = AnswerSource(decoder)
    assert source.feed(chunk) == [TextDelta("a")]
    *_, last = source.finish()
    assert isinstance(last, Failed)
    assert message in str(last.error)
    assert source.finish() == []


def test_the_end_may_come_with_the_last_bytes() -> None:
    assert AnswerSource(LateEnd()).finish() == [TextDelta("tail"), STOP]


def test_what_is_left_at_the_end_comes_before_the_failure() -> None:
    first, last = AnswerSource(Script()).finish()
    assert first == TextDelta("tail")
    assert isinstance(last, Failed)


def test_a_wire_that_breaks_is_a_failure_and_no_exception() -> None:
    source = AnswerSource(Script())
    (failed,) = source.feed(b"!")
    assert isinstance(failed, Failed)
    assert source.is_done


def test_a_failure_that_the_wire_tells_of_ends_the_answer() -> None:
    source = AnswerSource(Script())
    text, failed = source.feed(b"a ?")
    assert text == TextDelta("a")
    assert isinstance(failed, Failed)
    assert source.is_done


def test_stages_give_out_what_they_hold_before_the_end() -> None:
    source = AnswerSource(Script(), [Holder(), Holder()])
    assert source.feed(b"a b") == []
    assert source.feed(b".") == [TextDelta("ab"), STOP]
    source = AnswerSource(Script(), [Holder()])
    source.feed(b"a")
    text, failed = source.fail(Overloaded("busy"))
    assert text == TextDelta("a")
    assert isinstance(failed, Failed)


def test_bytes_to_bytes() -> None:
    pipeline = Transcode(AnswerSource(Script()), Words())
    assert pipeline.feed(b"a b") == b"ab "
    assert pipeline.feed(b"~") == b""
    assert pipeline.finish().startswith(b"tail <The upstream closed")
    pipeline = Transcode(AnswerSource(Script()), Words())
    assert pipeline.feed(b"a .") == b"a ."
    assert pipeline.finish() == b""
    assert Transcode(AnswerSource(Script()), Words()).fail(Overloaded("busy")) == b"<busy>"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([TextDelta("a")], [TextDelta("a")], id="one"),
        pytest.param(
            [TextDelta("a"), ReasoningDelta("b")], [TextDelta("a"), ReasoningDelta("b")], id="two kinds"
        ),
        pytest.param([ReasoningDelta("a"), ReasoningDelta("b")], [ReasoningDelta("ab")], id="reasoning"),
        pytest.param([ToolCallDelta(0, "a"), ToolCallDelta(0, "b")], [ToolCallDelta(0, "ab")], id="one call"),
        pytest.param(
            [ToolCallDelta(0, "a"), ToolCallDelta(1, "b")],
            [ToolCallDelta(0, "a"), ToolCallDelta(1, "b")],
            id="two calls",
        ),
        pytest.param(
            [TextDelta("a"), Notice("x"), TextDelta("b")],
            [TextDelta("a"), Notice("x"), TextDelta("b")],
            id="something between",
        ),
        pytest.param([ToolCallStart(0, "c", "f"), STOP], [ToolCallStart(0, "c", "f"), STOP], id="others"),
    ],
)
def test_joining(events: list[Event], expected: list[Event]) -> None:
    assert joined(events) == expected


@given(event_streams())
def test_joining_changes_no_character(events: list[Event]) -> None:
    once = joined(events)
    assert joined(once) == once
    for kind in (TextDelta, ReasoningDelta):
        assert _said(once, kind) == _said(events, kind)


def _said(events: list[Event], kind: type[TextDelta] | type[ReasoningDelta]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))
