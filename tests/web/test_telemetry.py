"""Metrics and log lines of a whole gateway: what only the parts together can tell."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.config import Secret
from service.config_loader import demo
from service.gateway.background import Background
from service.outside_wiring import opened_store
from service.telemetry.metrics import Metrics
from tests.web.rig import Rig, Start

HELLO = [{"role": "user", "content": "Hello"}]
GOES_ON = [*HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}]
SLOW = "[[sim: first_delay_ms=100]] go"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


async def ask(rig: Rig, messages: list[dict[str, Any]], **more: Any) -> int:
    body = {"model": "mimo-v2.6-pro", "messages": messages, **more}
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        await response.read()
    await rig.nothing_is_held()
    return response.status


def value(metrics: Metrics, name: str, **labelled: str) -> float:
    return metrics.registry.get_sample_value(name, labelled) or 0.0


async def test_a_new_connection_is_seen_in_metrics_and_log(start: Start) -> None:
    async with start("platform") as rig:
        with capture_logs() as logs:
            # Two at once: one of them at least needs a connection of its own.
            await asyncio.gather(*(ask(rig, [{"role": "user", "content": SLOW}]) for _ in range(2)))
        assert value(rig.gateway.services.metrics, "mgw_upstream_connect_seconds_count", wire="platform") >= 1
        lines = [line for line in logs if line["event"] == "request_ended"]
        assert max(line["connect_ms"] for line in lines) > 0
        assert all(0 < line["overhead_ms"] < line["total_ms"] for line in lines)


async def test_a_conversation_that_goes_on_meets_its_account_and_says_so(start: Start) -> None:
    async with start("platform", "platform-2") as rig:
        with capture_logs() as logs:
            for messages in (HELLO, GOES_ON, GOES_ON):
                await ask(rig, messages)
        told = [line.get("sticky") for line in logs if line["event"] == "request_ended"]
        assert told == [None, "hit", "hit"], "a first turn is spread; what it leaves is met again"
        assert value(rig.gateway.services.metrics, "mgw_sticky_total", result="hit") == 2


async def test_what_was_left_out_and_what_was_held_is_counted(rig: Rig) -> None:
    metrics, wire = rig.gateway.services.metrics, rig.gateway.config.mimo_accounts[0].kind
    await ask(rig, HELLO, logit_bias={"5": 1}, tools=[TOOL], stream=True)
    labelled = {"from": "chat", "to": str(wire), "kind": "field_dropped"}
    assert value(metrics, "mgw_translation_warnings_total", **labelled) == 1
    assert value(metrics, "mgw_sieve_held_bytes_count") == 1


async def test_what_an_answer_costs_is_in_its_log_line(start: Start) -> None:
    async with start("platform") as rig:
        with capture_logs() as logs:
            await ask(rig, [{"role": "user", "content": "word " * 4000}], stream=True)
        (line,) = [line for line in logs if line["event"] == "request_ended"]
        metrics = rig.gateway.services.metrics
        cost = value(metrics, "mgw_cost_micro_usd_total", model="mimo-v2.6-pro")
        assert line["cost_micro_usd"] == cost > 0
        assert line["chunks"] > 0


@pytest.mark.parametrize("stream", [True, False], ids=["in the stream", "in a body of status 200"])
async def test_credentials_that_an_upstream_quotes_are_masked(start: Start, stream: bool) -> None:
    words = "error_frame={} error_after=2" if stream else "json200 status=400 message={}"
    said = f"[[sim: {words.format('key-sk-simulator-1-is-bad')}]] tell me a story"
    async with start("platform") as rig:
        body = {"model": "mimo-v2.6-pro", "stream": stream, "messages": [{"role": "user", "content": said}]}
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            text = await response.text()
        assert "key-***-is-bad" in text
        assert "sk-simulator-1" not in text


async def test_a_redis_that_goes_and_comes_back_is_told_once_each(clean_redis: str) -> None:
    """Its breaker is driven by hand: what is tested is who hears of it."""
    background, metrics = Background(), Metrics()
    config = replace(demo("http://127.0.0.1:1"), redis_url=Secret(clean_redis))
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            store = await opened_store(config, stack, Path(), background, metrics, joins=False)
            for _ in range(5):
                store._breaker.record_failure(sent_at_s=1e12)
            store.degraded("admit")
            store.degraded("admit")
            assert value(metrics, "mgw_redis_breaker_open") == 1
            await store.ping()
            await store.ping()
            assert value(metrics, "mgw_redis_breaker_open") == 0
            assert value(metrics, "mgw_redis_pool_in_use", pool="line") == 0
            await background.drain(timeout_s=1)
    assert [line["state"] for line in logs if line["event"] == "redis_breaker_changed"] == ["open", "closed"]
