"""The contract of ports.ResponseEvents and ports.Objects: in memory and on a real Redis."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress

import pytest

from service.config import Storage
from service.core.errors import StoreUnavailable
from service.core.response_events import StopWord
from service.gateway.ports import Objects, ResponseEvents
from service.store.objects import RedisObjects
from service.store.response_events import MAX_ENTRIES, RedisResponseEvents
from tests.fakes.stored import FakeObjects, FakeResponseEvents
from tests.store.conftest import EVERYWHERE, Connected, Connecting

EVENT = b'event: x\ndata: {"type":"x","sequence_number":0}\n\n'


@pytest.fixture(params=EVERYWHERE)
def events(request: pytest.FixtureRequest) -> ResponseEvents:
    if request.param == "memory":
        return FakeResponseEvents()
    if request.param == "redis":
        return RedisResponseEvents(request.getfixturevalue("connected").store)
    fleet = request.getfixturevalue(request.param)
    fleet.flush()
    return RedisResponseEvents(request.getfixturevalue("connecting")(fleet.url).store)


@pytest.fixture(params=["memory", "redis"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "memory":
        return FakeObjects()
    return RedisObjects(request.getfixturevalue("connected").store, Storage())


async def test_events_come_back_in_order_and_after_a_place(events: ResponseEvents) -> None:
    pieces = [EVENT, EVENT * 100, b"x" * 5000, EVENT]
    for piece in pieces:
        await events.append("k", "r", piece, is_last=piece is pieces[-1] and True)
    kept = await events.read("k", "r", after="0", wait_s=0)
    assert [one.events for one in kept] == pieces
    assert kept[-1].is_last
    assert not kept[1].is_last
    rest = await events.read("k", "r", after=kept[1].entry_id, wait_s=0)
    assert [one.events for one in rest] == pieces[2:]
    assert await events.read("k", "r", after=kept[-1].entry_id, wait_s=0) == []
    assert await events.read("other", "r", after="0", wait_s=0) == []


async def test_reader_waits_for_the_next_event(events: ResponseEvents) -> None:
    reading = asyncio.ensure_future(events.read("k", "r", after="0", wait_s=20))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await events.append("k", "r", EVENT)
    assert [one.events for one in await asyncio.wait_for(reading, 30)] == [EVENT]


async def test_reader_waits_no_longer_than_it_was_told(events: ResponseEvents) -> None:
    async with asyncio.timeout(30):
        assert await events.read("k", "r", after="0", wait_s=0.05) == []


async def test_runner_is_seen_while_it_lives_and_hears_what_is_asked(events: ResponseEvents) -> None:
    assert not await events.is_running("k", "r")
    await events.begin("k", "r")
    assert await events.is_running("k", "r")
    assert await events.beat("k", "r") is None
    await events.ask("k", "r", StopWord.CANCEL)
    assert await events.beat("k", "r") is StopWord.CANCEL
    assert await events.beat("other", "r") is None
    await events.end("k", "r")
    assert not await events.is_running("k", "r")
    assert await events.beat("k", "r") is None, "the word went with the end"


async def test_forgotten_events_are_gone(events: ResponseEvents) -> None:
    await events.append("k", "r", EVENT)
    await events.forget("k", "r")
    assert await events.read("k", "r", after="0", wait_s=0) == []


@pytest.mark.slow
async def test_dead_runner_is_noticed_by_itself(connected: Connected) -> None:
    """Slow: the shortest lifetime that Redis takes in seconds is one."""
    events = RedisResponseEvents(connected.store, heartbeat_ttl_s=1)
    await events.begin("k", "r")
    async with asyncio.timeout(30):
        while await events.is_running("k", "r"):  # noqa: ASYNC110 - Redis sets no Event
            await asyncio.sleep(0.05)


async def test_everything_kept_has_a_lifetime(connected: Connected) -> None:
    events = RedisResponseEvents(connected.store)
    await events.begin("k", "r")
    await events.append("k", "r", EVENT)
    await events.ask("k", "r", StopWord.DELETE)
    await RedisObjects(connected.store, Storage()).save("response", "k", {"r": b"{}"})
    names = await connected.store.command("KEYS", "*")
    assert len(names) == 4
    for name in names:
        assert await connected.store.command("TTL", name) > 0, name


async def test_stream_is_bounded(connected: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ENTRIES == 10_000
    monkeypatch.setattr("service.store.response_events.MAX_ENTRIES", 10)
    events = RedisResponseEvents(connected.store)
    for _ in range(300):
        await events.append("k", "r", EVENT)
    assert await connected.store.command("XLEN", "mgw:{k:k}:events:r") < 200


async def test_readers_beyond_the_waiting_connections_look_now_and_then(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.response_events._POLL_S", 0.02)
    events = RedisResponseEvents(connected.store)
    reading = [asyncio.ensure_future(events.read("k", "r", after="0", wait_s=20)) for _ in range(70)]
    await asyncio.sleep(0.01)
    await events.append("k", "r", EVENT)
    found = await asyncio.wait_for(asyncio.gather(*reading), 30)
    assert sum(len(one) for one in found) >= 64


async def test_away_redis_is_an_error_of_ours(connecting: Connecting) -> None:
    events = RedisResponseEvents(connecting("redis://127.0.0.1:1").store)
    for call in (
        events.begin("k", "r"),
        events.append("k", "r", EVENT),
        events.read("k", "r", after="0", wait_s=0),
        events.is_running("k", "r"),
    ):
        with pytest.raises(StoreUnavailable):
            await call


async def test_objects_are_kept_for_their_owner(objects: Objects) -> None:
    long = b"0123456789abcdef" * 40_000
    assert await objects.save("item", "k", {"a": b"first", "b": long})
    assert await objects.load("item", "k", ["a", "b", "c"]) == {"a": b"first", "b": long}
    assert await objects.load("item", "other", ["a"]) == {}
    assert await objects.load("response", "k", ["a"]) == {}
    assert await objects.load("item", "k", []) == {}
    assert await objects.delete("item", "k", "a")
    assert not await objects.delete("item", "k", "a")
    assert await objects.load("item", "k", ["a"]) == {}


async def test_objects_that_redis_does_not_take_are_told_as_lost(connecting: Connecting) -> None:
    objects = RedisObjects(connecting("redis://127.0.0.1:1").store, Storage())
    assert not await objects.save("item", "k", {"a": b"x"})
    with pytest.raises(StoreUnavailable):
        await objects.load("item", "k", ["a"])


# --- with a secret of the server's --------------------------------------------------------------------------

SECRET = {"server_secret": "s3cret"}


async def plain_values(connected: Connected) -> bytes:
    """Every value of a small Redis, inflated where it is deflated."""
    values: list[bytes] = []
    for name in await connected.store.command("KEYS", "*"):
        if await connected.store.command("TYPE", name) == b"stream":
            entries = await connected.store.command("XRANGE", name, "-", "+")
            values += [value for _, fields in entries for value in fields]
        else:
            values.append(await connected.store.command("GET", name))
    inflated = list(values)
    for value in values:
        with suppress(zlib.error):
            inflated.append(zlib.decompress(value))
    return b"\n".join(inflated)


async def test_with_a_secret_nothing_is_kept_in_the_clear(connected: Connected) -> None:
    objects = RedisObjects(connected.store, Storage(), **SECRET)
    events = RedisResponseEvents(connected.store, **SECRET)
    large = b"my prompt " * 60_000
    await objects.save("response", "k", {"a": b"my prompt", "b": large})
    await events.append("k", "r", b"my prompt", is_last=True)
    assert await objects.load("response", "k", ["a", "b"]) == {"a": b"my prompt", "b": large}
    (entry,) = await events.read("k", "r", after="0", wait_s=0)
    assert (entry.events, entry.is_last) == (b"my prompt", True)
    assert b"my prompt" not in await plain_values(connected)


async def test_what_was_sealed_with_another_secret_is_as_if_it_were_not_there(connected: Connected) -> None:
    await RedisObjects(connected.store, Storage(), **SECRET).save("item", "k", {"a": b"x"})
    await RedisResponseEvents(connected.store, **SECRET).append("k", "r", b"x")
    for other in ({"server_secret": "new"}, {}):
        assert await RedisObjects(connected.store, Storage(), **other).load("item", "k", ["a"]) == {}
        assert await RedisResponseEvents(connected.store, **other).read("k", "r", after="0", wait_s=0) == []


async def test_what_was_kept_before_there_was_a_secret_is_still_there(connected: Connected) -> None:
    await RedisObjects(connected.store, Storage()).save("item", "k", {"a": b"x"})
    await RedisResponseEvents(connected.store).append("k", "r", b"x")
    assert await RedisObjects(connected.store, Storage(), **SECRET).load("item", "k", ["a"]) == {"a": b"x"}
    events = RedisResponseEvents(connected.store, **SECRET)
    assert [one.events for one in await events.read("k", "r", after="0", wait_s=0)] == [b"x"]
