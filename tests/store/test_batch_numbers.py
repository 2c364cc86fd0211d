"""How many items wait and run, told off the real queue."""

from __future__ import annotations

from service.core.admin import BatchLoad
from service.store.batch_numbers import RedisBatchNumbers
from service.store.client import Store
from tests.store.lua.conftest import lifetimes
from tests.store.test_batch_queue import ANN, BOB, DONE, claimed, queue_of, started


async def load_of(store: Store) -> BatchLoad:
    seconds, _ = await store.command("TIME")
    return await RedisBatchNumbers(store).load(now_s=float(seconds))


async def test_items_are_counted_where_they_are(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 5)
    await started(store, BOB, "msgbatch_2", 2)
    load = await load_of(store)
    assert (load.waiting, load.in_progress, load.dead) == (7, 0, 0)
    claims = await claimed(queue, 3)
    load = await load_of(store)
    assert (load.waiting, load.in_progress) == (4, 3)
    await queue.record(claims[0], ANN if claims[0].key_id == ANN.key_id else BOB, DONE)
    load = await load_of(store)
    assert (load.waiting, load.in_progress) == (4, 2)
    assert 0 <= load.oldest_seconds < 600


async def test_dead_letters_are_counted(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    await queue.record(claim, ANN, DONE, is_dead_letter=True)
    assert (await load_of(store)).dead == 1


async def test_queue_that_nothing_was_put_into_ends_by_itself(store: Store) -> None:
    await claimed(queue_of(store))
    left = await lifetimes(store)
    assert left
    assert all(lifetime_ms > 0 for lifetime_ms in left.values())
