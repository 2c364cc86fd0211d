"""The members of a cut JSON object: the same as Anthropic's own SDK shows."""

from __future__ import annotations

import jiter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.dialects.anthropic_messages.json_prefix import started_object
from tests.strategies import argument_texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("{", {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": "x', {}),
        ('{"a": "x\\"', {}),
        ('{"a": "x"', {"a": "x"}),
        ('{"a": "x", "b', {"a": "x"}),
        ('{"a": 12', {"a": 12}),
        ('{"a": 12.', {}),
        ('{"a": tru', {}),
        ('{"a": true, "b": nul', {"a": True}),
        ('{"a": null', {"a": None}),
        ('{"a": [1, {"b": "c"}, "d', {"a": [1, {"b": "c"}]}),
        ('{"a": [[], {"b": {"c": 1', {"a": [[], {"b": {"c": 1}}]}),
        ('{"a": 1}', {"a": 1}),
        ("[1, 2", {}),
        ('"text', {}),
        ("}", {}),
        ("nonsense", {}),
    ],
)
def test_whole_members_are_kept(text: str, expected: dict[str, object]) -> None:
    assert started_object(text) == expected


@settings(max_examples=50, deadline=None)
@given(argument_texts(), st.integers(min_value=0))
def test_every_prefix_reads_as_the_sdk_reads_it(text: str, cut: int) -> None:
    prefix = text[: 1 + cut % len(text)]
    assert started_object(prefix) == jiter.from_json(prefix.encode(), partial_mode=True)


def test_time_grows_linearly_with_an_unfinished_string() -> None:
    """A megabyte of a file that was being written; a regular expression that backtracks would hang here."""
    assert started_object('{"path": "a", "text": "' + 'x\\"' * 500_000) == {"path": "a"}
