"""Answers kept for their owner: stored messages and responses. Fits `ports.Objects`."""

from __future__ import annotations

from service.config import Storage
from service.store import keys
from service.store.client import Store


class RedisObjects:
    """One string for each. The owner's key id is part of the name: a foreign id is as unknown as none."""

    def __init__(self, store: Store, storage: Storage) -> None:
        self._store = store
        self._ttl_s_by_kind = {"message": storage.messages_ttl_s, "response": storage.responses_ttl_s}

    async def save(self, kind: str, key_id: str, object_id: str, body: bytes) -> None:
        """Raises StoreUnavailable."""
        await self._store.command(
            "SET", keys.stored(kind, key_id, object_id), body, "EX", self._ttl_s_by_kind[kind]
        )

    async def load(self, kind: str, key_id: str, object_id: str) -> bytes | None:
        """None when there is none. Raises StoreUnavailable."""
        body: bytes | None = await self._store.command("GET", keys.stored(kind, key_id, object_id))
        return body

    async def delete(self, kind: str, key_id: str, object_id: str) -> bool:
        """True when there was something to delete. Raises StoreUnavailable."""
        return bool(await self._store.command("DEL", keys.stored(kind, key_id, object_id)))
