"""lua/usage_day.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import Run, lifetimes

KEYS = ["mgw:{usage}:2026-11-20"]


async def test_a_key_is_entered_with_its_name_and_a_lifetime(run: Run, store: Store):
    assert await run("usage_day", KEYS, "id-1", "anna", 60_000) == 1
    assert await run("usage_day", KEYS, "id-2", "bert", 60_000) == 1
    assert await run("usage_day", KEYS, "id-1", "anne", 60_000) == 1
    assert await store.hash(KEYS[0]) == {b"id-1": b"anne", b"id-2": b"bert"}
    assert 0 < (await lifetimes(store))[KEYS[0]] <= 60_000
