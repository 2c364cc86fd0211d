"""Slots, percentiles of buckets, and sums."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.series import (
    FIRST_TOKEN_MS,
    MINUTE,
    QUARTER,
    STEPS,
    TWO_HOURS,
    Point,
    first_token_field,
    percentile,
    point,
    totals,
)

NOW = 1_790_000_123.5


def buckets(**counted: int) -> list[int]:
    found = [0] * (len(FIRST_TOKEN_MS) + 1)
    for name, count in counted.items():
        found[int(name.removeprefix("b"))] = count
    return found


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_slots_are_whole_lengths_and_end_now(step) -> None:
    slots = step.slots(NOW)
    assert len(slots) == step.points
    assert all(later - earlier == step.length_s for earlier, later in pairwise(slots))
    assert slots[-1] <= NOW < slots[-1] + step.length_s
    assert all(slot % step.length_s == 0 for slot in slots)
    assert step.kept_s > step.length_s * step.points


def test_a_chart_is_an_hour_a_day_or_a_week() -> None:
    assert [step.length_s * step.points for step in (MINUTE, QUARTER, TWO_HOURS)] == [3600, 86_400, 604_800]


@pytest.mark.parametrize(
    ("took_ms", "field"),
    [(0, "first:0"), (50, "first:0"), (50.1, "first:1"), (1e9, f"first:{len(FIRST_TOKEN_MS)}")],
)
def test_a_time_is_counted_in_the_bucket_that_ends_at_or_above_it(took_ms: float, field: str) -> None:
    assert first_token_field(took_ms) == field


@pytest.mark.parametrize(
    ("counted", "ratio", "expected"),
    [
        pytest.param({}, 0.5, None, id="nothing"),
        pytest.param({"b0": 10}, 0.5, 25.0, id="spread evenly over the first"),
        pytest.param({"b1": 4}, 0.5, 75.0, id="and over the second"),
        pytest.param({"b0": 90, "b7": 10}, 0.95, 875.0, id="half way into the slow ones"),
        pytest.param({"b0": 1, "b21": 1}, 1.0, 240_000.0, id="beyond the last"),
    ],
)
def test_percentile(counted: dict[str, int], ratio: float, expected: float | None) -> None:
    assert percentile(buckets(**counted), ratio) == expected


@given(st.lists(st.floats(0, 119_000), min_size=1), st.sampled_from([0.5, 0.95]))
def test_percentile_lies_in_the_bucket_of_the_true_one(took_ms: list[float], ratio: float) -> None:
    counts: dict[str, int] = {}
    for one in took_ms:
        field = first_token_field(one)
        counts[field] = counts.get(field, 0) + 1
    seen = point(0, counts)
    found = seen.first_token_ms_p50 if ratio == 0.5 else seen.first_token_ms_p95
    assert found is not None
    wanted = ratio * len(took_ms)
    true = next(one for number, one in enumerate(sorted(took_ms), 1) if number >= wanted)
    bucket = int(first_token_field(true).removeprefix("first:"))
    low = FIRST_TOKEN_MS[bucket - 1] if bucket else 0
    assert low <= found <= FIRST_TOKEN_MS[bucket]


def test_empty_slot_is_zeros() -> None:
    assert point(60, {}) == Point(time=60)


def test_totals_add_up() -> None:
    points = [point(0, {"requests": 2, "errors": 1}), point(60, {"requests": 3, "cost_micro_usd": 7})]
    added = totals(points)
    assert (added["requests"], added["errors"], added["cost_micro_usd"]) == (5, 1, 7)
    assert added["reasoning_tokens"] == 0
