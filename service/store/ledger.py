"""The end of a request in one round trip: limits settled, usage booked, lease given back (`ports.Ledger`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from service.core.errors import StoreUnavailable
from service.core.events import Usage
from service.core.leases import Admission, Lease, Penalty
from service.store import keys
from service.store.accounts import RedisAccounts
from service.store.client import Call, Store
from service.store.limits import RedisLimits

_MAX_MODEL_CHARACTERS = 128
_MAX_OWED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one API key used of one model on one day (UTC). Output includes reasoning, input the cached."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0


def _today() -> date:
    return datetime.now(UTC).date()


class RedisLedger:
    """One per process. What cannot be booked while Redis is away is kept, within bounds, and booked later."""

    def __init__(
        self,
        store: Store,
        *,
        accounts: RedisAccounts,
        limits: RedisLimits,
        today: Callable[[], date] = _today,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._limits = limits
        self._today = today
        self._owed: dict[str, Call] = {}

    async def settle(
        self,
        admission: Admission,
        lease: Lease | None,
        *,
        usage: Usage,
        model: str,
        penalty: Penalty | None = None,
        sticky_key: str | None = None,
        cost_micro_usd: int = 0,
    ) -> None:
        """See `ports.Ledger`. Without a lease no upstream was asked: the key's minute gets the request back.

        Never raises for a Redis that is away. The same request settled twice is booked once.
        """
        calls = [self._settle_call(admission, lease, usage, model, cost_micro_usd)]
        if lease is not None:
            calls.append(
                self._accounts.release_call(
                    lease, penalty=penalty, sticky_key=sticky_key, used_tokens=usage.total_tokens
                )
            )
        try:
            replies = await self._store.run_together(calls)
        except StoreUnavailable:
            self._store.degraded("settle")
            self._owe(admission, calls[0])
            if lease is not None:
                self._accounts.owe_release(lease, calls[1])
            return
        if lease is not None:
            self._accounts.released(replies[1])
        await self._pay()

    async def usage(self, key_id: str, day: date) -> Mapping[str, UsageRow]:
        """Model -> what the key used of it that day. Raises StoreUnavailable."""
        fields = await self._store.hash(keys.usage(key_id, day))
        counts: dict[str, dict[str, int]] = {}
        for name, value in fields.items():
            field, _, model = name.decode().partition(":")
            counts.setdefault(model, {})[field] = int(value)
        return {model: UsageRow(**row) for model, row in counts.items()}

    async def spent_micro_usd(self, key_id: str) -> int:
        """What the key has spent of its budget. Raises StoreUnavailable."""
        return int(await self._store.command("HGET", keys.api_key(key_id).meter, "spent") or 0)

    def _settle_call(
        self, admission: Admission, lease: Lease | None, usage: Usage, model: str, cost_micro_usd: int
    ) -> Call:
        usage_key = keys.usage(admission.key_id, self._today())
        if lease is None and not usage.total_tokens:
            return self._limits.settle_call(admission, usage_key=usage_key, used_tokens=None)
        return self._limits.settle_call(
            admission,
            usage_key=usage_key,
            used_tokens=usage.total_tokens,
            cost_micro_usd=cost_micro_usd,
            model=model[:_MAX_MODEL_CHARACTERS],
            counts={
                "requests": 1,
                "input_tokens": usage.input_tokens,
                "cached_tokens": usage.cached_tokens,
                "output_tokens": usage.output_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "cost_micro_usd": cost_micro_usd,
            },
        )

    def _owe(self, admission: Admission, call: Call) -> None:
        if len(self._owed) >= _MAX_OWED:
            self._owed.pop(next(iter(self._owed)))
        self._owed[f"{admission.key_id} {admission.request_id}"] = call

    async def _pay(self) -> None:
        """Book what Redis missed. A settlement is guarded by its request's id: never booked twice."""
        while self._owed:
            what, call = next(iter(self._owed.items()))
            del self._owed[what]
            try:
                await self._store.run(call.script, call.keys, call.arguments)
            except StoreUnavailable:
                self._owed[what] = call
                return
