"""What the local pool does beyond the contract that test_accounts.py holds it to: shares, and bounds."""

from __future__ import annotations

from service.core.leases import AccountState, Penalty, PenaltyKind
from service.store.local_accounts import LocalAccounts, PoolSettings
from service.store.refusals import NotLeased
from tests.fakes.clock import FakeClock
from tests.store.conftest import account


def made(share: int = 2) -> tuple[LocalAccounts, FakeClock]:
    clock = FakeClock()
    pool = LocalAccounts(
        settings=PoolSettings(), monotonic_s=clock.monotonic_s, share_of=lambda limit: max(limit // share, 1)
    )
    return pool, clock


def test_slots_and_minutes_are_shared_among_workers():
    pool, clock = made()
    one = account("a", max_concurrency=4, requests_per_minute=6)
    assert [pool.take([one], lease_id=f"l{n}") for n in range(2)] == ["a", "a"]
    assert isinstance(pool.take([one], lease_id="l2"), NotLeased)
    pool.give_back("a", "l0", penalty=None)
    assert pool.take([one], lease_id="l3") == "a"
    pool.give_back("a", "l1", penalty=None)
    refusal = pool.take([one], lease_id="l4")
    assert isinstance(refusal, NotLeased)
    assert refusal.retry_after_s == 60
    clock.turn(60)
    assert pool.take([one], lease_id="l5") == "a"


def test_nothing_per_minute_is_nothing():
    pool, _ = made()
    refusal = pool.take([account("a", requests_per_minute=0)], lease_id="l")
    assert isinstance(refusal, NotLeased)
    assert refusal.retry_after_s is None


def test_giving_back_what_is_not_held_says_so():
    pool, _ = made()
    assert not pool.give_back("a", "l", penalty=None)


def test_a_reset_keeps_running_leases():
    pool, _ = made()
    one = account("a")
    pool.take([one], lease_id="l")
    pool.give_back("a", "x", penalty=Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized"))
    assert pool.health(one).state is AccountState.QUARANTINED
    pool.reset("a")
    assert (pool.health(one).state, pool.health(one).leases) == (AccountState.READY, 1)


def test_sticky_conversations_are_bounded():
    pool, _ = made()
    for number in range(10_050):
        pool.give_back("a", "l", penalty=None, sticky_key=str(number))
    assert len(pool._sticky) == 10_000
