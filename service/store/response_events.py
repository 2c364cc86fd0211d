"""The events of background responses in a Redis Stream each. Fits `ports.ResponseEvents`.

One entry holds the bytes of some whole events: `d` as they are, `z` deflated, or `s` sealed where the server
has a secret; and `last` in the final one.
The runner's sign of life is a string with a short lifetime, so that a killed worker is noticed by itself.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

from redis.exceptions import RedisError

from service.core.batches import ContentUnreadable
from service.core.response_events import KeptEvents, StopWord
from service.store import keys
from service.store.client import Store
from service.store.sealing import Sealer

HEARTBEAT_TTL_S = 15
EVENTS_TTL_S = 3600
# At most so many entries stay. The writer makes them larger as the answer grows: tens of megabytes in all.
MAX_ENTRIES = 10_000
_DEFLATE_FROM_BYTES = 1024
_MAX_READ = 256
_LEVEL = 1
# How long a reader sleeps when every connection of the waiting kind is taken.
_POLL_S = 0.25


class RedisResponseEvents:
    """Reads that wait have a client of their own, so that they hold no connection that requests need."""

    def __init__(
        self, store: Store, *, heartbeat_ttl_s: int = HEARTBEAT_TTL_S, server_secret: str = ""
    ) -> None:
        self._store = store
        self._server_secret = server_secret
        self._heartbeat_ttl_s = heartbeat_ttl_s

    async def begin(self, key_id: str, response_id: str) -> None:
        runner = keys.response_runner(key_id, response_id)
        await self._store.command("SET", runner, b"1", "EX", self._heartbeat_ttl_s)

    async def append(self, key_id: str, response_id: str, events: bytes, *, is_last: bool = False) -> None:
        stream = keys.response_events(key_id, response_id)
        fields = self._packed(key_id, response_id, events)
        if is_last:
            fields += ("last", b"1")
        await asyncio.gather(
            self._store.command("XADD", stream, "MAXLEN", "~", MAX_ENTRIES, "*", *fields),
            self._store.command("EXPIRE", stream, EVENTS_TTL_S),
        )

    async def beat(self, key_id: str, response_id: str) -> StopWord | None:
        runner, stop = keys.response_runner(key_id, response_id), keys.response_stop(key_id, response_id)
        _, word = await asyncio.gather(
            self._store.command("SET", runner, b"1", "EX", self._heartbeat_ttl_s),
            self._store.command("GET", stop),
        )
        return None if word is None else StopWord(word.decode())

    async def ask(self, key_id: str, response_id: str, word: StopWord) -> None:
        stop = keys.response_stop(key_id, response_id)
        await self._store.command("SET", stop, str(word), "EX", EVENTS_TTL_S)

    async def end(self, key_id: str, response_id: str) -> None:
        runner, stop = keys.response_runner(key_id, response_id), keys.response_stop(key_id, response_id)
        await self._store.command("DEL", runner, stop)

    async def forget(self, key_id: str, response_id: str) -> None:
        await self._store.command("DEL", keys.response_events(key_id, response_id))

    async def is_running(self, key_id: str, response_id: str) -> bool:
        return bool(await self._store.command("EXISTS", keys.response_runner(key_id, response_id)))

    async def read(self, key_id: str, response_id: str, *, after: str, wait_s: float) -> Sequence[KeptEvents]:
        stream = keys.response_events(key_id, response_id)
        sealer = self._sealer(key_id)
        entries = await self._entries(stream, after, sealer, response_id)
        if entries or wait_s <= 0:
            return entries
        if not await self._waited(stream, after, wait_s):
            await asyncio.sleep(_POLL_S)
        return await self._entries(stream, after, sealer, response_id)

    def _packed(self, key_id: str, response_id: str, events: bytes) -> tuple[str | bytes, ...]:
        if (sealer := self._sealer(key_id)) is not None:
            return ("s", sealer.seal(events, place=response_id))
        is_long = len(events) >= _DEFLATE_FROM_BYTES
        return ("z", zlib.compress(events, _LEVEL)) if is_long else ("d", events)

    def _sealer(self, key_id: str) -> Sealer | None:
        if not self._server_secret:
            return None
        return Sealer(key_sha256=key_id, object_id="kept events", server_secret=self._server_secret)

    async def _entries(
        self, stream: str, after: str, sealer: Sealer | None, response_id: str
    ) -> list[KeptEvents]:
        """Entries that cannot be opened any more are as if they were not there."""
        found = await self._store.command("XRANGE", stream, f"({after}", "+", "COUNT", _MAX_READ)
        kept = [_kept(entry_id, fields, sealer, response_id) for entry_id, fields in found]
        return [entry for entry in kept if entry is not None]

    async def _waited(self, stream: str, after: str, wait_s: float) -> bool:
        """Block until there is an entry after `after`, or the time is up. False: there was no waiting."""
        try:
            await self._store.blocking.xread({stream: after}, count=1, block=max(int(wait_s * 1000), 1))
        except (RedisError, OSError, TimeoutError):
            return False  # the read that follows tells whether Redis is there
        return True


def _kept(
    entry_id: bytes, flat: Sequence[bytes], sealer: Sealer | None, response_id: str
) -> KeptEvents | None:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    if b"s" in fields:
        try:
            events = None if sealer is None else sealer.open(fields[b"s"], place=response_id)
        except ContentUnreadable:
            events = None
    else:
        events = fields[b"d"] if b"d" in fields else zlib.decompress(fields[b"z"])
    if events is None:
        return None
    return KeptEvents(entry_id=entry_id.decode(), events=events, is_last=b"last" in fields)
