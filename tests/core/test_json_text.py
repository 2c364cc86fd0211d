"""JSON out of what models put round it: whole, and while it streams."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.json_text import MAX_PROSE_CHARS, JsonText, json_in

VALUE = '{"a": [1, {"b": "}]\\"\\\\"}], "c": "```"}'
WRAPPED = [
    pytest.param(VALUE, id="as it is"),
    pytest.param(f"\n {VALUE}\n", id="with blanks"),
    pytest.param(f"```json\n{VALUE}\n```", id="in a code fence"),
    pytest.param(f"```\n{VALUE}```", id="in a fence without a language"),
    pytest.param(f"Here you are:\n\n```json\n{VALUE}\n```\nAnything else?", id="between two sentences"),
    pytest.param(f"Sure! {VALUE} Done.", id="without a fence"),
]


@pytest.mark.parametrize("text", WRAPPED)
def test_json_is_found(text: str) -> None:
    assert json_in(text) == VALUE


@pytest.mark.parametrize("text", WRAPPED)
def test_json_is_found_while_it_streams(text: str) -> None:
    cleaner = JsonText()
    assert "".join(map(cleaner.feed, text)) == VALUE


def test_a_fence_is_looked_into_before_the_first_bracket() -> None:
    assert json_in('The set {a, b}:\n```json\n{"a": 1}\n```') == '{"a": 1}'


def test_bracket_before_an_object_is_prose_where_an_object_must_come() -> None:
    assert JsonText("{").feed('As in [1]: {"a": 2}') == '{"a": 2}'
    assert json_in('As in [1]: {"a": 2}', "{") == '{"a": 2}'


@pytest.mark.parametrize("text", ["", "no JSON", '{"a": ', "{not json}"])
def test_text_without_json_stays_as_it_is(text: str) -> None:
    assert json_in(text) == text


def test_prose_is_left_out_and_has_an_end() -> None:
    cleaner = JsonText()
    assert cleaner.feed("I cannot ") == ""
    assert cleaner.feed("x" * MAX_PROSE_CHARS) == ""
    assert (cleaner.is_broken, cleaner.has_begun) == (True, False)
    assert cleaner.feed(' {"a": 1}') == ""
    late = JsonText()
    assert late.feed("x" * (MAX_PROSE_CHARS + 1) + "{}") == ""
    assert late.is_broken


def test_what_is_no_json_ends_where_it_stops_to_be() -> None:
    cleaner = JsonText()
    assert cleaner.feed('Here: {"a": 1,') == '{"a": 1,'
    assert cleaner.feed(" }") == " "
    assert cleaner.is_broken
    assert cleaner.feed(' {"a": 1}') == ""


@given(st.text())
def test_any_value_comes_out_whole_whatever_the_cut(text: str) -> None:
    value = orjson.dumps({"value": [text]}).decode()
    whole = JsonText().feed(f"```json\n{value}\n```")
    cleaner = JsonText()
    assert "".join(map(cleaner.feed, f"```json\n{value}\n```")) == whole == value
