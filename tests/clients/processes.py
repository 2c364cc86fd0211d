"""A gateway and its upstream as processes of their own, as a user starts them; one pair for the whole run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson

API_KEY = "sk-mimo"
PLATFORM = {"name": "platform", "api_key": "sk-simulator-1"}
STUDIO = {
    "name": "studio",
    "service_token": "simulator-token-1",
    "user_id": "10001",
    "xiaomichatbot_ph": "c2ltdWxhdG9yLTE/+w==",
    "max_concurrency": 8,
}
ACCOUNTS = {"platform": PLATFORM, "studio": STUDIO}
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Running:
    """A process that listens."""

    base_url: str
    process: subprocess.Popen[bytes]
    log_file: Path

    def record(self) -> dict:
        """What a simulator saw."""
        return httpx2.get(f"{self.base_url}/simulator/record").json()

    def forget(self) -> None:
        httpx2.delete(f"{self.base_url}/simulator/record")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(
    folder: Path, name: str, *arguments: str, ready_path: str, port: int | None = None
) -> Iterator[Running]:
    """`python -m service ARGUMENTS` until the block ends; SIGTERM, and its exit code is checked."""
    port = port or free_port()
    log_file = folder / f"{name}.log"
    overrides = ("PORT", "REDIS_URL", "MIMO_CONFIG", "LOG_LEVEL")
    environ = {name: value for name, value in os.environ.items() if name not in overrides}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments, "--port", str(port)],
            stdout=log,
            stderr=log,
            env=environ,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await_answer(url + ready_path, process, log_file)
            yield Running(base_url=url, process=process, log_file=log_file)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
    assert code == 0, log_file.read_text()


def await_answer(url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, log_file.read_text()
        try:
            if httpx2.get(url, timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer: {log_file.read_text()}")


def write_config(folder: Path, simulator: Running, *kinds: str, **more: Any) -> Path:
    accounts = [{**ACCOUNTS[kind], "base_url": simulator.base_url} for kind in kinds]
    path = folder / "config.json"
    # No balancer stands before these: a process that is told to stop need not wait for one to notice.
    # Their Redis is there, however long a loaded machine takes.
    timeouts = {"propagation_s": 0, "redis_s": 30, **more.pop("timeouts", {})}
    sections = {"api_keys": API_KEY, "mimo_accounts": accounts, "timeouts": timeouts, **more}
    path.write_bytes(orjson.dumps(sections))
    return path


@contextmanager
def gateway_process(folder: Path, config: Path) -> Iterator[Running]:
    arguments = ("serve", "--config", str(config), "--data-dir", str(folder / "data"))
    with started(folder, "gateway", *arguments, ready_path="/readyz") as running:
        yield running
