"""lua/acquire.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes

POOL = [f"mgw:{{accounts}}:{name}" for name in ("turns", "queue", "waiters", "sticky:s")]


def keys_of(name: str) -> list[str]:
    return [f"mgw:{{accounts}}:a:{name}:{part}" for part in ("leases", "state", "window")]


async def acquire(
    run: Run,
    lease_id: str,
    accounts: dict[str, str],
    *,
    now: int = NOW,
    wait_ms: int = 0,
    max_waiting: int = 10,
    tokens: int = 0,
    is_sticky: bool = False,
    is_repeated: bool = False,
) -> list:
    """`accounts`: name -> "max_concurrency requests tokens weight"."""
    keys = POOL + [key for name in accounts for key in keys_of(name)]
    settings = (wait_ms, max_waiting, 1500, 600_000, int(is_sticky), int(is_repeated))
    flat = [word for pair in accounts.items() for word in pair]
    return await run("acquire", keys, now, lease_id, 15_000, tokens, *settings, *flat)


async def test_the_reply_names_the_candidate(run: Run):
    both = {"a": "1 -1 -1 1", "b": "1 -1 -1 1"}
    assert await acquire(run, "l1", both) == [b"leased", 1]
    assert await acquire(run, "l2", both) == [b"leased", 2]
    assert await acquire(run, "l3", both) == [b"busy", -1, 0, 2, b"busy"]
    assert await acquire(run, "l2", both, is_repeated=True) == [b"leased", 2]


async def test_the_reply_tells_of_a_sticky_conversation_whether_it_met_its_account(run: Run, store: Store):
    both = {"a": "1 -1 -1 1", "b": "1 -1 -1 1"}
    assert await acquire(run, "l1", both, is_sticky=True) == [b"leased", 1, b"miss"]
    await store.command("SET", POOL[3], "b")
    assert await acquire(run, "l2", both, is_sticky=True) == [b"leased", 2, b"hit"]
    await store.command("ZREM", keys_of("a")[0], "l1")
    assert await acquire(run, "l3", both, is_sticky=True) == [b"leased", 1, b"moved"]


async def test_who_may_wait_gets_a_place(run: Run):
    one = {"a": "1 -1 -1 1"}
    await acquire(run, "l1", one)
    assert (await acquire(run, "w1", one, wait_ms=1000))[:4] == [b"waiting", -1, 0, 1]
    assert (await acquire(run, "w2", one, wait_ms=1000))[:4] == [b"waiting", -1, 1, 1]
    assert (await acquire(run, "w2", one, wait_ms=1000))[2] == 1  # the same place
    assert (await acquire(run, "w3", one, wait_ms=1000, max_waiting=2))[0] == b"full"
    assert (await acquire(run, "w1", one))[0] == b"busy"  # its time is up: the place is free
    assert (await acquire(run, "w2", one, wait_ms=1000))[2] == 0


async def test_places_of_the_dead_make_room_in_a_full_queue(run: Run):
    one = {"a": "1 -1 -1 1"}
    await acquire(run, "l1", one)
    await acquire(run, "w1", one, wait_ms=5000, max_waiting=1)
    assert (await acquire(run, "w2", one, wait_ms=5000, max_waiting=1, now=NOW + 1499))[0] == b"full"
    assert (await acquire(run, "w2", one, wait_ms=5000, max_waiting=1, now=NOW + 1500))[0] == b"waiting"


async def test_as_many_may_go_first_as_slots_are_free(run: Run, store: Store):
    three = {"a": "3 -1 -1 1"}
    for number in range(3):
        await acquire(run, f"l{number}", three)
    for number in range(3):
        await acquire(run, f"w{number}", three, wait_ms=1000)
    await store.command("ZREM", keys_of("a")[0], "l0", "l1")
    assert (await acquire(run, "w2", three, wait_ms=1000))[0] == b"waiting"
    assert (await acquire(run, "w1", three, wait_ms=1000))[0] == b"leased"
    assert (await acquire(run, "w2", three, wait_ms=1000))[0] == b"waiting"
    assert (await acquire(run, "w0", three, wait_ms=1000))[0] == b"leased"


async def test_an_account_of_the_name_clock_is_an_account(run: Run):
    odd = {"clock": "5 -1 -1 1", "ticket": "5 -1 -1 1"}
    assert [(await acquire(run, f"l{number}", odd))[1] for number in range(4)] == [1, 2, 1, 2]


async def test_sticky_conversations_do_not_starve_their_account_for_ever(run: Run, store: Store):
    """A thousand turns of one conversation put its account no more than eight turns ahead."""
    both = {"a": "5000 -1 -1 1", "b": "5000 -1 -1 1"}
    await store.command("SET", POOL[3], "a")
    for number in range(200):
        assert (await acquire(run, f"s{number}", both, is_sticky=True))[1] == 1
    turns = [(await acquire(run, f"l{number}", both))[1] for number in range(20)]
    assert turns[10:] == [1, 2] * 5 or turns[10:] == [2, 1] * 5


async def test_a_refusal_leaves_nothing(run: Run, store: Store):
    assert (await acquire(run, "l1", {"a": "0 -1 -1 1"}))[0] == b"busy"
    assert await lifetimes(store) == {}


async def test_no_requests_per_minute_is_none(run: Run):
    assert (await acquire(run, "l1", {"a": "1 0 -1 1"}))[0] == b"none"


async def test_every_key_has_a_lifetime(run: Run, store: Store):
    await acquire(run, "l1", {"a": "1 5 100 1"}, tokens=3)
    await acquire(run, "w1", {"a": "1 5 100 1"}, tokens=3, wait_ms=1000)
    lives = await lifetimes(store)
    assert len(lives) == 6
    assert min(lives.values()) > 0
