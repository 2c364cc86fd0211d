"""What this process counted since it last told: requests, errors, tokens, cost, times to the first token.

Nothing of it waits for Redis: counts gather in a dictionary for each minute, and a batch of them is taken
every second or two. A batch that did not arrive is sent again, under the same number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

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


class Stats:
    """Fits `Metrics.also` and `MeteredLedger`: told of every request's end, and of what each was charged.

    Both only add to one dictionary; `gather`, called every second or two, says which minute that was."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: defaultdict[str, int] = defaultdict(int)
        self._minutes: dict[int, dict[str, int]] = {}
        self._errors: dict[str, bytes] = {}

    def observe(self, record: RequestRecord) -> None:
        """One request has ended. Those that never came as far as a model are not counted."""
        if not record.model:
            return
        now = self._now
        now["requests"] += 1
        if record.error is not None and record.outcome not in _NO_ERRORS:
            now["errors"] += 1
        if record.streams and record.first_event_at_s is not None:
            now[first_token_field((record.first_event_at_s - record.started_at_s) * 1000)] += 1
        for attempt in record.attempts:
            if attempt.result == "ok":
                now[SUCCEEDED + attempt.account] += 1
            elif attempt.result not in _BY_REQUEST:
                now[FAILED + attempt.account] += 1
                error = {"time": round(self._clock.unix_s(), 3), "what": attempt.result}
                self._errors[attempt.account] = orjson.dumps(error)

    def charge(self, usage: Usage, *, cost_micro_usd: int) -> None:
        """What a request took, once that is known."""
        now = self._now
        now["input_tokens"] += usage.input_tokens
        now["cached_tokens"] += usage.cached_tokens
        now["output_tokens"] += usage.output_tokens
        now["reasoning_tokens"] += usage.reasoning_tokens
        now["cost_micro_usd"] += cost_micro_usd

    def gather(self) -> None:
        """What was counted since the last call was counted in this minute."""
        if not any(self._now.values()):
            return
        starts_at_s = MINUTE.slot(self._clock.unix_s())
        if starts_at_s not in self._minutes and len(self._minutes) >= _MAX_MINUTES:
            del self._minutes[min(self._minutes)]  # Redis was away for hours: the oldest are told no more
        _add(self._minutes.setdefault(starts_at_s, {}), self._now)
        self._now.clear()

    def take(self) -> tuple[list[Slot], Mapping[str, bytes]]:
        """What was counted since the last call, and the last errors of accounts; this process forgets it."""
        self.gather()
        minutes, self._minutes = self._minutes, {}
        errors, self._errors = self._errors, {}
        summed: dict[tuple[Step, int], dict[str, int]] = {}
        for starts_at_s, counts in minutes.items():
            for step in STEPS:
                of_slot = summed.setdefault((step, step.slot(starts_at_s)), {})
                _add(of_slot, counts if step is QUARTER else _without_accounts(counts))
        slots = [
            Slot(step=step.name, starts_at_s=starts_at_s, kept_s=step.kept_s, counts=counts)
            for (step, starts_at_s), counts in summed.items()
            if counts
        ]
        return slots, errors


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        if count:
            counts[name] = counts.get(name, 0) + count


def _without_accounts(counts: Mapping[str, int]) -> Mapping[str, int]:
    """How accounts do is asked of the last hour only."""
    return {name: count for name, count in counts.items() if not name.startswith((SUCCEEDED, FAILED))}
