"""The end of a request, on the real Redis: one round trip, booked once, whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.core.events import Usage
from service.core.leases import Penalty, PenaltyKind
from service.core.usage import UsageRow
from service.store import keys
from tests.fakes.clock import FakeClock
from tests.store.conftest import Connected, World, account, api_key, redis_world

A = account("a")
KEY = api_key(requests_per_minute=10, tokens_per_minute=1000, max_concurrency=5, budget_usd=1)
USAGE = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2)


@pytest.fixture
def world(connected: Connected) -> World:
    return redis_world(connected, FakeClock())


def today():
    return datetime.now(UTC).date()


async def end(world: World, number: int = 0, **more: object) -> None:
    admission = await world.limits.admit(KEY, request_id=f"r{number}", estimated_tokens=7)
    lease = await world.accounts.acquire([A], lease_id=f"l{number}")
    await world.ledger.settle(admission, lease, usage=USAGE, model="mimo", **more)


async def test_usage_is_booked_by_day_key_and_model(world: World):
    await end(world, 1, cost_micro_usd=30)
    await end(world, 2, cost_micro_usd=12)
    assert await world.ledger.usage(KEY.key_id, today()) == {
        "mimo": UsageRow(
            requests=2,
            input_tokens=20,
            cached_tokens=8,
            output_tokens=10,
            reasoning_tokens=4,
            cost_micro_usd=42,
        )
    }
    assert await world.ledger.spent_micro_usd(KEY.key_id) == 42


async def test_a_request_is_three_round_trips_and_its_end_is_one(world: World, connected: Connected):
    await end(world)
    assert [name for name, _ in connected.calls] == ["admit", "acquire", "settle"]


async def test_the_end_gives_back_slot_and_lease(world: World, connected: Connected):
    await end(world)
    assert await world.leases(A) == 0
    assert await connected.store.command("ZCARD", keys.api_key(KEY.key_id).slots) == 0


async def test_a_penalty_at_the_end_counts(world: World):
    await end(world, penalty=Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized"))
    assert (await world.accounts.health([A]))[0].reason == "unauthorized"


async def test_the_accounts_minute_gets_the_real_tokens(world: World):
    limited = account("limited", tokens_per_minute=100)
    admission = await world.limits.admit(KEY, request_id="r", estimated_tokens=90)
    lease = await world.accounts.acquire([limited], lease_id="l", estimated_tokens=90)
    await world.ledger.settle(admission, lease, usage=USAGE, model="mimo")
    await world.accounts.acquire([limited], lease_id="l2", estimated_tokens=85)


async def test_a_request_without_an_account_books_no_usage(world: World):
    admission = await world.limits.admit(KEY, request_id="r", estimated_tokens=7)
    await world.ledger.settle(admission, None, usage=Usage(), model="mimo")
    assert await world.ledger.usage(KEY.key_id, today()) == {}


async def test_a_long_model_name_is_cut(world: World):
    admission = await world.limits.admit(KEY, request_id="r", estimated_tokens=7)
    lease = await world.accounts.acquire([A], lease_id="l")
    await world.ledger.settle(admission, lease, usage=USAGE, model="m" * 1000)
    assert list(await world.ledger.usage(KEY.key_id, today())) == ["m" * 128]


async def test_every_key_has_an_end(world: World, connected: Connected):
    """A key without a lifetime is a leak that fills Redis in a year."""
    await end(
        world, 1, sticky_key="conversation", penalty=Penalty(kind=PenaltyKind.FAILURE, reason="timeout")
    )
    await end(world, 2, sticky_key="conversation", cost_micro_usd=5)
    limited = account("limited", requests_per_minute=5, tokens_per_minute=100, max_concurrency=1)
    await world.accounts.acquire([limited], lease_id="l3", estimated_tokens=5)
    await world.accounts.renew([])
    redis = connected.store.redis
    names = await redis.keys("*")
    assert len(names) >= 10
    assert {name: ttl for name in names if (ttl := await redis.pttl(name)) < 0} == {}
