"""The batch worker: on a scripted queue, and (P3) over a whole gateway whose worker dies with an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from service.batch_wiring import batch_worker
from service.config import Batches as BatchSettings
from service.config_loader import api_keys
from service.core.batches import (
    BatchKind,
    BatchState,
    Claim,
    ContentUnreadable,
    ItemResult,
    ItemStatus,
    Later,
    LoadedItem,
    ShardState,
)
from service.core.errors import StoreUnavailable
from service.core.leases import AccountHealth, AccountState
from service.gateway.keyring import KeyRing
from service.gateway.system import SystemClock
from service.telemetry.metrics import Metrics
from service.worker.batches import BatchWorker, WorkerPolicy
from tests.web.rig import Rig, Start

(KEY,) = api_keys("sk-mimo")
DONE = ItemResult(status=ItemStatus.SUCCEEDED, line=b"{}")
OPEN = BatchState.IN_PROGRESS


async def until(is_so: Callable[[], bool], *, tries: int = 1000) -> None:
    for _ in range(tries):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come so far in time")


def claim_of(number: int | None, *, deaths: int = 0, key_id: str = KEY.key_id) -> Claim:
    return Claim(
        shard=2,
        entry_id=f"{number}-0",
        batch_id="msgbatch_1",
        key_id=key_id,
        number=number,
        deaths=deaths,
    )


class ScriptedQueue:
    """Fits BatchQueue: gives `waiting` away, and remembers what it was told."""

    def __init__(self, *waiting: Claim, item: LoadedItem | None = None) -> None:
        self.waiting = list(waiting)
        self.item = item or LoadedItem(state=OPEN, custom_id="c", body=b"{}")
        self.recorded: list[tuple[int | None, ItemStatus, bool]] = []
        self.postponed: list[tuple[int | None, Later]] = []
        self.dropped: list[int | None] = []
        self.returned: list[Claim] = []
        self.expired: list[tuple[str, str]] = []
        self.overdue: tuple[tuple[str, str], ...] = ()
        self.lost: list[Claim] = []
        self.beats = 0
        self.mended = 0
        self.has_left = False
        self.away = 0  # so many calls fail
        self.unreadable = False
        self.defects = 0
        self.beat_defects = 0

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")

    async def claim(self, rooms: Mapping[int, int]) -> tuple[list[Claim], dict[int, ShardState]]:
        self._answer()
        if self.defects:
            self.defects -= 1
            raise ValueError
        room = rooms.get(2, 0)
        given, self.waiting = self.waiting[:room], self.waiting[room:]
        overdue, self.overdue = self.overdue, ()
        states = {
            shard: ShardState(
                owners=int(shard == 2 and bool(self.waiting or given)),
                overdue=overdue if shard == 2 else (),
            )
            for shard in rooms
        }
        return given, states

    async def beat(self, claims: Sequence[Claim]) -> list[Claim]:
        self._answer()
        if self.beat_defects:
            self.beat_defects -= 1
            raise ValueError
        self.beats += 1
        return [claim for claim in claims if claim in self.lost]

    async def load(self, claim: Claim, key: object) -> LoadedItem:
        self._answer()
        if self.unreadable:
            raise ContentUnreadable
        return self.item

    async def record(
        self, claim: Claim, key: object, result: ItemResult, *, is_dead_letter: bool = False
    ) -> bool:
        self._answer()
        self.recorded.append((claim.number, result.status, is_dead_letter))
        return True

    async def drop(self, claim: Claim) -> None:
        self.dropped.append(claim.number)

    async def postpone(self, claim: Claim, later: Later) -> None:
        self.postponed.append((claim.number, later))

    async def hand_back(self, claims: Sequence[Claim]) -> None:
        self._answer()
        self.returned += claims

    async def expire(self, overdue: Sequence[tuple[str, str]]) -> None:
        self.expired += overdue

    async def mend(self) -> int:
        self.mended += 1
        return 1

    async def leave(self, *, stops: bool = False) -> None:
        self.has_left = stops


class ScriptedRunner:
    """In the place of ItemRunner: `outcome` for every item, once `may_end` is set."""

    def __init__(self, outcome: ItemResult | Later = DONE) -> None:
        self.outcome = outcome
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.running = 0
        self.cancelled = 0
        self.raises: Exception | None = None

    async def run(self, claim: Claim, key: object, item: LoadedItem) -> ItemResult | Later:
        self.running += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.raises is not None:
            raise self.raises
        return self.outcome

    def failed(self, item: LoadedItem, error: Exception, *, request_id: str) -> ItemResult:
        return ItemResult(status=ItemStatus.ERRORED, line=b"{}")


class ScriptedBatches:
    """In the place of the use case: files are read by it."""

    def __init__(self) -> None:
        self.read: list[Claim] = []
        self.given_up: list[Claim] = []

    async def read_file(self, claim: Claim, key: object, item: LoadedItem) -> None:
        self.read.append(claim)

    async def give_up(self, claim: Claim, key: object) -> None:
        self.given_up.append(claim)


class IdlePool:
    """Accounts with room for `slots` items."""

    def __init__(self, slots: int = 100) -> None:
        self.slots = slots

    async def health(self, accounts: object) -> list[AccountHealth]:
        return [AccountHealth(account_name="a", state=AccountState.READY, max_concurrency=self.slots)]


class Bench:
    def __init__(self, queue: ScriptedQueue, runner: ScriptedRunner, *, silent_s: float, slots: int) -> None:
        self.queue = queue
        self.runner = runner
        self.batches = ScriptedBatches()
        self.metrics = Metrics()
        self.is_draining = False
        self.worker = BatchWorker(
            queue=queue,
            batches=self.batches,
            runner=runner,
            accounts=IdlePool(slots),
            pool=list,
            keyring=KeyRing([KEY], clock=SystemClock()),
            metrics=self.metrics,
            clock=SystemClock(),
            policy=WorkerPolicy(max_in_flight=4, reserve_ratio=0.0, max_deaths=3, silent_s=silent_s),
            is_draining=lambda: self.is_draining,
        )


@asynccontextmanager
async def working(
    queue: ScriptedQueue, runner: ScriptedRunner | None = None, *, silent_s: float = 30.0, slots: int = 100
) -> AsyncIterator[Bench]:
    bench = Bench(queue, runner or ScriptedRunner(), silent_s=silent_s, slots=slots)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.worker.run())
        yield bench
        await bench.worker.stop()


async def test_items_are_run_and_recorded_no_more_at_once_than_allowed() -> None:
    runner = ScriptedRunner()
    runner.may_end.clear()
    async with working(ScriptedQueue(*map(claim_of, range(10))), runner) as bench:
        await until(lambda: runner.running == 4)
        assert len(bench.queue.waiting) == 6
        runner.may_end.set()
        await until(lambda: len(bench.queue.recorded) == 10)
        assert {status for _, status, _ in bench.queue.recorded} == {ItemStatus.SUCCEEDED}
    assert bench.queue.has_left
    assert bench.queue.returned == []


async def test_a_busy_pool_gets_one_item_of_an_idle_worker() -> None:
    runner = ScriptedRunner()
    runner.may_end.clear()
    async with working(ScriptedQueue(claim_of(0), claim_of(1)), runner, slots=0) as bench:
        await until(lambda: runner.running == 1)
        bench.worker.nudge()
        await asyncio.sleep(0.05)
        assert runner.running == 1
        runner.may_end.set()
        await until(lambda: len(bench.queue.recorded) == 2)


async def test_a_stop_breaks_answers_off_and_hands_their_items_back() -> None:
    runner = ScriptedRunner()
    runner.may_end.clear()
    async with working(ScriptedQueue(claim_of(0), claim_of(1)), runner) as bench:
        await until(lambda: runner.running == 2)
    assert runner.cancelled == 2
    assert {claim.number for claim in bench.queue.returned} == {0, 1}
    assert bench.queue.recorded == []


@pytest.mark.slow
async def test_a_draining_process_stops_its_worker() -> None:
    """Slow: it looks four times a second."""
    runner = ScriptedRunner()
    runner.may_end.clear()
    async with working(ScriptedQueue(claim_of(0)), runner) as bench:
        await until(lambda: runner.running == 1)
        bench.is_draining = True
        await until(lambda: bench.queue.has_left)
        assert [claim.number for claim in bench.queue.returned] == [0]


async def test_an_item_that_waits_goes_back_with_its_wait() -> None:
    later = Later(wait_s=7.0, burns_try=False, pauses_batch=True)
    async with working(ScriptedQueue(claim_of(0)), ScriptedRunner(later)) as bench:
        await until(lambda: bool(bench.queue.postponed))
        assert bench.queue.postponed == [(0, later)]


@pytest.mark.parametrize(
    ("item", "status"),
    [
        (LoadedItem(state=BatchState.CANCELING, body=b"{}"), ItemStatus.CANCELED),
        (LoadedItem(state=BatchState.EXPIRING, body=b"{}"), ItemStatus.EXPIRED),
        (LoadedItem(state=OPEN, is_overdue=True, body=b"{}"), ItemStatus.EXPIRED),
    ],
)
async def test_items_of_a_batch_that_stops_are_not_run(item: LoadedItem, status: ItemStatus) -> None:
    runner = ScriptedRunner()
    runner.raises = AssertionError("it was run")
    async with working(ScriptedQueue(claim_of(0), item=item), runner) as bench:
        await until(lambda: bench.queue.recorded == [(0, status, False)])


@pytest.mark.parametrize(
    "item", [LoadedItem(state=None), LoadedItem(state=OPEN, body=None)], ids=["no batch", "ended already"]
)
async def test_items_without_a_request_are_dropped(item: LoadedItem) -> None:
    async with working(ScriptedQueue(claim_of(0), item=item)) as bench:
        await until(lambda: bench.queue.dropped == [0])


async def test_an_item_whose_workers_vanish_is_given_up_with_a_result() -> None:
    async with working(ScriptedQueue(claim_of(0, deaths=3))) as bench:
        await until(lambda: bench.queue.recorded == [(0, ItemStatus.ERRORED, True)])
        await until(lambda: b"mgw_batch_dead_total 1.0" in bench.metrics.render())


async def test_an_item_of_an_unknown_key_waits_for_a_worker_that_knows_it() -> None:
    async with working(ScriptedQueue(claim_of(0, key_id="f" * 16))) as bench:
        await until(lambda: bool(bench.queue.postponed))
        ((number, later),) = bench.queue.postponed
        assert (number, later.burns_try, later.pauses_batch) == (0, False, True)


async def test_an_item_that_does_not_open_waits_for_a_worker_with_the_right_secret() -> None:
    queue = ScriptedQueue(claim_of(0))
    queue.unreadable = True
    async with working(queue) as bench:
        await until(lambda: bool(bench.queue.postponed))
        assert not bench.queue.postponed[0][1].burns_try


async def test_a_batchs_file_is_read_and_the_job_dropped() -> None:
    item = LoadedItem(state=BatchState.VALIDATING, kind=BatchKind.CHAT, input_file_id="file-1")
    async with working(ScriptedQueue(claim_of(None), item=item)) as bench:
        await until(lambda: bench.queue.dropped == [None])
        assert bench.batches.read == [claim_of(None)]


async def test_a_file_that_kills_its_workers_fails_the_batch() -> None:
    item = LoadedItem(state=BatchState.VALIDATING, kind=BatchKind.CHAT)
    async with working(ScriptedQueue(claim_of(None, deaths=3), item=item)) as bench:
        await until(lambda: bench.queue.dropped == [None])
        assert bench.batches.given_up == [claim_of(None, deaths=3)]


async def test_a_defect_in_one_item_leaves_the_others_alone() -> None:
    runner = ScriptedRunner()
    runner.raises = ValueError("a defect")
    async with working(ScriptedQueue(claim_of(0)), runner) as bench:
        await until(lambda: bench.worker.in_flight == 0 and not bench.queue.waiting)
        runner.raises = None
        bench.queue.waiting.append(claim_of(1))
        bench.worker.nudge()
        await until(lambda: bench.queue.recorded == [(1, ItemStatus.SUCCEEDED, False)])


async def test_a_defect_in_claiming_costs_a_turn_and_not_the_worker() -> None:
    queue = ScriptedQueue(claim_of(0))
    queue.defects = 1
    async with working(queue) as bench:
        await until(lambda: queue.defects == 0)
        bench.worker.nudge()
        await until(lambda: bool(queue.recorded))


@pytest.mark.slow
async def test_now_and_then_what_a_failover_lost_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: heartbeats must come. One that fails costs its turn only."""
    monkeypatch.setattr("service.worker.batches._SWEEP_S", 0.0)
    queue = ScriptedQueue()
    queue.beat_defects = 1
    async with working(queue, silent_s=0.3):
        await until(lambda: queue.mended > 0)
    assert queue.beat_defects == 0


