"""What workers tell one another: signs of life, counts over time, live requests. Fits `FleetBoard`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from service.core.admin import Heard, Pulse
from service.store import admin_keys
from service.store.client import Argument, Store, redis_time

# A worker is silent this long before others think it gone; the same for what it showed of its requests.
ROW_TTL_S = 8
_ERRORS_TTL_S = 8 * 86_400
_AT_ONCE = 64


class RedisFleet:
    """One script writes, plain commands read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pulse(self, pulse: Pulse, *, live: bytes = b"") -> Heard:
        """Raises StoreUnavailable; the same pulse may then be sent again."""
        keys = [
            admin_keys.WORKERS,
            admin_keys.row(pulse.worker),
            admin_keys.flushed(pulse.worker),
            admin_keys.WATCH,
            admin_keys.STOPS,
            admin_keys.ERRORS,
            admin_keys.live(pulse.worker),
        ]
        arguments: list[Argument] = [
            *(redis_time(), pulse.worker, pulse.row, ROW_TTL_S * 1000, pulse.number, live),
            *(_ERRORS_TTL_S * 1000, len(pulse.errors)),
        ]
        for account, error in pulse.errors.items():
            arguments += (account, error)
        for slot in pulse.slots:
            keys.append(admin_keys.slot(slot.step, slot.starts_at_s))
            arguments += (slot.kept_s * 1000, len(slot.counts))
            for name, count in slot.counts.items():
                arguments += (name, count)
        is_watched, stops = await self._store.run("pulse", keys, arguments)
        return Heard(is_watched=bool(is_watched), stops=frozenset(one.decode() for one in stops))

    async def slots(self, step: str, starts: Sequence[int]) -> list[Mapping[str, int]]:
        """The counts of each slot, {} for an empty one. Raises StoreUnavailable."""
        found: list[dict[bytes, bytes]] = []
        for place in range(0, len(starts), _AT_ONCE):
            names = [admin_keys.slot(step, start) for start in starts[place : place + _AT_ONCE]]
            found += await asyncio.gather(*map(self._store.hash, names))
        return [{name.decode(): int(count) for name, count in one.items()} for one in found]

    async def errors(self) -> Mapping[str, bytes]:
        """Account -> its last error, as JSON. Raises StoreUnavailable."""
        found = await self._store.hash(admin_keys.ERRORS)
        return {account.decode(): error for account, error in found.items()}

    async def rows(self) -> list[bytes]:
        """What each worker that lives says of itself, as JSON. Raises StoreUnavailable."""
        return await self._of_each_worker(admin_keys.row)

    async def lives(self) -> list[bytes]:
        """The live requests of each worker that shows them, as JSON. Raises StoreUnavailable."""
        return await self._of_each_worker(admin_keys.live)

    async def watch(self, *, ttl_s: int) -> None:
        """Ask every worker to show its live requests for a while. Raises StoreUnavailable."""
        await self._store.command("SET", admin_keys.WATCH, 1, "EX", ttl_s)

    async def stop(self, request_id: str, *, until_ms: int) -> None:
        """Ask whichever worker runs the request to end it. Raises StoreUnavailable."""
        await self._store.command("ZADD", admin_keys.STOPS, until_ms, request_id)
        await self._store.command("EXPIRE", admin_keys.STOPS, 600)

    async def _of_each_worker(self, key_of: Callable[[str], str]) -> list[bytes]:
        workers = await self._store.command("ZRANGE", admin_keys.WORKERS, 0, -1)
        if not workers:
            return []
        names = [key_of(worker.decode()) for worker in workers]
        return [found for found in await self._store.command("MGET", *names) if found is not None]
