"""A stray end of thinking at the start of an answer: dropped, in any pieces, and nothing else is touched."""

from __future__ import annotations

import pytest

from service.core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
)
from service.core.orphans import OrphanCloser
from service.core.pipeline import joined

STOP = Finish(FinishReason.STOP)


def fed(*events: Event) -> list[Event]:
    stage = OrphanCloser()
    return joined([out for event in events for out in stage.feed(event)])


def text_of(*pieces: str) -> str:
    events = fed(*map(TextDelta, pieces), STOP)
    assert events[-1] == STOP
    return "".join(event.text for event in events if isinstance(event, TextDelta))


SAMPLES = [
    ("</think>Hi", "Hi"),
    ("</thinking>\n\nHi </think>", "Hi </think>"),
    (" \n</think>\r\nHi", " \nHi"),
    ("</thinking>\n  Hi", "  Hi"),
    ("</thinking>", ""),
    ("</think", "</think"),
    ("</thinker>", "</thinker>"),
    ("<thinking>a</thinking><block>yes</block>", "<thinking>a</thinking><block>yes</block>"),
    ("So </think>", "So </think>"),
    ("</think></think>", "</think>"),
    ("  ", "  "),
    ("<", "<"),
]


@pytest.mark.parametrize(("text", "shown"), SAMPLES)
def test_any_cut_gives_the_same(text: str, shown: str) -> None:
    assert text_of(text) == shown
    assert text_of(*text) == shown
    for cut in range(1, len(text)):
        assert text_of(text[:cut], text[cut:]) == shown


def test_what_cannot_be_the_tag_is_not_held() -> None:
    stage = OrphanCloser()
    assert stage.feed(TextDelta("</")) == []
    assert stage.feed(TextDelta("p>")) == [TextDelta("</p>")]
    assert stage.feed(TextDelta("</think>")) == [TextDelta("</think>")]


def test_the_leak_is_noticed() -> None:
    assert fed(TextDelta("</think>"), TextDelta("a"))[0] == Notice("leak_removed", "think")


def test_thinking_before_the_text_is_no_start() -> None:
    thought, notice = ReasoningDelta("Hm."), Notice("false_start")
    assert fed(thought, notice, TextDelta("</think>a")) == [
        thought,
        notice,
        Notice("leak_removed", "think"),
        TextDelta("a"),
    ]


@pytest.mark.parametrize("event", [ReasoningDelta("Hm."), ToolCallStart(0, "c", "f"), Citation("u"), STOP])
def test_what_is_held_comes_before_what_ends_the_doubt(event: Event) -> None:
    assert fed(TextDelta("</th"), event, TextDelta("</think>")) == [
        TextDelta("</th"),
        event,
        TextDelta("</think>"),
    ]


def test_a_notice_does_not_end_the_doubt() -> None:
    notice = Notice("false_start")
    assert fed(TextDelta("</th"), notice, TextDelta("ink>a")) == [
        notice,
        Notice("leak_removed", "think"),
        TextDelta("a"),
    ]
