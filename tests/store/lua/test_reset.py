"""lua/reset.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run
from tests.store.lua.test_acquire import acquire, keys_of
from tests.store.lua.test_inspect import KEYS
from tests.store.lua.test_release import ONE, release


async def test_all_marks_go_and_leases_and_minute_stay(run: Run, store: Store):
    limited = {"a": "9 5 50 1"}
    await acquire(run, "l1", limited, tokens=7)
    for number, outcome in enumerate(("quarantine", "cooldown")):
        await release(run, f"x{number}", outcome, duration_ms=5000)
    assert await run("reset", [KEYS[1]]) >= 4
    assert await run("reset", [KEYS[1]]) == 0
    assert await run("inspect", KEYS, NOW) == [[1, 0, 0, 0, 0, b"", 0, 0]]
    assert await store.command("HGET", keys_of("a")[1], "window_tokens") == b"7"
    assert (await acquire(run, "l2", ONE))[0] == b"leased"
