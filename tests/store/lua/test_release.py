"""lua/release.lua, reply by reply."""

from __future__ import annotations

import pytest

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes
from tests.store.lua.test_acquire import POOL, acquire, keys_of

ONE = {"a": "9 -1 -1 1"}
KEYS = [*keys_of("a"), POOL[3], POOL[1]]


async def release(
    run: Run, lease_id: str, outcome: str = "success", *, now: int = NOW, duration_ms: int = 0, **more: int
) -> list:
    settings = (5, 5000, 300_000, 600_000, more.get("sticky_ttl_ms", 0), more.get("reserved", 0))
    return await run(
        *("release", KEYS, now, lease_id, "a", outcome, "why", duration_ms, *settings, more.get("real", -1))
    )


async def test_the_reply_tells_whether_it_was_held_and_how_many_wait(run: Run):
    await acquire(run, "l1", {"a": "1 -1 -1 1"})
    await acquire(run, "w1", {"a": "1 -1 -1 1"}, wait_ms=1000)
    assert await release(run, "l1") == [1, 1]
    assert await release(run, "l1") == [0, 1]


async def test_a_failure_counts_once_per_lease(run: Run, store: Store):
    await acquire(run, "l1", ONE)
    for _ in range(7):
        await release(run, "l1", "failure")
    assert await store.command("HGET", KEYS[1], "failures") == b"1"
    assert await store.command("HGET", KEYS[1], "opens") is None


async def test_a_cooldown_never_gets_shorter(run: Run, store: Store):
    await release(run, "l1", "cooldown", duration_ms=60_000)
    await release(run, "l2", "cooldown", duration_ms=1000)
    assert int(await store.command("HGET", KEYS[1], "cool_until")) == NOW + 60_000


async def test_an_expired_lease_may_still_tell_of_a_quarantine(run: Run, store: Store):
    await release(run, "long gone", "quarantine")
    assert await store.command("HMGET", KEYS[1], "quarantine", "why") == [b"1", b"why"]


@pytest.mark.parametrize(("outcome", "stored"), [("success", b"a"), ("failure", None), ("cooldown", None)])
async def test_a_conversation_is_remembered_or_forgotten(run: Run, store: Store, outcome: str, stored):
    await store.command("SET", POOL[3], "a", "EX", 60)
    await acquire(run, "l1", ONE)
    await release(run, "l1", outcome, sticky_ttl_ms=60_000)
    assert await store.command("GET", POOL[3]) == stored


async def test_another_accounts_failure_does_not_forget_the_conversation(run: Run, store: Store):
    await store.command("SET", POOL[3], "b", "EX", 60)
    await acquire(run, "l1", ONE)
    await release(run, "l1", "failure", sticky_ttl_ms=60_000)
    assert await store.command("GET", POOL[3]) == b"b"


async def test_the_longest_rest_is_the_longest(run: Run, store: Store):
    """Twenty failed probes: the time grows to its bound and no further."""
    now = NOW
    for number in range(25):
        await acquire(run, f"l{number}", ONE, now=now)
        await release(run, f"l{number}", "failure", now=now)
        now += 300_001
    until_ms = int(await store.command("HGET", KEYS[1], "open_until"))
    assert until_ms - (now - 300_001) == 300_000


async def test_every_key_has_a_lifetime(run: Run, store: Store):
    for number, outcome in enumerate(("success", "failure", "cooldown", "quarantine")):
        await store.command("DEL", KEYS[1])
        await acquire(run, f"l{number}", ONE)
        await release(run, f"l{number}", outcome, sticky_ttl_ms=1000)
        assert min((await lifetimes(store)).values()) > 0
