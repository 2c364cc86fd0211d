"""The contract of ports.Threads, in memory and on a real Redis; and what the real one writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from service.config import Account, AccountKind, ApiKey, Secret
from service.core.upstreams.studio_thread import Thread
from service.gateway.ports import Threads
from service.store import keys
from service.store.threads import BATCH, RedisThreads
from tests.fakes.clock import FakeClock
from tests.fakes.threads import FakeThreads
from tests.store.conftest import EVERYWHERE, Connected, Connecting, api_key

KEY = api_key()
OTHER: ApiKey = replace(KEY, key_sha256="0123456789abcdef" + "fedcba9876543210" * 3)  # the same key id
A = Account(name="a", kind=AccountKind.STUDIO, base_url="http://studio", user_id=Secret("10001"))
B = replace(A, name="b", user_id=Secret("10002"))
HISTORY, LATER = "1" * 64, "2" * 64
THREAD = Thread(conversation_id="c" * 32, dialog_id="8675309", prompt_tokens=12)


@dataclass
class World:
    """The port, and a clock that tests turn."""

    threads: Threads
    clock: FakeClock


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest) -> World:
    clock = FakeClock()
    if request.param == "memory":
        return World(FakeThreads(clock.monotonic_s), clock)
    if request.param == "redis":
        connected: Connected = request.getfixturevalue("connected")
    else:
        fleet = request.getfixturevalue(request.param)
        fleet.flush()
        connecting: Connecting = request.getfixturevalue("connecting")
        connected = connecting(fleet.url)
    return World(redis_threads(connected, now_ms=lambda: round(clock.unix_s() * 1000)), clock)


def redis_threads(
    connected: Connected, *, deletes: bool = True, secret: str = "", now_ms: Callable[[], int] | None = None
) -> RedisThreads:
    more = {} if now_ms is None else {"now_ms": now_ms}
    return RedisThreads(connected.store, ttl_s=3600, deletes=deletes, server_secret=secret, **more)


async def test_what_waits_is_taken_once(world: World) -> None:
    assert await world.threads.seek(KEY, HISTORY) is None
    assert await world.threads.keep(KEY, A, HISTORY, THREAD)
    assert await world.threads.seek(KEY, HISTORY) is not None
    assert await world.threads.claim(KEY, A, HISTORY) == THREAD
    assert await world.threads.claim(KEY, A, HISTORY) is None


async def test_of_many_that_go_on_at_once_one_does(world: World) -> None:
    await world.threads.keep(KEY, A, HISTORY, THREAD)
    taken = await asyncio.gather(*(world.threads.claim(KEY, A, HISTORY) for _ in range(20)))
    assert [thread for thread in taken if thread is not None] == [THREAD]


@pytest.mark.parametrize(
    ("key", "account", "history"),
    [
        pytest.param(OTHER, A, HISTORY, id="another key, of the same id"),
        pytest.param(KEY, B, HISTORY, id="another account"),
        pytest.param(KEY, A, LATER, id="another history"),
    ],
)
async def test_nobody_else_has_it(world: World, key: ApiKey, account: Account, history: str) -> None:
    await world.threads.keep(KEY, A, HISTORY, THREAD)
    assert await world.threads.claim(key, account, history) is None
    assert await world.threads.claim(KEY, A, HISTORY) == THREAD


async def test_only_its_owner_is_led_to_the_account(world: World) -> None:
    await world.threads.keep(KEY, A, HISTORY, THREAD)
    assert await world.threads.seek(OTHER, HISTORY) is None
    assert await world.threads.seek(KEY, LATER) is None


async def test_what_waited_in_vain_is_due_until_it_is_deleted(world: World) -> None:
    other = replace(THREAD, conversation_id="d" * 32)
    await world.threads.keep(KEY, A, HISTORY, THREAD)
    await world.threads.keep(KEY, B, HISTORY, other)
    world.clock.turn(3600)
    assert await world.threads.due(A) == []  # a turn that took it at the last moment may still run
    world.clock.turn(601)
    assert await world.threads.due(A) == [THREAD.conversation_id]
    assert await world.threads.due(A) == []  # another worker is at it
    world.clock.turn(301)
    assert await world.threads.due(A) == [THREAD.conversation_id]  # it did not tell that they are gone
    await world.threads.deleted(A, [THREAD.conversation_id])
    world.clock.turn(301)
    assert await world.threads.due(A) == []
    assert await world.threads.due(B) == [other.conversation_id]


async def test_what_goes_on_is_not_due(world: World) -> None:
    await world.threads.keep(KEY, A, HISTORY, THREAD)
    world.clock.turn(3000)
    await world.threads.claim(KEY, A, HISTORY)
    await world.threads.keep(KEY, A, LATER, THREAD)
    world.clock.turn(3000)
    assert await world.threads.due(A) == []


# --- what stands in Redis -----------------------------------------------------------------------------------


@pytest.fixture
def redis(connected: Connected) -> Connected:
    return connected


async def test_redis_holds_no_word_of_it_and_not_for_ever(redis: Connected) -> None:
    await redis_threads(redis).keep(KEY, A, HISTORY, THREAD)
    for name in await redis.store.command("KEYS", "*"):
        assert HISTORY.encode() not in name
        assert await redis.store.command("TTL", name) > 0
    (name,) = await redis.store.command("KEYS", "*:thread:*")
    assert name.startswith(b"mgw:{t:a}:thread:" + KEY.key_id.encode())
    content = await redis.store.command("GET", name)
    assert THREAD.dialog_id.encode() not in content
    assert THREAD.conversation_id.encode() not in content


async def test_an_entry_that_was_moved_does_not_open(redis: Connected) -> None:
    threads = redis_threads(redis)
    await threads.keep(KEY, A, HISTORY, THREAD)
    (mine,) = await redis.store.command("KEYS", "*:thread:*")
    await threads.keep(OTHER, B, HISTORY, THREAD)
    (theirs,) = await redis.store.command("KEYS", "*{t:b}:thread:*")
    await redis.store.command("SET", theirs, await redis.store.command("GET", mine))
    assert await threads.claim(OTHER, B, HISTORY) is None


async def test_another_secret_or_another_user_is_another_place(redis: Connected) -> None:
    threads = redis_threads(redis, secret="one")
    await threads.keep(KEY, A, HISTORY, THREAD)
    assert await redis_threads(redis, secret="two").claim(KEY, A, HISTORY) is None
    assert await threads.claim(KEY, replace(A, user_id=Secret("10002")), HISTORY) is None
    assert await threads.claim(KEY, replace(A, base_url="http://other"), HISTORY) is None
    assert await threads.claim(KEY, A, HISTORY) == THREAD


async def test_what_is_never_deleted_is_never_due(redis: Connected) -> None:
    await redis_threads(redis, deletes=False).keep(KEY, A, HISTORY, THREAD)
    assert await redis.store.command("EXISTS", keys.threads_due("a")) == 0


async def test_a_batch_at_a_time_is_due(redis: Connected) -> None:
    clock = FakeClock()
    threads = redis_threads(redis, now_ms=lambda: round(clock.unix_s() * 1000))
    for number in range(BATCH + 1):
        await threads.keep(KEY, A, HISTORY, replace(THREAD, conversation_id=f"{number:032}"))
        clock.turn(1)
    clock.turn(5000)
    first, second = await threads.due(A), await threads.due(A)
    assert [len(first), len(second)] == [BATCH, 1]
    assert first[0] == f"{0:032}"


async def test_without_redis_nothing_is_known_and_nothing_fails(connecting: Connecting) -> None:
    threads = redis_threads(connecting("redis://127.0.0.1:1"))
    assert not await threads.keep(KEY, A, HISTORY, THREAD)
    assert await threads.seek(KEY, HISTORY) is None
    assert await threads.claim(KEY, A, HISTORY) is None
    assert await threads.due(A) == ()
    await threads.deleted(A, ["x"])
