"""`mimo-gateway doctor`, and the warning at start: what an operator should change about Redis."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import structlog
from structlog.typing import EventDict

from service.__main__ import main
from tests.web.rig import Start


@pytest.fixture
def evicting_redis(clean_redis: str) -> Iterator[str]:
    """The run's Redis, with a policy that would throw leases away."""
    told(clean_redis, b"allkeys-lru")
    yield clean_redis
    told(clean_redis, b"noeviction")


def told(redis_url: str, policy: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(redis_url.removeprefix("unix://"))
        connection.sendall(b"CONFIG SET maxmemory-policy " + policy + b"\r\n")
        assert connection.recv(64) == b"+OK\r\n"


def warnings_in(logged: list[EventDict]) -> list[EventDict]:
    return [line for line in logged if line["event"] == "redis_misconfigured"]


async def test_doctor_and_the_start_warn_of_an_eviction_policy(
    evicting_redis: str, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with start() as rig:
            async with asyncio.timeout(30):
                while not warnings_in(logged):  # noqa: ASYNC110 - a task of the start looks at Redis
                    await asyncio.sleep(0.02)
            platform = {"api_key": "sk-simulator-1", "base_url": rig.simulator.base_url}
            config = {"api_keys": "a", "mimo_accounts": [platform], "redis_url": evicting_redis}
            path = tmp_path / "config.json"
            path.write_bytes(orjson.dumps(config))
            code = await asyncio.to_thread(main, ["doctor", "--config", str(path)])
    warnings = warnings_in(logged)
    assert len(warnings) == 1
    assert "noeviction" in warnings[0]["notes"][0]
    shown = capsys.readouterr().out
    assert code == 0, "a warning is no failure"
    assert "[ ok ] Redis answers" in shown
    assert "[warn] Redis: Redis may evict" in shown
    assert "maxmemory-policy allkeys-lru" in shown
