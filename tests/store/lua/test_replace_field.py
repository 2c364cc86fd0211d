"""lua/replace_field.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import Run


async def test_field_that_is_there_is_replaced(run: Run, store: Store):
    await store.command("HSET", "mgw:h", "a", "1")
    assert await run("replace_field", ["mgw:h"], "a", "2") == 1
    assert await store.hash("mgw:h") == {b"a": b"2"}


async def test_field_that_is_not_there_stays_away(run: Run, store: Store):
    assert await run("replace_field", ["mgw:h"], "a", "2") == 0
    assert await store.hash("mgw:h") == {}
