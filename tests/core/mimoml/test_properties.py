"""Laws of the sieve over generated text: cutting, loss, order, arguments, round trip."""

from __future__ import annotations

import random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.completion import Completion, collect
from service.core.conversation import ToolCall, ToolSpec
from service.core.events import Event, FinishReason, TextDelta, ToolCallDelta
from service.core.mimoml import render_calls
from service.core.mimoml.jsontext import decode
from tests.core.mimoml.sieving import TOOLS, shape_of, sieve, sieved
from tests.core.mimoml.table import tables
from tests.grammar.events import check_events

_ATOMS = [
    '<|MiMoML|tool_calls>', '</|MiMoML|tool_calls>', '<|MiMoML|invoke name="exec">', '<invoke name="nope">',
    '</|MiMoML|invoke>', '<|MiMoML|parameter name="command">', '<|MiMoML|parameter name="days">',
    '</|MiMoML|parameter>', "<![CDATA[", "]]>", "]", "<", ">", "&", "&lt;", "`", "```", "\n", "\n\n", "~~~\n",
    "<tool_call>", "</tool_call>", "<function=exec>", "<function=write_file>", "</function>",
    "<parameter=command>", "<parameter=content>", '{"name":"exec","arguments":{"command":"', '"}}', "{", "}",
    '"', ",", ":", "\\", 'TOOL_CALL: exec(command="x")', "TOOL_CALL: ", "\nTOOL_CALL: exec(", "<think>",
    "</think>", "hello ", "3", "true", "null", " ", "  ", "｜", "＜", "〈", "\u200b", "\u2028", "\0", "é",
    "漢",
    "[1, 2]", '{"a": 1}', "- ", "1. ", "\t", "<<", "/>", "<item>", "</item>", '<param name="command">',
    "</param>", "<function_call>", "</function_call>", '{"name": "exec", ', "'", "{{name}}", "😀",
]  # fmt: skip

soups = st.lists(st.sampled_from(_ATOMS), max_size=30).map("".join)
cuts = st.integers(1, 9)


