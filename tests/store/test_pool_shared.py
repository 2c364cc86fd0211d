"""The pool under many workers at once: never above a limit, even turns, and nothing left of the dead."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from service.core.errors import RateLimited
from service.core.leases import Renewal
from service.store.local_accounts import PoolSettings
from tests.fakes.clock import FakeClock
from tests.store.conftest import SETTINGS, Connected, Connecting, account, redis_world

ACCOUNTS = [account(name, max_concurrency=5) for name in "abc"]


@pytest.mark.slow
async def test_three_workers_never_exceed_an_accounts_concurrency(clean_redis: str, connecting: Connecting):
    """Slow: 600 requests of 200 clients queue for fifteen slots through three workers' pools."""
    clock = FakeClock()
    settings = PoolSettings(max_waiting=1000)
    worlds = [redis_world(connecting(clean_redis), clock, settings) for _ in range(3)]
    in_flight: Counter[str] = Counter()
    highest: Counter[str] = Counter()
    served: Counter[str] = Counter()

    async def client(number: int) -> None:
        pool = worlds[number % 3].accounts
        for turn in range(3):
            lease = await pool.acquire(ACCOUNTS, lease_id=f"l{number}-{turn}", wait_s=60)
            name = lease.account_name
            in_flight[name] += 1
            highest[name] = max(highest[name], in_flight[name])
            served[name] += 1
            await asyncio.sleep(0.001)
            in_flight[name] -= 1
            await pool.release(lease)

    await asyncio.gather(*(client(number) for number in range(200)))
    assert all(count <= 5 for count in highest.values())
    assert sum(served.values()) == 600
    assert await worlds[0].leases(*ACCOUNTS) == 0


@pytest.mark.slow
async def test_a_thousand_even_requests_spread_within_one(clean_redis: str, connecting: Connecting):
    """Slow: a thousand acquisitions by three workers, some at the same time."""
    accounts = [account(name, max_concurrency=1000) for name in "abcdefg"]
    worlds = [redis_world(connecting(clean_redis), FakeClock()) for _ in range(3)]

    async def use(number: int) -> str:
        pool = worlds[number % 3].accounts
        lease = await pool.acquire(accounts, lease_id=f"l{number}")
        await pool.release(lease)
        return lease.account_name

    names: list[str] = []
    for first in range(0, 1000, 50):
        names += await asyncio.gather(*(use(number) for number in range(first, first + 50)))
        counts = Counter(names)
        assert max(counts.values()) - min(counts.values()) <= 1


async def test_a_killed_workers_leases_return_by_themselves(clean_redis: str, connecting: Connecting):
    clock = FakeClock()
    dead, alive = (redis_world(connecting(clean_redis), clock) for _ in range(2))
    held = [await dead.accounts.acquire(ACCOUNTS[:1], lease_id=f"d{number}") for number in range(5)]
    assert len(held) == 5
    with pytest.raises(RateLimited):
        await alive.accounts.acquire(ACCOUNTS[:1], lease_id="too early")
    clock.turn(SETTINGS.lease_ttl_s + 0.1)
    assert await alive.leases(ACCOUNTS[0]) == 0
    assert await alive.accounts.acquire(ACCOUNTS[:1], lease_id="l")


async def test_a_heartbeat_keeps_leases_alive(connected: Connected):
    clock = FakeClock()
    world = redis_world(connected, clock)
    lease = await world.accounts.acquire(ACCOUNTS, lease_id="l")
    for _ in range(10):
        clock.turn(SETTINGS.lease_ttl_s - 1)
        await world.accounts.renew([lease])
    assert await world.leases(*ACCOUNTS) == 1


