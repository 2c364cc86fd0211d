"""What a request body must be, and how a mistake in it is told."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given

from service.core.errors import InvalidRequest
from service.core.json_body import (
    decode_object,
    missing,
    optional_array,
    optional_boolean,
    optional_integer,
    optional_number,
    optional_object,
    optional_string,
    path_of,
    required_array,
    required_object,
    required_string,
    type_word,
    wrong_type,
    wrong_value,
)
from tests.strategies import json_objects


def refusal(action: Callable[[], object]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        action()
    return caught.value


@given(json_objects())
def test_an_object_is_read_as_it_is(value: dict[str, object]) -> None:
    assert decode_object(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "The request body is empty", id="empty"),
        pytest.param(b" \r\n", "The request body is empty", id="blank"),
        pytest.param(b'{"a": \n  x}', "(line 2, column 3)", id="says where"),
        pytest.param(b'{"a": 1', "is not valid JSON", id="cut"),
        pytest.param(b'{"a": 1} {}', "is not valid JSON", id="two documents"),
        pytest.param(b'{"a": NaN}', "is not valid JSON", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "is not valid JSON", id="Infinity"),
        pytest.param(b'{"a": 1e999}', "is not valid JSON", id="a number that is infinite"),
        pytest.param(b'{"a": "\\ud800"}', "is not valid JSON", id="a lone surrogate"),
        pytest.param(b'{"a": "\xff"}', "is not valid JSON", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="BOM"),
        pytest.param(b"{'a': 1}", "is not valid JSON", id="single quotes"),
        pytest.param(b"[]", "but it is an array", id="an array"),
        pytest.param(b'"a"', "but it is a string", id="a string"),
        pytest.param(b"null", "but it is null", id="null"),
        pytest.param(b"1", "but it is an integer", id="a number"),
        pytest.param(b"[" * 600 + b"]" * 600, "but it is an array", id="deep, but no object anyway"),
        pytest.param(b'{"a":' * 5000, "at most 100 levels", id="cut off, deeper than orjson reads"),
        pytest.param(
            b'{"a":' * 5000 + b"1" + b"}" * 5000, "at most 100 levels", id="deeper than orjson reads"
        ),
        pytest.param(
            b'{"a":' * 600 + b"1" + b"}" * 600, "at most 100 levels", id="deeper than orjson writes"
        ),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, message: str) -> None:
    error = refusal(lambda: decode_object(body))
    assert message in error.message
    assert error.code == "invalid_json"
    assert error.param is None


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_the_limit_on_depth_is_exact(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        """An object of that depth in all."""
        return b'{"x":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

    decode_object(nested(100))
    decode_object(nested(3), max_depth=3)
    assert "100 levels" in refusal(lambda: decode_object(nested(101))).message
    assert "3 levels" in refusal(lambda: decode_object(nested(4), max_depth=3)).message


def test_a_body_at_the_limit_can_be_written_again() -> None:
    body = b'{"a":' * 100 + b"1" + b"}" * 100
    assert orjson.dumps({"wrapped": [decode_object(body)]})


def test_brackets_in_text_are_no_depth() -> None:
    assert decode_object(orjson.dumps({"a": "[{" * 5000}))


SOURCE: dict[str, object] = {
    "text": "t",
    "flag": True,
    "count": 3,
    "ratio": 0.5,
    "whole": 32.0,
    "list": [1],
    "object": {"k": 1},
    "null": None,
}


@pytest.mark.parametrize(
    ("reader", "key"),
    [
        (required_string, "text"),
        (required_array, "list"),
        (required_object, "object"),
        (optional_string, "text"),
        (optional_boolean, "flag"),
        (optional_integer, "count"),
        (optional_number, "ratio"),
        (optional_number, "count"),
        (optional_array, "list"),
        (optional_object, "object"),
    ],
)
def test_a_field_of_the_right_type_is_given(reader: Callable[..., object], key: str) -> None:
    assert reader(SOURCE, key) is SOURCE[key]


@pytest.mark.parametrize(
    "reader",
    [optional_string, optional_boolean, optional_integer, optional_number, optional_array, optional_object],
)
def test_an_optional_field_may_be_null_or_absent(reader: Callable[..., object]) -> None:
    assert reader(SOURCE, "null") is None
    assert reader(SOURCE, "absent") is None


@pytest.mark.parametrize(
    ("reader", "key", "message"),
    [
        (required_string, "count", "expected a string, but got an integer instead."),
        (required_string, "null", "expected a string, but got null instead."),
        (required_array, "object", "expected an array, but got an object instead."),
        (required_object, "list", "expected an object, but got an array instead."),
        (optional_string, "flag", "expected a string, but got a boolean instead."),
        (optional_boolean, "count", "expected a boolean, but got an integer instead."),
        (optional_integer, "flag", "expected an integer, but got a boolean instead."),
        (optional_integer, "ratio", "expected an integer, but got a decimal number instead."),
        (optional_number, "text", "expected a decimal number, but got a string instead."),
        (optional_number, "flag", "expected a decimal number, but got a boolean instead."),
        (optional_array, "text", "expected an array, but got a string instead."),
        (optional_object, "text", "expected an object, but got a string instead."),
    ],
)
def test_a_field_of_the_wrong_type_is_named(reader: Callable[..., object], key: str, message: str) -> None:
    error = refusal(lambda: reader(SOURCE, key, "messages[2]"))
    assert error.message == f"Invalid type for 'messages[2].{key}': {message}"
    assert error.param == f"messages[2].{key}"
    assert error.code == "invalid_type"


@pytest.mark.parametrize("reader", [required_string, required_array, required_object])
def test_a_required_field_that_is_absent_is_named(reader: Callable[..., object]) -> None:
    error = refusal(lambda: reader(SOURCE, "model"))
    assert error.message == "Missing required parameter: 'model'."
    assert (error.param, error.code) == ("model", "missing_required_parameter")


def test_a_whole_number_may_be_written_as_a_decimal() -> None:
    assert optional_integer(SOURCE, "whole") == 32
    assert type(optional_integer(SOURCE, "whole")) is int


@pytest.mark.parametrize(
    ("reader", "bounds", "code", "message"),
    [
        (
            optional_integer,
            {"minimum": 4},
            "integer_below_min_value",
            "Expected a value >= 4, but got 3 instead.",
        ),
        (
            optional_integer,
            {"maximum": 2},
            "integer_above_max_value",
            "Expected a value <= 2, but got 3 instead.",
        ),
        (
            optional_number,
            {"minimum": 3.5},
            "decimal_below_min_value",
            "Expected a value >= 3.5, but got 3 instead.",
        ),
        (
            optional_number,
            {"maximum": 2},
            "decimal_above_max_value",
            "Expected a value <= 2, but got 3 instead.",
        ),
    ],
)
def test_a_number_out_of_bounds_says_what_is_allowed(
    reader: Callable[..., object], bounds: dict[str, float], code: str, message: str
) -> None:
    error = refusal(lambda: reader(SOURCE, "count", **bounds))
    assert error.message.endswith(message)
    assert (error.param, error.code) == ("count", code)


def test_bounds_are_inclusive() -> None:
    assert optional_integer(SOURCE, "count", minimum=3, maximum=3) == 3
    assert optional_number(SOURCE, "ratio", minimum=0.5, maximum=0.5) == 0.5


def test_mistakes_are_worded_as_openai_words_them() -> None:
    assert path_of("", "model") == "model"
    assert path_of("tools[0]", "type") == "tools[0].type"
    assert missing("model").message == "Missing required parameter: 'model'."
    assert wrong_type(1, "a", "an array of objects").param == "a"
    error = wrong_value("sys", "messages[0].role", ("system", "user"))
    assert error.message == "Invalid value: 'sys'. Supported values are: 'system', 'user'."
    assert wrong_value([], "a", ("b",)).message.startswith("Invalid value: 'an array'.")
    assert len(wrong_value("x" * 10_000, "a", ("b",)).message) < 200
    assert type_word(object()) == "something else"
