"""Whether the gateway is well, at a glance: the whole fleet's numbers over an hour, a day or a week."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service import __version__
from service.core.admin import BatchLoad, RedisState
from service.core.errors import InvalidRequest, StoreUnavailable
from service.core.leases import AccountState
from service.core.series import QUARTER, STEP_BY_PERIOD, Point, Step, point, totals
from service.gateway.account_book import AccountBook
from service.gateway.admin_account_views import Recent, Trouble
from service.gateway.admin_ports import BatchNumbers, FleetBoard, RedisWatch
from service.gateway.fleet import Fleet, decoded_rows
from service.gateway.ports import Accounts, Clock
from service.gateway.stats import FAILED, SUCCEEDED

_STATES: Mapping[AccountState, str] = {
    AccountState.READY: "ready",
    AccountState.HALF_OPEN: "ready",
    AccountState.COOLING: "cooling",
    AccountState.OPEN: "cooling",
    AccountState.QUARANTINED: "quarantined",
    AccountState.EXPIRED: "quarantined",
    AccountState.DISABLED: "disabled",
}
_RECENT_SLOTS = 5  # four whole quarters of an hour, and the one that runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """Something that is not as it should be."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """See docs/admin.md. `workers`: how many processes share this Redis; times are Unix time."""

    version: str
    started_at: float
    workers: int
    degraded: Sequence[Degraded]
    redis: RedisState
    accounts: Mapping[str, int]
    streams_open: int
    requests_open: int
    batches: BatchLoad
    totals: Mapping[str, int]
    step_seconds: int
    points: Sequence[Point]


class AdminOverview:
    """`is_draining`: this process was told to stop."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        board: FleetBoard,
        batches: BatchNumbers,
        redis: RedisWatch,
        book: AccountBook,
        pool: Accounts,
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._board = board
        self._batches = batches
        self._redis = redis
        self._book = book
        self._pool = pool
        self._clock = clock
        self.is_draining: Callable[[], bool] = lambda: False

    async def look(self, period: str) -> Overview:
        """`period`: hour, day or week. While Redis is away the numbers are zeros, what is open is what this
        process has open, and `degraded` says why.

        Raises InvalidRequest."""
        if (step := STEP_BY_PERIOD.get(period)) is None:
            raise InvalidRequest(f"period must be one of {', '.join(STEP_BY_PERIOD)}.", param="period")
        redis = await self._redis.state()
        points, rows, batches = await self._numbers(step)
        accounts = await self._accounts()
        return Overview(
            version=__version__,
            started_at=round(self._fleet.started_at_s, 3),
            workers=len(rows),
            degraded=self._degraded(redis, accounts),
            redis=redis,
            accounts=accounts,
            streams_open=_sum(rows, "streams"),
            requests_open=_sum(rows, "requests"),
            batches=batches,
            totals=totals(points),
            step_seconds=step.length_s,
            points=points,
        )

    async def recent(self) -> Mapping[str, Recent]:
        """How the attempts at each account went in the last hour; {} while Redis is away."""
        starts = QUARTER.slots(self._clock.unix_s())[-_RECENT_SLOTS:]
        try:
            slots = await self._board.slots(QUARTER.name, starts)
            errors = await self._board.errors()
        except StoreUnavailable:
            return {}
        names = {
            name.partition(":")[2] for slot in slots for name in slot if name.startswith((SUCCEEDED, FAILED))
        }
        return {
            name: Recent(
                succeeded=sum(slot.get(SUCCEEDED + name, 0) for slot in slots),
                failed=sum(slot.get(FAILED + name, 0) for slot in slots),
                last_error=_trouble(errors[name]) if name in errors else None,
            )
            for name in names | set(errors)
        }

    async def _numbers(self, step: Step) -> tuple[list[Point], list[dict[str, object]], BatchLoad]:
        now_s = self._clock.unix_s()
        starts = step.slots(now_s)
        try:
            counts = await self._board.slots(step.name, starts)
            rows = decoded_rows(await self._board.rows())
            batches = await self._batches.load(now_s=now_s)
        except StoreUnavailable:
            counts, batches = [{} for _ in starts], BatchLoad()
            rows = decoded_rows([self._fleet.own_row()])
        return [point(start, found) for start, found in zip(starts, counts, strict=True)], rows, batches

    async def _accounts(self) -> Mapping[str, int]:
        counts = dict.fromkeys(("ready", "cooling", "quarantined", "disabled"), 0)
        for health in await self._pool.health(self._book.accounts):
            counts[_STATES[health.state]] += 1
        return counts

    def _degraded(self, redis: RedisState, accounts: Mapping[str, int]) -> list[Degraded]:
        found: list[Degraded] = []
        if redis.why is not None:
            found.append(Degraded(what="redis", why=redis.why))
        if not redis.is_up:
            why = "Each worker goes on with its share of the limits and of the accounts' slots."
            found.append(Degraded(what="limits", why=why))
        if self.is_draining():
            found.append(Degraded(what="worker", why="The process is shutting down."))
        if not accounts["ready"]:
            found.append(Degraded(what="accounts", why="No account is ready: requests wait or are refused."))
        found += [
            Degraded(what=f"account {entry.account.name}", why="It was sealed under another MIMO_SECRET_KEY.")
            for entry in self._book.entries
            if not entry.is_readable
        ]
        return found


def _trouble(told: bytes) -> Trouble:
    found = orjson.loads(told)
    return Trouble(time=found["time"], what=found["what"])


def _sum(rows: Sequence[Mapping[str, object]], name: str) -> int:
    return sum(count for row in rows if isinstance(count := row.get(name), int))