async def test_redis_keeps_the_time_in_production(clean_redis: str, connecting: Connecting):
    """With a lease of 50 ms on Redis's own clock; and the keys themselves go, too."""
    from service.store.accounts import RedisAccounts

    connected = connecting(clean_redis)
    settings = PoolSettings(lease_ttl_s=0.05)
    pool = RedisAccounts(connected.store, spawn=connected.background.spawn, settings=settings)
    await pool.acquire(ACCOUNTS[:1], lease_id="l")
    async with asyncio.timeout(30):
        while (await pool.health(ACCOUNTS[:1]))[0].leases:  # noqa: ASYNC110 - Redis sets no Event
            await asyncio.sleep(0.01)
        while await connected.store.command("EXISTS", "mgw:{accounts}:a:a:leases"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_dead_waiters_place_is_given_up(clean_redis: str, connecting: Connecting):
    """A worker is killed while it waits: nobody looks for its lease any more, and its place ends."""
    clock = FakeClock()
    dead, alive = (redis_world(connecting(clean_redis), clock) for _ in range(2))
    held = [await alive.accounts.acquire(ACCOUNTS[:1], lease_id=f"l{number}") for number in range(5)]
    waiter = asyncio.ensure_future(dead.accounts.acquire(ACCOUNTS[:1], lease_id="dead", wait_s=5))
    await asyncio.sleep(0.02)
    dead.accounts._spawn = lambda work, /, *, name: work.close()  # a killed process tells nobody
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    await alive.accounts.release(held.pop())
    with pytest.raises(RateLimited):
        await alive.accounts.acquire(ACCOUNTS[:1], lease_id="early")
    clock.turn(SETTINGS.waiter_ttl_s + 0.1)
    assert await alive.accounts.acquire(ACCOUNTS[:1], lease_id="late")


async def test_a_waiter_in_another_process_gets_the_slot(clean_redis: str, connecting: Connecting):
    clock = FakeClock()
    one, other = (redis_world(connecting(clean_redis), clock) for _ in range(2))
    held = [await one.accounts.acquire(ACCOUNTS[:1], lease_id=f"l{number}") for number in range(5)]
    waiter = asyncio.ensure_future(other.accounts.acquire(ACCOUNTS[:1], lease_id="w", wait_s=5))
    await asyncio.sleep(0.02)
    await one.accounts.release(held[0])
    assert (await waiter).account_name == "a"


async def test_losing_every_key_is_no_error(connected: Connected):
    """FLUSHALL under load: limits begin anew, leases that run are renewed into being."""
    world = redis_world(connected, FakeClock())
    lease = await world.accounts.acquire(ACCOUNTS, lease_id="l")
    await connected.store.command("FLUSHALL")
    await world.accounts.renew([lease])
    assert await world.leases(*ACCOUNTS) == 1
    await world.accounts.release(lease)
    assert await world.leases(*ACCOUNTS) == 0


async def test_leases_of_a_killed_worker_are_told_as_expired_once(clean_redis: str, connecting: Connecting):
    """By the look at the pool, or by the heartbeat of another worker: whoever comes first."""
    clock = FakeClock()
    killed, alive = (redis_world(connecting(clean_redis), clock) for _ in range(2))
    await killed.accounts.acquire(ACCOUNTS[:1], lease_id="seen by the look")
    clock.turn(SETTINGS.lease_ttl_s + 0.1)
    healths = [(await alive.accounts.health(ACCOUNTS[:1]))[0] for _ in range(2)]
    assert [health.expired_leases for health in healths] == [1, 0]
    await killed.accounts.acquire(ACCOUNTS[:1], lease_id="seen by the heartbeat")
    clock.turn(SETTINGS.lease_ttl_s + 0.1)
    mine = await alive.accounts.acquire(ACCOUNTS[:1], lease_id="mine")
    found = [await alive.accounts.renew([mine]) for _ in range(2)]
    assert found == [Renewal(expired=1), Renewal()]


async def test_leases_that_ran_out_while_this_worker_hung_are_lost_and_taken_again(connected: Connected):
    clock = FakeClock()
    world = redis_world(connected, clock)
    lease = await world.accounts.acquire(ACCOUNTS, lease_id="l")
    clock.turn(SETTINGS.lease_ttl_s + 0.1)
    assert await world.accounts.renew([lease]) == Renewal(lost=1)
    assert await world.accounts.renew([lease]) == Renewal()


async def test_the_lease_tells_whether_a_conversation_met_its_account(connected: Connected):
    world, told = redis_world(connected, FakeClock()), []
    for number, candidates in enumerate([ACCOUNTS, ACCOUNTS, ACCOUNTS[:1], ACCOUNTS[1:2]]):
        lease = await world.accounts.acquire(candidates, lease_id=f"l{number}", sticky_key="conversation")
        await world.accounts.release(lease, sticky_key="conversation")
        told.append(lease.sticky)
    assert told[:2] == ["miss", "hit"]
    assert "moved" in told[2:]
    assert (await world.accounts.acquire(ACCOUNTS, lease_id="new")).sticky == ""
