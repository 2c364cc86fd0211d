"""A Redis that is killed in the middle of a batch, and comes back with its append-only file."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import aiohttp
import orjson
import pytest

from service.app import running
from service.simulator import Simulator
from service.store.embedded import EmbeddedRedis
from tests.web.rig import KEY, config_for

COUNT = 150


@pytest.mark.slow
async def test_a_redis_killed_in_mid_batch_loses_nothing(tmp_path: Path) -> None:
    """Slow: some seconds of items, and of a Redis that is away."""
    message = {"role": "user", "content": "Hello [[sim: delay_ms=60]]"}
    params = {"model": "mimo-v2.6-pro", "messages": [message]}
    body = {"requests": [{"custom_id": f"r{n}", "params": params} for n in range(COUNT)]}
    with tempfile.TemporaryDirectory(prefix="mgw-test-") as folder:  # short: it holds a socket
        redis = EmbeddedRedis(Path(folder))
        await redis.__aenter__()
        async with (
            Simulator.start() as simulator,
            running(config_for(simulator, redis.url, "platform"), data_dir=tmp_path) as gateway,
            aiohttp.ClientSession(headers=KEY) as http,
        ):
            url = f"{gateway.base_url}/v1/messages/batches"
            created = await (await http.post(url, json=body)).json()

            async def progress() -> dict:
                async with http.get(f"{url}/{created['id']}") as response:
                    return await response.json() if response.status == 200 else {}

            async def until(least: int) -> None:
                for _ in range(600):
                    batch = await progress()
                    if batch and COUNT - batch["progress"]["processing"] >= least:
                        return
                    await asyncio.sleep(0.05)
                raise AssertionError("it did not come so far in time")

            await until(20)
            os.kill(redis.pid, signal.SIGKILL)
            await redis.__aexit__(None, None, None)
            await asyncio.sleep(1)
            redis = EmbeddedRedis(Path(folder))
            await redis.__aenter__()
            await until(COUNT)
            batch = await progress()
            assert batch["request_counts"]["succeeded"] == COUNT
            async with http.get(batch["results_url"]) as response:
                rows = [orjson.loads(row) for row in (await response.text()).splitlines()]
            assert [row["custom_id"] for row in rows] == [f"r{n}" for n in range(COUNT)]
        await redis.__aexit__(None, None, None)
