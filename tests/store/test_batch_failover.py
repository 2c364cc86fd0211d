"""Batches on a Redis Cluster, and over a fail-over of Sentinel: nothing is lost, no result stands twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from service.config import ApiKey
from service.core.batches import SHARDS, Batch, BatchState, Claim
from service.core.errors import StoreUnavailable
from service.store import batch_keys
from service.store.batch_queue import RedisBatchQueue
from service.store.client import Store
from tests.store import servers
from tests.store.conftest import Connecting
from tests.store.test_batch_queue import DONE, batches_of, queue_of, started

pytestmark = pytest.mark.slow

_T = TypeVar("_T")
COUNT = 40


@pytest.fixture
def own_sentinel(tmp_path: Path) -> Iterator[servers.Fleet]:
    with servers.behind_sentinel(tmp_path) as fleet:
        yield fleet


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[servers.Fleet]:
    with servers.cluster(tmp_path) as fleet:
        yield fleet


async def patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """As the worker asks: until Redis answers; bounded."""
    for _ in range(300):
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("Redis did not come back")


async def run_items(queue: RedisBatchQueue, key: ApiKey, *, most: int = 1000) -> int:
    """Claim and record what there is; how many items."""
    shard, done = batch_keys.shard_of(key.key_id), 0
    while done < most:
        claims, _ = await patiently(lambda: queue.claim({shard: 4}))
        for claim in claims:
            await patiently(lambda claim=claim: queue.record(claim, key, DONE))
        done += len(claims)
        if not claims:
            break
    return done


async def ended(store: Store, key: ApiKey, batch_id: str) -> Batch:
    batch = await patiently(lambda: batches_of(store).find(key, batch_id))
    assert batch is not None
    return batch


async def test_batches_of_many_owners_run_on_a_cluster(
    own_cluster: servers.Fleet, connecting: Connecting
) -> None:
    """Slow: six servers. Every script's keys share a slot, or Redis would refuse it; then one master dies."""
    store = connecting(own_cluster.url).store
    owners = [ApiKey(name=f"o{n}", key_sha256=f"{n:x}" * 64) for n in range(10)]
    for number, key in enumerate(owners):
        await patiently(lambda n=number, key=key: started(store, key, f"msgbatch_{n}", COUNT))
    queue = queue_of(store, min_idle_s=0.5)
    for key in owners:
        await run_items(queue, key, most=10)
    own_cluster.masters()[1].kill()
    for number, key in enumerate(owners):
        for _ in range(100):
            await run_items(queue, key)
            await patiently(queue.mend)
            batch = await ended(store, key, f"msgbatch_{number}")
            if batch.state is BatchState.ENDED:
                break
            await asyncio.sleep(0.1)
        assert batch.counts.succeeded == COUNT
    assert len({batch_keys.shard_of(key.key_id) for key in owners}) > SHARDS // 2


async def test_a_failover_of_sentinel_loses_no_item(
    own_sentinel: servers.Fleet, connecting: Connecting
) -> None:
    """Slow: waits for a real fail-over. What the old master had not passed on is done again, or mended."""
    store = connecting(own_sentinel.url).store
    key = ApiKey(name="o", key_sha256="7" * 64)
    await patiently(lambda: started(store, key, "msgbatch_1", COUNT))
    queue = queue_of(store, min_idle_s=0.5)
    await run_items(queue, key, most=12)
    held: list[Claim]
    held, _ = await patiently(lambda: queue.claim({batch_keys.shard_of(key.key_id): 5}))
    own_sentinel.masters()[0].kill()
    for claim in held:
        await patiently(lambda claim=claim: queue.record(claim, key, DONE))
    for _ in range(100):
        await run_items(queue, key)
        await patiently(queue.mend)
        batch = await ended(store, key, "msgbatch_1")
        if batch.state is BatchState.ENDED:
            break
        await asyncio.sleep(0.1)
    assert batch.counts.succeeded == COUNT
    assert batch.usage.input_tokens == COUNT * 3
