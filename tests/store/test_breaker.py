"""The breaker's states, by the clock."""

from __future__ import annotations

from service.store.breaker import Breaker, BreakerSettings
from tests.fakes.clock import FakeClock

SETTINGS = BreakerSettings()


def made() -> tuple[Breaker, FakeClock]:
    clock = FakeClock()
    return Breaker(SETTINGS, clock.monotonic_s), clock


def test_it_opens_after_five_failures_in_a_row():
    breaker, _ = made()
    for _ in range(4):
        breaker.record_failure()
    assert not breaker.is_open
    breaker.record_answer(took_s=0.001)
    for _ in range(5):
        breaker.record_failure()
    assert breaker.is_open


def test_slow_answers_are_failures():
    breaker, _ = made()
    for _ in range(5):
        breaker.record_answer(took_s=0.21)
    assert breaker.is_open


def test_the_first_failure_shortens_the_patience_and_a_success_restores_it():
    breaker, _ = made()
    assert breaker.timeout_s == SETTINGS.timeout_s
    breaker.record_failure()
    assert breaker.timeout_s == SETTINGS.suspect_timeout_s
    breaker.record_answer(took_s=0.001)
    assert breaker.timeout_s == SETTINGS.timeout_s


def test_one_probe_per_interval_while_open():
    breaker, clock = made()
    assert not breaker.probe_is_due()
    for _ in range(5):
        breaker.record_failure()
    assert not breaker.probe_is_due()
    clock.turn(SETTINGS.probe_interval_s)
    assert [breaker.probe_is_due() for _ in range(3)] == [True, False, False]
    clock.turn(SETTINGS.probe_interval_s)
    assert breaker.probe_is_due()
    breaker.record_answer(took_s=0.001)
    assert not breaker.is_open
    assert not breaker.probe_is_due()
