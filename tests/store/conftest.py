"""A connected store, and worlds: the same port once in memory and once on the real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from service.config import Account, AccountKind, ApiKey
from service.gateway.background import Background
from service.store import keys
from service.store.accounts import RedisAccounts
from service.store.client import Outcome, Store, StoreSettings, connect
from service.store.ledger import RedisLedger
from service.store.limits import RedisLimits
from service.store.local_accounts import PoolSettings
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.limits import FakeLedger, FakeLimits
from tests.store import servers


def account(name: str, *, max_concurrency: int = 4, **more: object) -> Account:
    return Account(
        name=name,
        kind=AccountKind.PLATFORM,
        base_url="http://upstream",
        max_concurrency=max_concurrency,
        **more,
    )


def api_key(**limits: object) -> ApiKey:
    return ApiKey(name="tester", key_sha256="0123456789abcdef" * 4, **limits)


@dataclass
class Connected:
    """A store and what its hook was told."""

    store: Store
    background: Background
    calls: list[tuple[str, Outcome]] = field(default_factory=list, repr=False)

    def outcomes(self) -> list[Outcome]:
        return [outcome for _, outcome in self.calls]


Connecting = Callable[..., Connected]
# A Redis that is there is waited for, however busy the machine. Who hurts it asks for `StoreSettings()`.
PATIENT = StoreSettings.within(30.0)


@pytest.fixture
async def connecting() -> AsyncIterator[Connecting]:
    """`connecting(url, settings=…)`: a store that is closed with the test."""
    async with AsyncExitStack() as stack:

        def make(url: str, settings: StoreSettings = PATIENT) -> Connected:
            background = Background()
            calls: list[tuple[str, Outcome]] = []
            store = connect(
                url,
                spawn=background.spawn,
                observe=lambda operation, _, outcome: calls.append((operation, outcome)),
                settings=settings,
            )
            stack.push_async_callback(store.aclose)
            stack.push_async_callback(background.drain, timeout_s=5)
            return Connected(store, background, calls)

        yield make


@pytest.fixture
async def connected(clean_redis: str, connecting: Connecting) -> Connected:
    return connecting(clean_redis)


@pytest.fixture
def store(connected: Connected) -> Store:
    return connected.store


@dataclass
class World:
    """One port's objects, with a clock that tests turn."""

    clock: FakeClock
    accounts: RedisAccounts | FakeAccounts
    limits: RedisLimits | FakeLimits
    ledger: RedisLedger | FakeLedger

    async def leases(self, *accounts: Account) -> int:
        return sum(health.leases for health in await self.accounts.health(accounts))

    async def waiting(self) -> int:
        """How many stand in the pool's queue."""
        if isinstance(self.accounts, FakeAccounts):
            return len(self.accounts._queue)
        return await self.accounts._store.command("ZCARD", keys.QUEUE)


SETTINGS = PoolSettings(max_waiting=8)


def redis_world(connected: Connected, clock: FakeClock, settings: PoolSettings = SETTINGS) -> World:
    def now_ms() -> int:
        return round(clock.unix_s() * 1000)

    spawn = connected.background.spawn
    accounts = RedisAccounts(connected.store, spawn=spawn, settings=settings, now_ms=now_ms)
    limits = RedisLimits(connected.store, spawn=spawn, now_ms=now_ms)
    ledger = RedisLedger(connected.store, accounts=accounts, limits=limits)
    return World(clock, accounts, limits, ledger)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Fleet]:
    with servers.cluster(tmp_path_factory.mktemp("cluster")) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Fleet]:
    with servers.behind_sentinel(tmp_path_factory.mktemp("sentinel")) as fleet:
        yield fleet


EVERYWHERE = [
    "memory",
    "redis",
    pytest.param("cluster", marks=pytest.mark.slow),
    pytest.param("sentinel", marks=pytest.mark.slow),
]


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest) -> World:
    """The slow ones start a fleet of servers, once for the run."""
    clock = FakeClock()
    if request.param == "redis":
        return redis_world(request.getfixturevalue("connected"), clock)
    if request.param in ("cluster", "sentinel"):
        fleet: servers.Fleet = request.getfixturevalue(request.param)
        fleet.flush()
        return redis_world(request.getfixturevalue("connecting")(fleet.url), clock)
    accounts, limits = FakeAccounts(clock.monotonic_s, SETTINGS), FakeLimits(clock.monotonic_s)
    return World(clock, accounts, limits, FakeLedger(accounts=accounts, limits=limits))
