"""API keys that were issued while the gateway runs. Fits `ports.KeyRegistry`.

One hash of one slot: it is read once in five seconds for each key and worker, and by operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import orjson

from service.config import ApiKey, IssuedKey
from service.store import keys
from service.store.client import Store


class RedisKeyRegistry:
    """A hash: key_id -> name, digest and limits as JSON. The keys themselves are nowhere."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, key_id: str) -> ApiKey | None:
        stored = await self._store.command("HGET", keys.ISSUED, key_id)
        return None if stored is None else _decoded(stored).key

    async def add(self, issued: IssuedKey) -> bool:
        return bool(
            await self._store.command("HSETNX", keys.ISSUED, issued.key.key_id, _encoded(issued)),
        )

    async def update(self, issued: IssuedKey) -> bool:
        arguments: list[str | bytes | int] = [issued.key.key_id, _encoded(issued)]
        return bool(await self._store.run("replace_field", [keys.ISSUED], arguments))

    async def remove(self, key_id: str) -> bool:
        return bool(await self._store.command("HDEL", keys.ISSUED, key_id))

    async def every(self) -> Sequence[IssuedKey]:
        stored = await self._store.hash(keys.ISSUED)
        return sorted(map(_decoded, stored.values()), key=lambda one: (one.created_at_s, one.key.name))


_FIELDS = tuple(field.name for field in fields(ApiKey) if field.name != "key_sha256")


def _encoded(issued: IssuedKey) -> bytes:
    """What a key does not have is left out."""
    own = {name: getattr(issued.key, name) for name in _FIELDS}
    kept = {name: value for name, value in own.items() if value is not None}
    shown = {"shown": issued.shown} if issued.shown else {}
    facts = {"digest": issued.key.key_sha256, "created_at_s": issued.created_at_s, **shown}
    return orjson.dumps({**facts, **kept})


def _decoded(stored: bytes) -> IssuedKey:
    """Fields that another version wrote and this one does not know are left alone."""
    found = orjson.loads(stored)
    own = {name: found[name] for name in _FIELDS if name in found}
    own["models"] = tuple(own.get("models", ()))
    return IssuedKey(
        key=ApiKey(key_sha256=found["digest"], **own),
        created_at_s=found["created_at_s"],
        shown=found.get("shown", ""),
    )
