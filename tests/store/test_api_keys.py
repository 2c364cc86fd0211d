"""The registry of issued keys: one contract, in memory and on the real Redis."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from service.config import ApiKey, IssuedKey
from service.core.errors import StoreUnavailable
from service.gateway.ports import KeyRegistry
from service.store import keys
from service.store.api_keys import RedisKeyRegistry
from service.store.client import Store
from tests.fakes.stored import FakeKeyRegistry
from tests.store.conftest import Connecting

FULL = IssuedKey(
    key=ApiKey(
        name="team ü",
        key_sha256="ab" * 32,
        requests_per_minute=0,
        tokens_per_minute=1000,
        max_concurrency=2,
        budget_usd=0.5,
        models=("mimo-v2.6-pro",),
        loop_guard=True,
        web_search=False,
    ),
    created_at_s=1_790_000_000,
)
PLAIN = IssuedKey(key=ApiKey(name="plain", key_sha256="cd" * 32), created_at_s=1_790_000_001)


@pytest.fixture(params=["memory", "redis"])
def registry(request: pytest.FixtureRequest) -> KeyRegistry:
    if request.param == "memory":
        return FakeKeyRegistry()
    return RedisKeyRegistry(request.getfixturevalue("store"))


async def test_key_comes_back_as_it_was_stored(registry: KeyRegistry) -> None:
    for issued in (FULL, PLAIN):
        assert await registry.add(issued)
        assert await registry.find(issued.key.key_id) == issued.key
    assert list(await registry.every()) == [FULL, PLAIN]


def test_the_contract_is_tried_with_every_field() -> None:
    assert not [f.name for f in fields(ApiKey) if getattr(FULL.key, f.name) == f.default]


async def test_id_is_given_once(registry: KeyRegistry) -> None:
    assert await registry.add(PLAIN)
    other = replace(PLAIN, key=replace(PLAIN.key, name="other"))
    assert not await registry.add(other)
    assert await registry.find(PLAIN.key.key_id) == PLAIN.key


async def test_limits_of_a_key_that_is_there_are_changed(registry: KeyRegistry) -> None:
    assert await registry.add(PLAIN)
    changed = replace(PLAIN, key=replace(PLAIN.key, requests_per_minute=7), shown="sk-mimo-…abcd")
    assert await registry.update(changed)
    assert list(await registry.every()) == [changed]


async def test_revoked_key_does_not_come_back_by_a_change(registry: KeyRegistry) -> None:
    assert not await registry.update(PLAIN)
    assert await registry.find(PLAIN.key.key_id) is None


async def test_removed_key_is_unknown(registry: KeyRegistry) -> None:
    await registry.add(PLAIN)
    assert await registry.remove(PLAIN.key.key_id)
    assert not await registry.remove(PLAIN.key.key_id)
    assert await registry.find(PLAIN.key.key_id) is None
    assert await registry.every() == []


async def test_fields_of_another_version_are_left_alone(store: Store) -> None:
    registry = RedisKeyRegistry(store)
    body = b'{"name":"x","digest":"' + b"ef" * 32 + b'","created_at_s":5,"colour":"blue"}'
    await store.command("HSET", keys.ISSUED, "ef" * 8, body)
    found = await registry.find("ef" * 8)
    assert found == ApiKey(name="x", key_sha256="ef" * 32)


async def test_every_call_says_when_redis_is_away(connecting: Connecting) -> None:
    registry = RedisKeyRegistry(connecting("redis://127.0.0.1:1").store)
    for work in (registry.find("x"), registry.add(PLAIN), registry.remove("x"), registry.every()):
        with pytest.raises(StoreUnavailable):
            await work
