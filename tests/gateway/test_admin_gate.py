"""Who is let in, when Redis is there and when it is away."""

from __future__ import annotations

import asyncio

import pytest

from service.config import key_digest
from service.core.errors import PermissionDenied, RateLimited, StoreUnavailable, Unauthenticated
from service.gateway.admin_gate import (
    _MAX_SEEN,
    GRACE_S,
    MAX_FAILURES,
    MAX_FAILURES_IN_ALL,
    SESSION_S,
    AdminGate,
)
from tests.fakes.clock import FakeClock

KEY = "admin-key-for-tests-0123"
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Sessions:
    """In memory; tokens are never among the digests."""

    def __init__(self) -> None:
        self.ends: dict[str, float] = {}
        self.is_away = False

    async def begin(self, digest: str, *, expires_at_s: float, ttl_s: int) -> None:
        self.ends[digest] = expires_at_s

    async def expires_at_s(self, digest: str) -> float | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.ends.get(digest)

    async def end(self, digest: str) -> None:
        self.ends.pop(digest, None)


class Attempts:
    """In memory; `is_away`: Redis is."""

    def __init__(self) -> None:
        self.by_address: dict[str, int] = {}
        self.is_away = False

    async def add(self, address: str, *, window_s: int) -> None:
        self._ask()
        self.by_address[address] = self.by_address.get(address, 0) + 1

    async def counts(self, address: str) -> tuple[int, int]:
        self._ask()
        return self.by_address.get(address, 0), sum(self.by_address.values())

    def _ask(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")


class World:
    def __init__(self) -> None:
        self.clock, self.sessions, self.attempts = FakeClock(unix_s=1_790_000_040.0), Sessions(), Attempts()

    def gate(self, key: str = KEY) -> AdminGate:
        digest = key_digest(key) if key else ""
        return AdminGate(digest, sessions=self.sessions, attempts=self.attempts, clock=self.clock)


@pytest.fixture
def world() -> World:
    return World()


async def fails(gate: AdminGate, times: int, *, address: str = HERE) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            await gate.check_key("wrong", address=address)


async def test_right_key_opens(world: World) -> None:
    await world.gate().check_key(KEY, address=HERE)


@pytest.mark.parametrize("presented", ["", "x", KEY[:-1], KEY + "x", key_digest(KEY), "\udcff"])
async def test_any_other_does_not(world: World, presented: str) -> None:
    with pytest.raises(Unauthenticated):
        await world.gate().check_key(presented, address=HERE)


async def test_no_key_opens_nothing(world: World) -> None:
    gate = world.gate("")
    assert not gate.is_configured
    for presented in ("", KEY):
        with pytest.raises(PermissionDenied):
            await gate.check_key(presented, address=HERE)
    assert await gate.session("token") is None


@pytest.mark.parametrize("is_away", [False, True], ids=["Redis counts", "Redis is away"])
async def test_after_some_wrong_keys_none_opens_from_there_for_a_minute(world: World, is_away: bool) -> None:
    gate = world.gate()
    world.attempts.is_away = is_away
    await fails(gate, MAX_FAILURES)
    with pytest.raises(RateLimited) as caught:
        await gate.check_key(KEY, address=HERE)
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 60
    await gate.check_key(KEY, address=THERE)
    world.clock.turn(60)
    world.attempts.by_address.clear()
    await gate.check_key(KEY, address=HERE)


class SlowAttempts(Attempts):
    """Redis takes its time: every request of a burst waits for it before any wrong key is counted."""

    async def counts(self, address: str) -> tuple[int, int]:
        found = await super().counts(address)
        await asyncio.sleep(0)
        return found


async def test_burst_of_wrong_keys_is_compared_no_more_often_than_a_row_of_them(world: World) -> None:
    world.attempts = SlowAttempts()
    gate = world.gate()
    guesses = [gate.check_key(f"guess-{number}", address=HERE) for number in range(50)]
    refused = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(error) for error in refused].count(Unauthenticated) == MAX_FAILURES
    assert [type(error) for error in refused].count(RateLimited) == 50 - MAX_FAILURES


async def test_wrong_keys_at_another_worker_count(world: World) -> None:
    await fails(world.gate(), MAX_FAILURES)
    with pytest.raises(RateLimited):
        await world.gate().check_key(KEY, address=HERE)


@pytest.mark.parametrize("is_away", [False, True])
async def test_many_addresses_are_bounded_in_all(world: World, is_away: bool) -> None:
    gate = world.gate()
    world.attempts.is_away = is_away
    for number in range(MAX_FAILURES_IN_ALL):
        await fails(gate, 1, address=f"192.0.2.{number}")
    with pytest.raises(RateLimited):
        await gate.check_key(KEY, address="198.51.100.1")


async def test_session_ends_by_itself_and_by_signing_out(world: World) -> None:
    gate = world.gate()
    token, session = await gate.sign_in(KEY, address=HERE)
    assert session.expires_at_s == world.clock.unix_s() + SESSION_S
    assert await world.gate().session(token) == session, "every worker knows it"
    assert token not in str(world.sessions.ends)
    assert session.csrf_token not in str(world.sessions.ends)
    world.clock.turn(SESSION_S)
    assert await gate.session(token) is None
    token, _ = await gate.sign_in(KEY, address=HERE)
    await gate.sign_out(token)
    assert await gate.session(token) is None
    assert await gate.session(None) is None


async def test_sessions_differ_and_belong_to_their_admin_key(world: World) -> None:
    gate = world.gate()
    one, first = await gate.sign_in(KEY, address=HERE)
    other, second = await gate.sign_in(KEY, address=HERE)
    assert one != other
    assert first.csrf_token != second.csrf_token
    assert first.who != second.who
    assert await world.gate("another-admin-key-0123").session(one) is None


async def test_session_that_was_seen_goes_on_for_a_while_when_redis_is_away(world: World) -> None:
    gate = world.gate()
    token, session = await gate.sign_in(KEY, address=HERE)
    assert await gate.session(token) == session
    world.sessions.is_away = True
    assert await gate.session(token) == session
    for stranger in (gate.session("a token that nobody gave"), world.gate().session(token)):
        with pytest.raises(StoreUnavailable):
            await stranger
    world.clock.turn(GRACE_S)
    with pytest.raises(StoreUnavailable):
        await gate.session(token)


async def test_session_that_ended_elsewhere_is_not_remembered(world: World) -> None:
    gate = world.gate()
    token, _ = await gate.sign_in(KEY, address=HERE)
    assert await gate.session(token) is not None
    await world.gate().sign_out(token)
    assert await gate.session(token) is None
    world.sessions.is_away = True
    with pytest.raises(StoreUnavailable):
        await gate.session(token)


async def test_sessions_that_were_seen_are_bounded(world: World) -> None:
    gate = world.gate()
    tokens = [(await gate.sign_in(KEY, address=HERE))[0] for _ in range(_MAX_SEEN + 1)]
    for token in tokens:
        assert await gate.session(token) is not None
    world.sessions.is_away = True
    assert await gate.session(tokens[-1]) is not None
    with pytest.raises(StoreUnavailable):
        await gate.session(tokens[0])
