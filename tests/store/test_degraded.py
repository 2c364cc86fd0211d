"""Redis away: known limits by this worker's share, loudly, and back by itself."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ConnectionError

from service.core.errors import RateLimited, StoreUnavailable
from service.core.events import Usage
from service.core.leases import Penalty, PenaltyKind
from service.store.client import Outcome
from service.store.usage import RedisUsage
from tests.fakes.clock import FakeClock
from tests.store.conftest import Connected, World, account, api_key, redis_world

A, B = account("a"), account("b")


class Switch:
    """Takes Redis away and gives it back, as seen by the store."""

    def __init__(self, connected: Connected) -> None:
        self._store = connected.store
        self._send = connected.store._line.send

    def off(self) -> None:
        def refuse(command):
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ConnectionError("away"))
            return future

        self._store._line.send = refuse

    def on(self) -> None:
        self._store._line.send = self._send
        self._store._breaker.record_answer(sent_at_s=time.monotonic())


@pytest.fixture
def world(connected: Connected) -> World:
    return redis_world(connected, FakeClock())


@pytest.fixture
def switch(connected: Connected, world: World) -> Switch:
    return Switch(connected)


async def test_leases_are_given_from_the_local_share(world: World, switch: Switch, connected: Connected):
    connected.store.workers = 2
    switch.off()
    leases = [await world.accounts.acquire([A, B], lease_id=f"l{number}") for number in range(4)]
    assert all(lease.is_degraded for lease in leases)
    assert sorted(lease.account_name for lease in leases) == ["a", "a", "b", "b"]
    with pytest.raises(RateLimited):
        await world.accounts.acquire([A, B], lease_id="more")
    assert ("acquire", Outcome.DEGRADED) in connected.calls


async def test_a_penalty_seen_before_counts_while_redis_is_away(world: World, switch: Switch):
    lease = await world.accounts.acquire([A], lease_id="l1")
    await world.accounts.release(lease, penalty=Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized"))
    switch.off()
    assert (await world.accounts.acquire([A, B], lease_id="l2")).account_name == "b"
    assert (await world.accounts.health([A]))[0].reason == "unauthorized"


async def test_what_redis_missed_is_told_at_the_next_heartbeat(world: World, switch: Switch):
    lease = await world.accounts.acquire([A], lease_id="l1")
    switch.off()
    await world.accounts.release(lease, penalty=Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized"))
    switch.on()
    assert await world.leases(A) == 1
    await world.accounts.renew([])
    (health,) = await world.accounts.health([A])
    assert (health.leases, health.reason) == (0, "unauthorized")


async def test_a_lease_of_the_outage_counts_when_redis_is_back(world: World, switch: Switch):
    switch.off()
    lease = await world.accounts.acquire([A], lease_id="l1")
    switch.on()
    await world.accounts.renew([lease])
    assert await world.leases(A) == 1
    await world.accounts.release(lease)
    assert await world.leases(A) == 0


async def test_limits_use_the_local_share(world: World, switch: Switch, connected: Connected):
    connected.store.workers = 3
    key = api_key(requests_per_minute=6)
    switch.off()
    for number in range(2):
        admission = await world.limits.admit(key, request_id=f"r{number}", estimated_tokens=1)
        assert admission.is_degraded
    with pytest.raises(RateLimited):
        await world.limits.admit(key, request_id="more", estimated_tokens=1)


async def test_a_budget_fails_closed(world: World, switch: Switch):
    switch.off()
    with pytest.raises(StoreUnavailable):
        await world.limits.admit(api_key(budget_usd=5), request_id="r", estimated_tokens=1)


async def test_a_slot_of_the_outage_is_given_back_locally(world: World, switch: Switch):
    key = api_key(max_concurrency=1)
    switch.off()
    admission = await world.limits.admit(key, request_id="r1", estimated_tokens=1)
    await world.ledger.settle(admission, None, usage=Usage(), model="m")
    await world.limits.admit(key, request_id="r2", estimated_tokens=1)


async def test_usage_of_the_outage_is_booked_later(world: World, switch: Switch, connected: Connected):
    key = api_key(requests_per_minute=60)
    admission = await world.limits.admit(key, request_id="r1", estimated_tokens=1)
    lease = await world.accounts.acquire([A], lease_id="l1")
    switch.off()
    usage = Usage(input_tokens=3, output_tokens=4)
    await world.ledger.settle(admission, lease, usage=usage, model="m", cost_micro_usd=9)
    switch.on()
    second = await world.limits.admit(key, request_id="r2", estimated_tokens=1)
    await world.ledger.settle(second, None, usage=Usage(), model="m")
    assert await world.ledger.spent_micro_usd(key.key_id) == 9
    today = datetime.now(UTC).date()
    (found,) = await RedisUsage(connected.store).booked(today - timedelta(days=1), today)
    assert (found.key_name, found.row.input_tokens, found.row.cost_micro_usd) == (key.name, 3, 9)
    await world.accounts.renew([])
    assert await world.leases(A) == 0


async def test_a_heartbeat_does_not_bring_a_released_lease_back(world: World):
    """The release overtakes the heartbeat that still names the lease, sooner or later."""
    for turns in range(4):
        lease = await world.accounts.acquire([A], lease_id=f"l{turns}")
        renew = asyncio.ensure_future(world.accounts.renew([lease]))
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.accounts.release(lease)
        await renew
        assert await world.leases(A) == 0


async def test_a_heartbeat_that_arrives_after_the_release_is_taken_back(world: World, connected: Connected):
    lease = await world.accounts.acquire([A], lease_id="l1")
    run_together = connected.store.run_together

    async def late(calls):
        if calls[0].script == "renew":
            await world.accounts.release(lease)
        return await run_together(calls)

    connected.store.run_together = late
    await world.accounts.renew([lease])
    assert await world.leases(A) == 0


async def test_a_slots_heartbeat_that_arrives_after_the_end_is_taken_back(world: World, connected: Connected):
    key = api_key(max_concurrency=1)
    admission = await world.limits.admit(key, request_id="r1", estimated_tokens=1)
    run_together = connected.store.run_together

    async def late(calls):
        if calls[0].script == "renew":
            await world.ledger.settle(admission, None, usage=Usage(), model="m")
        return await run_together(calls)

    connected.store.run_together = late
    await world.limits.renew([admission])
    await world.limits.admit(key, request_id="r2", estimated_tokens=1)


async def test_heartbeats_and_reads_go_on_without_redis(world: World, switch: Switch, connected: Connected):
    key = api_key(max_concurrency=1)
    admission = await world.limits.admit(key, request_id="r1", estimated_tokens=1)
    lease = await world.accounts.acquire([A], lease_id="l1")
    switch.off()
    await world.accounts.renew([lease])
    await world.limits.renew([admission])
    assert [health.account_name for health in await world.accounts.health([A, B])] == ["a", "b"]
    with pytest.raises(StoreUnavailable):
        await world.accounts.reset("a")
    assert connected.calls.count(("renew", Outcome.DEGRADED)) == 2


async def test_a_caller_that_leaves_while_redis_is_away_owes_nothing_for_long(
    world: World, switch: Switch, connected: Connected
):
    """What could not be taken back at once is taken back at the next heartbeat."""
    task = asyncio.ensure_future(world.accounts.acquire([A], lease_id="l1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    switch.off()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connected.background.drain(timeout_s=2)
    switch.on()
    await world.accounts.renew([])
    assert await world.leases(A) == 0


async def test_workers_are_counted_by_their_heartbeats(connected: Connected):
    clock = FakeClock()
    for _ in range(3):
        await redis_world(connected, clock).accounts.renew([])
    assert connected.store.workers == 3
    assert connected.store.share_of(10) == 3
    assert connected.store.share_of(1) == 1
    assert connected.store.share_of(0) == 0
