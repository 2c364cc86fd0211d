"""The contract of ports.Limits, on the fake and on the real Redis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.errors import Kind, RateLimited
from service.core.events import Usage
from service.core.leases import Allowance
from tests.fakes.clock import FakeClock
from tests.store.conftest import Connected, World, account, api_key, redis_world

ACCOUNT = account("a", max_concurrency=1000)


async def admit(world: World, key, request_id: str = "r1", tokens: int = 0):
    return await world.limits.admit(key, request_id=request_id, estimated_tokens=tokens)


async def settle(world: World, admission, *, tokens: int = 0, cost_micro_usd: int = 0) -> None:
    """End the request as if it had used an account."""
    lease = await world.accounts.acquire([ACCOUNT], lease_id=f"lease {admission.request_id}")
    await world.ledger.settle(
        admission, lease, usage=Usage(input_tokens=tokens), model="m", cost_micro_usd=cost_micro_usd
    )


async def refusal(world: World, key, request_id: str = "refused", tokens: int = 0) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await admit(world, key, request_id, tokens)
    return caught.value


async def test_a_key_without_limits_is_let_in(world: World):
    admission = await admit(world, api_key(), tokens=12)
    assert (admission.requests, admission.tokens, admission.reserved_tokens) == (None, None, 12)
    assert not admission.is_degraded


async def test_the_allowance_tells_what_is_left(world: World):
    key = api_key(requests_per_minute=5, tokens_per_minute=100)
    admission = await admit(world, key, tokens=30)
    assert admission.requests == Allowance(limit=5, remaining=4, resets_in_s=60)
    assert admission.tokens == Allowance(limit=100, remaining=70, resets_in_s=60)
    assert (admission.key_id, admission.request_id) == (key.key_id, "r1")


async def test_requests_of_a_minute_are_limited(world: World):
    key = api_key(requests_per_minute=2)
    await admit(world, key, "r1")
    world.clock.turn(15)
    await admit(world, key, "r2")
    error = await refusal(world, key)
    assert (error.kind, error.code) == (Kind.RATE_LIMITED, "requests_per_minute")
    assert error.retry_after_s == pytest.approx(45, abs=0.01)
    assert "gateway" in error.message
    assert "2 requests per minute" in error.message
    world.clock.turn(45)
    await admit(world, key, "r3")
    assert (await refusal(world, key)).retry_after_s == pytest.approx(15, abs=0.01)


async def test_a_minute_is_any_sixty_seconds(world: World):
    key = api_key(requests_per_minute=3)
    let_in = []
    for number in range(400):
        try:
            await admit(world, key, f"r{number}")
            let_in.append(world.clock.passed_s)
        except RateLimited:
            pass
        world.clock.turn(0.7)
    assert all(later - earlier >= 60 for earlier, later in zip(let_in, let_in[3:], strict=False))
    assert len(let_in) >= 13


async def test_tokens_of_a_minute_are_limited(world: World):
    key = api_key(tokens_per_minute=100)
    await admit(world, key, "r1", tokens=60)
    error = await refusal(world, key, tokens=41)
    assert error.code == "tokens_per_minute"
    assert error.retry_after_s == pytest.approx(60, abs=0.01)
    assert (await admit(world, key, "r2", tokens=40)).tokens.remaining == 0


async def test_a_request_above_the_whole_minute_is_told_so(world: World):
    error = await refusal(world, api_key(tokens_per_minute=100), tokens=101)
    assert (error.code, error.retry_after_s) == ("request_too_large", None)


async def test_real_tokens_take_the_place_of_the_estimate(world: World):
    key = api_key(tokens_per_minute=100)
    admission = await admit(world, key, "r1", tokens=90)
    await settle(world, admission, tokens=20)
    assert (await admit(world, key, "r2", tokens=80)).tokens.remaining == 0


async def test_more_tokens_than_estimated_are_charged(world: World):
    key = api_key(tokens_per_minute=100)
    admission = await admit(world, key, "r1", tokens=10)
    await settle(world, admission, tokens=95)
    assert (await refusal(world, key, tokens=6)).code == "tokens_per_minute"


async def test_concurrency_is_limited_until_requests_end(world: World):
    key = api_key(max_concurrency=2)
    first = await admit(world, key, "r1")
    await admit(world, key, "r2")
    error = await refusal(world, key)
    assert (error.code, error.retry_after_s) == ("concurrency", 1.0)
    await world.limits.renew([first])
    await settle(world, first)
    await world.limits.renew([first])
    await admit(world, key, "r3")
    await refusal(world, key)


async def test_a_used_up_budget_refuses(world: World):
    key = api_key(budget_usd=0.5)
    admission = await admit(world, key, "r1")
    await settle(world, admission, cost_micro_usd=499_999)
    second = await admit(world, key, "r2")
    await settle(world, second, cost_micro_usd=1)
    error = await refusal(world, key)
    assert (error.code, error.retry_after_s) == ("insufficient_quota", None)


@pytest.mark.parametrize(
    "limit", ["requests_per_minute", "tokens_per_minute", "max_concurrency", "budget_usd"]
)
async def test_zero_refuses_everything(world: World, limit: str):
    error = await refusal(world, api_key(**{limit: 0}), tokens=1)
    assert error.retry_after_s is None


async def test_the_same_request_id_is_one_admission(world: World):
    key = api_key(requests_per_minute=1, tokens_per_minute=10, max_concurrency=1)
    first = await admit(world, key, "same", tokens=10)
    assert await admit(world, key, "same", tokens=10) == first


async def test_keys_do_not_share_limits(world: World):
    await admit(world, api_key(requests_per_minute=1), "r1")
    other = api_key(requests_per_minute=1)
    object.__setattr__(other, "key_sha256", "f" * 64)
    await admit(world, other, "r2")


async def test_a_request_that_reached_no_account_is_taken_back(world: World):
    key = api_key(requests_per_minute=1, tokens_per_minute=10, max_concurrency=1)
    admission = await admit(world, key, "r1", tokens=10)
    await world.ledger.settle(admission, None, usage=Usage(), model="m")
    await admit(world, key, "r2", tokens=10)


async def test_settling_twice_charges_once(world: World):
    key = api_key(tokens_per_minute=100, budget_usd=1)
    admission = await admit(world, key, "r1", tokens=10)
    await settle(world, admission, tokens=40, cost_micro_usd=600_000)
    await settle(world, admission, tokens=40, cost_micro_usd=600_000)
    assert (await admit(world, key, "r2", tokens=60)).tokens.remaining == 0


LIMITS = st.fixed_dictionaries(
    {
        "requests_per_minute": st.none() | st.integers(0, 4),
        "tokens_per_minute": st.none() | st.integers(0, 60),
        "max_concurrency": st.none() | st.integers(0, 3),
        "budget_usd": st.none() | st.sampled_from([0.0, 0.001, 1.0]),
    }
)
STEPS = st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 40)), max_size=12)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=LIMITS, steps=STEPS)
async def test_a_refused_request_consumes_nothing(connected: Connected, limits: dict, steps: list):
    """Slow: sixty histories of a key, each step on the real Redis. A refusal leaves every key as it was."""
    store = connected.store
    await store.command("FLUSHALL")
    world, key = redis_world(connected, FakeClock()), api_key(**limits)
    held = []
    for number, (tokens, settles, passed_s) in enumerate(steps):
        world.clock.turn(passed_s)
        await admit_quietly(world, key, f"warm-up {number}", 0)  # drops what has expired
        before = await everything(store)
        admission = await admit_quietly(world, key, f"r{number}", tokens)
        if admission is None:
            assert await everything(store) == before
        else:
            held.append(admission)
        if settles and held:
            await settle(world, held.pop(0), tokens=tokens, cost_micro_usd=400)


async def admit_quietly(world: World, key, request_id: str, tokens: int):
    try:
        return await admit(world, key, request_id, tokens)
    except RateLimited:
        return None


async def everything(store) -> dict:
    """Every key with its value."""
    return {key: await store.redis.dump(key) for key in sorted(await store.redis.keys("*"))}
