"""The contract of ports.Accounts, on the fake and on the real Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from service.core.errors import NoAccount, RateLimited
from service.core.leases import AccountState, Penalty, PenaltyKind
from tests.store.conftest import World, account

A, B, C = account("a"), account("b"), account("c")
COOLDOWN = Penalty(kind=PenaltyKind.COOLDOWN, reason="rate_limited", duration_s=20)
QUARANTINE = Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized")
FAILURE = Penalty(kind=PenaltyKind.FAILURE, reason="unavailable")


async def fill(world: World, *accounts, count: int = 1, prefix: str = "fill"):
    return [await world.accounts.acquire(accounts, lease_id=f"{prefix}{number}") for number in range(count)]


async def use(world: World, *accounts, lease_id: str = "used", penalty=None, sticky_key=None) -> str:
    """Take a lease, give it back, and say whose it was."""
    lease = await world.accounts.acquire(accounts, lease_id=lease_id, sticky_key=sticky_key)
    await world.accounts.release(lease, penalty=penalty, sticky_key=sticky_key)
    return lease.account_name


async def state_of(world: World, one) -> AccountState:
    return (await world.accounts.health([one]))[0].state


# --- turns --------------------------------------------------------------------------------------------------


async def test_even_requests_take_turns(world: World):
    names = [await use(world, A, B, C, lease_id=f"l{number}") for number in range(6)]
    assert sorted(names[:3]) == sorted(names[3:]) == ["a", "b", "c"]


async def test_turns_follow_the_weights(world: World):
    heavy = account("heavy", weight=3)
    names = [await use(world, heavy, B, lease_id=f"l{number}") for number in range(40)]
    assert Counter(names) == {"heavy": 30, "b": 10}
    longest_run = max(len(run) for run in "".join(name[0] for name in names).split("b"))
    assert longest_run <= 4


async def test_an_account_that_comes_back_gets_no_arrears(world: World):
    await use(world, A, penalty=COOLDOWN)
    for number in range(20):
        await use(world, A, B, lease_id=f"l{number}")
    world.clock.turn(21)
    names = [await use(world, A, B, lease_id=f"m{number}") for number in range(8)]
    assert 4 <= names.count("a") <= 5


async def test_requests_for_other_accounts_do_not_disturb_the_turns(world: World):
    names = []
    for number in range(20):
        await use(world, A, lease_id=f"a{number}")
        names.append(await use(world, B, C, lease_id=f"l{number}"))
    assert Counter(names) == {"b": 10, "c": 10}


# --- slots --------------------------------------------------------------------------------------------------


async def test_an_account_is_never_above_its_concurrency(world: World):
    leases = await fill(world, A, B, count=8)
    assert Counter(lease.account_name for lease in leases) == {"a": 4, "b": 4}
    with pytest.raises(RateLimited) as caught:
        await world.accounts.acquire([A, B], lease_id="more")
    assert caught.value.code == "accounts_busy"
    assert caught.value.retry_after_s == 1.0


async def test_a_full_account_is_passed_over(world: World):
    await fill(world, A, count=4)
    assert await use(world, A, B) == "b"


async def test_a_refusal_takes_nothing(world: World):
    await fill(world, A, count=4)
    for number in range(3):
        with pytest.raises(RateLimited):
            await world.accounts.acquire([A], lease_id=f"refused{number}")
    assert await world.leases(A) == 4


async def test_the_same_lease_id_is_one_lease(world: World):
    first = await world.accounts.acquire([A, B], lease_id="same")
    again = await world.accounts.acquire([A, B], lease_id="same")
    assert first == again
    assert await world.leases(A, B) == 1


async def test_releasing_twice_frees_one_slot(world: World):
    first, *_ = await fill(world, A, count=4)
    await world.accounts.release(first)
    await world.accounts.release(first)
    assert await world.leases(A) == 3


@pytest.mark.parametrize("penalty", [None, COOLDOWN, QUARANTINE, FAILURE])
async def test_after_any_ending_no_lease_is_left(world: World, penalty):
    leases = await fill(world, A, B, C, count=12)
    await world.accounts.renew(leases)
    for lease in leases:
        await world.accounts.release(lease, penalty=penalty, sticky_key="conversation")
    await world.accounts.renew([])
    assert await world.leases(A, B, C) == 0


# --- the account's own minute -------------------------------------------------------------------------------


async def test_an_account_is_never_above_its_requests_per_minute(world: World):
    slow = account("slow", requests_per_minute=3)
    for number in range(3):
        await use(world, slow, lease_id=f"l{number}")
        world.clock.turn(10)
    with pytest.raises(RateLimited) as caught:
        await use(world, slow, lease_id="refused")
    assert caught.value.code == "accounts_resting"
    assert caught.value.retry_after_s == pytest.approx(30)
    world.clock.turn(30)
    assert await use(world, slow, lease_id="later") == "slow"


async def test_an_account_is_never_above_its_tokens_per_minute(world: World):
    slow = account("slow", tokens_per_minute=100)
    first = await world.accounts.acquire([slow], lease_id="l1", estimated_tokens=60)
    with pytest.raises(RateLimited):
        await world.accounts.acquire([slow], lease_id="l2", estimated_tokens=60)
    assert (await world.accounts.acquire([slow], lease_id="l3", estimated_tokens=40)).account_name == "slow"
    await world.accounts.release(first)
    world.clock.turn(61)
    await world.accounts.acquire([slow], lease_id="l4", estimated_tokens=100)


async def test_a_request_above_the_whole_minute_goes_alone(world: World):
    """The limit is the upstream's: it shall answer, rather than nobody ever."""
    slow = account("slow", tokens_per_minute=100)
    await world.accounts.acquire([slow], lease_id="l1", estimated_tokens=1000)
    with pytest.raises(RateLimited):
        await world.accounts.acquire([slow], lease_id="l2", estimated_tokens=1)


