"""Whose turn it is to do what one worker does for all. Fits `ports.Turns`."""

from __future__ import annotations

from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.client import Store


class RedisTurns:
    """One per process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, name: str, *, every_s: float) -> bool:
        """True for the first who asks in `every_s`. False for the others, and while Redis is away: what can
        wait does not run as often as there are workers."""
        try:
            taken = await self._store.command(
                "SET", keys.turn(name), 1, "NX", "PX", max(round(every_s * 1000), 1)
            )
        except StoreUnavailable:
            return False
        return taken is not None
