"""The contract of ports.ReasoningMemory, in memory and on a real Redis; and what the real one writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.config import ApiKey, Storage
from service.gateway.ports import ReasoningMemory
from service.store import keys
from service.store.reasoning import RedisReasoning
from tests.fakes.stored import FakeReasoningMemory
from tests.store.conftest import EVERYWHERE, Connected, Connecting, api_key

KEY = api_key()
OTHER: ApiKey = replace(KEY, key_sha256="fedcba9876543210" * 4)


@pytest.fixture(params=EVERYWHERE)
def memory(request: pytest.FixtureRequest) -> ReasoningMemory:
    if request.param == "memory":
        return FakeReasoningMemory()
    if request.param == "redis":
        return RedisReasoning(request.getfixturevalue("connected").store, Storage())
    fleet = request.getfixturevalue(request.param)
    fleet.flush()
    return RedisReasoning(request.getfixturevalue("connecting")(fleet.url).store, Storage())


async def test_reasoning_comes_back_under_each_call(memory: ReasoningMemory) -> None:
    await memory.keep(KEY, ["call_1", "call_2"], "It says Paris.")
    await memory.keep(KEY, ["call_3"], "\u601d\u8003 \ud83d")
    assert await memory.recall(KEY, ["call_3", "call_9", "call_2"]) == {
        "call_3": "\u601d\u8003 \ud83d",
        "call_2": "It says Paris.",
    }


async def test_another_key_knows_nothing(memory: ReasoningMemory) -> None:
    await memory.keep(KEY, ["call_1"], "secret")
    assert await memory.recall(OTHER, ["call_1"]) == {}


async def test_large_reasoning_goes_through(memory: ReasoningMemory) -> None:
    text = "".join(f"step {number}; " for number in range(40_000))
    await memory.keep(KEY, ["call_1", "call_2"], text)
    assert (await memory.recall(KEY, ["call_1"]))["call_1"] == text


@pytest.fixture
def redis(connected: Connected) -> Connected:
    return connected


@pytest.mark.parametrize("call_id", ["call_1", "call one}{\n", "\ud800", "x" * 10_000])
async def test_redis_holds_no_word_of_it_and_not_for_ever(redis: Connected, call_id: str) -> None:
    memory = RedisReasoning(redis.store, Storage(reasoning_ttl_s=100))
    await memory.keep(KEY, [call_id], "a thought about Paris " * 50)
    (name,) = await redis.store.command("KEYS", "*:reasoning:*")
    assert name.decode() == keys.reasoning(KEY.key_id, call_id)
    assert len(name) < 100
    body = await redis.store.command("GET", name)
    assert b"Paris" not in body
    assert len(body) < 200
    assert 0 < await redis.store.command("TTL", name) <= 100
    assert call_id in await memory.recall(KEY, [call_id])


async def test_another_secret_of_the_server_is_as_good_as_forgotten(redis: Connected) -> None:
    await RedisReasoning(redis.store, Storage(), server_secret="old").keep(KEY, ["call_1"], "text")
    assert await RedisReasoning(redis.store, Storage(), server_secret="new").recall(KEY, ["call_1"]) == {}
    assert await RedisReasoning(redis.store, Storage(), server_secret="old").recall(KEY, ["call_1"])


async def test_reasoning_that_was_moved_to_another_call_does_not_open(redis: Connected) -> None:
    memory = RedisReasoning(redis.store, Storage())
    await memory.keep(KEY, ["call_1"], "text")
    body = await redis.store.command("GET", keys.reasoning(KEY.key_id, "call_1"))
    await redis.store.command("SET", keys.reasoning(KEY.key_id, "call_2"), body)
    assert await memory.recall(KEY, ["call_2"]) == {}


async def test_recall_is_one_round_trip(redis: Connected) -> None:
    memory = RedisReasoning(redis.store, Storage())
    await memory.recall(KEY, [f"call_{number}" for number in range(500)])
    assert [operation for operation, _ in redis.calls] == ["mget"]


async def test_redis_that_is_away_knows_nothing_and_fails_nobody(connecting: Connecting) -> None:
    away = connecting("unix:///nowhere/redis.sock")
    memory = RedisReasoning(away.store, Storage())
    await memory.keep(KEY, ["call_1"], "text")
    assert await memory.recall(KEY, ["call_1"]) == {}
    assert ("reasoning", "degraded") in [(name, str(outcome)) for name, outcome in away.calls]
