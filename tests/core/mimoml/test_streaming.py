"""How early things leave (sieve.md, section 4)."""

from __future__ import annotations

import orjson
import pytest

from service.core.events import (
    Event,
    Finish,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.mimoml import Sieve
from tests.core.mimoml.sieving import sieve


def _fed(stage: Sieve, text: str) -> list[Event]:
    """One character at a time."""
    return [event for character in text for event in stage.feed(TextDelta(character))]


def _starts(events: list[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, ToolCallStart)]


def _fragments(events: list[Event]) -> str:
    return "".join(event.fragment for event in events if isinstance(event, ToolCallDelta))


@pytest.mark.parametrize(
    ("before", "within"),
    [
        ('<|MiMoML|tool_calls>\n  <|MiMoML|invoke name="exec', '">'),
        ("<tool_call>\n<function=exec", ">"),
        ('<tool_calls><invoke name="exec', '">'),
        ("<tool_calls><invoke name=exec", ">"),
        ('<tml:function_calls><invoke name="exec', '">'),
        ('<tool_call>{"name": "exec", "arguments":', " {"),
        ('<tool_call>{"name": "exec", "arguments": "', "{"),
        ('<invoke name="exec">\n', '<parameter name="command">'),
        ("<function=exec>", "<parameter=command>"),
        ("<function=exec>", "{"),
    ],
)
def test_call_is_announced_as_soon_as_it_may_be(before: str, within: str) -> None:
    stage = sieve()
    assert _starts(_fed(stage, before)) == []
    assert _starts(_fed(stage, within)) == ["exec"]


def test_bare_json_is_announced_at_the_end() -> None:
    stage = sieve()
    assert _fed(stage, '{"name": "exec", "arguments": {"command": "ls"}}') == []
    assert _starts(stage.feed(Finish(FinishReason.STOP))) == ["exec"]


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('<tool_calls><invoke name="exec"><parameter name="command"><![CDATA[', "]]></parameter></invoke>"),
        ('<tool_calls><invoke name="exec"><parameter name="command">', "</parameter></invoke>"),
        ("<tool_call><function=exec><parameter=command>", "</parameter></function>"),
        ('<tool_call>{"name": "exec", "arguments": {"command": "', '"}}'),
        ('<tool_call>{"name": "exec", "arguments": "{\\"command\\": \\"', '\\"}"}'),
        ('<tool_calls><invoke name="exec">{"command": "', '"}</invoke>'),
        ('<tool_calls><invoke name="note"><parameter name="any"><![CDATA[', "]]></parameter></invoke>"),
    ],
)
def test_string_leaves_while_it_comes(opening: str, closing: str) -> None:
    """Each piece of a string is out when it was fed, but for what may begin a closer."""
    stage = sieve()
    _fed(stage, opening)
    body = "some words and 1 < 2, [x], "
    out = ""
    for _ in range(50):
        out += _fragments(stage.feed(TextDelta(body)))
    assert len(out) >= 50 * len(body) - 4
    assert ToolCallEnd(0) in _fed(stage, closing), "completed at the closer, with no lag"


def test_one_typed_parameter_does_not_stop_the_others_from_streaming() -> None:
    stage = sieve()
    _fed(stage, '<tool_calls><invoke name="get_weather"><parameter name="days">3')
    assert _fragments(_fed(stage, "</parameter>")) == '{"days": 3'
    assert _fragments(_fed(stage, '<parameter name="city"><![CDATA[Par')) == ', "city": "Par'
    assert _fragments(_fed(stage, "is")) == "is"


def test_only_a_possible_closer_is_held_in_cdata() -> None:
    stage = sieve()
    _fed(stage, '<tool_calls><invoke name="exec"><parameter name="command"><![CDATA[')
    assert _fragments(_fed(stage, "a]")) == "a"
    assert _fragments(_fed(stage, "]")) == ""
    assert _fragments(_fed(stage, "]")) == "]"
    assert _fragments(_fed(stage, "x")) == "]]x"


def test_an_unfinished_entity_is_held() -> None:
    stage = sieve()
    _fed(stage, '<tool_calls><invoke name="exec"><parameter name="command">')
    assert _fragments(_fed(stage, "a&am")) == "a"
    assert _fragments(_fed(stage, "p;")) == "&"
    assert _fragments(_fed(stage, "& b")) == "& b"


def test_a_wrapper_is_held_to_the_next_character_that_is_not_blank() -> None:
    stage = sieve()
    assert _fed(stage, "See <tool_calls>\n  ") == [TextDelta(c) for c in "See "]
    assert stage.feed(TextDelta("x"))[-1] == TextDelta("<tool_calls>\n  x")


def test_long_string_is_out_before_the_call_closes() -> None:
    content = "line of code\n" * 8_000
    stage = sieve()
    _fed(stage, "<tool_call><function=write_file><parameter=path>a</parameter><parameter=content>")
    out = "".join(
        _fragments(stage.feed(TextDelta(content[start : start + 4]))) for start in range(0, len(content), 4)
    )
    assert len(out) > 0.9 * len(orjson.dumps(content))


def test_plain_text_passes_by_unchanged() -> None:
    """The very event, once a line has begun."""
    stage = sieve()
    stage.feed(TextDelta("Hello"))
    event = TextDelta(" world")
    (given,) = stage.feed(event)
    assert given is event
