"""A gateway as an operator sees it: a process with an ops port, a log, and a configuration that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import orjson

from tests.clients.processes import Running, free_port, started, write_config

ROOMY = {"name": "platform", "api_key": "sk-simulator-1", "max_concurrency": 100}


class Process:
    """A gateway with an ops port of its own."""

    def __init__(self, running: Running, ops_port: int, config: Path) -> None:
        self.running = running
        self.url = running.base_url
        self.ops_url = f"http://127.0.0.1:{ops_port}"
        self.config = config

    def signal(self, number: int) -> None:
        self.running.process.send_signal(number)

    def metrics(self) -> str:
        return httpx2.get(self.ops_url + "/metrics").text

    def log(self) -> list[dict]:
        lines = self.running.log_file.read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]

    def change(self, **sections: object) -> None:
        """Write the file anew, as editors do: the new content takes the old one's place."""
        new = self.config.with_suffix(".new")
        new.write_bytes(orjson.dumps({**orjson.loads(self.config.read_bytes()), **sections}))
        new.replace(self.config)


@contextmanager
def gateway(
    folder: Path, upstream: Running, *, port: int | None = None, **sections: object
) -> Iterator[Process]:
    ops_port = free_port()
    accounts = [{**ROOMY, "base_url": upstream.base_url}]
    more = {"reload": {"watch_s": 0.1}, "mimo_accounts": accounts, **sections}
    config = write_config(folder, upstream, **more)
    arguments = ("serve", "--config", str(config), "--data-dir", str(folder / "data"))
    with started(
        folder, "gateway", *arguments, "--ops-port", str(ops_port), ready_path="/readyz", port=port
    ) as running:
        yield Process(running, ops_port, config)


async def until(found: Callable[[], bool], *, within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not await asyncio.to_thread(found):
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)


def streams_open(process: Process) -> int:
    lines = process.metrics().splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith("mgw_streams_open{"))
