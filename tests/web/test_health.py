"""Probes: liveness knows nothing of Redis, readiness does, and both go without a key."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
import pytest

from tests.web.rig import Rig, Start


@dataclass
class Redis:
    """As readiness sees it."""

    trouble: str | None = None

    async def check(self) -> str | None:
        return self.trouble


async def ready(rig: Rig) -> tuple[int, dict]:
    async with aiohttp.ClientSession() as anybody, anybody.get(rig.url("/readyz")) as response:
        return response.status, await response.json()


async def test_gateway_without_redis_is_not_ready_until_redis_was_there_once(start: Start) -> None:
    async with start() as rig:
        services, redis = rig.gateway.services, Redis("Redis does not answer (TimeoutError)")
        services.store_health, services.was_ready = redis, False
        assert await ready(rig) == (
            503,
            {"status": "unavailable", "reasons": ["Redis does not answer (TimeoutError)"]},
        )
        redis.trouble = None
        status, told = await ready(rig)
        assert (status, told["status"], told["reasons"]) == (200, "ready", [])
        assert "mimo-v2.6-pro" in told["models"]


async def test_gateway_that_lost_redis_says_so_and_goes_on(start: Start) -> None:
    async with start() as rig:
        services = rig.gateway.services
        services.store_health, services.was_ready = Redis("Redis does not answer"), True
        status, told = await ready(rig)
        assert (status, told["status"]) == (200, "degraded")
        assert told["reasons"] == ["Redis does not answer"]


@pytest.mark.parametrize("trouble", [None, "Redis does not answer"])
async def test_gateway_that_drains_is_not_ready_but_alive(start: Start, trouble: str | None) -> None:
    async with start() as rig:
        services = rig.gateway.services
        services.store_health, services.is_draining = Redis(trouble), True
        status, told = await ready(rig)
        assert status == 503
        assert told["reasons"] == ["the process is shutting down", *([trouble] if trouble else [])]
        async with rig.http.get(rig.url("/healthz")) as response:
            assert response.status == 200


async def test_metrics_are_text_of_the_exposition_format(start: Start) -> None:
    async with start() as rig, rig.http.get(rig.url("/metrics")) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "# TYPE mgw_requests_total counter" in await response.text()


async def test_trace_of_the_caller_comes_back_and_a_bad_one_does_not(start: Start) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
    async with start() as rig:
        for stream in (True, False):
            for header, wanted in ((f"00-{trace}-00f067aa0ba902b7-01", trace), ("nonsense", None)):
                async with rig.http.post(
                    rig.url("/v1/chat/completions"),
                    json={**body, "stream": stream},
                    headers={"traceparent": header},
                ) as response:
                    assert response.status == 200
                    assert response.headers.get("x-trace-id") == wanted
