"""Lanes: what passes by the machine is what the machine would have given, and no later."""

from __future__ import annotations

import random
import re

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from service.core.mimoml import SievePolicy
from service.core.mimoml.lanes import LANES, MAX_HELD
from tests.core.mimoml.sieving import shape_of, sieve

_ATOMS = [
    *(
        "a",
        "word ",
        "é漢",
        "T",
        "TO",
        "TOOL_CALL: exec(",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\n  ",
        "\n- a",
        "\n> ",
        " ",
    ),
    *(
        "\t",
        "<",
        "<<",
        "<<<",
        "</",
        "<b>",
        "</b>",
        "<p",
        "</p",
        "</para",
        "<i",
        "</td>",
        "《书》",
        "＜",
        "｜",
    ),
    *(
        "\u200b",
        "&",
        "&a",
        "&lt;",
        "&am",
        "p;",
        "&#6",
        "5;",
        "& b",
        "[",
        "]",
        "]]",
        "]]]",
        "]]>",
        "[:]//",
        "[:",
    ),
    *(
        "]/",
        "://",
        '"',
        "'",
        "\\",
        '\\"',
        "\\n",
        "\\u00",
        "41",
        "\\ud83d",
        "\\ude00",
        "\\x",
        "`",
        "``",
        "```",
    ),
    *(
        "\0",
        "\x01",
        "}",
        "{",
        "</parameter>",
        "</function>",
        "</tool_call>",
        '"}}</tool_call>',
        "<tool_call>",
    ),
    *("]]></parameter></invoke></tool_calls>", "<parameter=timeout>", "<think>", "x = a[b] < c && d\n"),
]
_OPENINGS = {
    "text": "",
    "a line of text": "Well, ",
    "code": "```py\nx",
    "inline code": "see `x",
    "a list": "- one\n  two",
    "CDATA": '<tool_calls><invoke name="exec"><parameter name="command"><![CDATA[',
    "CDATA without a type": '<tool_calls><invoke name="note"><parameter name="any"><![CDATA[',
    "a plain string": '<tool_calls><invoke name="exec"><parameter name="command">',
    "a native string": "<tool_call><function=exec><parameter=command>",
    "JSON": '<tool_call>{"name": "exec", "arguments": {"command": "',
    "JSON in a string": '<tool_call>{"name": "exec", "arguments": "{\\"command\\": \\"',
    "JSON in a call": '<tool_calls><invoke name="exec">{"command": "',
}
atoms = st.lists(st.sampled_from(_ATOMS), max_size=25).map("".join)
openings = st.sampled_from(list(_OPENINGS.values()))
policies = st.sampled_from([None, SievePolicy(restores_urls=True), SievePolicy(native_calls=True)])


def _in_pieces(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


@settings(max_examples=300)
@given(openings, atoms, st.integers(1, 9), policies)
def test_pieces_give_what_the_whole_gives(
    opening: str, text: str, length: int, policy: SievePolicy | None
) -> None:
    whole = shape_of([opening + text], policy=policy)
    assert shape_of([opening, *_in_pieces(text, length)], policy=policy) == whole
    assert shape_of(_in_pieces(opening + text, length), policy=policy) == whole


@pytest.mark.slow
@pytest.mark.no_cover
def test_twenty_thousand_texts_in_pieces() -> None:
    """The same at a size that finds what a few hundred examples miss."""
    for seed in range(20_000):
        rng = random.Random(seed)
        text = "".join(rng.choice(_ATOMS) for _ in range(rng.randint(1, 25)))
        opening = rng.choice(list(_OPENINGS.values()))
        policy = rng.choice([None, None, SievePolicy(restores_urls=True), SievePolicy(native_calls=True)])
        pieces = [opening, *_in_pieces(text, rng.randint(1, 9))]
        assert shape_of(pieces, policy=policy) == shape_of([opening + text], policy=policy), opening + text


@given(atoms, atoms, st.integers(1, 5))
def test_what_a_lane_holds_is_not_lost_when_another_channel_speaks(
    thought: str, text: str, length: int
) -> None:
    def events(thoughts: list[str], texts: list[str]) -> list[str | Event]:
        return ["So ", *map(ReasoningDelta, ["Hm ", *thoughts]), *texts]

    whole = shape_of(events([thought], [text]))
    assert shape_of(events(_in_pieces(thought, length), _in_pieces(text, length))) == whole


# What may be held of a string's data after a piece: the beginning of what could end it.
_HELD = {
    "CDATA": r"\]{0,2}|<[^>]*",
    "a plain string": r"((\r\n?|\n)[ \t]*)?(<<?[^<>]*)?|&[#a-zA-Z0-9]{0,9}",
    "a native string": r"((\r\n?|\n)[ \t]*)?(<<?[^<>]*)?",
    "JSON": r'\\(u[0-9a-fA-F]{0,3})?|"?',
}
_DATA = st.lists(
    st.sampled_from(
        ["a", "b c", " ", "\n", "\n  ", "<", "</", "<b>", "</b>", "a < b", "]", "]]", "x]", "&", "& c", "é"]
    ),
    min_size=1,
).map("".join)


@pytest.mark.parametrize("kind", _HELD)
@given(data=_DATA, length=st.integers(1, 6))
def test_argument_characters_leave_with_the_piece_that_brings_them(kind: str, data: str, length: int) -> None:
    written = orjson.dumps(data).decode()[1:-1] if kind == "JSON" else data
    stage = sieve()
    stage.feed(TextDelta(_OPENINGS[kind] + "x"))  # blanks behind the tag may be layout
    fed = given_out = ""
    for piece in _in_pieces(written, length):
        fed += piece
        events = stage.feed(TextDelta(piece))
        given_out += "".join(event.fragment for event in events if isinstance(event, ToolCallDelta))
        out = given_out if kind == "JSON" else orjson.loads(f'"{given_out}"')
        assert fed.startswith(out)
        assert re.fullmatch(_HELD[kind], fed[len(out) :]), f"{fed[len(out) :]!r} is held"


def test_a_lane_holds_no_more_than_it_may() -> None:
    """Layout without end goes to the machine, which keeps it in pieces."""
    stage = sieve()
    stage.feed(TextDelta(_OPENINGS["a native string"] + "x"))
    for piece in ["\n", " " * MAX_HELD, " " * MAX_HELD]:
        assert stage.feed(TextDelta(piece)) == []
    assert stage.feed(TextDelta("y")) == [ToolCallDelta(0, "\\n" + " " * 2 * MAX_HELD + "y")]


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        ("no tag: <b>, </div> and a < b", 29),
        ("but <t", 4),
        ("or </tool", 9),
        ("next\nline", 9),
        ("next\nThe line", 13),
        ("next\nTOOL_CALL", 4),
        ("next\n- item", 4),
        ("a `code`", 2),
    ],
)
def test_a_line_of_text_is_sure_up_to_a_doubt(text: str, sure: int) -> None:
    match = LANES.text.sure(text)
    assert match is not None
    assert match.end() == sure
