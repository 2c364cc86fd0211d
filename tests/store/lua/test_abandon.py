"""lua/abandon.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import Run
from tests.store.lua.test_acquire import POOL, acquire, keys_of

BOTH = {"a": "1 5 50 1", "b": "1 5 50 1"}
KEYS = [POOL[1], POOL[2], *keys_of("a"), *keys_of("b")]


async def test_a_lease_is_taken_back_wherever_it_is_with_its_minute(run: Run, store: Store):
    await acquire(run, "l1", BOTH, tokens=40)
    await acquire(run, "l2", BOTH, tokens=40)
    assert await run("abandon", KEYS, "l2", 40) == 1
    assert await run("abandon", KEYS, "l2", 40) == 0
    assert await store.command("ZCARD", keys_of("b")[2]) == 0
    assert await store.command("HGET", keys_of("b")[1], "window_tokens") == b"0"
    assert await acquire(run, "l3", BOTH, tokens=50) == [b"leased", 2]


async def test_a_place_in_the_queue_is_given_up(run: Run, store: Store):
    for lease_id in ("l1", "l2"):
        await acquire(run, lease_id, BOTH)
    await acquire(run, "w", BOTH, wait_ms=1000)
    assert await run("abandon", KEYS, "w", 0) == 0
    assert await store.command("ZCARD", POOL[1]) == 0


async def test_an_abandoned_probe_lets_the_next_one_through(run: Run, store: Store):
    one = {"a": "5 -1 -1 1"}
    await store.command("HSET", keys_of("a")[1], "opens", 1, "open_until", 1)
    assert (await acquire(run, "probe", one))[0] == b"leased"
    assert (await acquire(run, "second", one))[0] == b"busy"
    await run("abandon", [POOL[1], POOL[2], *keys_of("a")], "probe", 0)
    assert (await acquire(run, "second", one))[0] == b"leased"
