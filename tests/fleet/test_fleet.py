"""Three gateways as processes of their own, one Redis, one pool: exact together, none needed by another."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from service.simulator import PlatformAccount, Simulator, SimulatorOptions
from tests.clients.processes import Running, started
from tests.fleet.balancer import balancer
from tests.store.servers import Server, server

pytestmark = pytest.mark.slow

MAX_CONCURRENCY = 5
NAMES = ("one", "two", "three", "four")
KEY = {"Authorization": "Bearer sk-mimo"}
URL = "/v1/chat/completions"
STALLED_S = 3.0


class Fleet:
    """Three workers behind a balancer, with the upstream and the Redis that they share."""

    def __init__(self, simulator: Simulator, redis: Server, workers: list[Running], url: str) -> None:
        self.simulator = simulator
        self.redis = redis
        self.workers = workers
        self.url = url

    def leases(self) -> int:
        """How many leases have not ended, as Redis keeps them."""
        now_ms = int(self.redis.ask("TIME")[0]) * 1000
        names = [f"mgw:{{accounts}}:a:{name}:leases" for name in NAMES]
        return sum(self.redis.ask("ZCOUNT", name, now_ms, "+inf") for name in names)

    async def until_leased(self, count: int) -> None:
        began_s = time.monotonic()
        while self.leases() < count:
            assert time.monotonic() - began_s < 60, f"{self.leases()} of {count} requests have an account"
            await asyncio.sleep(0.02)

    async def until_free(self, *, within_s: float) -> float:
        began_s = time.monotonic()
        while self.leases():
            assert time.monotonic() - began_s < within_s, f"{self.leases()} leases are still out"
            await asyncio.sleep(0.05)
        return time.monotonic() - began_s

    async def until_quiet(self, http: aiohttp.ClientSession) -> None:
        """No worker handles a request any more: those of clients that went away included."""
        for worker in self.workers:
            async with asyncio.timeout(30):
                while await self._in_flight(http, worker):  # noqa: ASYNC110 - another process's gauge
                    await asyncio.sleep(0.05)

    async def _in_flight(self, http: aiohttp.ClientSession, worker: Running) -> float:
        async with http.get(worker.base_url + "/metrics") as response:
            lines = (await response.text()).splitlines()
        name = 'mgw_inflight_requests{route="chat'
        found = [float(line.split()[1]) for line in lines if line.startswith(name)]
        assert found, "the gauge is there"
        return sum(found)

    def most_in_flight(self) -> dict[str, int]:
        return {name: self.simulator.record.account(name).max_in_flight for name in NAMES}

    def asked(self) -> dict[str, int]:
        return {name: self.simulator.record.account(name).requests for name in NAMES}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@asynccontextmanager
async def fleet_of(
    folder: Path,
    redis: Server,
    count: int,
    *,
    max_concurrency: int = MAX_CONCURRENCY,
    redis_s: float = 30,
) -> AsyncIterator[Fleet]:
    """Workers on a Redis that was emptied. They wait for it, however busy the machine: `redis_s` is for those
    whose Redis is hurt."""
    redis.ask("FLUSHALL")
    accounts = tuple(PlatformAccount(name=name, api_key=f"sk-{name}") for name in NAMES)
    async with Simulator.start(SimulatorOptions(platform=accounts)) as simulator:
        config = folder / "config.json"
        entries = [
            {
                "name": name,
                "api_key": f"sk-{name}",
                "base_url": simulator.base_url,
                "max_concurrency": max_concurrency,
            }
            for name in NAMES
        ]
        timeouts = {"propagation_s": 0, "queue_s": 60, "redis_s": redis_s}
        sections = {"redis_url": redis.url, "timeouts": timeouts}
        config.write_bytes(orjson.dumps({"api_keys": "sk-mimo", "mimo_accounts": entries, **sections}))
        with ExitStack() as stack:

            def start() -> list[Running]:
                return [
                    stack.enter_context(_worker(folder, config, f"worker-{number}"))
                    for number in range(count)
                ]

            # In a thread: the simulator in this loop has to answer what workers ask at start.
            workers = await asyncio.to_thread(start)
            ports = [int(worker.base_url.rpartition(":")[2]) for worker in workers]
            async with balancer(ports) as front:
                yield Fleet(simulator, redis, workers, front.url)
            await asyncio.to_thread(stack.close)


def _worker(folder: Path, config: Path, name: str):
    return started(folder, name, "serve", "--config", str(config), ready_path="/readyz")


def ask(text: str, *, stream: bool = True) -> dict:
    return {"model": "mimo-v2.6-pro", "stream": stream, "messages": [{"role": "user", "content": text}]}


async def answer(http: aiohttp.ClientSession, url: str, text: str, *, stream: bool = True) -> bytes:
    async with http.post(url + URL, json=ask(text, stream=stream)) as response:
        body = await response.read()
        assert response.status == 200, body
        return body


def client(parallel: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers=KEY, connector=aiohttp.TCPConnector(limit=parallel, force_close=True)
    )


async def test_two_hundred_clients_never_exceed_an_accounts_limit_and_leave_nothing(
    tmp_path: Path, redis: Server
) -> None:
    """Slow: three processes are started; two hundred clients share twenty slots, and end in five ways."""
    # Enough good answers between the bad ones, or the breakers would open and slow the test down.
    good = ("",) * 5
    endings = (
        *good,
        "cut_after=2",
        *good,
        "status=503 times=1",
        *good,
        "stall_after=2",
        *good,
        "end_after=2",
    )
    async with fleet_of(tmp_path, redis, 3) as fleet, client(200) as http:

        async def one(number: int) -> None:
            ending = endings[number % len(endings)]
            text = f"[[sim: id=n{number} pace_ms=10 tokens=8 {ending}]] {number}"
            try:
                async with asyncio.timeout(0.4 if "stall" in ending else 120):
                    await answer(http, fleet.url, text)
            except (TimeoutError, aiohttp.ClientError, AssertionError):
                pass

        await asyncio.gather(*map(one, range(200)))
        await fleet.until_free(within_s=60)
        most = fleet.most_in_flight()
        assert max(most.values()) == MAX_CONCURRENCY, (
            f"all slots of one at least were used, and no more: {most}"
        )

        # Even load: every account comes round as often as any other, whichever worker asks.
        for name in NAMES:
            fleet.redis.ask("DEL", f"mgw:{{accounts}}:a:{name}:state")
        # The count begins when all who left are gone, and with a new round: a turn that goes to a client that
        # has just left is a turn too, and a crowd leaves the accounts a turn apart.
        await fleet.until_quiet(http)
        fleet.redis.ask("DEL", "mgw:{accounts}:turns")
        fleet.simulator.record.clear()
        turns = asyncio.Queue[int]()
        for number in range(1000):
            turns.put_nowait(number)

        async def worker() -> None:
            while not turns.empty():
                await answer(http, fleet.url, f"even {turns.get_nowait()}", stream=False)

        await asyncio.gather(*(worker() for _ in range(8)))
        counts = list(fleet.asked().values())
        assert sum(counts) == 1000
        assert max(counts) - min(counts) <= 1, counts
        await fleet.until_free(within_s=60)


async def test_killed_workers_leases_return_and_the_others_go_on(tmp_path: Path, redis: Server) -> None:
    """Slow: a lease that nobody renews lasts fifteen seconds."""
    async with fleet_of(tmp_path, redis, 2, max_concurrency=15) as fleet, client(100) as http:
        doomed, other = fleet.workers
        hold = "[[sim: stall_after=2]] hold"
        streams = [asyncio.ensure_future(answer(http, doomed.base_url, f"{hold} {n}")) for n in range(50)]
        await fleet.until_leased(50)
        doomed.process.send_signal(signal.SIGKILL)
        killed_at_s = time.monotonic()
        await asyncio.gather(*streams, return_exceptions=True)
        served = 0
        while fleet.leases():
            assert time.monotonic() - killed_at_s < 60
            served += b"chat.completion" in await answer(http, other.base_url, "meanwhile", stream=False)
            await asyncio.sleep(0.25)
        assert served, "ten slots were left, and they served while the others' leases were out"
        doomed.process.wait()
        doomed.process.returncode = 0  # it ended as it was told to


async def test_stalled_redis_costs_little_and_running_streams_finish(tmp_path: Path, redis: Server) -> None:
    """Slow: Redis stands still for some seconds under load. A call may take three of them: what a busy
    machine takes is little beside it."""
    async with fleet_of(tmp_path, redis, 1, redis_s=STALLED_S) as fleet, client(100) as http:
        url = fleet.workers[0].base_url
        usual = [await _span(http, url) for _ in range(10)]
        long = "[[sim: tokens=100 pace_ms=60 pieces=4]] go"
        streams = [asyncio.ensure_future(answer(http, url, f"{long} {n}")) for n in range(5)]
        await fleet.until_leased(5)
        fleet.redis.stall()
        try:
            first = await asyncio.gather(*(_span(http, url) for _ in range(4)))
            later = [await _span(http, url) for _ in range(10)]
        finally:
            fleet.redis.resume()
        added_s = max(first) - statistics.median(usual)
        assert added_s < 1.8 * STALLED_S, "1.16 of it in all, though each asks twice"
        assert statistics.median(later) - statistics.median(usual) < 0.16 * STALLED_S, "nobody waits any more"
        for body in await asyncio.gather(*streams):
            assert body.endswith(b"data: [DONE]\n\n")
        await fleet.until_free(within_s=60)


async def _span(http: aiohttp.ClientSession, url: str) -> float:
    began_s = time.monotonic()
    await answer(http, url, "quick", stream=False)
    return time.monotonic() - began_s
