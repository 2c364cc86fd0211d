"""How a gateway ends and reloads, with real processes: what an orchestrator and an operator do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import httpx2
import orjson
import pytest

from tests.clients.operated import ROOMY, Process, gateway, streams_open, until
from tests.clients.processes import API_KEY, Running, started, write_config
from tests.clients.workers import Worker

KEY = {"Authorization": f"Bearer {API_KEY}"}
SLOW = "[[sim: tokens=60 pace_ms=100 pieces=4]] go"  # six seconds: all fifty are open at a time
ENDLESS = "[[sim: stall_after=3]] go"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("simulator")
    with started(folder, "simulator", "simulator", ready_path="/simulator/record") as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=KEY, connector=connector) as session:
        yield session


def asked(text: str, **more: object) -> dict:
    return {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], "stream": True, **more}


ROUTES = {
    "chat": ("/v1/chat/completions", lambda text: asked(text)),
    "responses": (
        "/v1/responses",
        lambda text: {"model": "mimo-v2.6-pro", "input": text, "stream": True},
    ),
    "messages": ("/v1/messages", lambda text: asked(text, max_tokens=500)),
}


async def read(http: aiohttp.ClientSession, url: str, route: str, text: str) -> bytes:
    path, body = ROUTES[route]
    async with http.post(url + path, json=body(text)) as response:
        assert response.status == 200
        return await response.read()


async def exit_code(process: Process, *, within_s: float = 60.0) -> int:
    return await asyncio.to_thread(process.running.process.wait, within_s)


async def test_open_streams_of_every_dialect_survive_sigterm(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes, and streams of six seconds."""
    with gateway(tmp_path, upstream) as process:
        streams = [
            asyncio.ensure_future(read(http, process.url, route, SLOW)) for route in ROUTES for _ in range(17)
        ]
        await until(lambda: streams_open(process) == len(streams))
        process.signal(signal.SIGTERM)
        answers = await asyncio.gather(*streams)
        assert await exit_code(process) == 0
        ends = {"chat": b"data: [DONE]", "responses": b"response.completed", "messages": b"message_stop"}
        for number, answer in enumerate(answers):
            assert ends[list(ROUTES)[number // 17]] in answer
            assert answer.count(b"tok") >= 60
        assert [line["event"] for line in process.log()][-1] == "drain_ended"


async def test_readiness_ends_at_once_and_the_port_after_the_delay(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes; a propagation delay of some seconds, and a stream that outlasts it."""
    with gateway(tmp_path, upstream, timeouts={"propagation_s": 3.0}) as process:
        stream = asyncio.ensure_future(read(http, process.url, "chat", ENDLESS))
        await until(lambda: streams_open(process) == 1)
        process.signal(signal.SIGTERM)
        # Before the delay is over: requests are still taken, below.
        await until(lambda: httpx2.get(process.ops_url + "/readyz").status_code == 503)
        reasons = httpx2.get(process.ops_url + "/readyz").json()["reasons"]
        assert reasons == ["the process is shutting down"]
        async with http.post(process.url + "/v1/chat/completions", json=asked("Hi", stream=False)) as late:
            assert late.status == 200
            assert late.headers["Connection"] == "close"
        await until(lambda: not is_open(process.url))
        assert httpx2.get(process.ops_url + "/healthz").status_code == 200
        assert "mgw_draining 1.0" in process.metrics()
        stream.cancel()
        assert await exit_code(process) == 0


def is_open(url: str) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30).close()
    except ConnectionError:
        return False
    return True


ERRORS = {
    "chat": (b'"error"', b"[DONE]"),
    "responses": (b"response.failed", b"response.completed"),
    "messages": (b"event: error", b"message_stop"),
}


async def test_streams_open_at_the_deadline_end_with_their_dialects_error(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes, and a drain of a second that hanging streams use up."""
    with gateway(tmp_path, upstream, timeouts={"drain_s": 1.0}) as process:
        streams = {route: asyncio.ensure_future(read(http, process.url, route, ENDLESS)) for route in ROUTES}
        await until(lambda: streams_open(process) == 3)
        process.signal(signal.SIGTERM)
        for route, stream in streams.items():
            error, success = ERRORS[route]
            answer = await stream
            assert error in answer, route
            assert success not in answer, route
            assert b"restarting" in answer, route
        assert await exit_code(process) == 0
        ended = [line for line in process.log() if line["event"] == "request_ended"]
        assert [line["outcome"] for line in ended] == ["truncated"] * 3


async def test_request_without_a_byte_at_the_deadline_gets_a_503(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes, and a drain of half a second."""
    with gateway(tmp_path, upstream, timeouts={"drain_s": 0.5}) as process:
        body = asked("[[sim: delay_ms=30000]] go", stream=False)
        request = asyncio.ensure_future(http.post(process.url + "/v1/chat/completions", json=body))
        await until(lambda: 'mgw_inflight_requests{route="chat"} 1.0' in process.metrics())
        process.signal(signal.SIGTERM)
        response = await request
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["error"]["code"] == "shutdown"
        assert await exit_code(process) == 0


async def test_leases_are_back_when_a_process_has_drained(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession, clean_redis: str
) -> None:
    """Slow: two processes on one Redis; the second sees what the first left."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    shared = {"redis_url": clean_redis, "timeouts": {"drain_s": 0.3}}
    with gateway(tmp_path / "two", upstream, **shared) as other:
        with gateway(tmp_path / "one", upstream, **shared) as process:
            stream = asyncio.ensure_future(read(http, process.url, "chat", ENDLESS))
            await until(lambda: streams_open(process) == 1)
            process.signal(signal.SIGTERM)
            await stream
            assert await exit_code(process) == 0
        # Given back, not run out: of those the other process tells.
        body = asked("Hello", stream=False)
        async with http.post(other.url + "/v1/chat/completions", json=body) as response:
            assert response.status == 200
        await until(lambda: 'mgw_account_leases{account="platform"} 0.0' in other.metrics())
        assert 'mgw_lease_events_total{event="expired"} 0.0' in other.metrics()


async def test_second_signal_ends_the_process_at_once(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: processes."""
    folder = tmp_path
    try:
        with gateway(folder, upstream) as process:
            stream = asyncio.ensure_future(read(http, process.url, "chat", ENDLESS))
            await until(lambda: streams_open(process) == 1)
            process.signal(signal.SIGTERM)
            await until(lambda: "drain_began" in process.running.log_file.read_text())
            process.signal(signal.SIGTERM)
            code = await exit_code(process)
            with pytest.raises(aiohttp.ClientError):
                await stream
    except AssertionError:  # the fixture's own check that the exit code is 0
        pass
    assert code == -signal.SIGTERM


# --- reloading ----------------------------------------------------------------------------------------------


async def status_of(http: aiohttp.ClientSession, process: Process, key: str, model: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    body = asked("Hello", stream=False) | {"model": model}
    async with http.post(process.url + "/v1/chat/completions", json=body, headers=headers) as response:
        return response.status


async def line_of(process: Process, event: str) -> dict:
    """The first line of that event; the log's thread writes a moment later than things happen."""
    await until(lambda: any(line["event"] == event for line in process.log()))
    return next(line for line in process.log() if line["event"] == event)


def reloads(process: Process, result: str) -> int:
    line = next(
        line
        for line in process.metrics().splitlines()
        if f'mgw_config_reloads_total{{result="{result}"}}' in line
    )
    return int(float(line.split()[1]))


@pytest.mark.parametrize("how", ["file", "SIGHUP"])
async def test_changed_file_is_taken_over_by_a_running_process(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession, how: str
) -> None:
    """Slow: a process."""
    watch = {"watch_s": 0.1 if how == "file" else 0}
    with gateway(tmp_path, upstream, reload=watch) as process:
        assert await status_of(http, process, "sk-new", "my-model") == 401
        process.change(
            api_keys=[{"name": "new", "key": "sk-new", "requests_per_minute": 1}],
            model_aliases={"my-model": "mimo-v2.6-flash"},
        )
        if how == "SIGHUP":
            process.signal(signal.SIGHUP)
        await until(lambda: reloads(process, "applied") == 1)
        assert await status_of(http, process, "sk-new", "my-model") == 200
        assert await status_of(http, process, "sk-new", "my-model") == 429, "the new key's own limit"
        assert await status_of(http, process, API_KEY, "mimo-v2.6-pro") == 401, "the old key is gone"
        told = await line_of(process, "config_reloaded")
        assert told["reason"] == how
        assert told["notes"] == ["taken over: api_keys", "taken over: model_aliases"]


async def test_reload_takes_over_accounts_and_ends_the_series_of_those_that_left(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: a process, and the five seconds between two looks at the pool."""
    with gateway(tmp_path, upstream) as process:
        await until(lambda: 'mgw_account_state{account="platform",state="ready"} 1.0' in process.metrics())
        process.change(mimo_accounts=[{**ROOMY, "name": "other", "base_url": upstream.base_url}])
        await until(lambda: reloads(process, "applied") == 1)
        assert await status_of(http, process, API_KEY, "mimo-v2.6-pro") == 200
        await until(lambda: any(line.get("account") == "other" for line in process.log()))
        await until(lambda: 'account="platform"' not in process.metrics(), within_s=60)


@pytest.mark.parametrize("how", ["file", "SIGHUP"])
async def test_worker_takes_over_a_changed_file(tmp_path: Path, upstream: Running, how: str) -> None:
    """Slow: a process."""
    ours, others = ([{**ROOMY, "name": name, "base_url": upstream.base_url}] for name in ("ours", "others"))
    reload = {"watch_s": 0.1 if how == "file" else 0}
    config = write_config(tmp_path, upstream, reload=reload, mimo_accounts=ours)
    worker = Worker(tmp_path, config, "worker")
    try:
        await asyncio.to_thread(worker.await_ready)
        await until(lambda: 'account="ours"' in worker.metrics())
        config.write_bytes(orjson.dumps({**orjson.loads(config.read_bytes()), "mimo_accounts": others}))
        if how == "SIGHUP":
            worker.process.send_signal(signal.SIGHUP)
        await until(lambda: 'account="others"' in worker.metrics())
        assert 'mgw_config_reloads_total{result="applied"} 1.0' in worker.metrics()
    finally:
        code = worker.stop()
    assert code == 0


async def test_bad_file_keeps_the_old_configuration_and_says_so(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: a process."""
    with gateway(tmp_path, upstream) as process:
        process.change(api_keys=[{"key": "sk-canary-in-a-bad-file", "requests_per_minut": 1}])
        await until(lambda: reloads(process, "refused") == 1)
        assert await status_of(http, process, API_KEY, "mimo-v2.6-pro") == 200
        told = await line_of(process, "config_reloaded")
        assert told["outcome"] == "refused"
        assert "api_keys[0].requests_per_minut: unknown key" in told["notes"][0]
        assert "sk-canary" not in process.running.log_file.read_text()
        process.change(api_keys=API_KEY)
        await until(lambda: reloads(process, "unchanged") == 1)


async def test_section_that_needs_a_restart_is_named(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: a process."""
    with gateway(tmp_path, upstream) as process:
        process.change(timeouts={"idle_s": 99, "propagation_s": 0})
        await until(lambda: reloads(process, "applied") == 1)
        told = await line_of(process, "config_reloaded")
        assert told["notes"] == ["needs a restart: timeouts"]


async def test_secret_in_a_file_of_its_own_is_taken_over_when_that_changes(
    tmp_path: Path, upstream: Running, http: aiohttp.ClientSession
) -> None:
    """Slow: a process."""
    secret = tmp_path / "key"
    secret.write_text("sk-first\n")
    keys = [{"name": "from-a-secret", "key": {"from_file": str(secret)}}]
    with gateway(tmp_path, upstream, api_keys=keys) as process:
        assert await status_of(http, process, "sk-first", "mimo-v2.6-pro") == 200
        secret.write_text("sk-second\n")
        os.utime(secret, (1, 1))
        await until(lambda: reloads(process, "applied") == 1)
        assert await status_of(http, process, "sk-second", "mimo-v2.6-pro") == 200
        assert await status_of(http, process, "sk-first", "mimo-v2.6-pro") == 401
