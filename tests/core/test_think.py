"""Studio's inline thinking, as a table: what the wire writes, and what is text and what is thinking."""

from __future__ import annotations

import pytest

from service.core.events import ReasoningDelta, TextDelta
from service.core.think import ThinkSplitter
from tests.grammar.events import normalised


def split(*pieces: str) -> list[tuple[str, str]]:
    """("think" or "text", its characters), adjacent ones joined."""
    splitter = ThinkSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.finish()
    found = []
    for event in normalised(events):
        assert isinstance(event, TextDelta | ReasoningDelta)
        found.append(("text" if isinstance(event, TextDelta) else "think", event.text))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hello", [("text", "hello")], id="plain text"),
        pytest.param("", [], id="nothing"),
        pytest.param("\0\0", [], id="NULs alone"),
        pytest.param(
            "<think>\0why</think>\0so", [("think", "why"), ("text", "so")], id="as the wire writes it"
        ),
        pytest.param(
            "<think>why</think>so", [("think", "why"), ("text", "so")], id="without NULs at the start"
        ),
        pytest.param("\0<think>\0why</think>so", [("think", "why"), ("text", "so")], id="a NUL before it"),
        pytest.param(
            "<think>\0why</thinkgt;>so", [("think", "why"), ("text", "so")], id="the corrupted closer"
        ),
        pytest.param("<think>\0why", [("think", "why")], id="no closer"),
        pytest.param("<think>\0why</thin", [("think", "why</thin")], id="half a closer at the end"),
        pytest.param("<think>\0", [], id="an opener alone"),
        pytest.param("<thin", [("text", "<thin")], id="half an opener alone"),
        pytest.param("<think>\0</think>\0so", [("text", "so")], id="empty thinking"),
        pytest.param(
            "<think>\0a</think>\0b<think>\0c</think>\0d",
            [("think", "a"), ("text", "b"), ("think", "c"), ("text", "d")],
            id="twice",
        ),
        pytest.param("Use <think> tags", [("text", "Use <think> tags")], id="a literal tag later is text"),
        pytest.param("a</think>b", [("text", "a</think>b")], id="a literal closer is text"),
        pytest.param("a</think>\0b", [("text", "ab")], id="a marked closer with nothing to close is dropped"),
        pytest.param(" <think>a", [("text", " <think>a")], id="behind a blank it is not the very beginning"),
        pytest.param(" <think>\0a", [("text", " "), ("think", "a")], id="marked, it opens anywhere"),
        pytest.param("a\0b<think>\0c\0d", [("text", "ab"), ("think", "cd")], id="NULs go everywhere"),
        pytest.param(
            "<think>\0a < b </ c</think>\0<", [("think", "a < b </ c"), ("text", "<")], id="loose brackets"
        ),
        pytest.param("<<think>\0a", [("text", "<"), ("think", "a")], id="a bracket before a mark"),
    ],
)
def test_marks_split_text_from_thinking(text: str, expected: list[tuple[str, str]]) -> None:
    assert split(text) == expected
    assert split(*text) == expected, "character by character"


def test_only_what_may_become_a_mark_is_held_back() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("a <") == [TextDelta("a ")]
    assert splitter.feed("b") == [TextDelta("<b")]
    assert splitter.feed("<think>") == []
    assert splitter.feed("c") == [TextDelta("<think>c")]
    assert splitter.feed("<think>\0") == []
    assert splitter.feed("d</thinkgt") == [ReasoningDelta("d")]
    assert splitter.feed(";>e") == [TextDelta("e")]
    assert splitter.finish() == []


def test_the_first_characters_wait_only_while_they_may_open() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("<th") == []
    assert splitter.feed("is is it") == [TextDelta("<this is it")]
