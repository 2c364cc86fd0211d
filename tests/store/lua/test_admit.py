"""lua/admit.lua, reply by reply."""

from __future__ import annotations

import pytest

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes

KEYS = ["mgw:{k}:window", "mgw:{k}:meter", "mgw:{k}:slots"]


async def admit(run: Run, request_id: str = "r", estimate: int = 1, *, now: int = NOW, **limits: int) -> list:
    names = ("requests", "tokens", "slots", "budget")
    return await run(
        "admit", KEYS, now, request_id, estimate, *(limits.get(name, -1) for name in names), 15_000, 60_000
    )


async def test_what_is_left_comes_back(run: Run):
    assert await admit(run, "r1", 10, requests=3, tokens=100) == [1, 2, 90]
    assert await admit(run, "r2", 10, requests=3, tokens=100) == [1, 1, 80]
    assert await admit(run, "r1", 10, requests=3, tokens=100) == [1, 1, 80]  # repeated: let in once


@pytest.mark.parametrize(
    ("limits", "reply"),
    [
        ({"requests": 0}, [0, b"requests", -1, 0, -1]),
        ({"tokens": 0}, [0, b"too_large", -1, -1, 0]),
        ({"slots": 0}, [0, b"concurrency", -1, -1, -1]),
        ({"budget": 0}, [0, b"budget", -1, -1, -1]),
    ],
)
async def test_limits_of_nothing(run: Run, store: Store, limits: dict, reply: list):
    assert await admit(run, **limits) == reply
    assert await lifetimes(store) == {}


async def test_the_wait_is_until_enough_has_left(run: Run):
    for number in range(3):
        await admit(run, f"r{number}", 10, now=NOW + 1000 * number, tokens=30)
    assert await admit(run, "x", 5, now=NOW + 3000, tokens=30) == [0, b"tokens", 57_000, -1, 0]
    assert await admit(run, "x", 25, now=NOW + 3000, tokens=30) == [0, b"tokens", 59_000, -1, 0]
    assert await admit(run, "x", 5, now=NOW + 60_000, tokens=30) == [1, -1, 5]


async def test_a_slot_that_was_not_renewed_ends(run: Run):
    assert await admit(run, "r1", slots=1) == [1, -1, -1]
    assert await admit(run, "r2", slots=1) == [0, b"concurrency", 1000, -1, -1]
    assert await admit(run, "r2", now=NOW + 15_000, slots=1) == [1, -1, -1]


async def test_one_limit_refuses_all(run: Run, store: Store):
    await admit(run, "r1", 10, requests=5, tokens=20, slots=5)
    before = [await store.redis.dump(key) for key in KEYS]
    assert (await admit(run, "r2", 11, requests=5, tokens=20, slots=5))[1] == b"tokens"
    assert [await store.redis.dump(key) for key in KEYS] == before


async def test_every_key_has_a_lifetime(run: Run, store: Store):
    await admit(run, requests=5, tokens=20, slots=5)
    assert sorted(await lifetimes(store)) == sorted(KEYS)
    assert min((await lifetimes(store)).values()) > 0


async def test_thousands_leave_the_minute_at_once(run: Run):
    """More than Lua can unpack in one call."""
    for number in range(1200):
        await admit(run, f"r{number}", 2, tokens=10_000)
    assert await admit(run, "late", 2, now=NOW + 60_000, tokens=10_000) == [1, -1, 9998]


async def test_a_lost_window_does_not_leave_its_sum_behind(run: Run, store: Store):
    await admit(run, "r1", 90, tokens=100)
    await store.command("DEL", KEYS[0])
    assert await admit(run, "r2", 90, tokens=100) == [1, -1, 10]
