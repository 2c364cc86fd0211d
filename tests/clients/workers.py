"""Worker processes of their own beside a gateway process, to be killed and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.clients.processes import await_answer, free_port


class Worker:
    """One `mimo-gateway worker`."""

    def __init__(self, folder: Path, config: Path, name: str) -> None:
        self._ops_port = free_port()
        self.log_file = folder / f"{name}.log"
        overrides = ("PORT", "REDIS_URL", "MIMO_CONFIG", "LOG_LEVEL")
        environ = {name: value for name, value in os.environ.items() if name not in overrides}
        arguments = ("--config", str(config), "--data-dir", str(folder / "data"))
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "worker", *arguments, "--ops-port", str(self._ops_port)],
                stdout=log,
                stderr=log,
                env=environ,
            )

    def await_ready(self) -> None:
        await_answer(f"http://127.0.0.1:{self._ops_port}/readyz", self.process, self.log_file)

    def metrics(self) -> str:
        return httpx2.get(f"http://127.0.0.1:{self._ops_port}/metrics").text

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        line = next(line for line in self.metrics().splitlines() if line.startswith(f"{name} "))
        return float(line.split()[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Fleet:
    """So many workers, whatever happens to them."""

    def __init__(self, folder: Path, config: Path, count: int) -> None:
        self._folder = folder
        self._config = config
        self._started = 0
        self.workers = [self._start() for _ in range(count)]
        for worker in self.workers:
            worker.await_ready()

    def _start(self) -> Worker:
        self._started += 1
        return Worker(self._folder, self._config, f"worker-{self._started}")

    def kill(self, place: int) -> None:
        """kill -9, and a new one in its place."""
        self.workers[place].kill()
        self.workers[place] = self._start()


@contextmanager
def fleet_of(folder: Path, config: Path, count: int) -> Iterator[Fleet]:
    fleet = Fleet(folder, config, count)
    try:
        yield fleet
    finally:
        codes = [worker.stop() for worker in fleet.workers]
    assert codes == [0] * count, [worker.log_file.read_text()[-2000:] for worker in fleet.workers]


def until(is_so, *, timeout_s: float, every_s: float = 0.05) -> None:
    """Wait until `is_so()`, bounded."""
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline_s, "it did not come so far in time"
        time.sleep(every_s)
