"""What workers tell one another, on a real Redis; of what they ask of it, in a Cluster too."""

from __future__ import annotations

import pytest

from service.core.admin import Heard, Pulse, Slot
from service.core.errors import StoreUnavailable
from service.store.batch_numbers import RedisBatchNumbers
from service.store.client import Store
from service.store.fleet import RedisFleet
from service.store.health import RedisHealth
from tests.store import servers
from tests.store.conftest import Connecting


def counted(number: int, *, worker: str = "w1", **counts: int) -> Pulse:
    slot = Slot(step="minute", starts_at_s=60, kept_s=100, counts=counts)
    return Pulse(worker=worker, row=b'{"worker":"x"}', number=number, slots=[slot], errors={"a": b"{}"})


@pytest.fixture(params=["redis", pytest.param("cluster", marks=pytest.mark.slow)])
def fleet(request: pytest.FixtureRequest) -> RedisFleet:
    """Slow: a Cluster of six servers, once for the run."""
    if request.param == "redis":
        return RedisFleet(request.getfixturevalue("store"))
    found: servers.Fleet = request.getfixturevalue("cluster")
    found.flush()
    return RedisFleet(request.getfixturevalue("connecting")(found.url).store)


async def test_counts_of_all_workers_add_up_and_none_counts_twice(fleet: RedisFleet) -> None:
    for _ in range(2):
        assert await fleet.pulse(counted(1, requests=2)) == Heard()
    await fleet.pulse(counted(1, worker="w2", requests=5, errors=1))
    assert await fleet.slots("minute", [0, 60]) == [{}, {"requests": 7, "errors": 1}]
    assert await fleet.errors() == {"a": b"{}"}


async def test_rows_and_live_requests_of_every_worker_are_read(fleet: RedisFleet) -> None:
    assert (await fleet.rows(), await fleet.lives()) == ([], [])
    await fleet.pulse(Pulse(worker="w1", row=b"1"), live=b"[1]")
    await fleet.pulse(Pulse(worker="w2", row=b"2"))
    assert sorted(await fleet.rows()) == [b"1", b"2"]
    assert await fleet.lives() == [b"[1]"]


async def test_watching_and_stopping_are_heard(fleet: RedisFleet) -> None:
    await fleet.watch(ttl_s=60)
    await fleet.stop("req_1", until_ms=9_999_999_999_999)
    heard = await fleet.pulse(Pulse(worker="w1", row=b""))
    assert heard == Heard(is_watched=True, stops=frozenset({"req_1"}))


async def test_redis_that_is_away_is_told(connecting: Connecting, tmp_path) -> None:
    store = connecting(f"unix://{tmp_path}/nobody.sock").store
    fleet = RedisFleet(store)
    for asked in (fleet.pulse(counted(1, requests=1)), fleet.rows(), fleet.watch(ttl_s=1), fleet.errors()):
        with pytest.raises(StoreUnavailable):
            await asked
    state = await RedisHealth(store).state()
    assert (state.is_up, state.version, state.latency_ms) == (False, None, None)
    assert state.why is not None
    assert str(tmp_path) not in state.why


async def test_redis_that_is_there_tells_its_version(store: Store) -> None:
    state = await RedisHealth(store).state()
    assert state.is_up
    assert state.version is not None
    assert state.version[0].isdigit()
    assert state.latency_ms is not None
    assert state.why is None


async def test_nothing_waits_where_there_are_no_batches(store: Store) -> None:
    load = await RedisBatchNumbers(store).load(now_s=1_790_000_000.0)
    assert (load.waiting, load.in_progress, load.dead, load.oldest_seconds) == (0, 0, 0, 0.0)
