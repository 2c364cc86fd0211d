"""`make bench`: every number beside the bare pipe's of the same run; the last run is in bench/results/."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import orjson
import uvloop

from bench.client import Connection, Target

RESULTS = Path(__file__).parent / "results" / "last.json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of the process, from the scheduler's nanosecond counter."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


@contextlib.contextmanager
def process(*arguments: str, core: int, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        child = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output)
    os.sched_setaffinity(child.pid, {core})
    try:
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(log.read_text())
        yield child
    finally:
        child.terminate()
        child.wait(timeout=30)


async def requests(target: Target, *, count: int, parallel: int, prompt: str, stream: bool) -> list[float]:
    """`count` requests over `parallel` connections; the seconds to each first byte."""
    request = target.request(prompt, stream=stream)
    firsts: list[float] = []

    async def worker(share: int) -> None:
        connection = await Connection.open(target)
        for _ in range(share):
            first_s, _ = await connection.ask(request)
            firsts.append(first_s)
        connection.close()

    await asyncio.gather(*(worker(count // parallel) for _ in range(parallel)))
    return firsts


class Bench:
    """Runs each measurement on every target, in turns, and keeps the medians."""

    def __init__(self, targets: list[tuple[Target, int]], rounds: int, scale: float) -> None:
        self._targets = targets
        self._rounds = rounds
        self._scale = scale
        self.rows: dict[str, dict[str, float]] = {}

    async def measure(
        self, name: str, run: Callable[[Target, int], Awaitable[float]], *, rounds: int | None = None
    ) -> None:
        found: dict[str, list[float]] = {target.name: [] for target, _ in self._targets}
        for _ in range(rounds or self._rounds):
            for target, pid in self._targets:
                found[target.name].append(await run(target, pid))
        self.rows[name] = {target: statistics.median(values) for target, values in found.items()}
        self._show(name)

    def _show(self, name: str) -> None:
        row = self.rows[name]
        floor = row["pipe"]
        cells = [f"{target} {value:9.2f} ({value / floor:4.2f} x)" for target, value in row.items()]
        print(f"{name:44}" + "   ".join(cells), flush=True)

    def count(self, number: int) -> int:
        return max(int(number * self._scale), 32)

    async def cpu_us(
        self, target: Target, pid: int, *, count: int, parallel: int, prompt: str, stream: bool, per: int = 1
    ) -> float:
        await requests(target, count=parallel, parallel=parallel, prompt=prompt, stream=stream)
        before_s = cpu_s(pid)
        await requests(target, count=count, parallel=parallel, prompt=prompt, stream=stream)
        return (cpu_s(pid) - before_s) / (count * per) * 1e6


async def memory_kb(target: Target, pid: int, *, streams: int) -> float:
    """Growth of the resident set for each open, idle stream."""
    await requests(target, count=64, parallel=8, prompt="warm", stream=True)
    before_kb = rss_kb(pid)
    request = target.request("BENCH events=2 gap_us=4000000", stream=True)
    connections = [await Connection.open(target) for _ in range(streams)]
    await asyncio.gather(*(connection.begin(request) for connection in connections))
    grown_kb = rss_kb(pid) - before_kb
    for connection in connections:
        connection.close()
    await asyncio.sleep(0.5)
    return max(grown_kb, 1) / streams


async def run(bench: Bench) -> None:
    long_prompt = "word " * (64 * 1024 // 5)
    n = bench.count
    # First, in young processes: later streams would live in memory that earlier ones gave back.
    await bench.measure("memory KB per open idle stream", lambda t, p: memory_kb(t, p, streams=300), rounds=1)
    await bench.measure(
        "CPU us per request, one at a time",
        lambda t, p: bench.cpu_us(t, p, count=n(2000), parallel=1, prompt="hello", stream=False),
    )
    await bench.measure(
        "CPU us per request, 32 in flight",
        lambda t, p: bench.cpu_us(t, p, count=n(6400), parallel=32, prompt="hello", stream=False),
    )
    await bench.measure(
        "CPU us per request, 64 KB prompt",
        lambda t, p: bench.cpu_us(t, p, count=n(1600), parallel=8, prompt=long_prompt, stream=False),
    )
    await bench.measure(
        "CPU us per event, one by one",
        lambda t, p: bench.cpu_us(
            t, p, count=50, parallel=50, prompt="BENCH events=300 gap_us=20000", stream=True, per=300
        ),
    )
    await bench.measure(
        "CPU us per event, in bursts",
        lambda t, p: bench.cpu_us(
            t, p, count=n(64), parallel=8, prompt="BENCH events=2000 gap_us=0", stream=True, per=2000
        ),
    )
    await first_byte(bench)


async def first_byte(bench: Bench) -> None:
    async def alone(target: Target, _: int) -> float:
        found = await requests(
            target, count=bench.count(300), parallel=1, prompt="BENCH events=1 gap_us=1", stream=True
        )
        return statistics.median(found) * 1e3

    async def busy(target: Target, quantile: int) -> float:
        found = await requests(
            target, count=bench.count(1600), parallel=16, prompt="BENCH events=20 gap_us=2000", stream=True
        )
        return statistics.quantiles(found, n=100)[quantile - 1] * 1e3

    await bench.measure("ms to the first byte, alone", alone)
    await bench.measure("ms to the first byte, 16 streams, p50", lambda t, _: busy(t, 50))
    await bench.measure("ms to the first byte, 16 streams, p99", lambda t, _: busy(t, 99))


def config_for(upstream_port: int) -> bytes:
    account = {
        "name": "bench",
        "api_key": "sk-bench",
        "base_url": f"http://127.0.0.1:{upstream_port}",
        "max_concurrency": 4096,
    }
    return orjson.dumps({"api_keys": "sk-mimo", "mimo_accounts": [account]})


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of requests")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    ports = {name: free_port() for name in ("upstream", "pipe", "gateway")}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        config = home / "config.json"
        config.write_bytes(config_for(ports["upstream"]))
        start = lambda name, core, *words: stack.enter_context(  # noqa: E731
            process(*words, core=core, port=ports[name], log=home / f"{name}.log")
        )
        start("upstream", 1, "-m", "bench.upstream", str(ports["upstream"]))
        pipe = start(
            "pipe", 0, "-m", "bench.pipe", str(ports["pipe"]), f"http://127.0.0.1:{ports['upstream']}"
        )
        serve = ("-m", "service", "serve", "--config", str(config), "--data-dir", str(home / "data"))
        gateway = start("gateway", 0, *serve, "--port", str(ports["gateway"]))
        time.sleep(1)
        targets = [
            (Target("pipe", ports["pipe"]), pipe.pid),
            (Target("chat", ports["gateway"], has_tools=True), gateway.pid),
            (Target("messages", ports["gateway"], "/v1/messages", has_tools=True), gateway.pid),
        ]
        bench = Bench(targets, arguments.rounds, arguments.scale)
        print(f"idle RSS MB: pipe {rss_kb(pipe.pid) / 1024:.0f}, gateway {rss_kb(gateway.pid) / 1024:.0f}")
        previous = orjson.loads(RESULTS.read_bytes()) if RESULTS.exists() else {}
        uvloop.run(run(bench))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(orjson.dumps(bench.rows, option=orjson.OPT_INDENT_2))
    if previous:
        print("\nratios to the pipe, this run beside the last:")
        for name, row in bench.rows.items():
            was = previous.get(name, {})
            cells = [
                f"{target} {value / row['pipe']:.2f} (was {was[target] / was['pipe']:.2f})"
                for target, value in row.items()
                if target != "pipe" and target in was
            ]
            print(f"{name:44}" + "   ".join(cells))


if __name__ == "__main__":
    main()
