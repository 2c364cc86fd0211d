"""lua/inspect.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes
from tests.store.lua.test_acquire import acquire, keys_of
from tests.store.lua.test_release import ONE, release

KEYS = keys_of("a")[:2]


async def test_it_tells_all_and_changes_nothing_that_stands(run: Run, store: Store):
    await acquire(run, "l1", ONE)
    await acquire(run, "l2", ONE)
    await release(run, "l2", "cooldown", duration_ms=20_000)
    unknown = ["mgw:{accounts}:a:x:leases", "mgw:{accounts}:a:x:state"]
    before = await lifetimes(store)
    assert await run("inspect", [*KEYS, *unknown], NOW + 5000) == [
        [1, 0, 15_000, 0, 0, b"why", NOW, 0],
        [0, 0, 0, 0, 0, b"", 0, 0],
    ]
    assert (await lifetimes(store)).keys() == before.keys()


async def test_leases_that_ran_out_are_dropped_and_told_once(run: Run):
    await acquire(run, "l1", ONE)
    await acquire(run, "l2", ONE, now=NOW + 1)
    for leases_and_expired in ([1, 1], [1, 0]):
        assert (await run("inspect", KEYS, NOW + 15_000))[0][::7] == leases_and_expired
