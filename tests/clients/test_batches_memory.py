"""What a batch costs the gateway's process in memory, whatever its size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import orjson
import psutil
import pytest

from tests.clients.processes import API_KEY, Running, gateway_process, write_config
from tests.clients.workers import until

pytestmark = pytest.mark.slow  # real processes, and bodies of many megabytes

KEY = {"x-api-key": API_KEY}
MB = 1 << 20


class Peak:
    """The most resident memory of a process while it was looked at."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.first_bytes = self.bytes = process.memory_info().rss

    @property
    def growth_bytes(self) -> int:
        return self.bytes - self.first_bytes

    def look(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)


@contextmanager
def peak_of(running: Running) -> Iterator[Peak]:
    peak, is_over = Peak(psutil.Process(running.process.pid)), threading.Event()

    def look() -> None:
        while not is_over.wait(0.01):
            peak.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def body_of(count: int, text: str) -> Iterator[bytes]:
    message = {"role": "user", "content": text}
    params = {"model": "mimo-v2.6-pro", "max_tokens": 100_000, "messages": [message]}
    yield b'{"requests":['
    for number in range(count):
        yield (b"," if number else b"") + orjson.dumps({"custom_id": f"r{number}", "params": params})
    yield b"]}"


def test_a_hundred_thousand_requests_are_created_in_little_memory(tmp_path: Path, simulator: Running) -> None:
    """As many as a batch may have, each of a few words."""
    config = write_config(tmp_path, simulator, "platform", batches={"runs_in_serve": False})
    with (
        gateway_process(tmp_path, config) as gateway,
        httpx2.Client(base_url=gateway.base_url, headers=KEY, timeout=300) as http,
    ):
        http.get("/v1/models")
        with peak_of(gateway) as creating:
            created = http.post("/v1/messages/batches", content=body_of(100_000, "Hello")).json()
        assert created["request_counts"]["processing"] == 100_000
        assert creating.growth_bytes < 100 * MB, creating.growth_bytes // MB


def test_a_batch_of_many_megabytes_is_stored_and_read_in_little_memory(
    tmp_path: Path, simulator: Running
) -> None:
    """The body: 20,000 requests of 2 KB. The results: 600 of 40 KB. Growth stays far below either."""
    config = write_config(tmp_path, simulator, "platform")
    with (
        gateway_process(tmp_path, config) as gateway,
        httpx2.Client(base_url=gateway.base_url, headers=KEY, timeout=60) as http,
    ):
        http.get("/v1/models")
        url = "/v1/messages/batches"
        text = "".join(f"{n:x} " for n in range(500))
        with peak_of(gateway) as creating:
            created = http.post(url, content=body_of(20_000, f"{text} [[sim: delay_ms=200]]")).json()
        assert created["request_counts"]["processing"] == 20_000
        assert creating.growth_bytes < 25 * MB, creating.growth_bytes // MB
        http.post(f"{url}/{created['id']}/cancel")

        text = "[[sim: tokens=10000 pieces=4000]]"
        created = http.post(url, content=body_of(600, text)).json()
        until(lambda: http.get(f"{url}/{created['id']}").json()["processing_status"] == "ended", timeout_s=60)
        length_bytes = 0
        with (
            peak_of(gateway) as reading,
            http.stream("GET", f"{url}/{created['id']}/results") as response,
        ):
            for chunk in response.iter_bytes():
                length_bytes += len(chunk)
        assert length_bytes > 20 * MB, length_bytes
        assert reading.growth_bytes < 10 * MB, reading.growth_bytes // MB
