"""Sessions, wrong keys and the audit log on a real Redis."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from service.core.admin import AuditEntry
from service.store.admin_sessions import RedisAdminAttempts, RedisAdminSessions, RedisAuditLog
from service.store.client import Store
from tests.store.lua.conftest import lifetimes


async def test_session_is_known_until_it_ends(store: Store) -> None:
    sessions = RedisAdminSessions(store)
    assert await sessions.expires_at_s("d") is None
    await sessions.begin("d", expires_at_s=1_790_000_000.25, ttl_s=60)
    assert await sessions.expires_at_s("d") == 1_790_000_000.25
    await sessions.end("d")
    assert await sessions.expires_at_s("d") is None


async def test_session_has_a_lifetime(store: Store) -> None:
    await RedisAdminSessions(store).begin("d", expires_at_s=1.0, ttl_s=60)
    assert 0 < (await lifetimes(store))["mgw:{admin}:session:d"] <= 60_000


async def test_wrong_keys_are_counted_by_address_and_in_all(store: Store) -> None:
    attempts = RedisAdminAttempts(store)
    assert await attempts.counts("192.0.2.1") == (0, 0)
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        await attempts.add(address, window_s=60)
    assert await attempts.counts("192.0.2.1") == (2, 3)
    assert await attempts.counts("192.0.2.3") == (0, 3)
    left = await lifetimes(store)
    assert all(0 < one <= 60_000 for one in left.values())
    assert not [key for key in left if "192.0.2" in key], "addresses stand in no key's name"


async def test_newest_changes_come_first(store: Store) -> None:
    audit = RedisAuditLog(store)
    entries = [
        AuditEntry(time=float(number), who="admin key", action="a", target=f"ü {number}", detail="d")
        for number in range(3)
    ]
    for entry in entries:
        await audit.add(entry)
    assert list(await audit.newest(2)) == [entries[2], entries[1]]
    assert list(await audit.newest(1000)) == entries[::-1]


async def test_entry_of_another_version_is_read_as_far_as_it_is_known(store: Store) -> None:
    entry = AuditEntry(time=1.0, who="w", action="a", target="t")
    newer = orjson.dumps({**asdict(entry), "colour": "blue"})
    await store.command("XADD", "mgw:{admin}:audit", "*", "entry", newer)
    assert list(await RedisAuditLog(store).newest(1)) == [entry]


async def test_log_is_bounded(store: Store) -> None:
    audit = RedisAuditLog(store)
    for number in range(1300):
        await audit.add(AuditEntry(time=float(number), who="w", action="a", target="t"))
    assert await store.command("XLEN", "mgw:{admin}:audit") <= 1200
    assert (await audit.newest(1))[0].time == 1299.0
