"""The contract of ports.Turns, in memory and on a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from service.gateway.ports import Turns
from service.store import keys
from service.store.turns import RedisTurns
from tests.fakes.threads import FakeTurns
from tests.store.conftest import Connected, Connecting


@pytest.fixture(params=["memory", "redis"])
def turns(request: pytest.FixtureRequest) -> Turns:
    if request.param == "memory":
        return FakeTurns(lambda: 0.0)
    connected: Connected = request.getfixturevalue("connected")
    return RedisTurns(connected.store)


async def test_one_of_many_has_the_turn(turns: Turns) -> None:
    taken = await asyncio.gather(*(turns.take("a", every_s=60) for _ in range(20)))
    assert sum(taken) == 1
    assert await turns.take("b", every_s=60)
    assert not await turns.take("a", every_s=60)


async def test_the_turn_ends_by_itself(connected: Connected) -> None:
    await RedisTurns(connected.store).take("a", every_s=60)
    assert 50 < await connected.store.command("TTL", keys.turn("a")) <= 60


async def test_without_redis_nobody_has_it(connecting: Connecting) -> None:
    assert not await RedisTurns(connecting("redis://127.0.0.1:1").store).take("a", every_s=60)
