"""The batch worker: claim -> answer (gateway.batch_items) -> record, until it is told to stop.

- An item that was claimed is this worker's as long as its heartbeat says so; what a vanished worker held
  comes to another one. Redis away: what runs goes on, and its result waits for Redis.
- Told to stop, it claims nothing more, ends the answers under way and hands their items back at once; what
  has its result only waits to be recorded.
- Items are taken where keys wait, as many per shard as keys wait there, and no more than the pool of accounts
  has room for beside live requests (core.batches.free_slots).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from service.config import Account, ApiKey
from service.core.batches import (
    SHARDS,
    BatchState,
    Claim,
    ContentUnreadable,
    ItemResult,
    ItemStatus,
    Later,
    LoadedItem,
    ShardState,
    apportion,
    free_slots,
)
from service.core.errors import Internal, StoreUnavailable
from service.core.leases import AccountState
from service.gateway.batch_items import ItemRunner
from service.gateway.batch_ports import BatchQueue
from service.gateway.batches import Batches
from service.gateway.keyring import KeyRing
from service.gateway.ports import Accounts, Clock
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_POLL_S = 1.0  # how often shards without known work are asked
_TICK_S = 0.25  # how soon a stop is noticed
_LINGER_S = 0.02  # items end in groups: one claim for all of them
_STORE_RETRY_S = 0.5
_LAST_RECORD_S = 3.0  # what a result may wait for Redis once the worker was told to stop
_SWEEP_S = 60.0
_UNKNOWN_KEY = Later(wait_s=60.0, burns_try=False, pauses_batch=True)
_UNREADABLE = Later(wait_s=60.0, burns_try=False, pauses_batch=True)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPolicy:
    """See config.Batches. The heartbeat comes three times within `silent_s`."""

    max_in_flight: int
    reserve_ratio: float
    max_deaths: int
    silent_s: float


class BatchWorker:
    """One per process. `run` works until `stop`, or until `is_draining` says that the process ends."""

    def __init__(
        self,
        *,
        queue: BatchQueue,
        batches: Batches,
        runner: ItemRunner,
        accounts: Accounts,
        pool: Callable[[], list[Account]],
        keyring: KeyRing,
        metrics: Metrics,
        clock: Clock,
        policy: WorkerPolicy,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._batches = batches
        self._runner = runner
        self._accounts = accounts
        self._pool = pool
        self._keyring = keyring
        self._metrics = metrics
        self._clock = clock
        self._policy = policy
        self._is_draining = is_draining
        self._weights = [0] * SHARDS
        self._lag_s = [0.0] * SHARDS
        self._turn = 0
        self._polled_at_s = float("-inf")
        self._held: dict[Claim, asyncio.Task[None]] = {}
        self._answering: set[Claim] = set()
        self._lost: set[Claim] = set()
        self._returned: list[Claim] = []
        self._wake = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._has_ended = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return len(self._held)

    def nudge(self) -> None:
        """There may be work: look now."""
        self._polled_at_s = float("-inf")
        self._wake.set()

    async def stop(self, *, timeout_s: float = _LAST_RECORD_S + 1.0) -> None:
        """Stop claiming, hand back what runs, and wait until that is done."""
        self._stop_asked.set()
        self._wake.set()
        try:
            await asyncio.wait_for(self._has_ended.wait(), timeout_s)
        except TimeoutError:
            log.warning("batch_worker_left", number=len(self._held))

    async def run(self) -> None:
        """Work until told to stop."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beating())
                while not self._stops():
                    for claim in await self._claimed():
                        self._begin(group, claim)
                    await self._rest()
                self._stop_asked.set()
                for claim in tuple(self._answering):
                    self._held[claim].cancel()
            await self._leave()
        finally:
            self._has_ended.set()

    def _stops(self) -> bool:
        return self._stop_asked.is_set() or self._is_draining()

    async def _rest(self) -> None:
        """Until an item ends, somebody nudges, or it is time to look again."""
        until_s = self._clock.monotonic_s() + _POLL_S
        while not (self._stops() or self._wake.is_set()) and self._clock.monotonic_s() < until_s:
            try:
                await asyncio.wait_for(self._wake.wait(), _TICK_S)
            except TimeoutError:
                continue
        self._wake.clear()
        if self._held and not self._stops():
            await asyncio.sleep(_LINGER_S)

    async def _leave(self) -> None:
        """The items back, and this worker forgotten."""
        try:
            await self._queue.hand_back(self._returned)
            await self._queue.leave(stops=True)
        except StoreUnavailable:
            log.warning("batch_hand_back_failed", number=len(self._returned))

    # --- claiming -------------------------------------------------------------------------------------------

    async def _claimed(self) -> list[Claim]:
        """New items; [] when there is no room, no work or no Redis. A defect costs a turn, not the worker."""
        try:
            room = await self._room()
            claims = await self._claim_once(room)
            if len(claims) < room and any(self._weights):
                # Shards that were empty when last asked have work now, or others left their part.
                claims += await self._claim_once(room - len(claims))
        except StoreUnavailable:
            return []
        except Exception as error:
            log.error("batch_claim_failed", error_type=type(error).__name__)
            return []
        return claims

    async def _room(self) -> int:
        if len(self._held) >= self._policy.max_in_flight:
            return 0
        healths = await self._accounts.health(self._pool())
        ready = [health for health in healths if health.state is AccountState.READY]
        return free_slots(
            capacity=sum(health.max_concurrency for health in ready),
            in_use=sum(health.leases for health in ready),
            reserve_ratio=self._policy.reserve_ratio,
            own=len(self._held),
            max_own=self._policy.max_in_flight,
        )

    async def _claim_once(self, room: int) -> list[Claim]:
        now_s = self._clock.monotonic_s()
        polls_all = now_s - self._polled_at_s >= _POLL_S
        shares = apportion(room, self._weights, turn=self._turn)
        self._turn += 1
        rooms = {shard: share for shard, share in enumerate(shares) if share or polls_all}
        if not rooms:
            return []
        if polls_all:
            self._polled_at_s = now_s
        claims, states = await self._queue.claim(rooms)
        await self._learn(states)
        return claims

    async def _learn(self, states: dict[int, ShardState]) -> None:
        for shard, state in states.items():
            self._weights[shard] = state.owners
            self._lag_s[shard] = state.lag_s
            self._metrics.batch_reclaimed.inc(state.reclaimed)
        self._metrics.batch_lag_s.set(max(self._lag_s))
        overdue = [pair for state in states.values() for pair in state.overdue]
        if overdue:
            await self._queue.expire(overdue)

    async def _beating(self) -> None:
        swept_at_s = self._clock.monotonic_s()
        while not self._stop_asked.is_set():
            try:
                await asyncio.wait_for(self._stop_asked.wait(), self._policy.silent_s / 3)
            except TimeoutError:
                is_due = self._clock.monotonic_s() - swept_at_s >= _SWEEP_S
                swept_at_s = self._clock.monotonic_s() if is_due else swept_at_s
                await self._keep(sweeps=is_due)

    async def _keep(self, *, sweeps: bool) -> None:
        """A heartbeat, and now and then what any worker's turn does for all. A defect costs this turn."""
        try:
            await self._beat()
            if sweeps:
                await self._sweep()
        except StoreUnavailable:
            return
        except Exception as error:
            log.error("batch_heartbeat_failed", error_type=type(error).__name__)

    async def _beat(self) -> None:
        """Keep what is held; an item that another worker has taken is given up: that one answers it."""
        for claim in await self._queue.beat(tuple(self._held)):
            if claim in self._answering:
                self._lost.add(claim)
                self._held[claim].cancel()

    async def _sweep(self) -> None:
        await self._queue.leave()
        if found := await self._queue.mend():
            log.warning("batch_items_mended", number=found)

    # --- one item -------------------------------------------------------------------------------------------

    def _begin(self, group: asyncio.TaskGroup, claim: Claim) -> None:
        self._held[claim] = group.create_task(self._process(claim))
        self._metrics.batch_in_progress.set(len(self._held))

    async def _process(self, claim: Claim) -> None:
        """One item, whatever happens to it: nothing escapes into the group."""
        try:
            await self._handle(claim)
        except asyncio.CancelledError:
            if claim not in self._lost:
                self._returned.append(claim)
        except StoreUnavailable:
            log.warning("batch_item_left", batch_id=claim.batch_id, number=claim.number)
        except Exception as error:
            log.error("batch_item_failed", batch_id=claim.batch_id, error_type=type(error).__name__)
        finally:
            del self._held[claim]
            self._lost.discard(claim)
            self._metrics.batch_in_progress.set(len(self._held))
            self._wake.set()

    async def _handle(self, claim: Claim) -> None:
        key = await self._patiently(lambda: self._keyring.with_id(claim.key_id))
        if key is None:
            await self._patiently(lambda: self._queue.postpone(claim, _UNKNOWN_KEY))
            return
        try:
            item = await self._patiently(lambda: self._queue.load(claim, key))
        except ContentUnreadable:
            log.error("batch_content_unreadable", batch_id=claim.batch_id, key_id=claim.key_id)
            await self._patiently(lambda: self._queue.postpone(claim, _UNREADABLE))
            return
        if claim.number is None:
            await self._handle_file(claim, key, item)
        elif item.state is None or item.body is None:
            await self._patiently(lambda: self._queue.drop(claim))
        else:
            await self._handle_item(claim, key, item)

    async def _handle_file(self, claim: Claim, key: ApiKey, item: LoadedItem) -> None:
        if item.state in (BatchState.VALIDATING, BatchState.CANCELING, BatchState.EXPIRING):
            if claim.deaths >= self._policy.max_deaths:
                await self._patiently(lambda: self._batches.give_up(claim, key))
            else:
                work = self._batches.read_file
                await self._interruptibly(claim, self._patiently(lambda: work(claim, key, item)))
        await self._patiently(lambda: self._queue.drop(claim))
        self.nudge()

    async def _handle_item(self, claim: Claim, key: ApiKey, item: LoadedItem) -> None:
        is_dead = claim.deaths >= self._policy.max_deaths
        outcome: ItemResult | Later
        if item.state is BatchState.CANCELING:
            outcome = ItemResult(status=ItemStatus.CANCELED)
        elif item.state is BatchState.EXPIRING or item.is_overdue:
            outcome = ItemResult(status=ItemStatus.EXPIRED)
        elif is_dead:
            outcome = self._runner.failed(item, Internal(), request_id=claim.entry_id)
            log.error("batch_item_dead", batch_id=claim.batch_id, number=claim.number)
        else:
            outcome = await self._interruptibly(claim, self._runner.run(claim, key, item))
        await self._ended(claim, key, outcome, is_dead_letter=is_dead)

    async def _ended(
        self, claim: Claim, key: ApiKey, outcome: ItemResult | Later, *, is_dead_letter: bool
    ) -> None:
        if isinstance(outcome, Later):
            self._metrics.batch_retries.inc()
            await self._patiently(lambda: self._queue.postpone(claim, outcome))
            return
        record = self._queue.record
        if await self._patiently(lambda: record(claim, key, outcome, is_dead_letter=is_dead_letter)):
            self._metrics.batch_items[str(outcome.status),].inc()
            if is_dead_letter:
                self._metrics.batch_dead.inc()

    async def _interruptibly(self, claim: Claim, work: Awaitable[_T]) -> _T:
        """What a stop may break off: the item goes back."""
        if self._stops():
            if asyncio.iscoroutine(work):
                work.close()
            raise asyncio.CancelledError
        self._answering.add(claim)
        try:
            return await work
        finally:
            self._answering.discard(claim)

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask Redis until it answers. Raises StoreUnavailable when it does not and the worker is to stop."""
        stops_at_s: float | None = None
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                if self._stops():
                    now_s = self._clock.monotonic_s()
                    stops_at_s = now_s + _LAST_RECORD_S if stops_at_s is None else stops_at_s
                    if now_s >= stops_at_s:
                        raise
                await asyncio.sleep(_STORE_RETRY_S)
