"""Masters that die: recovery as soon as the servers have agreed, and nobody is charged twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.errors import StoreUnavailable
from service.core.events import Usage
from service.store.client import Outcome
from tests.fakes.clock import FakeClock
from tests.store import servers
from tests.store.conftest import Connected, Connecting, account, api_key, redis_world

pytestmark = pytest.mark.slow
# Fifty tries a second at most: what the other servers take to hear of the new master, on a busy machine.
MOST_TRIES = 100

A, B = account("a", max_concurrency=50), account("b", max_concurrency=50)


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[servers.Fleet]:
    with servers.cluster(tmp_path) as fleet:
        yield fleet


@pytest.fixture
def own_sentinel(tmp_path: Path) -> Iterator[servers.Fleet]:
    with servers.behind_sentinel(tmp_path) as fleet:
        yield fleet


async def failures_after(connected: Connected, fleet: servers.Fleet, keys: list[str]) -> int:
    """A master is killed. How many calls failed after the servers had put another in its place: tries, not
    seconds, since elections and this process share a busy machine. Those that the breaker sheds are none."""
    store, left = connected.store, len(fleet.masters())
    for key in keys:
        await store.command("SET", key, "before", "EX", 60)
    fleet.masters()[-1].kill()
    failed, in_a_row = None, 0
    async with asyncio.timeout(60):
        while in_a_row < 30:
            if failed is None and len(fleet.masters()) == left:
                failed = len(failures(connected))
            try:
                for key in keys:
                    await store.command("SET", key, "after", "EX", 60)
                in_a_row += 1
            except StoreUnavailable:
                in_a_row = 0
            await asyncio.sleep(0.02)
    return len(failures(connected)) - (failed or 0)


def failures(connected: Connected) -> list[Outcome]:
    return [outcome for outcome in connected.outcomes() if outcome in (Outcome.FAILED, Outcome.TIMED_OUT)]


async def test_a_cluster_whose_master_dies_is_back_soon(own_cluster: servers.Fleet, connecting: Connecting):
    """Slow: waits for a real election."""
    names = [f"mgw:{number}" for number in range(24)]
    assert await failures_after(connecting(own_cluster.url), own_cluster, names) < MOST_TRIES


async def test_sentinel_leads_to_the_new_master(own_sentinel: servers.Fleet, connecting: Connecting):
    """Slow: waits for a real failover (down-after one second)."""
    assert await failures_after(connecting(own_sentinel.url), own_sentinel, ["mgw:1"]) < MOST_TRIES


async def test_requests_go_on_while_a_master_dies_and_nobody_is_charged_twice(
    own_cluster: servers.Fleet, connecting: Connecting
):
    """Slow: the same under load, on limits and pool. Requests of the outage are degraded, not lost."""
    connected = connecting(own_cluster.url)
    world, key = redis_world(connected, FakeClock()), api_key(requests_per_minute=100_000)
    done = 0

    async def request(number: int) -> None:
        nonlocal done
        admission = await world.limits.admit(key, request_id=f"r{number}", estimated_tokens=1)
        lease = await world.accounts.acquire([A, B], lease_id=f"l{number}", wait_s=1)
        await world.ledger.settle(admission, lease, usage=Usage(input_tokens=1), model="m", cost_micro_usd=1)
        done += 1

    async def client(first: int) -> None:
        for number in range(first, first + 100):
            await request(number)
            await asyncio.sleep(0.02)

    clients = asyncio.gather(*(client(1000 * number) for number in range(5)))
    await asyncio.sleep(0.2)
    for master in own_cluster.masters():
        if holds_pool(master):
            master.kill()
            break
    await clients
    assert done == 500
    assert await until_settled(world, key) <= 500


def holds_pool(master: servers.Server) -> bool:
    return any("{accounts}" in key for key in master.ask("KEYS", "*"))


async def until_settled(world, key) -> int:
    """Heartbeats until what Redis missed is told; then what the key was charged, with no lease left."""
    async with asyncio.timeout(60):
        while True:
            await world.accounts.renew([])
            admission = await world.limits.admit(key, request_id="last", estimated_tokens=1)
            await world.ledger.settle(admission, None, usage=Usage(), model="m")
            try:
                if await world.leases(A, B) == 0 and not world.ledger._owed:
                    return await world.ledger.spent_micro_usd(key.key_id)
            except StoreUnavailable:
                pass
            await asyncio.sleep(0.1)


async def test_a_slot_that_moves_is_followed(own_cluster: servers.Fleet, connecting: Connecting):
    """Slow: a Cluster of its own. MOVED after the move, ASK during it."""
    store = connecting(own_cluster.url).store
    await store.command("SET", "mgw:moving", "1")
    masters = own_cluster.masters()
    slot = masters[0].ask("CLUSTER", "KEYSLOT", "mgw:moving")
    source = next(one for one in masters if one.ask("CLUSTER", "COUNTKEYSINSLOT", slot))
    target = next(one for one in masters if one is not source)
    source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    source.ask("MIGRATE", "127.0.0.1", target.port, "mgw:moving", 0, 1000)
    assert await store.command("GET", "mgw:moving") == b"1"
    for master in masters:
        master.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    assert await store.command("GET", "mgw:moving") == b"1"
    assert await store.run("renew", ["mgw:{mgw:moving}:zset"], [0, 15000, "x"]) == [1, 0, 1]