def _in_pieces(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


@given(soups, cuts, st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
def test_any_cut_gives_the_same_answer(text: str, length: int, end: FinishReason) -> None:
    assert shape_of(_in_pieces(text, length), end=end) == shape_of([text], end=end)


@given(soups)
def test_laws_of_events_hold_over_soup(text: str) -> None:
    check_events(sieved(list(text)))


@given(st.text(st.characters(exclude_characters="<＜﹤〈《⟨〈`~T{\0"), max_size=200))
def test_text_without_markup_comes_out_whole_and_at_once(text: str) -> None:
    """Nothing is held after any piece."""
    stage = sieve()
    for character in text:
        assert stage.feed(TextDelta(character)) == [TextDelta(character)]


_MARKERS = [
    "<tool_call>", "<tool_calls>", "<|MiMoML|tool_calls>", "<function=", "<invoke name=", "<function_call>",
    "<think>", "<tool_call_none/>", "<tml:invoke", "<an" "tml:invoke", "<invoke",
]  # fmt: skip


@given(st.lists(st.sampled_from(["a", " ", "<", ">", "/", "b c", "<div>", "a < b", "x<y", "</p>", "&lt;"])))
def test_only_what_can_become_a_marker_is_held(pieces: list[str]) -> None:
    """What is held after a piece is "<" with a beginning of one of the markers behind it, or nothing."""
    stage, given_out, fed = sieve(), "", ""
    for piece in ["start ", *pieces]:
        fed += piece
        given_out += _text(stage.feed(TextDelta(piece)))
        held = fed[len(given_out) :]
        assert fed.startswith(given_out)
        assert not held or any(m.startswith(held.replace("<<", "<")) for m in _MARKERS), held


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# --- arguments ----------------------------------------------------------------------------------------------

keys = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | soups,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
arguments = st.dictionaries(
    keys | st.sampled_from(["city", "City", "days", "tags", "place", "any"]), values, max_size=5
)


def _encoded(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


calls_strategy = st.lists(
    st.tuples(st.sampled_from([tool.name for tool in TOOLS if tool.name != "patch"]), arguments),
    min_size=1,
    max_size=3,
)


def _called(completion: Completion) -> list[tuple[str, object]]:
    return [(call.name, decode(call.arguments)) for call in completion.tool_calls]


@settings(max_examples=300)
@given(calls_strategy, st.booleans(), cuts)
def test_what_is_rendered_is_read_back(
    calls: list[tuple[str, dict[str, object]]], knows_tools: bool, length: int
) -> None:
    """sieve(render(calls)) == calls, by the schema and without one."""
    made = [
        ToolCall(call_id=f"c{number}", name=name, arguments=_encoded(value))
        for number, (name, value) in enumerate(calls)
    ]
    tools = TOOLS if knows_tools else [ToolSpec(name=tool.name) for tool in TOOLS]
    text = render_calls(made, tools)
    completion = collect(sieved(_in_pieces(text, length), tools=tools))
    assert _called(completion) == [(call.name, decode(call.arguments)) for call in made]
    assert all(call.is_complete for call in completion.tool_calls)
    assert not completion.text.strip()


@given(arguments, cuts)
def test_json_arguments_pass_through_as_they_came(value: dict[str, object], length: int) -> None:
    """Where no type is declared, the fragments concatenate to the very text."""
    written = _encoded(value)
    text = f'<tool_call>{{"name": "ping", "arguments": {written}}}</tool_call>'
    completion = collect(sieved(_in_pieces(text, length)))
    assert [call.arguments for call in completion.tool_calls] == [written]


@given(st.text(st.characters(codec="utf-8")) | soups, cuts)
def test_fragments_of_a_string_concatenate_to_the_oracle(content: str, length: int) -> None:
    data = content.replace("]]>", "]]]]><![CDATA[>")
    text = (
        '<tool_calls><invoke name="exec"><parameter name="command"><![CDATA['
        f"{data}]]></parameter></invoke></tool_calls>"
    )
    events = sieved(_in_pieces(text, length))
    joined = "".join(event.fragment for event in events if isinstance(event, ToolCallDelta))
    assert orjson.loads(joined) == {"command": content}


# --- fuzz ---------------------------------------------------------------------------------------------------

_SEEDS = [
    text
    for cases in tables().values()
    for case in cases
    for channel, text in case.segments
    if channel == "text" and len(text) < 500
]


def _mutated(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return "".join(rng.choice(_ATOMS) for _ in range(rng.randint(1, 20)))
    text = rng.choice(_SEEDS)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.randint(0, 12))
        kind = rng.random()
        if kind < 0.4:
            text = text[:start] + text[end:]
        elif kind < 0.8:
            text = text[:start] + rng.choice(_ATOMS) + text[start:]
        else:
            text = text[:start] + text[start:end] * 2 + text[end:]
    return text


def _check_mutation(seed: int) -> None:
    """Nothing is raised; the laws of events hold; where there is no call the text is whole."""
    rng = random.Random(seed)
    text = _mutated(rng)
    end = rng.choice([FinishReason.STOP, FinishReason.LENGTH])
    events = sieved(_in_pieces(text, rng.choice([1, 3, 7, 50])), end=end)
    check_events(events)
    completion = collect(events)
    for call in completion.tool_calls:
        if not call.is_complete:
            assert completion.finish.reason is FinishReason.LENGTH, text
    if not completion.tool_calls and "none" not in text.replace("\u200b", "").replace("\0", ""):
        assert completion.text == text


def test_mutations_raise_nothing_and_lose_no_text() -> None:
    for seed in range(2_000):
        _check_mutation(seed)


@pytest.mark.slow
@pytest.mark.no_cover  # the two thousand above are measured
def test_a_hundred_thousand_mutations() -> None:
    """The same at the size that was promised: about half a minute."""
    for seed in range(100_000):
        _check_mutation(seed)
