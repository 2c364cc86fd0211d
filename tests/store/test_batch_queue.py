"""The queue of batch items on a real Redis: one result each, fair turns, nothing lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from service.config import ApiKey
from service.core.batches import (
    SHARDS,
    Batch,
    BatchKind,
    BatchState,
    Claim,
    ContentUnreadable,
    ItemResult,
    ItemStatus,
    Later,
    NewItem,
)
from service.core.errors import NotFound, RateLimited
from service.core.events import Usage
from service.store import batch_keys
from service.store.batch_queue import GROUP, RedisBatchQueue
from service.store.batches import RedisBatches, every_batch
from service.store.client import Store
from service.store.embedded import EmbeddedRedis
from tests.store.conftest import Connected, Connecting

KIND = BatchKind.MESSAGES
DONE = ItemResult(status=ItemStatus.SUCCEEDED, line=b'{"ok":1}', usage=Usage(input_tokens=3, output_tokens=2))


def owner(number: int) -> ApiKey:
    """Keys whose ids differ and that share a shard: fairness within it is what most tests look at."""
    found = [n for n in range(2000) if batch_keys.shard_of(f"{n:016x}") == 3]
    return ApiKey(name=f"owner-{number}", key_sha256=f"{found[number]:016x}" + "0" * 48)


ANN, BOB = owner(0), owner(1)
SHARD = batch_keys.shard_of(ANN.key_id)


def queue_of(store: Store, name: str = "worker_1", *, min_idle_s: float = 60.0) -> RedisBatchQueue:
    return RedisBatchQueue(store, batches_of(store), consumer=name, min_idle_s=min_idle_s)


def batches_of(store: Store, *, open_s: int = 3600, secret: str = "") -> RedisBatches:
    return RedisBatches(store, kept_s=3600, open_s=open_s, server_secret=secret)


async def started(store: Store, key: ApiKey, batch_id: str, count: int, *, open_s: int = 3600) -> None:
    batches = batches_of(store, open_s=open_s)
    await batches.begin(key, batch_id, KIND)
    items = [NewItem(custom_id=f"c-{n}", body=b'{"n":%d}' % n) for n in range(count)]
    await batches.fill(key, batch_id, 0, items)
    await batches.start(key, batch_id, KIND, total=count)


async def claimed(queue: RedisBatchQueue, room: int = 100) -> list[Claim]:
    claims, _ = await queue.claim({SHARD: room})
    return claims


async def later(store: Store, by_s: float) -> None:
    """As if that much time had gone by. The queue keeps Redis's own, so what waits there, and what workers
    hold, is dated back."""
    one, by_ms = batch_keys.shard(SHARD), round(by_s * 1000)
    for member in await store.command("ZRANGE", one.delayed, 0, -1):
        await store.command("ZINCRBY", one.delayed, -by_ms, member)
    for batch_id in await store.command("HKEYS", one.pauses):
        await store.command("HINCRBY", one.pauses, batch_id, -by_ms)
    for entry_id, consumer, idle_ms, _ in await store.command("XPENDING", one.stream, GROUP, "-", "+", 1000):
        held = ("XCLAIM", one.stream, GROUP, consumer, 0, entry_id, "IDLE", idle_ms + by_ms, "JUSTID")
        await store.command(*held)


async def found(store: Store, key: ApiKey, batch_id: str) -> Batch:
    batch = await batches_of(store).find(key, batch_id)
    assert batch is not None
    return batch


async def lines(store: Store, key: ApiKey, batch_id: str) -> list[tuple[str, ItemStatus, bytes]]:
    batches = batches_of(store)
    batch = await found(store, key, batch_id)
    return [
        (name, result.status, result.line)
        async for window in batches.results(key, batch)
        for name, result in window
    ]


async def test_items_are_claimed_loaded_recorded_and_the_batch_ends(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 3)
    claims = await claimed(queue)
    assert [claim.number for claim in claims] == [0, 1, 2]
    item = await queue.load(claims[1], ANN)
    assert (item.custom_id, item.body, item.state) == ("c-1", b'{"n":1}', BatchState.IN_PROGRESS)
    for claim in claims:
        assert await queue.record(claim, ANN, DONE)
    batch = await found(store, ANN, "msgbatch_1")
    assert batch.state is BatchState.ENDED
    assert batch.counts.succeeded == 3
    assert batch.usage == Usage(input_tokens=9, output_tokens=6)
    assert batch.ended_at_s is not None
    assert [line for _, _, line in await lines(store, ANN, "msgbatch_1")] == [DONE.line] * 3
    assert await claimed(queue) == []


async def test_the_first_result_stands(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    assert await queue.record(claim, ANN, DONE)
    assert not await queue.record(claim, ANN, ItemResult(status=ItemStatus.ERRORED, line=b"{}"))
    batch = await found(store, ANN, "msgbatch_1")
    assert (batch.counts.succeeded, batch.counts.errored) == (1, 0)
    assert batch.usage == DONE.usage


async def test_a_silent_workers_items_come_to_another_one(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 2)
    silent, other = queue_of(store, "silent"), queue_of(store, "other")
    gone = await claimed(silent)
    await later(store, 60.1)
    claims, states = await other.claim({SHARD: 10})
    assert [claim.number for claim in claims] == [0, 1]
    assert {claim.deaths for claim in claims} == {1}
    assert states[SHARD].reclaimed == 2
    # It was only slow: its answer comes first, and counts; the other's is dropped.
    assert await silent.record(gone[0], ANN, DONE)
    assert not await other.record(claims[0], ANN, DONE)
    assert await other.record(claims[1], ANN, DONE)
    assert (await found(store, ANN, "msgbatch_1")).counts.succeeded == 2


async def test_a_heartbeat_keeps_items_and_tells_of_lost_ones(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 2)
    first, second = queue_of(store, "first", min_idle_s=600), queue_of(store, "second", min_idle_s=600)
    mine = await claimed(first)
    for _ in range(4):
        await later(store, 400)
        assert await first.beat(mine) == []
        assert await claimed(second) == []
    await later(store, 600)
    taken = await claimed(second, 1)
    lost = await first.beat(mine)
    assert [claim.number for claim in lost] == [claim.number for claim in taken]
    assert await second.beat(taken) == []
    assert taken[0].deaths == 1  # heartbeats are no deliveries


async def test_an_item_handed_back_is_taken_at_once_and_no_death_counts(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 3)
    first, second = queue_of(store, "first"), queue_of(store, "second")
    mine = await claimed(first)
    await first.hand_back(mine)
    again = await claimed(second)
    assert sorted(claim.number or 0 for claim in again) == [0, 1, 2]
    assert {claim.deaths for claim in again} == {0}
    # Who does not hold it any more cannot give it back again.
    await first.hand_back(mine)
    assert await claimed(first) == []


async def test_a_postponed_item_waits_its_time_and_counts_its_tries(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    await queue.postpone(claim, Later(wait_s=60))
    assert await claimed(queue) == []
    await later(store, 60)
    (again,) = await claimed(queue)
    assert (again.number, again.tries, again.deaths) == (0, 1, 0)
    await queue.postpone(again, Later(wait_s=0.01, burns_try=False))
    await asyncio.sleep(0.02)
    assert (await claimed(queue))[0].tries == 1


async def test_a_pause_holds_the_siblings_and_nobody_else(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 5)
    await started(store, BOB, "msgbatch_2", 2)
    claims = await claimed(queue, 2)
    ours = next(claim for claim in claims if claim.key_id == ANN.key_id)
    await queue.postpone(ours, Later(wait_s=30, burns_try=False, pauses_batch=True))
    assert {claim.key_id for claim in await claimed(queue)} == {BOB.key_id}
    await later(store, 30)
    assert len(await claimed(queue)) == 5


async def test_a_huge_batch_does_not_starve_a_small_one(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_huge", 500)
    await claimed(queue, 100)
    await started(store, BOB, "msgbatch_small", 10)
    served = [claim.key_id for claim in await claimed(queue, 20)]
    assert served.count(BOB.key_id) == 10


async def test_owners_share_alike_however_many_batches_each_has(store: Store) -> None:
    queue = queue_of(store)
    for number in range(4):
        await started(store, ANN, f"msgbatch_ann{number}", 100)
    await started(store, BOB, "msgbatch_bob", 100)
    served: list[Claim] = []
    for _ in range(40):
        served += await claimed(queue, 2)
    by_owner = Counter(claim.key_id for claim in served)
    assert abs(by_owner[ANN.key_id] - by_owner[BOB.key_id]) <= 4, by_owner
    by_batch = Counter(claim.batch_id for claim in served if claim.key_id == ANN.key_id)
    assert max(by_batch.values()) - min(by_batch.values()) <= 2, by_batch


async def test_a_batch_that_waited_does_not_catch_up_at_the_others_cost(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 100)
    await started(store, BOB, "msgbatch_2", 100)
    (first, *_) = [claim for claim in await claimed(queue, 4) if claim.key_id == BOB.key_id]
    await queue.postpone(first, Later(wait_s=30, burns_try=False, pauses_batch=True))
    await claimed(queue, 30)
    await later(store, 30)
    served = Counter(claim.key_id for claim in await claimed(queue, 21))
    assert abs(served[ANN.key_id] - served[BOB.key_id]) <= 2, served


async def test_cancel_ends_what_never_began_and_lets_the_rest_end(store: Store) -> None:
    queue, batches = queue_of(store), batches_of(store)
    await started(store, ANN, "msgbatch_1", 10)
    running, waiting, *_ = await claimed(queue, 2)
    await queue.postpone(waiting, Later(wait_s=300))
    await batches.stop(ANN.key_id, "msgbatch_1", wanted=BatchState.CANCELING)
    batch = await found(store, ANN, "msgbatch_1")
    assert (batch.state, batch.counts.canceled) == (BatchState.CANCELING, 8)
    assert batch.cancel_at_s is not None
    # The one that waited five minutes for another try is due now, to be told that it is canceled.
    (due,) = await claimed(queue)
    assert (await queue.load(due, ANN)).state is BatchState.CANCELING
    await queue.record(due, ANN, ItemResult(status=ItemStatus.CANCELED))
    await queue.record(running, ANN, DONE)
    batch = await found(store, ANN, "msgbatch_1")
    assert (batch.state, batch.counts.canceled, batch.counts.succeeded) == (BatchState.ENDED, 9, 1)
    told = await lines(store, ANN, "msgbatch_1")
    assert Counter(status for _, status, _ in told) == {ItemStatus.CANCELED: 9, ItemStatus.SUCCEEDED: 1}
    assert [name for name, status, _ in told if status is ItemStatus.CANCELED] == [
        f"c-{n}" for n in range(10) if n != running.number
    ]


async def test_a_batch_past_its_time_expires(store: Store) -> None:
    queue, batches = queue_of(store), batches_of(store)
    await started(store, ANN, "msgbatch_1", 4, open_s=0)
    _, states = await queue.claim({SHARD: 0})
    assert states[SHARD].overdue == (("msgbatch_1", ANN.key_id),)
    await queue.expire(states[SHARD].overdue)
    batch = await found(store, ANN, "msgbatch_1")
    assert (batch.state, batch.counts.expired, batch.left_as) == (BatchState.ENDED, 4, ItemStatus.EXPIRED)
    _, states = await queue.claim({SHARD: 10})
    assert states[SHARD].overdue == ()
    await batches.stop(ANN.key_id, "msgbatch_1", wanted=BatchState.CANCELING)
    assert (await found(store, ANN, "msgbatch_1")).state is BatchState.ENDED


async def test_nobody_can_expire_a_batch_before_its_time(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 4)
    await batches_of(store).stop(ANN.key_id, "msgbatch_1", wanted=BatchState.EXPIRING)
    assert (await found(store, ANN, "msgbatch_1")).state is BatchState.IN_PROGRESS


async def test_a_foreign_owner_finds_nothing_and_opens_nothing(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    assert await batches_of(store).find(BOB, "msgbatch_1") is None
    with pytest.raises(ContentUnreadable):
        await queue.load(claim, BOB)
    with pytest.raises(NotFound):
        await batches_of(store).page(BOB, "messages", after_id="msgbatch_1", limit=5)


async def test_another_server_secret_opens_nothing(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 1)
    other = RedisBatchQueue(store, batches_of(store, secret="x"), consumer="w", min_idle_s=60)
    (claim,) = await claimed(other)
    with pytest.raises(ContentUnreadable):
        await other.load(claim, ANN)


async def test_nothing_that_was_sent_stands_in_redis_in_the_clear(store: Store) -> None:
    batches, queue = batches_of(store), queue_of(store)
    await batches.begin(ANN, "msgbatch_1", KIND)
    canary = NewItem(custom_id="canary-name", body=b'{"prompt":"canary-prompt"}')
    await batches.fill(ANN, "msgbatch_1", 0, [canary])
    await batches.start(ANN, "msgbatch_1", KIND, total=1)
    (claim,) = await claimed(queue)
    await queue.record(claim, ANN, ItemResult(status=ItemStatus.SUCCEEDED, line=b"canary-answer"))
    await batches.submit(ANN, "batch_1", BatchKind.CHAT, input_file_id="f", metadata={"canary": "canary"})
    stored = b""
    for key in await store.command("KEYS", "*"):
        stored += key + (await store.command("DUMP", key) or b"")
    assert b"canary" not in stored
    assert ANN.key_sha256.encode() not in stored


async def test_every_key_has_a_lifetime(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 3)
    claims = await claimed(queue, 2)
    await queue.postpone(claims[0], Later(wait_s=100, pauses_batch=True))
    await queue.record(claims[1], ANN, DONE, is_dead_letter=True)
    await batches_of(store).submit(ANN, "batch_1", BatchKind.CHAT, input_file_id="f", metadata={})
    eternal = [key for key in await store.command("KEYS", "*") if await store.command("TTL", key) < 0]
    assert eternal == []


async def test_dead_letters_are_kept_without_content(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    await queue.record(claim, ANN, ItemResult(status=ItemStatus.ERRORED, line=b"{}"), is_dead_letter=True)
    ((_, fields),) = await store.command("XRANGE", batch_keys.shard(SHARD).dead, "-", "+")
    assert fields == [b"b", b"msgbatch_1", b"n", b"0", b"d", b"0"]


async def test_a_hidden_batch_is_no_batch_and_too_many_are_refused(store: Store) -> None:
    batches = batches_of(store)
    await batches.begin(ANN, "msgbatch_1", KIND)
    assert await batches.find(ANN, "msgbatch_1") is None
    with pytest.raises(NotFound):
        await batches.start(ANN, "msgbatch_nobody", KIND, total=1)
    for number in range(50):
        await started(store, ANN, f"msgbatch_a{number}", 1)
    with pytest.raises(RateLimited) as refused:
        await started(store, ANN, "msgbatch_b", 1)
    assert refused.value.retry_after_s
    await started(store, BOB, "msgbatch_c", 1)


async def test_deleting_leaves_nothing(store: Store) -> None:
    queue, batches = queue_of(store), batches_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    await queue.record(claim, ANN, DONE)
    await batches.forget(ANN, "msgbatch_1", KIND)
    assert await batches.find(ANN, "msgbatch_1") is None
    assert await store.command("KEYS", "*msgbatch_1*") == []
    assert await batches.page(ANN, "messages", limit=5) == ([], False)
    assert not await queue.record(claim, ANN, DONE)
    assert (await queue.load(claim, ANN)).state is None


async def test_a_worker_that_leaves_is_forgotten(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 1)
    (claim,) = await claimed(queue)
    stream = batch_keys.shard(SHARD).stream
    await queue.leave(stops=True)
    assert len(await store.command("XINFO", "CONSUMERS", stream, "workers")) == 1  # it holds an item
    await queue.drop(claim)
    await queue.leave(stops=True)
    assert await store.command("XINFO", "CONSUMERS", stream, "workers") == []


async def test_the_file_of_a_batch_is_a_workers_job(store: Store) -> None:
    queue, batches = queue_of(store), batches_of(store)
    await batches.submit(ANN, "batch_1", BatchKind.CHAT, input_file_id="file-1", metadata={"a": "b"})
    batch = await found(store, ANN, "batch_1")
    assert (batch.state, batch.metadata) == (BatchState.VALIDATING, {"a": "b"})
    (job,) = await claimed(queue)
    assert job.number is None
    item = await queue.load(job, ANN)
    assert (item.state, item.kind, item.input_file_id) == (BatchState.VALIDATING, BatchKind.CHAT, "file-1")
    await batches.fill(ANN, "batch_1", 0, [NewItem(custom_id="c", body=b"{}")])
    await batches.start(ANN, "batch_1", BatchKind.CHAT, total=1)
    await queue.drop(job)
    assert [claim.number for claim in await claimed(queue)] == [0]


async def test_canceled_while_its_file_is_read_ends_canceled(store: Store) -> None:
    batches = batches_of(store)
    await batches.submit(ANN, "batch_1", BatchKind.CHAT, input_file_id="file-1", metadata={})
    await batches.stop(ANN.key_id, "batch_1", wanted=BatchState.CANCELING)
    await batches.fill(ANN, "batch_1", 0, [NewItem(custom_id="c", body=b"{}")])
    await batches.start(ANN, "batch_1", BatchKind.CHAT, total=1)
    batch = await found(store, ANN, "batch_1")
    assert (batch.state, batch.counts.canceled) == (BatchState.ENDED, 1)


async def test_items_that_a_failover_lost_are_put_back(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 4)
    claims = await claimed(queue)
    await queue.record(claims[0], ANN, DONE)
    await queue.postpone(claims[1], Later(wait_s=100))
    stream = batch_keys.shard(SHARD).stream
    await store.command("XDEL", stream, claims[2].entry_id)
    assert await queue.mend() == 1
    assert await queue.mend() == 0
    (again,) = await claimed(queue)
    assert again.number == 2
    await store.command("DEL", stream)
    await batches_of(store).submit(ANN, "batch_9", BatchKind.CHAT, input_file_id="f", metadata={})
    await store.command("DEL", stream)
    assert await queue.mend() == 3
    assert sorted(str(claim.number) for claim in await claimed(queue)) == ["2", "3", "None"]


async def test_items_that_have_not_begun_are_not_mended(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 4)
    await claimed(queue, 2)
    assert await queue.mend() == 0


async def test_a_batch_that_expires_is_looked_at_until_its_last_item_ended(store: Store) -> None:
    queue = queue_of(store)
    await started(store, ANN, "msgbatch_1", 2, open_s=0)
    (running,) = await claimed(queue, 1)
    await queue.expire([("msgbatch_1", ANN.key_id)])
    assert (await found(store, ANN, "msgbatch_1")).state is BatchState.EXPIRING
    assert await store.command("ZCARD", batch_keys.shard(SHARD).expiries) == 1
    await queue.record(running, ANN, DONE)
    await queue.expire([("msgbatch_1", ANN.key_id)])
    assert await store.command("ZCARD", batch_keys.shard(SHARD).expiries) == 0


async def test_the_operator_sees_every_owners_batches(store: Store) -> None:
    await started(store, ANN, "msgbatch_1", 1)
    await started(store, BOB, "msgbatch_2", 1)
    await batches_of(store).begin(ANN, "msgbatch_hidden", KIND)
    assert {(b.batch_id, b.key_id) for b in await every_batch(store)} == {
        ("msgbatch_1", ANN.key_id),
        ("msgbatch_2", BOB.key_id),
    }


async def test_items_of_all_shards_are_claimed_in_one_round_trip(connected: Connected) -> None:
    store = connected.store
    key = ApiKey(name="x", key_sha256="f" * 64)
    await started(store, key, "msgbatch_1", 1)
    connected.calls.clear()
    claims, states = await queue_of(store).claim(dict.fromkeys(range(SHARDS), 1))
    assert len(claims) == 1
    assert len(states) == SHARDS
    assert len(connected.calls) == 1


@pytest.mark.slow
async def test_a_restart_of_redis_in_mid_batch_loses_nothing(tmp_path: Path, connecting: Connecting) -> None:
    """Slow: starts two servers, one after the other, on one append-only file."""
    async with EmbeddedRedis(tmp_path) as redis:
        store = connecting(redis.url).store
        queue = queue_of(store)
        await started(store, ANN, "msgbatch_1", 6)
        claims = await claimed(queue, 4)
        await queue.record(claims[0], ANN, DONE)
        await queue.postpone(claims[1], Later(wait_s=0.01))
    async with EmbeddedRedis(tmp_path) as redis:
        store = connecting(redis.url).store
        queue = queue_of(store)
        assert await queue.beat(claims[2:]) == []  # still this worker's
        await asyncio.sleep(0.02)
        more = await claimed(queue)
        assert sorted((claim.number, claim.tries) for claim in more) == [(1, 1), (4, 0), (5, 0)]
        for claim in (*claims[2:], *more):
            assert await queue.record(claim, ANN, DONE)
        assert (await found(store, ANN, "msgbatch_1")).counts.succeeded == 6


async def test_pages_go_both_ways_newest_first(store: Store) -> None:
    batches = batches_of(store)
    for number in range(5):
        await started(store, ANN, f"msgbatch_{number}", 1)
        await asyncio.sleep(0.002)  # a page's order is that of milliseconds

    async def ids(**cursor: str) -> tuple[list[str], bool]:
        page, has_more = await batches.page(ANN, "messages", limit=2, **cursor)
        return [batch.batch_id[-1] for batch in page], has_more

    assert await ids() == (["4", "3"], True)
    assert await ids(after_id="msgbatch_3") == (["2", "1"], True)
    assert await ids(after_id="msgbatch_1") == (["0"], False)
    assert await ids(after_id="msgbatch_0") == ([], False)
    assert await ids(before_id="msgbatch_0") == (["2", "1"], True)
    assert await ids(before_id="msgbatch_3") == (["4"], False)
    assert await ids(before_id="msgbatch_4") == ([], False)
    assert await batches.page(ANN, "openai", limit=2) == ([], False)
