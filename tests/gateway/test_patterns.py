"""Which patterns may be tried."""

from __future__ import annotations

import pytest

from service.gateway.patterns import can_be_tried, is_slow


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "^[a-z]+$",
            r"^\d{4}-\d{2}-\d{2}$",
            "abc",
            "^(?:mon|tue|wed)$",
            "^#[0-9A-Fa-f]{6}$",
            "^v?[0-9]{1,3}$",
        ),
        *(r"^\S+@[a-z]{2,5}$", r"[*+?]\(\)\*", "^(?P<year>[0-9]{4})$"),
    ],
)
def test_usual_patterns_are_tried(pattern: str) -> None:
    assert not is_slow(pattern, 100_000)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+$", "^(a|a)*$", "(a*)*b", "^(?:x{1,9}){5}$", "a*a*b", "a+.*b", r"(a)\1", "(?P<x>a)(?P=x)"),
        *("a?" * 20 + "a" * 20, "(a|a)" * 12, "a{0,900}a{0,900}b", "x" * 2000, "(?(1)a|b)", "a{2,}b{2,}"),
    ],
)
def test_patterns_that_may_take_for_ever_are_not(pattern: str) -> None:
    assert is_slow(pattern, 100)


def test_unanchored_repetition_is_tried_on_short_texts_only() -> None:
    assert not is_slow("a+b", 1000)
    assert is_slow("a+b", 10_000)
    assert is_slow("^a|b+", 10_000)


def test_patterns_that_python_does_not_know_are_not_tried() -> None:
    assert can_be_tried("^[a-z]+$", 1000)
    assert not can_be_tried(r"^\p{L}+$", 1000)
    assert not can_be_tried("(a+)+$", 1000)
