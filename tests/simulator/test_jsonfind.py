"""JSON objects in the middle of prose."""

import pytest

from service.simulator.jsonfind import json_objects


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("no { object } here", []),
        ('a {"x":1} b {"y":{"z":2}} c', [{"x": 1}, {"y": {"z": 2}}]),
        ('{"brace":"}{\\"}"}', [{"brace": '}{"}'}]),
        ('{ code { "x": 1 } }', [{"x": 1}]),
        ('{"x": ', []),
        ('an unmatched " then {"x":1}', [{"x": 1}]),
    ],
)
def test_outermost_objects_in_order(text, values):
    assert [value for _, _, value in json_objects(text)] == values


def test_places_are_told():
    ((start, end, _),) = json_objects('ab{"x":1}c')
    assert (start, end) == (2, 9)


def test_many_braces_that_open_nothing_are_given_up():
    """Without its bound this would look at 200 million characters."""
    assert list(json_objects("{" * 20_000 + '{"x":1}')) == []
