"""The end of a request in one round trip: limits settled, usage booked, lease given back (`ports.Ledger`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from service.core.errors import StoreUnavailable
from service.core.events import Usage
from service.core.leases import Admission, Lease, Penalty
from service.core.usage import COUNTS, UsageRow, counts_of, row_of
from service.store import keys
from service.store.accounts import RedisAccounts
from service.store.client import Argument, Call, Store
from service.store.limits import RedisLimits

_MAX_MODEL_CHARACTERS = 128
_MAX_OWED = 4096


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
        self._owed: dict[str, list[Call]] = {}
        self._used_today: tuple[date, set[str]] = (date.min, set())

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
        today = self._today()
        calls = [self._settle_call(admission, lease, usage, model, cost_micro_usd, today)]
        if lease is not None:
            calls.append(
                self._accounts.release_call(
                    lease, penalty=penalty, sticky_key=sticky_key, used_tokens=usage.total_tokens
                )
            )
        marks = self._marks(admission, today)
        try:
            replies = await self._store.run_together([*calls, *marks])
        except StoreUnavailable:
            self._store.degraded("settle")
            self._owe(admission, [calls[0], *marks])
            if lease is not None:
                self._accounts.owe_release(lease, calls[1])
            return
        if lease is not None:
            self._accounts.released(replies[1])
        if marks:
            self._marked(admission.key_id, today)
        await self._pay()

    async def usage(self, key_id: str, day: date) -> Mapping[str, UsageRow]:
        """Model -> what the key used of it that day. Raises StoreUnavailable."""
        fields = await self._store.hash(keys.usage(key_id, day))
        return decode_rows(fields)

    async def spent_micro_usd(self, key_id: str) -> int:
        """What the key has spent of its budget. Raises StoreUnavailable."""
        return int(await self._store.command("HGET", keys.api_key(key_id).meter, "spent") or 0)

    def _settle_call(
        self,
        admission: Admission,
        lease: Lease | None,
        usage: Usage,
        model: str,
        cost_micro_usd: int,
        today: date,
    ) -> Call:
        usage_key = keys.usage(admission.key_id, today)
        if lease is None and not usage.total_tokens:
            return self._limits.settle_call(admission, usage_key=usage_key, used_tokens=None)
        return self._limits.settle_call(
            admission,
            usage_key=usage_key,
            used_tokens=usage.total_tokens,
            cost_micro_usd=cost_micro_usd,
            model=model[:_MAX_MODEL_CHARACTERS],
            counts=counts_of(row_of(usage, cost_micro_usd=cost_micro_usd)),
        )

    def _marks(self, admission: Admission, today: date) -> list[Call]:
        """What enters the key among those that were used today: once a day and process."""
        day, key_ids = self._used_today
        if day == today and admission.key_id in key_ids:
            return []
        arguments: list[Argument] = [
            admission.key_id,
            admission.key_name or admission.key_id,
            keys.LEDGER_TTL_S * 1000,
        ]
        return [Call("usage_day", [keys.usage_day(today)], arguments)]

    def _marked(self, key_id: str, today: date) -> None:
        if self._used_today[0] != today:
            self._used_today = (today, set())
        self._used_today[1].add(key_id)

    def _owe(self, admission: Admission, calls: list[Call]) -> None:
        if len(self._owed) >= _MAX_OWED:
            self._owed.pop(next(iter(self._owed)))
        self._owed[f"{admission.key_id} {admission.request_id}"] = calls

    async def _pay(self) -> None:
        """Book what Redis missed. A settlement is guarded by its request's id: never booked twice."""
        while self._owed:
            what, calls = next(iter(self._owed.items()))
            del self._owed[what]
            try:
                await self._store.run_together(calls)
            except StoreUnavailable:
                self._owed[what] = calls
                return


def decode_rows(fields: Mapping[bytes, bytes]) -> Mapping[str, UsageRow]:
    """The hash of one key's day: model -> row. Counts that another version booked are left alone."""
    counts: dict[str, dict[str, int]] = {}
    for name, value in fields.items():
        field, _, model = name.decode().partition(":")
        if field in COUNTS:
            counts.setdefault(model, {})[field] = int(value)
    return {model: UsageRow(**row) for model, row in counts.items()}
