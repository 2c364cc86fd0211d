"""Whether to ask Redis at all: after a row of failures nobody waits for it any more.

CLOSED    calls go through. A failure (error, time-out, or an answer slower than `slow_call_s`) is counted,
          a quick answer clears the count. Calls that were under way when a failure was counted add nothing:
          ten that one pause of this very process made late are one failure. After the first failure calls
          get `suspect_timeout_s` only, so that a request that meets a stalled Redis twice still waits for
          little more than one time-out.
OPEN      calls are refused at once. Every `probe_interval_s` one probe may be sent, off every request's path.
          A quick answer closes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    max_failures: int = 5
    slow_call_s: float = 0.2
    timeout_s: float = 0.25
    suspect_timeout_s: float = 0.04
    probe_interval_s: float = 0.5


class Breaker:
    """One per Redis and process."""

    def __init__(self, settings: BreakerSettings, monotonic_s: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._failures = 0
        self._failed_at_s = float("-inf")
        self._next_probe_at_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= self._settings.max_failures

    @property
    def timeout_s(self) -> float:
        """What a call may take at present."""
        return self._settings.suspect_timeout_s if self._failures else self._settings.timeout_s

    def probe_is_due(self) -> bool:
        """True at most once per interval while open: whoever is told so sends the probe."""
        if not self.is_open or self._monotonic_s() < self._next_probe_at_s:
            return False
        self._next_probe_at_s = self._monotonic_s() + self._settings.probe_interval_s
        return True

    def record_answer(self, *, sent_at_s: float) -> None:
        if self._monotonic_s() - sent_at_s > self._settings.slow_call_s:
            self.record_failure(sent_at_s=sent_at_s)
        else:
            self._failures = 0

    def record_failure(self, *, sent_at_s: float) -> None:
        if sent_at_s < self._failed_at_s:
            return
        self._failures += 1
        self._failed_at_s = self._monotonic_s()
        if self._failures == self._settings.max_failures:
            self._next_probe_at_s = self._failed_at_s + self._settings.probe_interval_s
