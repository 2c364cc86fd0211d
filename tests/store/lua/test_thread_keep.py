"""lua/thread_keep.lua, reply by reply."""

from __future__ import annotations

from service.store import keys
from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes

PLACE, DUE = keys.thread("a", "0123", "4567"), keys.threads_due("a")


async def keep(run: Run, conversation_id: str = "c1", *, now: int = NOW, at_most: int = 100) -> int:
    return await run(
        "thread_keep", [PLACE, DUE], now, b"sealed", 60_000, conversation_id, 600_000, 86_400_000, at_most
    )


async def test_it_waits_and_is_due_after_a_grace(run: Run, store: Store):
    assert await keep(run) == 1
    assert await store.command("GET", PLACE) == b"sealed"
    assert int(await store.command("ZSCORE", DUE, "c1")) == NOW + 660_000
    assert all(0 < left <= 86_400_000 for left in (await lifetimes(store)).values())


async def test_keeping_it_again_puts_off_when_it_is_due(run: Run, store: Store):
    await keep(run)
    await keep(run, now=NOW + 5000)
    assert int(await store.command("ZSCORE", DUE, "c1")) == NOW + 665_000
    assert await store.command("ZCARD", DUE) == 1


async def test_one_that_is_never_deleted_is_not_noted(run: Run, store: Store):
    await keep(run, "")
    assert await store.command("EXISTS", DUE) == 0


async def test_the_oldest_are_forgotten_when_there_are_too_many(run: Run, store: Store):
    for number in range(5):
        await keep(run, f"c{number}", now=NOW + number, at_most=3)
    assert await store.command("ZRANGE", DUE, 0, -1) == [b"c2", b"c3", b"c4"]
