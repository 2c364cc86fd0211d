"""The model catalogue's contract, on the fake and on the real Redis."""

from __future__ import annotations

import pytest

from service.store.models import RedisModelCatalogue
from tests.fakes.stored import FakeModelCatalogue
from tests.store.conftest import Connected, Connecting


@pytest.fixture(params=["memory", "redis"])
def catalogue(request: pytest.FixtureRequest) -> RedisModelCatalogue | FakeModelCatalogue:
    if request.param == "memory":
        return FakeModelCatalogue()
    return RedisModelCatalogue(request.getfixturevalue("store"))


async def test_what_is_saved_is_loaded(catalogue):
    assert await catalogue.load() == {}
    await catalogue.save({"a": ["m1", "m2"], "b": []})
    assert await catalogue.load() == {"a": ["m1", "m2"], "b": []}


async def test_other_accounts_keep_what_they_have(catalogue):
    await catalogue.save({"a": ["m1"]})
    await catalogue.save({"b": ["m2"]})
    await catalogue.save({"a": ["m3"]})
    await catalogue.save({})
    assert await catalogue.load() == {"a": ["m3"], "b": ["m2"]}


async def test_it_ends_after_a_day(connected: Connected):
    await RedisModelCatalogue(connected.store).save({"a": ["m1"]})
    assert 0 < await connected.store.command("TTL", "mgw:{models}:catalogue") <= 86_400


async def test_without_redis_nothing_is_known_and_nothing_breaks(connecting: Connecting):
    connected = connecting("unix:///nowhere")
    catalogue = RedisModelCatalogue(connected.store)
    await catalogue.save({"a": ["m1"]})
    assert await catalogue.load() == {}
