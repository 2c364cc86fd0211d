"""lua/pulse.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes

KEYS = [f"mgw:{{fleet}}:{name}" for name in ("workers", "row", "flushed", "watch", "stops", "errors", "live")]
WORKERS, ROW, FLUSHED, WATCH, STOPS, ERRORS, LIVE = KEYS
SLOT = "mgw:{fleet}:minute:60"
TTL_MS, ERRORS_TTL_MS = 8000, 90_000


def arguments(*, now: int = NOW, number: int = 0, live: str = "", more: tuple[str | int, ...] = (0,)):
    return (now, "w1", "row", TTL_MS, number, live, ERRORS_TTL_MS, *more)


async def test_counts_of_one_number_are_added_once(run: Run, store: Store):
    more = (1, "account", "{}", 5000, 2, "requests", 3, "errors", 1)
    for _ in range(3):
        assert await run("pulse", [*KEYS, SLOT], *arguments(number=1, more=more)) == [0, []]
    assert await store.hash(SLOT) == {b"requests": b"3", b"errors": b"1"}
    assert await store.hash(ERRORS) == {b"account": b"{}"}
    await run("pulse", [*KEYS, SLOT], *arguments(number=2, more=more))
    assert await store.hash(SLOT) == {b"requests": b"6", b"errors": b"2"}


async def test_several_slots_have_each_its_counts_and_lifetime(run: Run, store: Store):
    other = "mgw:{fleet}:quarter:0"
    more = (0, 5000, 1, "requests", 1, 70_000, 2, "requests", 1, "ok:a", 1)
    await run("pulse", [*KEYS, SLOT, other], *arguments(number=1, more=more))
    assert await store.hash(other) == {b"requests": b"1", b"ok:a": b"1"}
    left = await lifetimes(store)
    assert 0 < left[SLOT] <= 5000 < left[other] <= 70_000


async def test_sign_of_life_without_counts_adds_nothing(run: Run, store: Store):
    assert await run("pulse", KEYS, *arguments()) == [0, []]
    assert await store.command("GET", ROW) == b"row"
    assert await store.command("ZRANGE", WORKERS, 0, -1) == [b"w1"]
    assert await store.command("EXISTS", FLUSHED, LIVE) == 0


async def test_silent_workers_are_dropped(run: Run, store: Store):
    await store.command("ZADD", WORKERS, NOW - 1, "gone", NOW + 5000, "alive")
    await run("pulse", KEYS, *arguments())
    assert await store.command("ZRANGE", WORKERS, 0, -1) == [b"alive", b"w1"]


async def test_it_tells_of_watchers_and_of_what_is_to_stop(run: Run, store: Store):
    await store.command("SET", WATCH, 1)
    await store.command("ZADD", STOPS, NOW - 1, "long ago", NOW + 1, "req_1")
    assert await run("pulse", KEYS, *arguments()) == [1, [b"req_1"]]


async def test_live_requests_are_shown_and_taken_back(run: Run, store: Store):
    await run("pulse", KEYS, *arguments(live="[]"))
    assert await store.command("GET", LIVE) == b"[]"
    await run("pulse", KEYS, *arguments())
    assert await store.command("EXISTS", LIVE) == 0


async def test_every_key_has_a_lifetime(run: Run, store: Store):
    more = (1, "account", "{}", 5000, 1, "requests", 1)
    await run("pulse", [*KEYS, SLOT], *arguments(number=1, live="[]", more=more))
    assert -1 not in (await lifetimes(store)).values()
