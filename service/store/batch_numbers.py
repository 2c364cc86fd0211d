"""How many items of batches wait and run, for the operator. Fits `BatchNumbers`."""

from __future__ import annotations

import asyncio

from service.core.admin import BatchLoad
from service.core.batches import SHARDS
from service.store import batch_keys
from service.store.client import Store

_CLOCK = b":clock"


class RedisBatchNumbers:
    """Five small reads of each shard, side by side."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, *, now_s: float) -> BatchLoad:
        """Raises StoreUnavailable."""
        shards = await asyncio.gather(*(self._shard(number, now_s) for number in range(SHARDS)))
        return BatchLoad(
            waiting=sum(one.waiting for one in shards),
            in_progress=sum(one.in_progress for one in shards),
            dead=sum(one.dead for one in shards),
            oldest_seconds=max(one.oldest_seconds for one in shards),
        )

    async def _shard(self, number: int, now_s: float) -> BatchLoad:
        keys, command = batch_keys.shard(number), self._store.command
        cursors, delayed, in_progress, dead, served = await asyncio.gather(
            self._store.hash(keys.cursors),
            command("ZCARD", keys.delayed),
            command("XLEN", keys.stream),
            command("XLEN", keys.dead),
            command("ZRANGE", keys.waits, 0, 0, "WITHSCORES"),
        )
        waiting = sum(_left(cursor) for batch, cursor in cursors.items() if batch != _CLOCK)
        oldest_s = now_s - float(served[1]) / 1000 if served else 0.0
        return BatchLoad(
            waiting=waiting + int(delayed),
            in_progress=int(in_progress),
            dead=int(dead),
            oldest_seconds=round(max(oldest_s, 0.0), 1),
        )


def _left(cursor: bytes) -> int:
    """Items of a batch that were never handed out: its cursor is `<next> <total> <key_id>`."""
    following, total = cursor.split(b" ")[:2]
    return max(int(total) - int(following), 0)
