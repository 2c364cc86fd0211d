"""Answers kept for their owner: messages, responses and their items by id. Fits `ports.Objects`.

Sealed where the server has a secret (sealing.py, bound to owner, kind and id), else compressed only: of the
owner no more is known here than stands in the key's name."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from functools import partial

from service.config import Storage
from service.core.batches import ContentUnreadable
from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.client import Store
from service.store.sealing import Sealer, is_sealed

_LEVEL = 1  # fast: an answer's JSON shrinks to a third at 100 MB/s
_IN_THREAD_BYTES = 256 << 10  # what takes longer than some 3 ms would hold up every stream of the process


class RedisObjects:
    """Strings with the configured lifetime. What cannot be opened any more is as if it were not there."""

    def __init__(self, store: Store, storage: Storage, *, server_secret: str = "") -> None:
        self._store = store
        self._server_secret = server_secret
        responses_ttl_s = storage.responses_ttl_s
        self._ttl_s = {
            "message": storage.messages_ttl_s,
            "response": responses_ttl_s,
            "item": responses_ttl_s,
        }

    async def save(self, kind: str, key_id: str, bodies: Mapping[str, bytes]) -> bool:
        """A Redis that is away costs the copies, which is counted, not the answer: False.

        Commands sent side by side travel in one round trip."""
        ttl_s = self._ttl_s[kind]
        sealer = self._sealer(kind, key_id)
        packed = {object_id: await _packed(body, sealer, object_id) for object_id, body in bodies.items()}
        saved = (
            self._store.command("SET", keys.stored(kind, key_id, object_id), body, "EX", ttl_s)
            for object_id, body in packed.items()
        )
        try:
            await asyncio.gather(*saved)
        except StoreUnavailable:
            self._store.degraded("objects")
            return False
        return True

    async def load(self, kind: str, key_id: str, object_ids: Sequence[str]) -> Mapping[str, bytes]:
        """What is unknown, foreign or expired is not in the answer. Raises StoreUnavailable."""
        if not object_ids:
            return {}
        names = [keys.stored(kind, key_id, object_id) for object_id in object_ids]
        stored = await self._store.command("MGET", *names)
        sealer = self._sealer(kind, key_id)
        opened = {
            object_id: await _unpacked(body, sealer, object_id)
            for object_id, body in zip(object_ids, stored, strict=True)
            if body is not None
        }
        return {object_id: body for object_id, body in opened.items() if body is not None}

    async def delete(self, kind: str, key_id: str, object_id: str) -> bool:
        """True when there was something to delete. Raises StoreUnavailable."""
        return bool(await self._store.command("DEL", keys.stored(kind, key_id, object_id)))

    def _sealer(self, kind: str, key_id: str) -> Sealer | None:
        if not self._server_secret:
            return None
        return Sealer(key_sha256=key_id, object_id=f"kept {kind}", server_secret=self._server_secret)


async def _packed(body: bytes, sealer: Sealer | None, object_id: str) -> bytes:
    pack = partial(zlib.compress, level=_LEVEL) if sealer is None else partial(sealer.seal, place=object_id)
    return pack(body) if len(body) < _IN_THREAD_BYTES else await asyncio.to_thread(pack, body)


async def _unpacked(body: bytes, sealer: Sealer | None, object_id: str) -> bytes | None:
    """None: it was sealed with another secret."""
    if len(body) < _IN_THREAD_BYTES // 2:
        return _opened(body, sealer, object_id)
    return await asyncio.to_thread(_opened, body, sealer, object_id)


def _opened(body: bytes, sealer: Sealer | None, object_id: str) -> bytes | None:
    if not is_sealed(body):  # kept before there was a secret
        return zlib.decompress(body)
    try:
        return None if sealer is None else sealer.open(body, place=object_id)
    except ContentUnreadable:
        return None
