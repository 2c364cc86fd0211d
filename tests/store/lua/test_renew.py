"""lua/renew.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes


async def test_it_puts_off_the_end_and_counts_the_living(run: Run, store: Store):
    assert await run("renew", ["mgw:z"], NOW, 15_000, "a", "b") == [2, 0, 2]
    assert await run("renew", ["mgw:z"], NOW + 10_000, 15_000, "a") == [2, 0, 0]
    assert await store.command("ZSCORE", "mgw:z", "a") == str(NOW + 25_000).encode()


async def test_what_has_run_out_is_dropped_and_what_is_renewed_comes_back(run: Run):
    await run("renew", ["mgw:z"], NOW, 15_000, "a", "b")
    assert await run("renew", ["mgw:z"], NOW + 15_000, 15_000, "a") == [1, 1, 1]
    assert await run("renew", ["mgw:z"], NOW + 15_000, 15_000, "a") == [1, 0, 0]


async def test_nothing_to_renew_is_a_count(run: Run):
    assert await run("renew", ["mgw:z"], NOW, 15_000) == [0, 0, 0]


async def test_the_key_has_a_lifetime(run: Run, store: Store):
    await run("renew", ["mgw:z"], NOW, 15_000, "a")
    assert 0 < (await lifetimes(store))["mgw:z"] <= 30_000


async def test_zero_asks_redis_for_the_time(run: Run, store: Store):
    await run("renew", ["mgw:z"], 0, 15_000, "a")
    seconds, _ = await store.command("TIME")
    score = int(await store.command("ZSCORE", "mgw:z", "a"))
    assert abs(score - 15_000 - int(seconds) * 1000) < 5000