# --- sticky -------------------------------------------------------------------------------------------------


async def test_a_conversation_stays_with_its_account(world: World):
    first = await use(world, A, B, C, lease_id="l0", sticky_key="conversation")
    for number in range(1, 6):
        name = await use(world, A, B, C, lease_id=f"l{number}", sticky_key="conversation")
        assert name == first


async def test_a_conversation_moves_when_its_account_is_full(world: World):
    first = await use(world, A, B, sticky_key="conversation")
    mine, other = (A, B) if first == "a" else (B, A)
    await fill(world, mine, count=4)
    lease = await world.accounts.acquire([A, B], lease_id="moved", sticky_key="conversation")
    assert lease.account_name == other.name


async def test_a_conversation_moves_when_its_account_fails(world: World):
    first = await use(world, A, B, lease_id="l0", sticky_key="conversation")
    await use(world, A if first == "a" else B, lease_id="l1", sticky_key="conversation", penalty=FAILURE)
    assert await use(world, A, B, lease_id="l2", sticky_key="conversation") != first


# --- health -------------------------------------------------------------------------------------------------


async def test_a_cooldown_ends_by_itself(world: World):
    await use(world, A, penalty=COOLDOWN)
    (health,) = await world.accounts.health([A])
    assert (health.state, health.reason) == (AccountState.COOLING, "rate_limited")
    assert health.until_s == pytest.approx(20, abs=0.1)
    with pytest.raises(RateLimited) as caught:
        await use(world, A)
    assert caught.value.retry_after_s == pytest.approx(20, abs=0.1)
    world.clock.turn(20.1)
    assert await state_of(world, A) is AccountState.READY
    assert await use(world, A) == "a"


async def test_the_soonest_reset_is_told(world: World):
    for one, rest_s in ((A, 30), (B, 12), (C, 50)):
        penalty = Penalty(kind=PenaltyKind.COOLDOWN, reason="rate_limited", duration_s=rest_s)
        await use(world, one, lease_id=one.name, penalty=penalty)
    with pytest.raises(RateLimited) as caught:
        await use(world, A, B, C)
    assert caught.value.retry_after_s == pytest.approx(12, abs=0.1)


