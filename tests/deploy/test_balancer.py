"""deploy/nginx.conf under a real nginx: two gateways behind it, streams let through, restarts unseen."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.clients.operated import ROOMY, Process, gateway
from tests.clients.processes import API_KEY, Running, free_port, started
from tests.clients.workers import until
from tests.k8s.tools import ROOT, tool

KEY = {"Authorization": f"Bearer {API_KEY}"}
CONF = (ROOT / "deploy" / "nginx.conf").read_text()

pytestmark = pytest.mark.slow


def configured(folder: Path, port: int, *backends: str) -> Path:
    """The shipped file with this test's addresses in it, and nothing else changed."""
    text = CONF.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    for number, backend in enumerate(backends, 1):
        text = text.replace(f"server gateway-{number}:8080", f"server {backend.removeprefix('http://')}")
    text = text.replace("/dev/stderr", f"{folder}/nginx-errors.log")
    text = text.replace("/tmp/nginx", f"{folder}/nginx").replace(
        "worker_processes auto", "worker_processes 1"
    )
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


@contextmanager
def nginx(folder: Path, *backends: str) -> Iterator[str]:
    port = free_port()
    command = [tool("nginx"), "-p", str(folder), "-c", str(configured(folder, port, *backends))]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), timeout_s=30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionError:
        return False
    return True


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("simulator")
    with started(folder, "simulator", "simulator", ready_path="/simulator/record") as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def asked(text: str, *, stream: bool) -> dict:
    return {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], "stream": stream}


async def test_pieces_pass_the_balancer_as_they_come(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes. The upstream falls silent in mid-stream: whoever waits for more passes nothing on."""
    with gateway(tmp_path, upstream) as process, nginx(tmp_path, process.url, process.url) as url:
        body = asked("[[sim: tokens=60 pieces=4 pace_ms=20 stall_after=30]] go", stream=True)
        seen = b""
        async with asyncio.timeout(60), http.post(url + "/v1/chat/completions", json=body) as response:
            assert response.status == 200
            while seen.count(b"tok") < 10:
                seen += await response.content.readany()
        async with http.get(url + "/metrics") as response:
            assert response.status == 404, "metrics are for the inside"


async def test_large_body_passes_and_a_larger_one_is_refused(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes, and megabytes."""
    with gateway(tmp_path, upstream) as process, nginx(tmp_path, process.url, process.url) as url:
        for megabytes, status in ((15, 200), (18, 413)):
            body = orjson.dumps(asked("x" * (megabytes << 20), stream=False))
            path = "/v1/chat/completions"
            async with http.post(url + path, data=io.BytesIO(body)) as response:
                assert response.status == status


async def keep_asking(http: aiohttp.ClientSession, url: str, ended: asyncio.Event, seen: Counter) -> None:
    """Streams and whole answers, one after another, until told to stop."""
    number = 0
    while not ended.is_set():
        number += 1
        stream = number % 2 == 0
        text = "[[sim: tokens=10 pace_ms=50 pieces=4]] go" if stream else "Hello"
        try:
            async with http.post(url + "/v1/chat/completions", json=asked(text, stream=stream)) as response:
                body = await response.read()
        except aiohttp.ClientError as error:
            seen[type(error).__name__] += 1
            continue
        is_whole = b"data: [DONE]" in body if stream else b'"finish_reason":"stop"' in body
        seen["fine" if response.status == 200 and is_whole else f"{response.status} {body[-200:]!r}"] += 1


async def test_rolling_restart_under_load_fails_no_request(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession, clean_redis: str
) -> None:
    """Slow: two gateways are replaced one after the other while sixteen clients go on asking."""
    accounts = [{**ROOMY, "base_url": upstream.base_url}]
    sections = {"redis_url": clean_redis, "timeouts": {"propagation_s": 1.0}, "mimo_accounts": accounts}
    seen: Counter[str] = Counter()
    ended = asyncio.Event()
    with ExitStack() as stack:
        ports = [free_port(), free_port()]
        stacks = [stack.enter_context(ExitStack()) for _ in ports]

        def start(number: int, generation: str) -> Process:
            folder = tmp_path / f"{generation}-{number}"
            folder.mkdir()
            return stacks[number].enter_context(gateway(folder, upstream, port=ports[number], **sections))

        running = [start(0, "old"), start(1, "old")]
        with nginx(tmp_path, *(f"http://127.0.0.1:{port}" for port in ports)) as url:
            clients = [asyncio.ensure_future(keep_asking(http, url, ended, seen)) for _ in range(16)]
            await asyncio.sleep(1)
            for number in (0, 1):
                running[number].signal(signal.SIGTERM)
                await asyncio.to_thread(running[number].running.process.wait, 60)
                await asyncio.to_thread(stacks[number].close)
                await asyncio.to_thread(start, number, "new")
                await asyncio.sleep(2.5)  # nginx looks for it again after fail_timeout
            ended.set()
            await asyncio.gather(*clients)
    assert set(seen) == {"fine"}, (seen, (tmp_path / "nginx-errors.log").read_text())
    assert seen["fine"] > 100
