"""Custom tools upstream: JSON arguments of one string, read while they stream."""

from __future__ import annotations

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.dialects.openai_responses.freeform import (
    FreeformInput,
    freeform_arguments,
    freeform_input,
)
from tests.strategies import texts

_PIECES = st.sampled_from(
    [
        '{"input":"',
        "{",
        '"input"',
        " ",
        "\n",
        ":",
        '"',
        "\\",
        "\\n",
        "\\u",
        "00e9",
        "\\ud83d",
        "\\ude00",
        "x",
        "}",
    ]
)
_ARGUMENTS = (
    st.text(max_size=20)
    | st.lists(_PIECES, max_size=12).map("".join)
    | texts(min_size=0).map(freeform_arguments)
    | texts(min_size=0).map(lambda text: '{"input": "' + text + '"}')
)


def _streamed(pieces: list[str]) -> str:
    reader = FreeformInput()
    return "".join(map(reader.feed, pieces)) + reader.finish()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param('{"input":"a\\nb"}', "a\nb", id="the usual form"),
        pytest.param(' {\n "input" : "a" }', "a", id="blanks between"),
        pytest.param('{"input":""}', "", id="empty input"),
        pytest.param('{"input":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', '"\\/\b\f\n\r\t', id="every short escape"),
        pytest.param('{"input":"\\u00e9\\ud83d\\ude42"}', "é🙂", id="unicode escapes, a pair among them"),
        pytest.param('{"input":"\\ud83d!"}', "\ufffd!", id="high surrogate alone"),
        pytest.param('{"input":"\\ud83d\\n"}', "\ufffd\n", id="high surrogate before another escape"),
        pytest.param('{"input":"\\ud83d\\u0041"}', "\ufffdA", id="high surrogate before another character"),
        pytest.param('{"input":"\\ude42"}', "\ufffd", id="low surrogate alone"),
        pytest.param(
            '{"input":"\\d+\\u12"}', "\\d+\\u12", id="escapes that JSON does not know stay as they are"
        ),
        pytest.param('{"input":"a\nb"}', "a\nb", id="a raw line end is taken"),
        pytest.param('{"input":"*** Begin Patch\\n', "*** Begin Patch\n", id="no end: what there is"),
        pytest.param('{"input":"a\\', "a", id="no end, cut in an escape"),
        pytest.param('{"input":"a\\u00e', "a", id="no end, cut in a unicode escape"),
        pytest.param('{"input":"a\\ud83d', "a\ufffd", id="no end, cut in a pair"),
        pytest.param('{"input":"a","more":1}', "a", id="fields after it are ignored"),
        pytest.param('{"more":1,"input":"a"}', "a", id="fields before it"),
        pytest.param('{"patch":"a"}', "a", id="the only string of another name"),
        pytest.param('{"patch":"a","path":"b"}', '{"patch":"a","path":"b"}', id="two strings: all of it"),
        pytest.param('{"input":{"a":"b"}}', '{"input":{"a":"b"}}', id="no string: all of it"),
        pytest.param('"a"', "a", id="a JSON string"),
        pytest.param("[1]", "[1]", id="other JSON: all of it"),
        pytest.param("*** Begin Patch", "*** Begin Patch", id="no JSON at all: all of it"),
        pytest.param('{"inp', '{"inp', id="cut inside its head: all of it"),
        pytest.param("{" + " " * 300 + '"input":"a"}', "a", id="a head of more blanks than we wait for"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_raw_input_of_arguments(arguments: str, expected: str) -> None:
    assert freeform_input(arguments) == expected
    assert _streamed(list(arguments)) == expected


@given(texts(min_size=0))
def test_input_survives_the_way_upstream_and_back(text: str) -> None:
    assert orjson.loads(freeform_arguments(text)) == {"input": text}
    assert freeform_input(freeform_arguments(text)) == text


@given(_ARGUMENTS, st.data())
def test_any_cut_gives_the_same_input(arguments: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=6)))
    edges = [0, *cuts, len(arguments)]
    pieces = [arguments[start:end] for start, end in itertools.pairwise(edges)]
    assert _streamed(pieces) == freeform_input(arguments)
    reader = FreeformInput()
    assert "".join(map(reader.feed, pieces)) == freeform_input(arguments, is_complete=False)


@given(_ARGUMENTS)
def test_what_comes_out_can_be_encoded(arguments: str) -> None:
    freeform_input(arguments).encode()


def test_characters_leave_as_they_come() -> None:
    reader = FreeformInput()
    pieces = ['{"in', 'put": "a', "b\\", "n\\ud83d", "\\ude42", '"}', "!"]
    assert [reader.feed(piece) for piece in pieces] == ["", "a", "b", "\n", "🙂", "", ""]
    assert reader.finish() == ""
