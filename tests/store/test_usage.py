"""What reports read of the ledger, on the real Redis."""

from __future__ import annotations

from datetime import date, timedelta

from service.config import ApiKey
from service.core.events import Usage
from service.core.usage import Booked, UsageRow
from service.store import keys
from service.store.ledger import RedisLedger
from service.store.usage import RedisUsage
from tests.fakes.clock import FakeClock
from tests.store.conftest import Connected, World, account, redis_world

A = account("a")
ANNA = ApiKey(name="anna", key_sha256="a" * 64, requests_per_minute=100)
BERT = ApiKey(name="bert", key_sha256="b" * 64)
MONDAY = date(2026, 11, 16)


class Days(World):
    """A world whose ledger is told what day it is."""

    def __init__(self, connected: Connected) -> None:
        world = redis_world(connected, FakeClock())
        super().__init__(world.clock, world.accounts, world.limits, world.ledger)
        self.today = MONDAY
        self.number = 0
        self.ledger = RedisLedger(
            connected.store, accounts=world.accounts, limits=world.limits, today=lambda: self.today
        )

    async def uses(self, key: ApiKey, model: str, usage: Usage, cost_micro_usd: int = 0) -> None:
        self.number += 1
        admission = await self.limits.admit(key, request_id=f"r{self.number}", estimated_tokens=1)
        lease = await self.accounts.acquire([A], lease_id=f"l{self.number}")
        await self.ledger.settle(admission, lease, usage=usage, model=model, cost_micro_usd=cost_micro_usd)


async def test_every_days_keys_and_models_are_found(connected: Connected) -> None:
    world = Days(connected)
    await world.uses(ANNA, "pro", Usage(input_tokens=5, output_tokens=1), 7)
    await world.uses(ANNA, "pro", Usage(input_tokens=5, image_tokens=2, searches=1))
    await world.uses(BERT, "flash", Usage(audio_ms=1500, is_estimated=True))
    world.today += timedelta(days=1)
    await world.uses(BERT, "flash", Usage(output_tokens=3))
    found = await RedisUsage(connected.store).booked(MONDAY, MONDAY + timedelta(days=3))
    anna = {"key_id": ANNA.key_id, "key_name": "anna"}
    bert = {"key_id": BERT.key_id, "key_name": "bert"}
    row = UsageRow(requests=2, input_tokens=10, output_tokens=1, image_tokens=2, searches=1, cost_micro_usd=7)
    assert sorted(found, key=lambda one: (one.day, one.key_name)) == [
        Booked(day=MONDAY, model="pro", row=row, **anna),
        Booked(
            day=MONDAY,
            model="flash",
            row=UsageRow(requests=1, audio_ms=1500, estimated_requests=1),
            **bert,
        ),
        Booked(
            day=MONDAY + timedelta(days=1),
            model="flash",
            row=UsageRow(requests=1, output_tokens=3),
            **bert,
        ),
    ]
    assert (
        await RedisUsage(connected.store).booked(MONDAY - timedelta(days=9), MONDAY - timedelta(days=1)) == []
    )


async def test_a_key_is_entered_once_a_day_and_process(connected: Connected) -> None:
    world = Days(connected)
    for _ in range(3):
        await world.uses(ANNA, "pro", Usage(input_tokens=5))
    await connected.store.command("DEL", keys.usage_day(MONDAY))
    await world.uses(ANNA, "pro", Usage(input_tokens=5))
    assert await connected.store.hash(keys.usage_day(MONDAY)) == {}, "it was entered by the first request"


async def test_a_key_goes_by_the_name_it_had_last(connected: Connected) -> None:
    world = Days(connected)
    await world.uses(ANNA, "pro", Usage(input_tokens=5))
    world.today += timedelta(days=1)
    await world.uses(ApiKey(name="anne", key_sha256=ANNA.key_sha256), "pro", Usage(input_tokens=5))
    found = await RedisUsage(connected.store).booked(MONDAY, world.today)
    assert [one.key_name for one in found] == ["anne", "anne"]


async def test_counts_of_another_version_are_left_alone(connected: Connected) -> None:
    world = Days(connected)
    await world.uses(ANNA, "pro", Usage(input_tokens=5))
    await connected.store.command("HSET", keys.usage(ANNA.key_id, MONDAY), "dreams:pro", 3)
    (one,) = await RedisUsage(connected.store).booked(MONDAY, MONDAY)
    assert one.row == UsageRow(requests=1, input_tokens=5)


async def test_many_days_and_keys_are_read_in_turn(connected: Connected) -> None:
    world = Days(connected)
    for number in range(70):
        key = ApiKey(name=f"k{number}", key_sha256=f"{number:04d}" * 16)
        await world.uses(key, "pro", Usage(input_tokens=1))
    found = await RedisUsage(connected.store).booked(MONDAY - timedelta(days=399), MONDAY)
    assert {one.key_name for one in found} == {f"k{number}" for number in range(70)}
