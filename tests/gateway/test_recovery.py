"""A quarantined account comes back when a cheap probe answers, and only then."""

from __future__ import annotations

from service.config import AccountKind
from service.config_loader import accounts
from service.core.errors import UpstreamAccountError
from service.core.leases import AccountState, Penalty, PenaltyKind
from service.gateway.models import Models
from service.gateway.recovery import Recovery
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.stored import FakeModelCatalogue
from tests.fakes.upstream import FakeUpstream

CONFIGURED = accounts([{"name": "one", "api_key": "sk-one"}])


async def quarantined() -> tuple[FakeAccounts, FakeUpstream, Recovery]:
    pool, upstream = FakeAccounts(FakeClock().monotonic_s), FakeUpstream()
    lease = await pool.acquire(CONFIGURED, lease_id="lease_1")
    await pool.release(lease, penalty=Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized"))
    upstreams = {AccountKind.PLATFORM: upstream}
    return pool, upstream, Recovery(Models(CONFIGURED, upstreams, FakeModelCatalogue()), pool, upstreams)


async def state(pool: FakeAccounts) -> AccountState:
    return (await pool.health(CONFIGURED))[0].state


async def test_account_whose_probe_answers_is_ready_again() -> None:
    pool, _, recovery = await quarantined()
    await recovery.look()
    assert await state(pool) is AccountState.READY


async def test_account_whose_probe_fails_stays_out() -> None:
    pool, upstream, recovery = await quarantined()
    before = await state(pool)
    upstream.listing_error = UpstreamAccountError("expired", status=401)
    await recovery.look()
    assert await state(pool) is before
    assert before is not AccountState.READY


async def test_ready_account_is_not_probed() -> None:
    _, upstream, recovery = await quarantined()
    await recovery.look()
    probes = upstream.listings
    await recovery.look()
    assert upstream.listings == probes
