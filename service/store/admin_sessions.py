"""Sign-ins, wrong keys and the audit log in Redis. Fit `AdminSessions`, `AdminAttempts` and `AuditLog`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields

import orjson

from service.core.admin import AuditEntry
from service.store import admin_keys
from service.store.client import Store

_MAX_AUDITED = 1000


class RedisAdminSessions:
    """One string for each session: when it ends."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, digest: str, *, expires_at_s: float, ttl_s: int) -> None:
        await self._store.command("SET", admin_keys.session(digest), str(expires_at_s), "EX", ttl_s)

    async def expires_at_s(self, digest: str) -> float | None:
        found = await self._store.command("GET", admin_keys.session(digest))
        return None if found is None else float(found)

    async def end(self, digest: str) -> None:
        await self._store.command("DEL", admin_keys.session(digest))


class RedisAdminAttempts:
    """Two counters, of the address and of all; each lasts one window from its first wrong key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, address: str, *, window_s: int) -> None:
        command = self._store.command
        counted = (admin_keys.wrong(address), admin_keys.WRONG_IN_ALL)
        # A counter that is there keeps its end; the increment follows on the same connection.
        await asyncio.gather(*(command("SET", key, 0, "EX", window_s, "NX") for key in counted))
        await asyncio.gather(*(command("INCR", key) for key in counted))

    async def counts(self, address: str) -> tuple[int, int]:
        found = await self._store.command("MGET", admin_keys.wrong(address), admin_keys.WRONG_IN_ALL)
        return int(found[0] or 0), int(found[1] or 0)


class RedisAuditLog:
    """A stream of about a thousand entries, each one JSON object."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, entry: AuditEntry) -> None:
        trimmed = ("XADD", admin_keys.AUDIT, "MAXLEN", "~", _MAX_AUDITED)
        await self._store.command(*trimmed, "*", "entry", orjson.dumps(entry))

    async def newest(self, limit: int) -> Sequence[AuditEntry]:
        count = max(1, min(limit, _MAX_AUDITED))
        found = await self._store.command("XREVRANGE", admin_keys.AUDIT, "+", "-", "COUNT", count)
        return [_decoded(told[1]) for _, told in found]


_FIELDS = tuple(field.name for field in fields(AuditEntry))


def _decoded(entry: bytes) -> AuditEntry:
    """Fields that another version wrote and this one does not know are left alone."""
    found = orjson.loads(entry)
    return AuditEntry(**{name: found[name] for name in _FIELDS if name in found})
