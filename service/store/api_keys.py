"""API keys that were issued while the gateway runs. Fits `ports.KeyRegistry`.

One hash of one slot: it is read once in five seconds for each key and worker, and by operators.
"""

from __future__ import annotations

from collections.abc import Sequence

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

    async def remove(self, key_id: str) -> bool:
        return bool(await self._store.command("HDEL", keys.ISSUED, key_id))

    async def every(self) -> Sequence[IssuedKey]:
        stored = await self._store.hash(keys.ISSUED)
        return sorted(map(_decoded, stored.values()), key=lambda one: (one.created_at_s, one.key.name))


def _encoded(issued: IssuedKey) -> bytes:
    return orjson.dumps({"created_at_s": issued.created_at_s, **_fields(issued.key)})


def _fields(key: ApiKey) -> dict[str, object]:
    """What stands for a key, without what it does not have."""
    found: dict[str, object] = {"name": key.name, "digest": key.key_sha256, "models": list(key.models)}
    found |= {
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "max_concurrency": key.max_concurrency,
        "budget_usd": key.budget_usd,
    }
    return {name: value for name, value in found.items() if value is not None}


def _decoded(stored: bytes) -> IssuedKey:
    """Fields that another version wrote and this one does not know are left alone."""
    found = orjson.loads(stored)
    key = ApiKey(
        name=found["name"],
        key_sha256=found["digest"],
        requests_per_minute=found.get("requests_per_minute"),
        tokens_per_minute=found.get("tokens_per_minute"),
        max_concurrency=found.get("max_concurrency"),
        budget_usd=found.get("budget_usd"),
        models=tuple(found.get("models", ())),
    )
    return IssuedKey(key=key, created_at_s=found["created_at_s"])
