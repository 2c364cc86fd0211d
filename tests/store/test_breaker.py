"""The breaker's states, by the clock."""

from __future__ import annotations

from service.store.breaker import Breaker, BreakerSettings
from tests.fakes.clock import FakeClock

SETTINGS = BreakerSettings()


def made() -> tuple[Breaker, FakeClock]:
    clock = FakeClock()
    return Breaker(SETTINGS, clock.monotonic_s), clock


def fail(breaker: Breaker, clock: FakeClock, times: int) -> None:
    for _ in range(times):
        breaker.record_failure(sent_at_s=clock.monotonic_s())


def test_it_opens_after_five_failures_in_a_row():
    breaker, clock = made()
    fail(breaker, clock, 4)
    assert not breaker.is_open
    breaker.record_answer(sent_at_s=clock.monotonic_s())
    fail(breaker, clock, 5)
    assert breaker.is_open


def test_calls_that_one_pause_made_late_are_one_failure():
    breaker, clock = made()
    sent_at_s = clock.monotonic_s()
    clock.turn(0.3)
    for _ in range(20):
        breaker.record_failure(sent_at_s=sent_at_s)
        breaker.record_answer(sent_at_s=sent_at_s)
    assert not breaker.is_open
    fail(breaker, clock, 4)
    assert breaker.is_open


def test_slow_answers_are_failures():
    breaker, clock = made()
    for _ in range(5):
        sent_at_s = clock.monotonic_s()
        clock.turn(0.21)
        breaker.record_answer(sent_at_s=sent_at_s)
    assert breaker.is_open


def test_the_first_failure_shortens_the_patience_and_a_success_restores_it():
    breaker, clock = made()
    assert breaker.timeout_s == SETTINGS.timeout_s
    fail(breaker, clock, 1)
    assert breaker.timeout_s == SETTINGS.suspect_timeout_s
    breaker.record_answer(sent_at_s=clock.monotonic_s())
    assert breaker.timeout_s == SETTINGS.timeout_s


def test_one_probe_per_interval_while_open():
    breaker, clock = made()
    assert not breaker.probe_is_due()
    fail(breaker, clock, 5)
    assert not breaker.probe_is_due()
    clock.turn(SETTINGS.probe_interval_s)
    assert [breaker.probe_is_due() for _ in range(3)] == [True, False, False]
    clock.turn(SETTINGS.probe_interval_s)
    assert breaker.probe_is_due()
    breaker.record_answer(sent_at_s=clock.monotonic_s())
    assert not breaker.is_open
    assert not breaker.probe_is_due()
