"""The readers of fields name the field at fault by its dotted path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from service.core.dialects.anthropic_messages import fields
from service.core.errors import InvalidRequest

count = partial(fields.optional_count, minimum=1)
number = partial(fields.optional_number, maximum=2.0)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        pytest.param(fields.required_text, "", "", id="required text may be empty"),
        pytest.param(fields.required_name, "a", "a", id="a name"),
        pytest.param(fields.optional_text, None, None, id="text null"),
        pytest.param(fields.optional_text, "a", "a", id="text"),
        pytest.param(fields.optional_flag, False, False, id="flag"),
        pytest.param(fields.optional_flag, None, None, id="flag null"),
        pytest.param(count, 1, 1, id="count at its minimum"),
        pytest.param(count, None, None, id="count null"),
        pytest.param(number, 2, 2.0, id="number at its maximum"),
        pytest.param(number, None, None, id="number null"),
        pytest.param(fields.optional_fields, None, {}, id="object null"),
        pytest.param(fields.optional_fields, {"a": 1}, {"a": 1}, id="object"),
        pytest.param(fields.optional_items, None, [], id="list null"),
        pytest.param(fields.optional_items, [1], [1], id="list"),
    ],
)
def test_field_is_read(read: Callable[..., object], value: object, expected: object) -> None:
    assert read({"key": value}, "key", "") == expected


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        pytest.param(fields.required_text, None, "Field required", id="text missing"),
        pytest.param(fields.required_text, 1, "Input should be a valid string", id="text wrong"),
        pytest.param(fields.required_name, "", "String should have at least 1 character", id="name empty"),
        pytest.param(fields.optional_flag, 0, "Input should be a valid boolean", id="flag wrong"),
        pytest.param(count, True, "Input should be a valid integer", id="count true"),
        pytest.param(count, 1.0, "Input should be a valid integer", id="count with a point"),
        pytest.param(count, 0, "Input should be greater than or equal to 1", id="count too small"),
        pytest.param(number, "1", "Input should be a valid number", id="number as a string"),
        pytest.param(number, True, "Input should be a valid number", id="number true"),
        pytest.param(number, -0.1, "Input should be between 0 and 2", id="number too small"),
        pytest.param(number, 2.1, "Input should be between 0 and 2", id="number too big"),
        pytest.param(fields.optional_fields, [], "Input should be an object", id="object wrong"),
        pytest.param(fields.optional_items, {}, "Input should be a valid list", id="list wrong"),
    ],
)
def test_field_at_fault_is_named(read: Callable[..., object], value: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read({"key": value}, "key", "messages.2")
    assert (raised.value.param, raised.value.message) == ("messages.2.key", message)


def test_the_body_itself_has_no_name() -> None:
    with pytest.raises(InvalidRequest) as raised:
        fields.fields_at([], "")
    assert raised.value.param is None
