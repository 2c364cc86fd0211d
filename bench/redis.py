"""`python -m bench.redis`: what Redis costs.

Round trips of one request as the gateway counts them, and the server's own time for each script (from INFO
commandstats, which counts an EVALSHA with all that it does inside)."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import structlog

from service.app import Gateway, running
from service.config import Account, AccountKind, ApiKey, Config, IssuedKey, Secret
from service.config_loader import accounts, api_keys
from service.core.events import Usage
from service.gateway.background import Background
from service.simulator import Simulator
from service.store.accounts import RedisAccounts
from service.store.api_keys import RedisKeyRegistry
from service.store.client import Store, connect
from service.store.embedded import EmbeddedRedis
from service.store.ledger import RedisLedger
from service.store.limits import RedisLimits

REQUESTS = 200
CALLS = 2000
MAX_ROUND_TRIPS, MAX_SCRIPT_US = 3.0, 50.0
BIG = 10**9
LIMITED = {"requests_per_minute": BIG, "tokens_per_minute": BIG, "max_concurrency": BIG, "budget_usd": BIG}


# --- round trips of a request -------------------------------------------------------------------------------


async def round_trips(redis_url: str, folder: Path, **limits: object) -> dict[str, float]:
    """Exchanges with Redis for each request, by operation, without the heartbeats and samples in between."""
    async with Simulator.start() as simulator:
        entry = {"api_key": "sk-simulator-1", "base_url": simulator.base_url}
        config = Config(
            api_keys=api_keys([{"key": "sk-mimo", **limits}]),
            mimo_accounts=accounts([entry]),
            redis_url=Secret(redis_url),
        )
        config = replace(config, listen=replace(config.listen, host="127.0.0.1", port=0))
        async with running(config, data_dir=folder) as gateway, aiohttp.ClientSession() as http:
            await ask(http, gateway)
            before = counted(gateway)
            for _ in range(REQUESTS):
                await ask(http, gateway)
            await asyncio.sleep(0.2)  # the last settlement is off the client's path
            after = counted(gateway)
    spent = {name: (after[name] - before.get(name, 0)) / REQUESTS for name in after}
    return {name: value for name, value in spent.items() if value >= 0.1}


async def ask(http: aiohttp.ClientSession, gateway: Gateway) -> None:
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": "Bearer sk-mimo"}
    async with http.post(gateway.base_url + "/v1/chat/completions", json=body, headers=headers) as response:
        response.raise_for_status()
        await response.read()


def counted(gateway: Gateway) -> dict[str, float]:
    """How many exchanges the gateway has made, by operation."""
    text = gateway.services.metrics.render().decode()
    return {
        name: float(value) for name, value in re.findall(r'mgw_redis_\w+_count\{op="(\w+)"\} (\S+)', text)
    }


# --- the server's time for a script -------------------------------------------------------------------------


async def server_us(store: Store, command: str, work: Callable[[int], Awaitable[object]]) -> float:
    """Mean microseconds of `command` on the server while `work` runs, one call after the other."""
    await work(-1)  # the first call sends the script's source
    await store.command("CONFIG", "RESETSTAT")
    for number in range(CALLS):
        await work(number)
    info = (await store.command("INFO", "commandstats")).decode()
    found = re.search(rf"cmdstat_{command}:calls=(\d+),usec=(\d+)", info)
    if found is None:
        raise RuntimeError(f"Redis counted no {command}")
    return int(found[2]) / CALLS


def pool(size: int) -> list[Account]:
    return [
        Account(name=f"a{number}", kind=AccountKind.PLATFORM, base_url="http://x", max_concurrency=BIG)
        for number in range(size)
    ]


async def script_times(store: Store) -> AsyncIterator[tuple[str, float]]:
    """Each script of a request, alone."""
    spawn = Background().spawn
    leases, limits = RedisAccounts(store, spawn=spawn), RedisLimits(store, spawn=spawn)
    ledger = RedisLedger(store, accounts=leases, limits=limits)
    key = ApiKey(name="bench", key_sha256="ab" * 32, **LIMITED)  # type: ignore[arg-type]
    usage = Usage(input_tokens=10, output_tokens=10)

    yield (
        "admit",
        await server_us(
            store, "evalsha", lambda n: limits.admit(key, request_id=f"r{n}", estimated_tokens=10)
        ),
    )
    for size in (1, 10, 20, 100):
        await store.command("FLUSHALL")
        found = pool(size)

        async def lease_and_release(number: int, found: list[Account] = found, size: int = size) -> None:
            lease = await leases.acquire(found, lease_id=f"l{size}-{number}")
            await leases.release(lease)

        both_us = await server_us(store, "evalsha", lease_and_release)
        yield f"acquire + release, pool of {size}", both_us

    async def whole(number: int) -> None:
        admission = await limits.admit(key, request_id=f"w{number}", estimated_tokens=10)
        lease = await leases.acquire(pool(1), lease_id=f"w{number}")
        await ledger.settle(admission, lease, usage=usage, model="mimo-v2.6-pro", cost_micro_usd=5)

    await store.command("FLUSHALL")
    yield "admit + acquire + settle + release", await server_us(store, "evalsha", whole)
    registry = RedisKeyRegistry(store)
    await registry.add(IssuedKey(key=key, created_at_s=1))
    yield "look up an issued key", await server_us(store, "hget", lambda _: registry.find(key.key_id))


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mgw-bench-")))
        url = (await stack.enter_async_context(EmbeddedRedis(folder))).url
        for name, limits in (("a key without limits", {}), ("a key with every limit", LIMITED)):
            spent = await round_trips(url, folder, **limits)
            total = sum(spent.values())
            told = ", ".join(f"{op} {value:.2f}" for op, value in spent.items())
            verdict = "ok" if round(total, 1) <= MAX_ROUND_TRIPS else "TOO MANY"
            print(f"round trips of a request, {name:24} {total:5.2f} ({verdict}; {told})")
        store = connect(url, spawn=Background().spawn)
        stack.push_async_callback(store.aclose)
        async for name, us in script_times(store):
            print(f"server time, us: {name:40} {us:6.1f}")
        print(f"the goals: {MAX_ROUND_TRIPS:.0f} round trips a request, {MAX_SCRIPT_US:.0f} us a script")


if __name__ == "__main__":
    asyncio.run(main())