async def test_overdue_batches_are_expired() -> None:
    queue = ScriptedQueue()
    queue.overdue = (("msgbatch_9", "k"),)
    async with working(queue):
        await until(lambda: queue.expired == [("msgbatch_9", "k")])


@pytest.mark.slow
async def test_a_result_waits_for_a_redis_that_is_away() -> None:
    """Slow: it asks again every half second."""
    queue, runner = ScriptedQueue(claim_of(0)), ScriptedRunner()
    runner.may_end.clear()
    async with working(queue, runner) as bench:
        await until(lambda: runner.running == 1)
        queue.away = 2
        runner.may_end.set()
        await until(lambda: bench.queue.recorded == [(0, ItemStatus.SUCCEEDED, False)])


@pytest.mark.slow
async def test_a_stop_while_redis_is_away_ends_all_the_same() -> None:
    """The result is lost with the worker, and its item comes back to another one. Slow: it waits its three
    seconds for Redis."""
    queue, runner = ScriptedQueue(claim_of(0)), ScriptedRunner()
    runner.may_end.clear()
    async with working(queue, runner):
        await until(lambda: runner.running == 1)
        queue.away = 10_000
        runner.may_end.set()
        await until(lambda: runner.running == 0)
    assert queue.recorded == []
    assert not queue.has_left


