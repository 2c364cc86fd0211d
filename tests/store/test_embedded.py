"""The embedded Redis: found, started, stopped, alone with its data, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from service.store import embedded
from service.store.embedded import (
    EmbeddedRedis,
    EmbeddedRedisBusy,
    EmbeddedRedisError,
    EmbeddedRedisMissing,
    running_url,
    server_executable,
)
from tests.store.conftest import Connecting

PARENT = """
import asyncio, sys
from pathlib import Path
from service.store.embedded import EmbeddedRedis

async def main():
    async with EmbeddedRedis(Path(sys.argv[1])) as redis:
        print(redis.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def gone(pid: int, timeout_s: float = 5.0) -> bool:
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                return True
            if state == "Z":
                return True
            await asyncio.sleep(0.01)


def answers(url: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(url.removeprefix("unix://"))
        except OSError:
            return False
        connection.sendall(b"PING\r\n")
        return connection.recv(16) == b"+PONG\r\n"


async def test_it_lives_as_long_as_the_block(tmp_path: Path):
    async with EmbeddedRedis(tmp_path) as redis:
        assert answers(redis.url)
        pid = redis.pid
    assert await gone(pid)
    assert not answers(redis.url)
    with pytest.raises(RuntimeError):
        _ = redis.pid


async def test_data_outlives_it(tmp_path: Path, connecting: Connecting):
    async with EmbeddedRedis(tmp_path) as redis:
        store = connecting(redis.url).store
        await store.command("SET", "mgw:kept", "x")
        assert await store.eviction_policy() == "noeviction"
    async with EmbeddedRedis(tmp_path) as redis:
        assert await connecting(redis.url).store.command("GET", "mgw:kept") == b"x"


async def test_nobody_else_may_look(tmp_path: Path):
    folder = tmp_path / "data"
    async with EmbeddedRedis(folder) as redis:
        socket_path = Path(redis.url.removeprefix("unix://"))
        assert folder.stat().st_mode & 0o077 == 0
        assert socket_path.stat().st_mode & 0o077 == 0


async def test_a_second_gateway_on_the_same_data_is_told_so(tmp_path: Path):
    async with EmbeddedRedis(tmp_path):
        with pytest.raises(EmbeddedRedisBusy, match=rf"pid {os.getpid()}"):
            await EmbeddedRedis(tmp_path).__aenter__()
    async with EmbeddedRedis(tmp_path):
        pass  # and free again


async def test_other_processes_find_the_running_server(tmp_path: Path):
    assert running_url(tmp_path) is None
    async with EmbeddedRedis(tmp_path) as redis:
        assert running_url(tmp_path) == redis.url
    assert running_url(tmp_path) is None


async def test_a_long_path_gets_a_short_socket(tmp_path: Path):
    folder = tmp_path / ("long" * 30)
    async with EmbeddedRedis(folder) as redis:
        assert answers(redis.url)
        socket_path = Path(redis.url.removeprefix("unix://"))
        assert len(str(socket_path)) < 100
        assert (folder / "appendonly.aof").exists() or any(folder.glob("appendonly*"))
    assert not socket_path.parent.exists()


async def test_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_executable() is None
    with pytest.raises(EmbeddedRedisMissing, match=r"mimo-gateway\[embedded\]"):
        await EmbeddedRedis(tmp_path).__aenter__()


async def test_a_server_on_the_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "redis-server").symlink_to(server_executable())
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    async with EmbeddedRedis(tmp_path / "data") as redis:
        assert answers(redis.url)


async def test_a_server_that_does_not_start_tells_its_last_words(tmp_path: Path):
    (tmp_path / "appendonly.aof").write_text("this is no append-only file\r\n")
    with pytest.raises(EmbeddedRedisError, match=r"did not start: .*Bad file format"):
        await EmbeddedRedis(tmp_path).__aenter__()
    assert running_url(tmp_path) is None


@pytest.mark.slow
async def test_it_dies_with_a_parent_that_is_killed_and_the_next_start_works(tmp_path: Path):
    """Slow: starts a Python process of its own to kill it."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    assert await gone(pid)
    async with EmbeddedRedis(tmp_path) as redis:
        assert answers(redis.url)


async def test_an_orphan_is_ended_before_the_data_is_opened(tmp_path: Path):
    """Where the kernel does not end the child with its parent (not Linux), the next start does."""
    orphan = await embedded._start(server_executable(), tmp_path, tmp_path / "redis.sock")
    try:
        async with asyncio.timeout(30):
            while not answers(f"unix://{tmp_path}/redis.sock"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with EmbeddedRedis(tmp_path) as redis:
            assert redis.pid != orphan.pid
            assert answers(redis.url)
    finally:
        if orphan.returncode is None:
            orphan.kill()
        await orphan.wait()
