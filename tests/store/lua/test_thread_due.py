"""lua/thread_due.lua, reply by reply."""

from __future__ import annotations

from service.store import keys
from service.store.client import Store
from tests.store.lua.conftest import NOW, Run

DUE = keys.threads_due("a")


async def due(run: Run, *, now: int = NOW, at_most: int = 10) -> list[bytes]:
    return await run("thread_due", [DUE], now, at_most, 300_000)


async def test_what_is_due_is_due_again_later(run: Run, store: Store):
    await store.command("ZADD", DUE, NOW - 2, "old", NOW - 1, "older than new", NOW + 1, "new")
    assert await due(run) == [b"old", b"older than new"]
    assert await due(run) == []
    assert await due(run, now=NOW + 1) == [b"new"]
    assert await due(run, now=NOW + 300_000) == [b"old", b"older than new"]


async def test_so_many_at_most(run: Run, store: Store):
    await store.command("ZADD", DUE, 1, "a", 2, "b", 3, "c")
    assert await due(run, at_most=2) == [b"a", b"b"]
    assert await due(run, at_most=2) == [b"c"]


async def test_nothing_is_due_where_nothing_is(run: Run, store: Store):
    assert await due(run) == []
    assert await store.command("EXISTS", DUE) == 0