@pytest.mark.slow
async def test_an_item_that_another_worker_took_is_broken_off() -> None:
    """Slow: heartbeats must come."""
    queue, runner = ScriptedQueue(claim_of(0)), ScriptedRunner()
    runner.may_end.clear()
    queue.lost = [claim_of(0)]
    async with working(queue, runner, silent_s=0.3) as bench:
        await until(lambda: runner.cancelled == 1)
        assert bench.queue.beats >= 1
    assert bench.queue.returned == []


# --- P3 -----------------------------------------------------------------------------------------------------


class Dying:
    """A queue whose worker dies with the answer in its hands: nothing is recorded, nothing said any more."""

    def __init__(self, queue: object) -> None:
        self._queue = queue
        self.answered = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._queue, name)

    async def record(self, *_: object, **__: object) -> bool:
        self.answered += 1
        await asyncio.Event().wait()
        raise AssertionError

    async def hand_back(self, claims: object) -> None:
        """The dead say nothing."""

    beat = leave = hand_back


def worker_of(rig: Rig, name: str) -> BatchWorker:
    store = rig.gateway.services.store_health._store
    return batch_worker(rig.gateway.config, store, rig.gateway.services, consumer=name)


@pytest.mark.slow
async def test_a_worker_killed_between_answer_and_result_leaves_one_result(
    start: Start, clean_redis: str
) -> None:
    """P3: run again, one line, and usage counted once for each call made. Slow: the dead worker's second of
    silence must pass."""
    settings = BatchSettings(runs_in_serve=False, silent_s=1)
    async with start("platform", batches=settings) as rig:
        message = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
        body = {"requests": [{"custom_id": f"r{n}", "params": message} for n in range(3)]}
        created = await (await rig.http.post(rig.url("/v1/messages/batches"), json=body)).json()
        path = rig.url(f"/v1/messages/batches/{created['id']}")

        dead = worker_of(rig, "dead")
        dying = dead._queue = Dying(dead._queue)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(dead.run())
            await until(lambda: dying.answered == 3)
            run.cancel()
        assert (await (await rig.http.get(path)).json())["progress"]["processing"] == 3

        alive = worker_of(rig, "alive")

        async def has_ended() -> dict:
            for _ in range(500):
                batch = await (await rig.http.get(path)).json()
                if batch["processing_status"] == "ended":
                    return batch
                await asyncio.sleep(0.02)
            raise AssertionError

        async with asyncio.TaskGroup() as group:
            group.create_task(alive.run())
            batch = await has_ended()
            await alive.stop()
        assert batch["request_counts"]["succeeded"] == 3
        lines = (await (await rig.http.get(batch["results_url"])).text()).splitlines()
        assert len(lines) == 3
        (account,) = rig.simulator.record.by_account.values()
        assert account.completed == 6
        assert await booked(rig, 6) == 6


async def booked(rig: Rig, wanted: int) -> int:
    """Requests in the ledger; settling runs behind the answers."""
    store, found = rig.gateway.services.store_health._store, 0
    for _ in range(100):
        keys = await store.command("KEYS", "mgw:{k:*}:usage:*")
        ledgers = [await store.hash(key.decode()) for key in keys]
        found = sum(int(ledger[b"requests:mimo-v2.6-pro"]) for ledger in ledgers)
        if found == wanted:
            break
        await asyncio.sleep(0.02)
    return found
