"""API keys as shown -> the keys we know: the configuration's at once, issued ones by a cached look-up."""

from __future__ import annotations

import pytest

from service.config import ApiKey
from service.config_loader import api_keys
from service.core.errors import StoreUnavailable, Unauthenticated
from service.gateway.keyring import GRACE_S, TRUST_S, KeyRing, issue, issued_digest
from tests.fakes.clock import FakeClock
from tests.fakes.stored import FakeKeyRegistry

SECRET = "a secret of the gateway's"
LIMITS = ApiKey(name="ci", key_sha256="", requests_per_minute=3)


class World:
    """A ring over a registry that holds one issued key."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.registry = FakeKeyRegistry()
        self.ring = KeyRing(
            api_keys("sk-one,sk-two"), clock=self.clock, registry=self.registry, secret_key=SECRET
        )
        self.shown, self.issued = issue(LIMITS, secret_key=SECRET, now_s=1)
        self.registry.put(self.issued)


@pytest.mark.parametrize("shown", [None, "", "sk-other", "sk-on", "SK-ONE", "sk-one ", "sk-\udcff"])
async def test_anything_but_the_key_is_refused_without_repeating_it(shown: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await World().ring.find(shown)
    assert not shown or shown not in caught.value.message


async def test_each_key_of_the_configuration_is_known_without_asking() -> None:
    world = World()
    ring = KeyRing(
        api_keys([{"name": "first", "key": "sk-one"}, {"name": "second", "key": "sk-two"}]),
        clock=world.clock,
        registry=world.registry,
    )
    key = ring.known("sk-two")
    assert key is not None
    assert key.name == "second"
    assert (await ring.find("sk-one")).name == "first"
    assert world.registry.lookups == 0


async def test_issued_key_is_found_with_its_limits_and_asked_for_once_in_five_seconds() -> None:
    world = World()
    assert world.ring.known(world.shown) is None
    assert await world.ring.find(world.shown) == world.issued.key
    world.clock.turn(TRUST_S - 0.1)
    assert world.ring.known(world.shown) == world.issued.key
    assert world.registry.lookups == 1
    world.clock.turn(0.2)
    assert world.ring.known(world.shown) is None
    assert (await world.ring.find(world.shown)).requests_per_minute == 3
    assert world.registry.lookups == 2


async def test_revoked_key_stops_within_five_seconds() -> None:
    world = World()
    await world.ring.find(world.shown)
    await world.registry.remove(world.issued.key.key_id)
    world.clock.turn(TRUST_S)
    with pytest.raises(Unauthenticated):
        await world.ring.find(world.shown)


async def test_unknown_key_costs_one_look_up_in_five_seconds() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await world.ring.find("sk-guess")
    assert world.registry.lookups == 1
    world.clock.turn(TRUST_S)
    with pytest.raises(Unauthenticated):
        await world.ring.find("sk-guess")
    assert world.registry.lookups == 2


async def test_key_that_is_issued_after_it_was_guessed_works_within_five_seconds() -> None:
    world = World()
    await world.registry.remove(world.issued.key.key_id)
    with pytest.raises(Unauthenticated):
        await world.ring.find(world.shown)
    world.registry.put(world.issued)
    world.clock.turn(TRUST_S)
    assert (await world.ring.find(world.shown)).name == "ci"


async def test_without_redis_known_keys_go_on_for_a_while_and_unknown_ones_are_refused() -> None:
    world = World()
    await world.ring.find(world.shown)
    world.registry.is_away = True
    assert await world.ring.find("sk-one")
    world.clock.turn(GRACE_S - 1)
    assert (await world.ring.find(world.shown)).name == "ci"
    with pytest.raises(StoreUnavailable) as caught:
        await world.ring.find("sk-guess")
    assert "sk-guess" not in caught.value.message
    world.clock.turn(2)
    with pytest.raises(StoreUnavailable):
        await world.ring.find(world.shown)


async def test_flood_of_invented_keys_is_not_remembered_and_pushes_no_good_key_out() -> None:
    world = World()
    await world.ring.find(world.shown)
    for number in range(4200):
        with pytest.raises(Unauthenticated):
            await world.ring.find(f"sk-{number}")
    assert len(world.ring._unknown) == 4096
    assert world.ring.known(world.shown) is not None


async def test_key_with_the_same_beginning_of_its_digest_is_another_key() -> None:
    world = World()
    found = issued_digest("sk-guess", SECRET)
    world.registry.keys[found[:16]] = world.issued
    with pytest.raises(Unauthenticated):
        await world.ring.find("sk-guess")


async def test_work_finds_its_key_by_id_as_long_as_it_exists() -> None:
    world = World()
    assert await world.ring.with_id(world.issued.key.key_id) == world.issued.key
    assert await world.ring.with_id("0" * 16) is None
    (one, _) = api_keys("sk-one,sk-two")
    assert await world.ring.with_id(one.key_id) == one


def test_issued_keys_differ_and_their_digest_needs_the_secret() -> None:
    shown, issued = issue(LIMITS, secret_key=SECRET, now_s=1.5)
    assert shown != issue(LIMITS, secret_key=SECRET, now_s=1.5)[0]
    assert len(shown) >= 40
    assert issued.key.key_sha256 == issued_digest(shown, SECRET) != issued_digest(shown, "")
    assert shown not in repr(issued)
    assert issued.created_at_s == 1
