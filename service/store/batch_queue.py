"""The queue of batch items as workers see it: claim, keep, record, give back. Fits `ports.BatchQueue`.

Streams with a consumer group: a claimed item is pending for its worker; a worker that goes on says so every
few seconds (batch_beat); what was not heard of for `min_idle_s` goes to another one. A result and its
acknowledgement are one script, and the first result stands: an item runs at least once and has exactly one
result."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from service.config import ApiKey
from service.core.batches import (
    SHARDS,
    BatchKind,
    BatchState,
    Claim,
    ItemResult,
    Later,
    LoadedItem,
    ShardState,
)
from service.core.events import Usage
from service.store import batch_keys as keys
from service.store.batches import LETTER, RedisBatches, stop_call
from service.store.client import Argument, Call, Store, redis_time
from service.store.resp import Reply

GROUP = "workers"
_SILENT_MS = 3_600_000  # a consumer without items is forgotten after an hour


class RedisBatchQueue:
    """One per worker process; `consumer` names it."""

    def __init__(self, store: Store, batches: RedisBatches, *, consumer: str, min_idle_s: float) -> None:
        self._store = store
        self._batches = batches
        self._consumer = consumer
        self._min_idle_ms = round(min_idle_s * 1000)
        self._cursors = ["0-0"] * SHARDS

    async def claim(self, rooms: Mapping[int, int]) -> tuple[list[Claim], dict[int, ShardState]]:
        """Up to `rooms[shard]` items of each shard; 0 only asks how it stands. One round trip. Raises
        StoreUnavailable."""
        calls = [self._claim_call(shard, room) for shard, room in rooms.items()]
        claims: list[Claim] = []
        states: dict[int, ShardState] = {}
        for shard, reply in zip(rooms, await self._store.run_together(calls), strict=True):
            entries, cursor, owners, lag_ms, overdue, reclaimed = reply
            self._cursors[shard] = cursor.decode()
            claims += (_claim(shard, entry) for entry in entries)
            states[shard] = ShardState(
                owners=owners,
                lag_s=lag_ms / 1000,
                reclaimed=reclaimed,
                overdue=tuple(_pair(member) for member in overdue),
            )
        return claims, states

    def _claim_call(self, shard: int, room: int) -> Call:
        one = keys.shard(shard)
        arguments: list[Argument] = [
            *(redis_time(), self._consumer, room, self._min_idle_ms, self._cursors[shard]),
            keys.SHARD_TTL_MS,
        ]
        return Call(
            "batch_claim",
            [
                *(one.stream, one.turns, one.cursors, one.owners, one.waits),
                *(one.delayed, one.pauses, one.expiries),
            ],
            arguments,
        )

    async def beat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Keep these; those that another worker has taken meanwhile come back. Raises StoreUnavailable."""
        by_shard = _by_shard(claims)
        calls = [
            Call("batch_beat", [keys.shard(shard).stream], [self._consumer, *(c.entry_id for c in held)])
            for shard, held in by_shard.items()
        ]
        if not calls:
            return []
        replies = await self._store.run_together(calls)
        lost = {entry.decode() for reply in replies for entry in reply}
        return [claim for claim in claims if claim.entry_id in lost]

    async def load(self, claim: Claim, key: ApiKey) -> LoadedItem:
        """The item's request and how its batch stands. Raises StoreUnavailable, ContentUnreadable."""
        held, sealer = keys.batch(claim.key_id, claim.batch_id), self._batches.sealer(key, claim.batch_id)
        meta, body, name, time = await asyncio.gather(
            self._store.command("HMGET", held.meta, "state", "expires_ms", "kind", "input_file_id"),
            self._store.command("HGET", held.items, claim.number or 0),
            self._store.command("HGET", held.names, claim.number or 0),
            self._store.command("TIME"),
        )
        if meta[0] is None:
            return LoadedItem(state=None)
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        return LoadedItem(
            state=BatchState(meta[0].decode()),
            kind=BatchKind(meta[2].decode()),
            input_file_id=(meta[3] or b"").decode(),
            is_overdue=now_ms >= int(meta[1]),
            custom_id="" if name is None else sealer.open(name, place=f"name {claim.number}").decode(),
            body=None if body is None else sealer.open(body, place=f"item {claim.number}"),
        )

    async def record(
        self, claim: Claim, key: ApiKey, result: ItemResult, *, is_dead_letter: bool = False
    ) -> bool:
        """The item has ended. False: it had a result already, or its batch is gone; then this one is dropped.

        Raises StoreUnavailable; to repeat it is safe."""
        held, shard = keys.batch(claim.key_id, claim.batch_id), keys.shard(claim.shard)
        value, usage = LETTER[result.status], result.usage or Usage()
        if result.line:
            sealer = self._batches.sealer(key, claim.batch_id)
            value += sealer.seal(result.line, place=f"result {claim.number}")
        reply = await self._store.run(
            "batch_record",
            [
                *(shard.stream, held.meta, held.items, held.results),
                *(keys.files(claim.key_id), shard.dead),
            ],
            [
                *(redis_time(), claim.entry_id, claim.number or 0, str(result.status), value),
                len(result.line) + 1 if result.line else 0,
                *(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens),
                *(claim.deaths if is_dead_letter else "", claim.batch_id, keys.DEAD_TTL_MS),
            ],
        )
        return bool(reply == 1)

    async def drop(self, claim: Claim) -> None:
        """There is nothing (more) to do for it. Raises StoreUnavailable."""
        stream = keys.shard(claim.shard).stream
        await self._store.command("XACK", stream, GROUP, claim.entry_id)
        await self._store.command("XDEL", stream, claim.entry_id)

    async def postpone(self, claim: Claim, later: Later) -> None:
        """Run it again after a while. Raises StoreUnavailable."""
        call = self._return_call(
            claim,
            tries=claim.tries + later.burns_try,
            wait_ms=max(round(later.wait_s * 1000), 1),
            pauses=later.pauses_batch,
        )
        await self._store.run(call.script, call.keys, call.arguments)

    async def hand_back(self, claims: Sequence[Claim]) -> None:
        """Another worker may take them at once. Raises StoreUnavailable."""
        if claims:
            await self._store.run_together(
                [self._return_call(claim, tries=claim.tries, wait_ms=0, pauses=False) for claim in claims]
            )

    def _return_call(self, claim: Claim, *, tries: int, wait_ms: int, pauses: bool) -> Call:
        one = keys.shard(claim.shard)
        number: Argument = "v" if claim.number is None else claim.number
        return Call(
            "batch_return",
            [one.stream, one.delayed, one.pauses, one.cursors],
            [
                *(redis_time(), self._consumer, claim.entry_id, claim.batch_id, claim.key_id, number),
                *(tries, claim.deaths, wait_ms, int(pauses), keys.SHARD_TTL_MS),
            ],
        )

    async def expire(self, overdue: Sequence[tuple[str, str]]) -> None:
        """End batches, (batch_id, key_id), whose time is over. Raises StoreUnavailable."""
        if overdue:
            await self._store.run_together(
                [stop_call(key_id, batch_id, BatchState.EXPIRING) for batch_id, key_id in overdue]
            )

    async def mend(self) -> int:
        """Put back what a failover of Redis lost on the way: items that have begun, have not ended, and stand
        nowhere. How many. Raises StoreUnavailable."""
        members = await asyncio.gather(
            *(self._store.command("ZRANGE", keys.shard(shard).expiries, 0, -1) for shard in range(SHARDS))
        )
        calls = [
            self._mend_call(shard, *_pair(member))
            for shard, of_shard in enumerate(members)
            for member in of_shard
        ]
        return sum(await self._store.run_together(calls)) if calls else 0

    def _mend_call(self, shard: int, batch_id: str, key_id: str) -> Call:
        one, held = keys.shard(shard), keys.batch(key_id, batch_id)
        return Call(
            "batch_mend",
            [one.stream, one.delayed, one.cursors, held.meta, held.items],
            [batch_id, key_id],
        )

    async def leave(self, *, stops: bool = False) -> None:
        """Forget consumers that have long been silent; `stops`: this one too. Raises StoreUnavailable."""
        await self._store.run_together(
            [
                Call("batch_leave", [keys.shard(shard).stream], [self._consumer if stops else "", _SILENT_MS])
                for shard in range(SHARDS)
            ]
        )


def _claim(shard: int, entry: Reply) -> Claim:
    entry_id, batch_id, key_id, number, tries, deaths = entry
    return Claim(
        shard=shard,
        entry_id=entry_id.decode(),
        batch_id=batch_id.decode(),
        key_id=key_id.decode(),
        number=None if number == b"v" else int(number),
        tries=tries,
        deaths=deaths,
    )


def _pair(member: bytes) -> tuple[str, str]:
    batch_id, _, key_id = member.decode().partition(" ")
    return batch_id, key_id


def _by_shard(claims: Sequence[Claim]) -> dict[int, list[Claim]]:
    found: dict[int, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.shard, []).append(claim)
    return found
