"""The ledger as reports read it (`ports.UsageReader`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta

from service.core.usage import Booked
from service.store import keys
from service.store.client import Store
from service.store.ledger import decode_rows

# Reads at once: each is one small hash, and leases wait behind none of them.
_AT_ONCE = 64


class RedisUsage:
    """One hash a day tells which keys were used; one hash for each of them and day tells of what."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def booked(self, first: date, last: date) -> Sequence[Booked]:
        """See `ports.UsageReader`."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        used = await self._hashes([keys.usage_day(day) for day in days])
        names = {key_id.decode(): name.decode() for names in used for key_id, name in names.items()}
        wanted = [
            (day, key_id.decode())
            for day, names_of_day in zip(days, used, strict=True)
            for key_id in names_of_day
        ]
        rows = await self._hashes([keys.usage(key_id, day) for day, key_id in wanted])
        return [
            Booked(day=day, key_id=key_id, key_name=names[key_id], model=model, row=row)
            for (day, key_id), fields in zip(wanted, rows, strict=True)
            for model, row in decode_rows(fields).items()
        ]

    async def _hashes(self, names: Sequence[str]) -> list[dict[bytes, bytes]]:
        found: list[dict[bytes, bytes]] = []
        for place in range(0, len(names), _AT_ONCE):
            found += await asyncio.gather(*map(self._store.hash, names[place : place + _AT_ONCE]))
        return found
