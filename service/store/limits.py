"""The limits of API keys, for all workers: one script lets a request in, or takes nothing (`ports.Limits`).

A minute is the last sixty seconds, exactly: in no sixty seconds is more let in than the key's limit. A key
without limits costs no round trip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from service.config import ApiKey
from service.core.errors import StoreUnavailable
from service.core.leases import Admission
from service.store import keys
from service.store.client import Argument, Call, Store, redis_time
from service.store.local_limits import LocalLimits, admitted, over_limit
from service.store.wire import Spawn

_LEDGER_TTL_MS = keys.LEDGER_TTL_S * 1000
_MICRO_USD = 1_000_000


class RedisLimits:
    """One per process. While Redis is away each worker uses its share of a limit."""

    def __init__(
        self,
        store: Store,
        *,
        spawn: Spawn,
        slot_ttl_s: float = keys.LEASE_TTL_S,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = redis_time,
    ) -> None:
        self._store = store
        self._spawn = spawn
        self._now_ms = now_ms
        self._slot_ttl_s = slot_ttl_s
        self._local = LocalLimits(share_of=store.share_of, monotonic_s=monotonic_s)
        self._slots: set[str] = set()  # request ids of this process that hold one

    async def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
        """See `ports.Limits`. RateLimited names the limit in `code` and when another try makes sense.

        Redis away: this worker's share of rate and concurrency is used; a key with a budget raises
        StoreUnavailable, since what it has spent is not known."""
        if not _has_limits(key):
            return Admission(
                key_id=key.key_id,
                key_name=key.name,
                request_id=request_id,
                reserved_tokens=estimated_tokens,
            )
        try:
            return await self._admit_shared(key, request_id, estimated_tokens)
        except StoreUnavailable:
            if key.budget_usd is not None:
                raise
            self._store.degraded("admit")
            return self._local.admit(key, request_id=request_id, estimated_tokens=estimated_tokens)
        except asyncio.CancelledError:
            admission = Admission(key_id=key.key_id, request_id=request_id, reserved_tokens=estimated_tokens)
            self._spawn(self._take_back(admission), name="abandon_admission")
            raise

    async def renew(self, admissions: Sequence[Admission]) -> None:
        """Never raises for a Redis that is away: slots end by themselves, late."""
        ids_by_key: dict[str, list[str]] = {}
        for admission in admissions:
            if admission.request_id in self._slots:
                ids_by_key.setdefault(admission.key_id, []).append(admission.request_id)
        if not ids_by_key:
            return
        ttl_ms = round(self._slot_ttl_s * 1000)
        calls = [
            Call("renew", [keys.api_key(key_id).slots], [self._now_ms(), ttl_ms, *ids])
            for key_id, ids in ids_by_key.items()
        ]
        try:
            await self._store.run_together(calls)
            for key_id, ids in ids_by_key.items():
                # A settlement may overtake the heartbeat that still names its slot: take that back.
                if ended := [one for one in ids if one not in self._slots]:
                    await self._store.command("ZREM", keys.api_key(key_id).slots, *ended)
        except StoreUnavailable:
            self._store.degraded("renew")

    def settle_call(
        self,
        admission: Admission,
        *,
        usage_key: str,
        used_tokens: int | None,
        cost_micro_usd: int = 0,
        model: str = "",
        counts: Mapping[str, int] | None = None,
    ) -> Call:
        """The script that ends the request; this process forgets it at once.

        `used_tokens` None: no upstream was asked, the request is taken out of its minute."""
        self._slots.discard(admission.request_id)
        self._local.settle(admission, used_tokens=used_tokens)
        held = keys.api_key(admission.key_id)
        pairs: list[Argument] = [word for pair in (counts or {}).items() if pair[1] for word in pair]
        return Call(
            "settle",
            [
                keys.settled(admission.key_id, admission.request_id),
                held.window,
                held.meter,
                held.slots,
                usage_key,
            ],
            [
                self._now_ms(),
                admission.request_id,
                admission.reserved_tokens,
                -1 if used_tokens is None else used_tokens,
                cost_micro_usd,
                keys.SETTLED_TTL_S * 1000,
                _LEDGER_TTL_MS,
                model,
                *pairs,
            ],
        )

    async def _admit_shared(self, key: ApiKey, request_id: str, estimated_tokens: int) -> Admission:
        held = keys.api_key(key.key_id)
        budget = None if key.budget_usd is None else round(key.budget_usd * _MICRO_USD)
        reply = await self._store.run(
            "admit",
            [held.window, held.meter, held.slots],
            [
                self._now_ms(),
                request_id,
                estimated_tokens,
                _or_none(key.requests_per_minute),
                _or_none(key.tokens_per_minute),
                _or_none(key.max_concurrency),
                _or_none(budget),
                round(self._slot_ttl_s * 1000),
                _LEDGER_TTL_MS,
            ],
        )
        if not reply[0]:
            raise over_limit(
                key,
                reply[1].decode(),
                estimated_tokens=estimated_tokens,
                retry_after_s=None if reply[2] < 0 else reply[2] / 1000,
                requests_left=reply[3],
                tokens_left=reply[4],
            )
        if key.max_concurrency is not None:
            self._slots.add(request_id)
        return admitted(
            key,
            request_id=request_id,
            reserved_tokens=estimated_tokens,
            requests_left=reply[1],
            tokens_left=reply[2],
        )

    async def _take_back(self, admission: Admission) -> None:
        """The caller left while the script was under way: undo what it may have taken."""
        try:
            call = self.settle_call(
                admission, usage_key=keys.usage(admission.key_id, date.min), used_tokens=None
            )
            await self._store.run(call.script, call.keys, call.arguments)
        except StoreUnavailable:
            self._store.degraded("abandon")  # the slot ends by itself, the minute passes


def _has_limits(key: ApiKey) -> bool:
    limits = (key.requests_per_minute, key.tokens_per_minute, key.max_concurrency, key.budget_usd)
    return any(limit is not None for limit in limits)


def _or_none(limit: int | None) -> int:
    return -1 if limit is None else limit