async def test_a_success_that_began_earlier_does_not_end_a_cooldown(world: World):
    first, second = await fill(world, A, count=2)
    await world.accounts.release(first, penalty=COOLDOWN)
    await world.accounts.release(second)
    assert await state_of(world, A) is AccountState.COOLING


async def test_cooldowns_of_no_stated_length_grow(world: World):
    rests = []
    for number in range(3):
        penalty = Penalty(kind=PenaltyKind.COOLDOWN, reason="rate_limited")
        await use(world, A, lease_id=f"l{number}", penalty=penalty)
        (health,) = await world.accounts.health([A])
        rests.append(round(health.until_s))
        world.clock.turn(health.until_s + 0.1)
    assert rests == [1, 2, 4]


async def test_a_quarantine_lasts_until_reset(world: World):
    await use(world, A, penalty=QUARANTINE)
    world.clock.turn(86_400)
    assert await state_of(world, A) is AccountState.QUARANTINED
    with pytest.raises(NoAccount) as caught:
        await use(world, A)
    assert "unauthorized" in caught.value.message
    await world.accounts.reset("a")
    assert await state_of(world, A) is AccountState.READY
    assert await use(world, A) == "a"


async def test_an_ended_session_shows_as_expired(world: World):
    penalty = Penalty(kind=PenaltyKind.QUARANTINE, reason="session_expired")
    await use(world, A, penalty=penalty)
    assert await state_of(world, A) is AccountState.EXPIRED


async def test_what_a_probe_learns_counts_without_a_lease(world: World):
    lease = await world.accounts.acquire([A], lease_id="running")
    await world.accounts.penalise("a", Penalty(kind=PenaltyKind.QUARANTINE, reason="session_expired"))
    assert await state_of(world, A) is AccountState.EXPIRED
    assert await world.leases(A) == 1
    await world.accounts.release(lease)
    assert await state_of(world, A) is AccountState.EXPIRED


async def test_failures_in_a_row_open_the_breaker_and_one_probe_closes_it(world: World):
    for number in range(5):
        assert await state_of(world, A) is AccountState.READY
        await use(world, A, lease_id=f"l{number}", penalty=FAILURE)
    (health,) = await world.accounts.health([A])
    assert (health.state, health.reason) == (AccountState.OPEN, "unavailable")
    assert health.until_s == pytest.approx(5, abs=0.1)
    world.clock.turn(5.1)
    assert await state_of(world, A) is AccountState.HALF_OPEN
    probe = await world.accounts.acquire([A], lease_id="probe")
    with pytest.raises(RateLimited):
        await world.accounts.acquire([A], lease_id="second probe")
    await world.accounts.release(probe)
    assert await state_of(world, A) is AccountState.READY
    await fill(world, A, count=4)


async def test_a_failed_probe_opens_the_breaker_for_longer(world: World):
    for number in range(5):
        await use(world, A, lease_id=f"l{number}", penalty=FAILURE)
    rests = []
    for number in range(3):
        world.clock.turn((await world.accounts.health([A]))[0].until_s + 0.1)
        await use(world, A, lease_id=f"probe{number}", penalty=FAILURE)
        rests.append(round((await world.accounts.health([A]))[0].until_s))
    assert rests == [10, 20, 40]


async def test_a_success_between_failures_keeps_the_breaker_closed(world: World):
    for number in range(12):
        await use(world, A, lease_id=f"l{number}", penalty=None if number % 4 == 3 else FAILURE)
    assert await state_of(world, A) is AccountState.READY


async def test_disabled_accounts_are_not_used(world: World):
    disabled = account("off", enabled=False)
    assert await use(world, disabled, B) == "b"
    with pytest.raises(NoAccount) as caught:
        await use(world, disabled)
    assert "disabled" in caught.value.message
    assert await state_of(world, disabled) is AccountState.DISABLED


