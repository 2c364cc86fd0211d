"""What readiness and the operator hear of Redis."""

from __future__ import annotations

from pathlib import Path

from service.store.client import StoreSettings
from service.store.health import RedisHealth
from tests.store import servers
from tests.store.conftest import Connected, Connecting


async def test_a_redis_that_answers_is_well(connected: Connected):
    health = RedisHealth(connected.store)
    assert await health.check() is None
    assert await health.warning() is None


async def test_what_is_wrong_is_told_without_secrets(connecting: Connecting):
    trouble = await RedisHealth(connecting("redis://:secret@127.0.0.1:1").store).check()
    assert trouble == "Redis does not answer (ConnectionRefusedError)"


async def test_a_wrong_password_is_told(tmp_path: Path, connecting: Connecting):
    with servers.server(tmp_path) as server:
        server.ask("CONFIG", "SET", "requirepass", "right")
        url = f"redis://:wrong@127.0.0.1:{server.port}"
        assert await RedisHealth(connecting(url).store).check() is not None


async def test_silence_is_told_as_a_timeout(tmp_path: Path, connecting: Connecting):
    with servers.server(tmp_path) as server:
        health = RedisHealth(connecting(server.url, StoreSettings.within(2.0)).store)
        assert await health.check() is None
        server.ask("CLIENT", "PAUSE", "60000")
        assert await health.check() == "Redis does not answer (TimeoutError)"


async def test_a_policy_that_evicts_state_is_a_warning(tmp_path: Path, connecting: Connecting):
    with servers.server(tmp_path, "--maxmemory-policy", "allkeys-lru") as server:
        warning = await RedisHealth(connecting(server.url).store).warning()
        assert "allkeys-lru" in warning
        assert "noeviction" in warning


async def test_a_redis_that_forbids_config_is_believed(tmp_path: Path, connecting: Connecting):
    with servers.server(tmp_path, "--rename-command", "CONFIG", "") as server:
        assert await RedisHealth(connecting(server.url).store).warning() is None


async def test_no_warning_about_a_redis_that_is_away(connecting: Connecting):
    assert await RedisHealth(connecting("redis://127.0.0.1:1").store).warning() is None
