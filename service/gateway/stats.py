"""What this process counted since it last told: requests, errors, tokens, cost, times to the first token.

Nothing of it waits for Redis: counts gather in a dictionary for each minute, and a batch of them is taken
every second or two. A batch that did not arrive is sent again, under the same number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from service.core.admin import Slot
from service.core.errors import Kind
from service.core.events import Usage
from service.core.series import MINUTE, QUARTER, STEPS, Step, first_token_field
from service.gateway.ports import Clock
from service.telemetry.record import RequestRecord

# How a request may end that says nothing against the gateway or its upstreams.
_NO_ERRORS = ("ok", "cancelled", "client_error")
# An attempt that failed so failed by its request: its account would answer another one.
_BY_REQUEST = frozenset(
    map(str, (Kind.UPSTREAM_REFUSED, Kind.UPSTREAM_UNMET, Kind.CONTENT_FILTERED, Kind.CONTEXT_OVERFLOW))
)
SUCCEEDED, FAILED = "ok:", "bad:"
_MAX_MINUTES = 130


@dataclass(slots=True)
class _Minute:
    counts: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + count


class Stats:
    """Fits `Metrics.also` and `MeteredLedger`: told of every request's end, and of what each was charged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minutes: dict[int, _Minute] = {}
        self._errors: dict[str, bytes] = {}

    def observe(self, record: RequestRecord) -> None:
        """One request has ended. Those that never came as far as a model are not counted."""
        if not record.model:
            return
        minute = self._minute()
        minute.add("requests")
        if record.outcome not in _NO_ERRORS:
            minute.add("errors")
        if record.streams and record.first_event_at_s is not None:
            minute.add(first_token_field((record.first_event_at_s - record.started_at_s) * 1000))
        for attempt in record.attempts:
            if attempt.result in _BY_REQUEST:
                continue
            name = (SUCCEEDED if attempt.result == "ok" else FAILED) + attempt.account
            minute.accounts[name] = minute.accounts.get(name, 0) + 1
            if attempt.result != "ok":
                error = {"time": round(self._clock.unix_s(), 3), "what": attempt.result}
                self._errors[attempt.account] = orjson.dumps(error)

    def charge(self, usage: Usage, *, cost_micro_usd: int) -> None:
        """What a request took, once that is known."""
        if not usage.total_tokens and not cost_micro_usd:
            return
        minute = self._minute()
        for name, count in (
            ("input_tokens", usage.input_tokens),
            ("cached_tokens", usage.cached_tokens),
            ("output_tokens", usage.output_tokens),
            ("reasoning_tokens", usage.reasoning_tokens),
            ("cost_micro_usd", cost_micro_usd),
        ):
            if count:
                minute.add(name, count)

    def take(self) -> tuple[list[Slot], Mapping[str, bytes]]:
        """What was counted since the last call, and the last errors of accounts; this process forgets it."""
        minutes, self._minutes = self._minutes, {}
        errors, self._errors = self._errors, {}
        summed: dict[tuple[Step, int], dict[str, int]] = {}
        for starts_at_s, minute in minutes.items():
            for step in STEPS:
                counts = summed.setdefault((step, step.slot(starts_at_s)), {})
                _add(counts, minute.counts)
                if step is QUARTER:
                    _add(counts, minute.accounts)
        slots = [
            Slot(step=step.name, starts_at_s=starts_at_s, kept_s=step.kept_s, counts=counts)
            for (step, starts_at_s), counts in summed.items()
            if counts
        ]
        return slots, errors

    def _minute(self) -> _Minute:
        starts_at_s = MINUTE.slot(self._clock.unix_s())
        minute = self._minutes.get(starts_at_s)
        if minute is None:
            if len(self._minutes) >= _MAX_MINUTES:  # Redis was away for hours: the oldest are told no more
                del self._minutes[min(self._minutes)]
            minute = self._minutes[starts_at_s] = _Minute()
        return minute


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
