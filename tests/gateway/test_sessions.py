"""Sessions in use are looked at, one worker for all, and one that has ended takes its account out."""

from __future__ import annotations

import pytest

from service.config import AccountKind
from service.config_loader import accounts
from service.core.errors import GatewayError, UpstreamAccountError, UpstreamTimeout, UpstreamUnavailable
from service.core.leases import AccountState, Penalty, PenaltyKind
from service.core.policy import SESSION_EXPIRED
from service.gateway.models import Models
from service.gateway.sessions import Sessions
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import CountingIds, FakeClock
from tests.fakes.stored import FakeModelCatalogue
from tests.fakes.threads import FakeTurns
from tests.fakes.upstream import FakeUpstream

SESSION = {"service_token": "token-of-a-test", "user_id": "10001", "xiaomichatbot_ph": "cGg="}
CONFIGURED = accounts(
    [{"name": "one", **SESSION}, {"name": "two", **SESSION}, {"name": "k", "api_key": "sk-x"}]
)
ENDED = UpstreamAccountError("ended", status=401, code=SESSION_EXPIRED)


class World:
    """As many workers as a test wants, over one pool."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.pool = FakeAccounts(self.clock.monotonic_s)
        self.turns = FakeTurns(self.clock.monotonic_s)
        self.studio = FakeUpstream()

    def worker(self) -> Sessions:
        upstreams = {AccountKind.STUDIO: self.studio, AccountKind.PLATFORM: FakeUpstream()}
        models = Models(CONFIGURED, upstreams, FakeModelCatalogue())
        return Sessions(models, self.pool, upstreams, self.turns, CountingIds(), interval_s=100.0)

    async def states(self) -> dict[str, AccountState]:
        return {health.account_name: health.state for health in await self.pool.health(CONFIGURED)}


async def test_an_ended_session_takes_its_account_out_before_any_request() -> None:
    world = World()
    world.studio.listing_error = ENDED
    await world.worker().look()
    assert await world.states() == {
        "one": AccountState.EXPIRED,
        "two": AccountState.EXPIRED,
        "k": AccountState.READY,
    }


async def test_more_workers_ask_no_more_often() -> None:
    world = World()
    workers = [world.worker() for _ in range(5)]
    for _ in range(8):  # 140 seconds, a look of each worker every twenty
        for worker in workers:
            await worker.look()
        world.clock.turn(20)
    assert world.studio.listings == 2 * 2  # two accounts, at the start and once more


async def test_pauses_differ() -> None:
    world, pauses = World(), set[float]()

    class Listening(FakeTurns):
        async def take(self, name: str, *, every_s: float) -> bool:
            pauses.add(every_s)
            return await super().take(name, every_s=every_s)

    world.turns = Listening(world.clock.monotonic_s)
    worker = world.worker()
    for _ in range(50):
        await worker.look()
    assert len(pauses) > 50
    assert all(80 <= pause <= 120 for pause in pauses)


async def test_accounts_that_are_out_are_left_to_their_recovery() -> None:
    world = World()
    await world.pool.penalise("one", Penalty(kind=PenaltyKind.QUARANTINE, reason="restricted"))
    await world.worker().look()
    assert world.studio.listings == 1


@pytest.mark.parametrize(
    "error", [UpstreamUnavailable("x", status=503), UpstreamTimeout(waited_s=1, phase="idle")]
)
async def test_an_upstream_that_cannot_be_asked_says_nothing_of_sessions(error: GatewayError) -> None:
    world = World()
    world.studio.listing_error = error
    await world.worker().look()
    assert set((await world.states()).values()) == {AccountState.READY}
