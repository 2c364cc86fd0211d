"""Numbers over time: counts in slots of three lengths, and what a chart shows of them.

A slot's name is the Unix time it begins at. Counts only ever add up: workers need not know one another.
Times to the first token are counted in fixed buckets: percentiles of a fleet come from sums."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

# Upper ends of the buckets, in milliseconds; what is above the last counts as twice the last.
FIRST_TOKEN_MS = (
    *(50, 100, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 4000, 5000),
    *(7500, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 120_000),
)
COUNTS = (
    *("requests", "errors", "cost_micro_usd"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Slots of one length. `points`: how many a chart shows; they are kept for a little longer than that."""

    name: str
    length_s: int
    points: int

    @property
    def kept_s(self) -> int:
        return self.length_s * (self.points + 2)

    def slot(self, now_s: float) -> int:
        """When the slot of that instant begins."""
        return int(now_s // self.length_s) * self.length_s

    def slots(self, now_s: float) -> list[int]:
        """Those of a chart that ends now, oldest first."""
        last = self.slot(now_s)
        return [last - self.length_s * back for back in range(self.points - 1, -1, -1)]


MINUTE = Step("minute", 60, 60)
QUARTER = Step("quarter", 900, 96)
TWO_HOURS = Step("two_hours", 7200, 84)
STEPS = (MINUTE, QUARTER, TWO_HOURS)
STEP_BY_PERIOD: Mapping[str, Step] = {"hour": MINUTE, "day": QUARTER, "week": TWO_HOURS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One slot of a chart. Percentiles are None where nothing was streamed."""

    time: int
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0
    first_token_ms_p50: float | None = None
    first_token_ms_p95: float | None = None


def first_token_field(took_ms: float) -> str:
    """The name that a time to the first token is counted under."""
    return f"first:{bisect_left(FIRST_TOKEN_MS, took_ms)}"


def point(time: int, counts: Mapping[str, int]) -> Point:
    """What a slot's counts tell."""
    buckets = [counts.get(f"first:{number}", 0) for number in range(len(FIRST_TOKEN_MS) + 1)]
    return Point(
        time=time,
        **{name: counts.get(name, 0) for name in COUNTS},
        first_token_ms_p50=percentile(buckets, 0.5),
        first_token_ms_p95=percentile(buckets, 0.95),
    )


def percentile(buckets: Sequence[int], ratio: float) -> float | None:
    """The value below which `ratio` of what was counted lies, taken as spread evenly over its bucket; None
    when nothing was counted."""
    total = sum(buckets)
    if not total:
        return None
    wanted = ratio * total
    place, reached = next((n, sum_) for n, sum_ in enumerate(accumulate(buckets)) if sum_ >= wanted)
    low = FIRST_TOKEN_MS[place - 1] if place else 0
    high = FIRST_TOKEN_MS[place] if place < len(FIRST_TOKEN_MS) else 2 * FIRST_TOKEN_MS[-1]
    into = (wanted - (reached - buckets[place])) / buckets[place]
    return round(low + (high - low) * into, 1)


def totals(points: Sequence[Point]) -> dict[str, int]:
    """The counts of all the points together."""
    return {name: sum(getattr(one, name) for one in points) for name in COUNTS}
