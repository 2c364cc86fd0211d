"""Batches as their owners see them: stored, listed, stopped, read. Fits `ports.BatchStore`.

What clients sent and what they get back is sealed (sealing.py); counts, states and instants are in the clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import orjson

from service.config import ApiKey
from service.core.batches import (
    SHARDS,
    Batch,
    BatchFault,
    BatchKind,
    BatchState,
    Counts,
    ItemResult,
    ItemStatus,
    NewItem,
)
from service.core.errors import NotFound, RateLimited
from service.core.events import Usage
from service.store import batch_keys as keys
from service.store.client import Argument, Call, Store, redis_time
from service.store.resp import Reply
from service.store.sealing import Sealer

FAMILY: Mapping[BatchKind, str] = {
    BatchKind.MESSAGES: "messages",
    BatchKind.CHAT: "openai",
    BatchKind.RESPONSES: "openai",
}
LETTER: Mapping[ItemStatus, bytes] = {
    ItemStatus.SUCCEEDED: b"s",
    ItemStatus.ERRORED: b"e",
    ItemStatus.CANCELED: b"c",
    ItemStatus.EXPIRED: b"x",
}
_STATUS = {letter: status for status, letter in LETTER.items()}
_WINDOW = 32  # results fetched in one round trip
_MAX_STARTED = 50
_RETRY_STARTED_S = 60.0


class RedisBatches:
    """`kept_s` is how long a batch stays after its end, `open_s` how long it may run."""

    def __init__(self, store: Store, *, kept_s: int, open_s: int, server_secret: str = "") -> None:
        self._store = store
        self._kept_ms = kept_s * 1000
        self._open_ms = open_s * 1000
        self._server_secret = server_secret

    def sealer(self, key: ApiKey, batch_id: str) -> Sealer:
        return Sealer(key_sha256=key.key_sha256, object_id=batch_id, server_secret=self._server_secret)

    # --- making one -----------------------------------------------------------------------------------------

    async def begin(self, key: ApiKey, batch_id: str, kind: BatchKind) -> None:
        """A hidden batch, to be filled and started within the hour. Raises StoreUnavailable."""
        await self._begin(key, batch_id, kind, keys.FILLING_TTL_MS, {})

    async def submit(
        self,
        key: ApiKey,
        batch_id: str,
        kind: BatchKind,
        *,
        input_file_id: str,
        metadata: Mapping[str, str],
    ) -> None:
        """A visible batch whose file a worker is to read. Raises StoreUnavailable."""
        sealed = self.sealer(key, batch_id).seal(orjson.dumps(dict(metadata)), place="metadata")
        fields: dict[str, Argument] = {
            "input_file_id": input_file_id,
            "metadata": sealed,
            "files": batch_id.partition("_")[2],
        }
        await self._begin(key, batch_id, kind, 0, fields)

    async def _begin(
        self, key: ApiKey, batch_id: str, kind: BatchKind, hidden_ms: int, fields: Mapping[str, Argument]
    ) -> None:
        shard = keys.shard(keys.shard_of(key.key_id))
        pairs: list[Argument] = ["kind", str(kind)]
        for name, value in fields.items():
            pairs += (name, value)
        await self._store.run(
            "batch_begin",
            [
                keys.batch(key.key_id, batch_id).meta,
                keys.index(key.key_id, FAMILY[kind]),
                shard.all,
                shard.expiries,
                shard.stream,
            ],
            [
                *(redis_time(), batch_id, key.key_id, self._open_ms, self._kept_ms, hidden_ms),
                *(keys.SHARD_TTL_MS, *pairs),
            ],
        )

    async def fill(self, key: ApiKey, batch_id: str, first_number: int, items: Sequence[NewItem]) -> None:
        """Store items from `first_number` on. Storing them again changes nothing. Raises StoreUnavailable."""
        held, sealer = keys.batch(key.key_id, batch_id), self.sealer(key, batch_id)
        bodies: list[Argument] = []
        names: list[Argument] = []
        for number, item in enumerate(items, first_number):
            bodies += (number, sealer.seal(item.body, place=f"item {number}"))
            names += (number, sealer.seal(item.custom_id.encode(), place=f"name {number}"))
        await asyncio.gather(
            self._store.command("HSET", held.items, *bodies),
            self._store.command("HSET", held.names, *names),
            self._store.command("PEXPIRE", held.items, keys.FILLING_TTL_MS),
            self._store.command("PEXPIRE", held.names, keys.FILLING_TTL_MS),
        )

    async def start(self, key: ApiKey, batch_id: str, kind: BatchKind, *, total: int) -> None:
        """All `total` items are stored: run them. Raises RateLimited when the key has too many batches that
        wait, NotFound when storing took too long, StoreUnavailable."""
        held, shard = keys.batch(key.key_id, batch_id), keys.shard(keys.shard_of(key.key_id))
        reply = await self._store.run(
            "batch_start",
            [
                *(held.meta, held.items, held.names, keys.index(key.key_id, FAMILY[kind])),
                *(shard.all, shard.expiries, shard.turns, shard.cursors, shard.owners, shard.waits),
                keys.files(key.key_id),
            ],
            [
                *(redis_time(), batch_id, key.key_id, total, self._kept_ms, keys.SHARD_TTL_MS),
                _MAX_STARTED,
            ],
        )
        if reply == -2:
            raise RateLimited(
                f"This API key has {_MAX_STARTED} batches whose items wait already.",
                code="too_many_batches",
                retry_after_s=_RETRY_STARTED_S,
            )
        if reply == -1:
            raise NotFound("The batch took too long to be stored.")

    async def fail(self, key: ApiKey, batch_id: str, faults: Sequence[BatchFault]) -> None:
        """The batch's file is not valid. Raises StoreUnavailable."""
        held = keys.batch(key.key_id, batch_id)
        told = orjson.dumps([[fault.code, fault.message, fault.line, fault.param] for fault in faults])
        await self._store.run(
            "batch_fail",
            [held.meta, held.items, held.names, keys.shard(keys.shard_of(key.key_id)).expiries],
            [
                redis_time(),
                batch_id,
                key.key_id,
                self.sealer(key, batch_id).seal(told, place="faults"),
            ],
        )

    async def forget(self, key: ApiKey, batch_id: str, kind: BatchKind) -> None:
        """Delete all of a batch that is over, or that was never started. Raises StoreUnavailable."""
        held, shard = keys.batch(key.key_id, batch_id), keys.shard(keys.shard_of(key.key_id))
        await asyncio.gather(
            self._store.command("ZREM", keys.index(key.key_id, FAMILY[kind]), batch_id),
            self._store.command("ZREM", shard.all, f"{key.key_id} {batch_id}"),
            self._store.command("ZREM", shard.expiries, f"{batch_id} {key.key_id}"),
            self._store.command("UNLINK", held.meta, held.items, held.names, held.results),
        )

    # --- looking at them ------------------------------------------------------------------------------------

    async def find(self, key: ApiKey, batch_id: str) -> Batch | None:
        """The batch as it stands; None for one that is unknown, foreign or not started. One read. Raises
        StoreUnavailable."""
        fields = await self._store.hash(keys.batch(key.key_id, batch_id).meta)
        return self._batch(key, batch_id, fields)

    async def page(
        self,
        key: ApiKey,
        family: str,
        *,
        after_id: str | None = None,
        before_id: str | None = None,
        limit: int,
    ) -> tuple[list[Batch], bool]:
        """At most `limit` batches, newest first: those that follow `after_id`, or stand right before
        `before_id`; and whether there are more in that direction. Raises NotFound for an unknown id,
        StoreUnavailable."""
        index = keys.index(key.key_id, family)
        await self._forget_old(index)
        first, last = await self._range(index, after_id, before_id, limit)
        ids = [] if last < first else await self._store.command("ZREVRANGE", index, first, last)
        has_more = len(ids) > limit
        if has_more:
            ids = ids[1:] if before_id is not None else ids[:-1]
        found = await asyncio.gather(*(self.find(key, batch_id.decode()) for batch_id in ids))
        return [batch for batch in found if batch is not None], has_more

    async def _range(
        self, index: str, after_id: str | None, before_id: str | None, limit: int
    ) -> tuple[int, int]:
        """The places to read, one more than asked for, so that it is known whether there are more."""
        if after_id is None and before_id is None:
            return 0, limit
        cursor = str(after_id or before_id)
        place = await self._store.command("ZREVRANK", index, cursor)
        if place is None:
            raise NotFound("No batch with the id of the cursor belongs to this API key.")
        if after_id is not None:
            return place + 1, place + 1 + limit
        return max(place - 1 - limit, 0), place - 1

    async def _forget_old(self, index: str) -> None:
        """Entries whose batch has gone by itself."""
        seconds, _ = await self._store.command("TIME")
        oldest_ms = int(seconds) * 1000 - self._open_ms - self._kept_ms
        await self._store.command("ZREMRANGEBYSCORE", index, "-inf", oldest_ms)

    # --- stopping and deleting ------------------------------------------------------------------------------

    async def stop(self, key_id: str, batch_id: str, *, wanted: BatchState) -> None:
        """CANCELING, or EXPIRING when its time is over: no further item begins. Raises StoreUnavailable."""
        call = stop_call(key_id, batch_id, wanted)
        await self._store.run(call.script, call.keys, call.arguments)

    async def drop_file(self, key: ApiKey, batch_id: str, which: str) -> None:
        """Delete the `output` or `error` file of a batch; the batch itself stays. Raises StoreUnavailable."""
        held, suffix = keys.batch(key.key_id, batch_id), batch_id.partition("_")[2]
        await asyncio.gather(
            self._store.command("HSET", held.meta, f"deleted_{which}", 1),
            self._store.command("ZREM", keys.files(key.key_id), f"file-{which[0]}{suffix}"),
        )

    # --- results --------------------------------------------------------------------------------------------

    async def results(self, key: ApiKey, batch: Batch) -> AsyncIterator[list[tuple[str, ItemResult]]]:
        """Every item's result in the order sent, some at a time; the first of each pair is the custom_id, ""
        where the line tells it. Raises StoreUnavailable."""
        held, sealer = keys.batch(key.key_id, batch.batch_id), self.sealer(key, batch.batch_id)
        for first in range(0, batch.counts.total, _WINDOW):
            numbers = range(first, min(first + _WINDOW, batch.counts.total))
            # What has begun is not cut by a hiccup; a Redis that is away from the start is told at once.
            read = self._store.read_patiently if first else self._store.command
            values = await read("HMGET", held.results, *numbers)
            missing = [number for number, value in zip(numbers, values, strict=True) if _has_no_line(value)]
            names = await read("HMGET", held.names, *missing) if missing else []
            name_by_number = {
                number: sealer.open(name, place=f"name {number}").decode()
                for number, name in zip(missing, names, strict=True)
                if name is not None
            }
            yield [
                (name_by_number.get(number, ""), _result(sealer, number, value, batch))
                for number, value in zip(numbers, values, strict=True)
            ]

    # --- inside ---------------------------------------------------------------------------------------------

    def _batch(self, key: ApiKey, batch_id: str, fields: Mapping[bytes, bytes]) -> Batch | None:
        state = fields.get(b"state", b"filling").decode()
        if state == "filling":
            return None
        sealer = self.sealer(key, batch_id)
        metadata = _opened(sealer, fields, "metadata", b"{}")
        faults = _opened(sealer, fields, "faults", b"[]")
        return decoded_batch(
            batch_id,
            fields,
            metadata=orjson.loads(metadata),
            faults=tuple(
                BatchFault(code=c, message=m, line=n, param=p) for c, m, n, p in orjson.loads(faults)
            ),
        )