async def test_no_candidates_is_no_account(world: World):
    with pytest.raises(NoAccount):
        await world.accounts.acquire([], lease_id="l")


async def test_no_message_names_an_account(world: World):
    secret = account("someones-mail@example.com")
    await use(world, secret, penalty=QUARANTINE)
    with pytest.raises(NoAccount) as caught:
        await use(world, secret)
    assert "example.com" not in caught.value.message


# --- the queue ----------------------------------------------------------------------------------------------


async def queued(world: World, *accounts, count: int, wait_s: float = 60.0) -> list[asyncio.Task]:
    """Tasks that wait for a slot, each known to stand behind the one before."""
    tasks = []
    for number in range(count):
        name = f"queued{number}"
        waiting = world.accounts.acquire(accounts, lease_id=name, wait_s=wait_s)
        tasks.append(asyncio.create_task(waiting, name=name))
        async with asyncio.timeout(30):
            while await world.waiting() <= number:  # noqa: ASYNC110 - Redis sets no Event
                await asyncio.sleep(0.002)
    return tasks


async def test_who_waits_gets_the_slot_that_is_given_back(world: World):
    first, *_ = await fill(world, A, count=4)
    (waiter,) = await queued(world, A, count=1)
    assert not waiter.done()
    await world.accounts.release(first)
    assert (await waiter).account_name == "a"
    assert await world.leases(A) == 4


async def test_first_come_first_served(world: World):
    leases = await fill(world, A, count=4)
    waiters = await queued(world, A, count=4)
    for lease, waiter in zip(leases, waiters, strict=True):
        await world.accounts.release(lease)
        assert (await waiter).lease_id == waiter.get_name()
        assert sum(other.done() for other in waiters) == waiters.index(waiter) + 1, "one slot, one of them"


async def test_who_comes_later_does_not_overtake(world: World):
    first, *_ = await fill(world, A, count=4)
    (waiter,) = await queued(world, A, count=1)
    release = asyncio.ensure_future(world.accounts.release(first))
    with pytest.raises(RateLimited):
        await world.accounts.acquire([A], lease_id="late")
    await release
    assert (await waiter).account_name == "a"


async def test_who_waits_for_another_account_is_in_nobodys_way(world: World):
    await fill(world, A, count=4)
    (waiter,) = await queued(world, A, count=1)
    assert (await world.accounts.acquire([B], lease_id="other")).account_name == "b"
    assert (await world.accounts.acquire([A, B], lease_id="both")).account_name == "b"
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)


async def test_waiting_ends_at_the_deadline(world: World):
    await fill(world, A, count=4)
    with pytest.raises(RateLimited) as caught:
        await world.accounts.acquire([A], lease_id="late", wait_s=0.05)
    assert caught.value.code == "accounts_busy"


async def test_nobody_waits_for_a_rest_that_outlasts_the_deadline(world: World):
    await use(world, A, penalty=replace(COOLDOWN, duration_s=600.0))
    async with asyncio.timeout(30):
        with pytest.raises(RateLimited) as caught:
            await world.accounts.acquire([A], lease_id="late", wait_s=500)
    assert caught.value.code == "accounts_resting"


async def test_the_queue_is_bounded(world: World):
    await fill(world, A, count=4)
    waiters = await queued(world, A, count=8)
    with pytest.raises(RateLimited) as caught:
        await world.accounts.acquire([A], lease_id="one too many", wait_s=5)
    assert caught.value.code == "queue_full"
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)


async def test_who_leaves_the_queue_leaves_no_lease_behind(world: World):
    leases = await fill(world, A, count=4)
    (waiter,) = await queued(world, A, count=1)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    for lease in leases:
        await world.accounts.release(lease)
    async with asyncio.timeout(30):
        while True:  # the abandoned place goes a moment later, off the caller's path
            try:
                next_lease = await world.accounts.acquire([A], lease_id="next")
                break
            except RateLimited:
                await asyncio.sleep(0.01)
    await world.accounts.release(next_lease)
    assert await world.leases(A) == 0
