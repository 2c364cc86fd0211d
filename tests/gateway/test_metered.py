"""What the pool, the limits and the ledger do, as metrics; their behaviour is left alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from service.config import Account, AccountKind, ApiKey
from service.core.errors import GatewayError, NoAccount, RateLimited
from service.core.events import Usage
from service.core.leases import AccountHealth, AccountState, Admission, Lease, Penalty, PenaltyKind, Renewal
from service.gateway.account_book import BookEntry
from service.gateway.admin_account_views import sessions_left_s
from service.gateway.metered import AccountWatch, MeteredAccounts, MeteredLedger, MeteredLimits
from service.telemetry import labels
from service.telemetry.metrics import Metrics
from tests.fakes.accounts import FakeAccounts
from tests.fakes.clock import FakeClock

LEASE = Lease(lease_id="l1", account_name="one", sticky="moved")
ADMISSION = Admission(key_id="k", request_id="r")
KEY = ApiKey(name="tester", key_sha256="0" * 64)
ONE = Account(name="one", kind=AccountKind.PLATFORM, base_url="http://upstream")
REST = Penalty(kind=PenaltyKind.COOLDOWN, reason="rate_limited", duration_s=5)


class Scripted:
    """A pool, limits and a ledger that take two seconds and then do as they are told."""

    def __init__(self, clock: FakeClock, *, error: BaseException | None = None) -> None:
        self.clock = clock
        self.error = error
        self.healths: list[AccountHealth] = []
        self.calls: list[str] = []

    async def _do(self, name: str) -> None:
        self.calls.append(name)
        self.clock.turn(2.0)
        if self.error is not None:
            raise self.error

    async def acquire(self, candidates, **_: object) -> Lease:
        await self._do("acquire")
        return LEASE

    async def admit(self, key, **_: object) -> Admission:
        await self._do("admit")
        return ADMISSION

    async def renew(self, held) -> Renewal:
        await self._do("renew")
        return Renewal(expired=3, lost=1)

    async def release(self, lease, **_: object) -> None:
        await self._do("release")

    async def settle(self, admission, lease, **_: object) -> None:
        await self._do("settle")

    async def health(self, accounts):
        return self.healths

    async def reset(self, name) -> None:
        await self._do("reset")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def value(metrics: Metrics, name: str, **labelled: str) -> float:
    return metrics.registry.get_sample_value(name, labelled) or 0.0


async def test_granted_lease_is_counted_with_its_wait(metrics: Metrics, clock: FakeClock) -> None:
    accounts = MeteredAccounts(Scripted(clock), metrics, clock)
    assert await accounts.acquire([ONE], lease_id="l1") is LEASE
    assert value(metrics, "mgw_lease_events_total", event="granted") == 1
    assert value(metrics, "mgw_sticky_total", result="moved") == 1
    assert value(metrics, "mgw_queue_wait_seconds_sum", result="granted") == 2.0
    assert value(metrics, "mgw_queue_depth") == 0


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        pytest.param(RateLimited("x", code="accounts_busy"), "pool", id="all busy"),
        pytest.param(RateLimited("x", code="accounts_resting"), "pool", id="all resting"),
        pytest.param(RateLimited("x", code="queue_full"), "queue", id="the queue is full"),
        pytest.param(NoAccount("x", code="no_account"), None, id="nobody to ask is no limit"),
    ],
)
async def test_refused_lease_is_counted_by_the_limit_it_met(
    metrics: Metrics, clock: FakeClock, error: GatewayError, limit: str | None
) -> None:
    accounts = MeteredAccounts(Scripted(clock, error=error), metrics, clock)
    with pytest.raises(type(error)):
        await accounts.acquire([ONE], lease_id="l1")
    assert value(metrics, "mgw_lease_events_total", event="refused") == 1
    assert value(metrics, "mgw_queue_wait_seconds_count", result="refused") == 1
    for name in ("pool", "queue"):
        found = value(metrics, "mgw_limit_rejections_total", limit=name, scope="global")
        assert found == (1 if name == limit else 0)


async def test_caller_that_leaves_the_queue_is_told_apart(metrics: Metrics, clock: FakeClock) -> None:
    accounts = MeteredAccounts(Scripted(clock, error=asyncio.CancelledError()), metrics, clock)
    with pytest.raises(asyncio.CancelledError):
        await accounts.acquire([ONE], lease_id="l1")
    assert value(metrics, "mgw_queue_wait_seconds_count", result="cancelled") == 1
    assert value(metrics, "mgw_lease_events_total", event="refused") == 0
    assert value(metrics, "mgw_queue_depth") == 0


async def test_renewals_are_counted_by_lease_and_with_what_they_found(
    metrics: Metrics, clock: FakeClock
) -> None:
    inner = Scripted(clock)
    accounts = MeteredAccounts(inner, metrics, clock)
    await accounts.renew([LEASE, LEASE])
    await accounts.renew([])
    inner.healths = [AccountHealth(account_name="one", state=AccountState.READY, expired_leases=4)]
    await accounts.health([ONE])
    counts = {name: value(metrics, "mgw_lease_events_total", event=name) for name in labels.LEASE_EVENTS}
    assert counts == {"granted": 0, "refused": 0, "released": 0, "renewed": 2, "expired": 10, "lost": 2}


async def test_release_is_counted_whoever_does_it(metrics: Metrics, clock: FakeClock) -> None:
    inner = Scripted(clock)
    await MeteredAccounts(inner, metrics, clock).release(LEASE, penalty=REST)
    ledger = MeteredLedger(inner, metrics)
    told = {"usage": Usage(), "model": "mimo-v2.6-pro", "cost_micro_usd": 870}
    await ledger.settle(ADMISSION, LEASE, **told)
    await ledger.settle(ADMISSION, None, **told)
    assert value(metrics, "mgw_lease_events_total", event="released") == 2
    assert value(metrics, "mgw_account_cooldowns_total", account="one", reason="rate_limited") == 1
    assert value(metrics, "mgw_cost_micro_usd_total", model="mimo-v2.6-pro") == 1740
    assert inner.calls == ["release", "settle", "settle"]


async def test_failure_that_only_the_breaker_counts_is_no_cooldown(
    metrics: Metrics, clock: FakeClock
) -> None:
    failure = Penalty(kind=PenaltyKind.FAILURE, reason="timeout")
    await MeteredAccounts(Scripted(clock), metrics, clock).release(LEASE, penalty=failure)
    assert value(metrics, "mgw_account_cooldowns_total", account="one", reason="timeout") == 0


async def test_admission_is_timed_and_its_refusal_counted(metrics: Metrics, clock: FakeClock) -> None:
    assert await MeteredLimits(Scripted(clock), metrics, clock).admit(KEY, request_id="r", estimated_tokens=1)
    error = RateLimited("x", code="tokens_per_minute")
    with pytest.raises(RateLimited):
        await MeteredLimits(Scripted(clock, error=error), metrics, clock).admit(
            KEY, request_id="r", estimated_tokens=1
        )
    assert value(metrics, "mgw_overhead_seconds_sum", phase="admit") == 4.0
    assert value(metrics, "mgw_limit_rejections_total", limit="tpm", scope="key") == 1


async def test_watch_shows_what_the_pool_says_and_asks_for_the_present_accounts(
    metrics: Metrics, clock: FakeClock
) -> None:
    inner = Scripted(clock)
    watch = AccountWatch(MeteredAccounts(inner, metrics, clock), metrics, lambda: [ONE])
    for state in (AccountState.READY, AccountState.COOLING):
        inner.healths = [AccountHealth(account_name="one", state=state, leases=3, max_concurrency=8)]
        await watch.sample()
    assert value(metrics, "mgw_account_state", account="one", state="cooling") == 1
    assert value(metrics, "mgw_account_state", account="one", state="ready") == 0
    assert value(metrics, "mgw_account_leases", account="one") == 3
    assert value(metrics, "mgw_account_lease_limit", account="one") == 8


async def test_watch_shows_how_long_sessions_last_and_forgets_those_of_which_it_is_not_known(
    metrics: Metrics, clock: FakeClock
) -> None:
    left_s = {"web": 3600.0, "old": -5.0}
    inner = Scripted(clock)
    watch = AccountWatch(inner, metrics, lambda: [ONE], sessions_left_s=lambda: left_s)
    await watch.sample()
    assert value(metrics, "mgw_account_token_expiry_seconds", account="old") == -5
    del left_s["old"]
    await watch.sample()
    shown = metrics.render().decode()
    assert 'mgw_account_token_expiry_seconds{account="web"} 3600.0' in shown
    assert 'account="old"' not in shown


async def test_what_a_probe_learnt_is_counted_as_the_same_of_a_request(
    metrics: Metrics, clock: FakeClock
) -> None:
    pool = FakeAccounts(clock.monotonic_s)
    penalty = Penalty(kind=PenaltyKind.QUARANTINE, reason="session_expired")
    await MeteredAccounts(pool, metrics, clock).penalise("one", penalty)
    assert value(metrics, "mgw_account_cooldowns_total", account="one", reason="session_expired") == 1
    assert (await pool.health([ONE]))[0].state is AccountState.EXPIRED


@pytest.mark.parametrize(
    ("reason", "level", "words"),
    [("session_expired", "warning", "mimo-gateway accounts import"), ("rate_limited", "info", "")],
)
async def test_the_log_says_what_to_do_about_an_account_that_is_out(
    metrics: Metrics, clock: FakeClock, reason: str, level: str, words: str
) -> None:
    inner = Scripted(clock)
    inner.healths = [AccountHealth(account_name="one", state=AccountState.EXPIRED, reason=reason)]
    watch = AccountWatch(MeteredAccounts(inner, metrics, clock), metrics, lambda: [ONE])
    with capture_logs() as lines:
        await watch.sample()
        await watch.sample()
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("account_state_changed", level)
    assert words in "".join(line.get("notes", ()))


def test_a_session_lasts_a_day_from_its_login_where_that_is_known() -> None:
    began_s = datetime(2026, 11, 20, 8, 0, tzinfo=UTC).timestamp()
    web = replace(ONE, name="web", kind=AccountKind.STUDIO, login_time="2026-11-20 08:00 UTC")
    unknown = replace(web, name="unknown", login_time="04-26 17:00")
    left_s = sessions_left_s([BookEntry(account=one) for one in (ONE, web, unknown)], now_s=began_s + 3600)
    assert left_s == {"web": 23 * 3600}