def _opened(sealer: Sealer, fields: Mapping[bytes, bytes], name: str, default: bytes) -> bytes:
    sealed = fields.get(name.encode())
    return default if sealed is None else sealer.open(sealed, place=name)


def _has_no_line(value: bytes | None) -> bool:
    return value is None or value[:1] in b"cx"


def _result(sealer: Sealer, number: int, value: bytes | None, batch: Batch) -> ItemResult:
    if value is None:  # it never began
        return ItemResult(status=batch.left_as or ItemStatus.EXPIRED)
    status = _STATUS[value[:1]]
    if _has_no_line(value):
        return ItemResult(status=status)
    return ItemResult(status=status, line=sealer.open(value[1:], place=f"result {number}"))


def stop_call(key_id: str, batch_id: str, wanted: BatchState) -> Call:
    held, shard = keys.batch(key_id, batch_id), keys.shard(keys.shard_of(key_id))
    return Call(
        "batch_stop",
        [
            *(held.meta, held.items, shard.turns, shard.cursors, shard.owners, shard.waits),
            *(shard.delayed, shard.expiries, keys.files(key_id), shard.pauses),
        ],
        [redis_time(), batch_id, key_id, str(wanted)],
    )


def decoded_batch(
    batch_id: str,
    fields: Mapping[bytes, bytes],
    *,
    metadata: Mapping[str, str] | None = None,
    faults: tuple[BatchFault, ...] = (),
) -> Batch:
    """The fields of meta that are in the clear; what is sealed is handed in."""

    def number(name: str) -> int:
        return int(fields.get(name.encode(), b"0"))

    def instant(name: str) -> float | None:
        value = fields.get(name.encode())
        return None if value is None else int(value) / 1000

    left_as = fields.get(b"left_as")
    return Batch(
        batch_id=batch_id,
        key_id=fields[b"owner"].decode(),
        kind=BatchKind(fields[b"kind"].decode()),
        state=BatchState(fields[b"state"].decode()),
        counts=Counts(
            **{name: number(name) for name in ("total", "succeeded", "errored", "canceled", "expired")}
        ),
        created_at_s=number("created_ms") / 1000,
        expires_at_s=number("expires_ms") / 1000,
        started_at_s=instant("started_ms"),
        cancel_at_s=instant("stopped_ms") if left_as == b"canceled" else None,
        ended_at_s=instant("ended_ms"),
        left_as=None if left_as is None else ItemStatus(left_as.decode()),
        usage=Usage(
            input_tokens=number("input_tokens"),
            cached_tokens=number("cached_tokens"),
            output_tokens=number("output_tokens"),
            reasoning_tokens=number("reasoning_tokens"),
        ),
        output_bytes=number("output_bytes"),
        error_bytes=number("error_bytes"),
        input_file_id=fields.get(b"input_file_id", b"").decode(),
        metadata=metadata or {},
        faults=faults,
        deleted_files=frozenset(
            which for which in ("output", "error") if f"deleted_{which}".encode() in fields
        ),
    )


async def every_batch(store: Store) -> list[Batch]:
    """All batches of all owners, newest first, for the operator. Raises StoreUnavailable."""
    members: list[Reply] = []
    for shard in range(SHARDS):
        members += await store.command("ZREVRANGE", keys.shard(shard).all, 0, -1)
    pairs = [member.decode().split(" ", 1) for member in members]
    found = await asyncio.gather(
        *(store.hash(keys.batch(key_id, batch_id).meta) for key_id, batch_id in pairs)
    )
    batches = [
        decoded_batch(batch_id, fields)
        for (_, batch_id), fields in zip(pairs, found, strict=True)
        if fields and fields.get(b"state") != b"filling"
    ]
    return sorted(batches, key=lambda batch: batch.created_at_s, reverse=True)
