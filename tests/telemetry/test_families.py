"""A metric's children, and a histogram that finds its bucket at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.telemetry.families import Family, QuickHistogram, Watched

BOUNDS = (0.1, 0.5, 1.0, 2.5)


@given(st.lists(st.floats(min_value=-1, max_value=5) | st.sampled_from(BOUNDS)))
def test_a_quick_histogram_counts_as_a_plain_one(amounts: list[float]) -> None:
    shown = []
    for kind in (Histogram, QuickHistogram):
        registry = CollectorRegistry()
        child = kind("h", "A histogram.", ["wire"], buckets=BOUNDS, registry=registry).labels("platform")
        for amount in amounts:
            child.observe(amount)
        shown.append(generate_latest(registry))
    assert shown[0] == shown[1]


def test_an_exemplar_is_kept() -> None:
    histogram = QuickHistogram("h", "A histogram.", buckets=BOUNDS, registry=None)
    histogram.observe(0.7, {"trace_id": "t"})
    kept = {
        sample.labels["le"]: sample.exemplar
        for family in histogram.collect()
        for sample in family.samples
        if sample.exemplar
    }
    assert kept["1.0"].labels == {"trace_id": "t"}


def test_a_family_makes_its_closed_sets_at_once_and_others_when_they_come() -> None:
    metric = Counter("c", "A counter.", ["a", "b"], registry=None)
    family = Family(metric, ("1", "2"), ("x",))
    assert set(family) == {("1", "x"), ("2", "x")}
    assert family["3", "y"] is family.labels("3", "y")
    family.forget("3", "y")
    family.forget("never", "there")
    assert ("3", "y") not in family


def test_a_watched_counter_is_read_when_somebody_asks() -> None:
    watched = Watched("w", "A counter.")
    assert next(iter(watched.collect())).samples[0].value == 0
    watched.read = lambda: 7
    assert next(iter(watched.collect())).samples[0].value == 7
