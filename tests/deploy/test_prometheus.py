"""A real Prometheus over two gateways under load: every query of the dashboard and the alerts answers."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import httpx2
import orjson
import pytest
import yaml

from tests.clients.operated import ROOMY, Process, gateway
from tests.clients.processes import API_KEY, await_answer, free_port, started
from tests.k8s.tools import OBSERVABILITY, tool

KEY = {"Authorization": f"Bearer {API_KEY}"}
PAGE = orjson.loads((OBSERVABILITY / "dashboard.json").read_bytes())
RULES = yaml.safe_load((OBSERVABILITY / "rules.yaml").read_text())
ROWS = yaml.safe_load((OBSERVABILITY / "panels.yaml").read_text())
# Panels that must show something after a load run, whatever else is quiet: the first row whole, and these.
GOLDEN = {
    *(panel["title"] for row in ROWS if row["row"] == "Golden signals" for panel in row["panels"]),
    *("Tokens per second by type", "Output speed of a stream, p50"),
    *("States", "Slots in use", "Attempts per request", "p99 by operation", "Event loop lag, p99", "Memory"),
    *("Conversations that met their account again", "What of requests was left out or changed"),
}
# A turn that follows an answer: sticky.
GOING_ON = [{"role": "assistant", "content": "Gone."}, {"role": "user", "content": "And now?"}]

pytestmark = pytest.mark.slow


@contextmanager
def prometheus(folder: Path, *targets: str) -> Iterator[str]:
    port = free_port()
    config = folder / "prometheus.yml"
    scrape = {"job_name": "mimo-gateway", "static_configs": [{"targets": list(targets)}]}
    settings = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [scrape]}
    config.write_text(yaml.safe_dump({**settings, "rule_files": [str(OBSERVABILITY / "rules.yaml")]}))
    command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await_answer(url + "/-/ready", process, folder / "prometheus.log")
            yield url
        finally:
            process.terminate()
            process.wait(20)


async def load(http: aiohttp.ClientSession, url: str, enough: asyncio.Event) -> None:
    """Whole answers, streams, conversations that go on and mistakes, in all three dialects."""
    hello = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "[[sim: tokens=20]] go"}]}
    requests = [
        ("/v1/chat/completions", hello),
        ("/v1/chat/completions", {**hello, "stream": True}),
        ("/v1/messages", {**hello, "stream": True, "max_tokens": 50}),
        ("/v1/responses", {"model": "mimo-v2.6-pro", "input": "Hello", "stream": True}),
        ("/v1/chat/completions", {**hello, "model": "no-such-model"}),
        ("/v1/chat/completions", {**hello, "messages": [*hello["messages"], *GOING_ON], "logprobs": True}),
    ]
    while not enough.is_set():
        for path, body in requests:
            async with http.post(url + path, json=body) as response:
                await response.read()
        await asyncio.sleep(0.1)


def asked(url: str, expression: str) -> list[dict]:
    answer = httpx2.get(url + "/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return answer["data"]["result"]


def in_full(expression: str) -> str:
    """With every variable at "All", and a window that a test has the time for."""
    for variable in ("namespace", "route", "model", "account"):
        expression = expression.replace(f"${variable}", ".*")
    return expression.replace("$__rate_interval", "15s")


def complaints_about(exposition: str) -> list[str]:
    """What `promtool check metrics` says of our own metrics."""
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=exposition, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith(("mgw_", "gen_ai_"))]


def shown(url: str) -> set[str]:
    """The panels that have data; every query must be answered."""
    return {
        panel["title"]
        for panel in PAGE["panels"]
        for target in panel.get("targets", [])
        if asked(url, in_full(target["expr"]))
    }


async def shown_in_time(url: str) -> set[str]:
    """What is shown as soon as the golden panels are; after a minute whatever is."""
    found: set[str] = set()
    for _ in range(120):
        found = await asyncio.to_thread(shown, url)
        if found >= GOLDEN:
            break
        await asyncio.sleep(0.5)
    return found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY) as session:
        yield session


async def test_every_panel_and_alert_is_answered_by_a_real_prometheus(
    tmp_path: Path, http: aiohttp.ClientSession, clean_redis: str
) -> None:
    """Slow: three kinds of processes, and load until Prometheus has scraped enough of it."""
    tool("prometheus")
    with ExitStack() as stack:
        simulator = stack.enter_context(
            started(tmp_path, "simulator", "simulator", ready_path="/simulator/record")
        )
        gateways: list[Process] = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            accounts = [{**ROOMY, "base_url": simulator.base_url}]
            sections = {"redis_url": clean_redis, "mimo_accounts": accounts}
            gateways.append(stack.enter_context(gateway(tmp_path / name, simulator, **sections)))
        targets = [process.ops_url.removeprefix("http://") for process in gateways]
        url = stack.enter_context(prometheus(tmp_path, *targets))
        enough = asyncio.Event()
        runs = [asyncio.create_task(load(http, process.url, enough)) for process in gateways]
        try:
            shown = await shown_in_time(url)
        finally:
            enough.set()
            await asyncio.gather(*runs)
        assert shown >= GOLDEN
        assert len(asked(url, "mgw_build_info")) == 2
        for group in RULES["groups"]:
            for rule in group["rules"]:
                asked(url, rule["expr"])
        loaded = httpx2.get(url + "/api/v1/rules").json()["data"]["groups"]
        assert all(rule["health"] == "ok" for group in loaded for rule in group["rules"])
        firing = [
            rule["name"] for group in loaded for rule in group["rules"] if rule.get("state") == "firing"
        ]
        assert firing == []
        assert complaints_about(gateways[0].metrics()) == []


def test_series_of_a_running_process_stay_far_below_the_budget(tmp_path: Path) -> None:
    """Slow: a process."""
    with (
        started(tmp_path, "simulator", "simulator", ready_path="/simulator/record") as simulator,
        gateway(tmp_path, simulator) as process,
    ):
        lines = [line for line in process.metrics().splitlines() if not line.startswith("#")]
        assert 200 < len(lines) < 1000
