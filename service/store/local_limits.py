"""The limits of API keys in one process: this worker's share while Redis is away. And the answers of both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from service.config import ApiKey
from service.core.leases import Admission, Allowance, OverLimit

_MINUTE_S = 60.0
_RETRY_SLOT_S = 1.0


def admitted(
    key: ApiKey,
    *,
    request_id: str,
    reserved_tokens: int,
    requests_left: int,
    tokens_left: int,
    is_degraded: bool = False,
) -> Admission:
    """The admission with what the key has left. All of it is back sixty seconds after the last request."""
    return Admission(
        key_id=key.key_id,
        key_name=key.name,
        request_id=request_id,
        reserved_tokens=reserved_tokens,
        requests=_allowance(key.requests_per_minute, requests_left),
        tokens=_allowance(key.tokens_per_minute, tokens_left),
        is_degraded=is_degraded,
    )


def _allowance(limit: int | None, remaining: int, resets_in_s: float = _MINUTE_S) -> Allowance | None:
    if limit is None:
        return None
    return Allowance(limit=limit, remaining=max(remaining, 0), resets_in_s=resets_in_s)


def over_limit(
    key: ApiKey,
    which: str,
    *,
    estimated_tokens: int,
    retry_after_s: float | None,
    requests_left: int = 0,
    tokens_left: int = 0,
) -> OverLimit:
    """The refusal in words: whose limit, which, and when it helps to try again (None: never by waiting)."""
    texts = {
        "requests": (f"{key.requests_per_minute} requests per minute", "requests_per_minute"),
        "tokens": (f"{key.tokens_per_minute} tokens per minute", "tokens_per_minute"),
        "too_large": (
            f"{key.tokens_per_minute} tokens per minute; this request alone needs about {estimated_tokens}",
            "request_too_large",
        ),
        "concurrency": (f"{key.max_concurrency} requests at the same time", "concurrency"),
        "budget": (f"its budget of {key.budget_usd} USD, which is used up", "insufficient_quota"),
    }
    text, code = texts[which]
    when = "" if retry_after_s is None else f" Try again in {retry_after_s:.1f} s."
    resets_in_s = {which: retry_after_s or _MINUTE_S}
    return OverLimit(
        f"The gateway's limit of this API key is reached: {text}.{when}",
        code=code,
        retry_after_s=retry_after_s,
        requests=_allowance(key.requests_per_minute, requests_left, resets_in_s.get("requests", _MINUTE_S)),
        tokens=_allowance(key.tokens_per_minute, tokens_left, resets_in_s.get("tokens", _MINUTE_S)),
    )


@dataclass(slots=True)
class _Meter:
    entries: deque[list[float | str | int]] = field(default_factory=deque)  # [at_s, request_id, tokens]
    slots: set[str] = field(default_factory=set)
    spent_micro_usd: int = 0


class LocalLimits:
    """Decides as `lua/admit.lua` does, on this worker's share of each limit."""

    def __init__(self, *, share_of: Callable[[int], int], monotonic_s: Callable[[], float]) -> None:
        self._share_of = share_of
        self._monotonic_s = monotonic_s
        self._meter_by_key: dict[str, _Meter] = {}

    def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
        """Raises RateLimited. The same request_id twice is one admission."""
        meter = self._meter(key.key_id)
        if any(entry[1] == request_id for entry in meter.entries):
            return self._admission(key, meter, request_id, estimated_tokens)
        self._refuse_over_limit(key, meter, estimated_tokens)
        meter.entries.append([self._monotonic_s(), request_id, estimated_tokens])
        meter.slots.add(request_id)
        return self._admission(key, meter, request_id, estimated_tokens)

    def settle(self, admission: Admission, *, used_tokens: int | None, cost_micro_usd: int = 0) -> None:
        """The slot goes back, the real tokens replace the estimate; None: take the request out again."""
        meter = self._meter_by_key.get(admission.key_id)
        if meter is None:
            return
        meter.slots.discard(admission.request_id)
        meter.spent_micro_usd += cost_micro_usd
        for entry in meter.entries:
            if entry[1] == admission.request_id:
                if used_tokens is None:
                    meter.entries.remove(entry)
                else:
                    entry[2] = used_tokens
                return

    def in_flight(self, key_id: str) -> int:
        return len(self._meter(key_id).slots)

    # --- inside ---------------------------------------------------------------------------------------------

    def _meter(self, key_id: str) -> _Meter:
        meter = self._meter_by_key.setdefault(key_id, _Meter())
        cut_s = self._monotonic_s() - _MINUTE_S
        while meter.entries and float(meter.entries[0][0]) <= cut_s:
            meter.entries.popleft()
        return meter

    def _refuse_over_limit(self, key: ApiKey, meter: _Meter, tokens: int) -> None:
        met = self._limit_met(key, meter, tokens)
        if met is not None:
            which, wait_s = met
            raise over_limit(
                key,
                which,
                estimated_tokens=tokens,
                retry_after_s=wait_s,
                requests_left=(key.requests_per_minute or 0) - len(meter.entries),
                tokens_left=(key.tokens_per_minute or 0) - self._used(meter),
            )

    def _limit_met(self, key: ApiKey, meter: _Meter, tokens: int) -> tuple[str, float | None] | None:
        """Which limit has no room, and how long to wait; None: let it in."""
        if key.budget_usd is not None and meter.spent_micro_usd >= round(key.budget_usd * 1_000_000):
            return "budget", None
        if key.max_concurrency is not None and len(meter.slots) >= self._share(key.max_concurrency):
            return "concurrency", _RETRY_SLOT_S if key.max_concurrency else None
        if key.requests_per_minute is not None:
            too_many = len(meter.entries) + 1 - self._share(key.requests_per_minute)
            if too_many > 0:
                return "requests", self._wait_s(meter, too_many, 0) if key.requests_per_minute else None
        if key.tokens_per_minute is not None:
            limit = self._share(key.tokens_per_minute)
            if tokens > limit:
                return "too_large", None
            if (excess := self._used(meter) + tokens - limit) > 0:
                return "tokens", self._wait_s(meter, 0, excess)
        return None

    def _share(self, limit: int) -> int:
        return self._share_of(limit) if limit else 0

    def _used(self, meter: _Meter) -> int:
        return sum(int(entry[2]) for entry in meter.entries)

    def _wait_s(self, meter: _Meter, requests: int, tokens: int) -> float:
        wait_s = 0.001
        for at_s, _, entry_tokens in meter.entries:
            if requests <= 0 and tokens <= 0:
                break
            requests -= 1
            tokens -= int(entry_tokens)
            wait_s = max(float(at_s) + _MINUTE_S - self._monotonic_s(), 0.001)
        return wait_s

    def _admission(self, key: ApiKey, meter: _Meter, request_id: str, tokens: int) -> Admission:
        return admitted(
            key,
            request_id=request_id,
            reserved_tokens=tokens,
            requests_left=(key.requests_per_minute or 0) - len(meter.entries),
            tokens_left=(key.tokens_per_minute or 0) - self._used(meter),
            is_degraded=True,
        )
