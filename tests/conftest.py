"""Fixtures for every folder: one real Redis for the whole run, empty for each test that asks for it."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from service.store.embedded import EmbeddedRedis

# A busy machine makes any one example slow now and then: what is found must not depend on it.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


@pytest.fixture(scope="session")
def embedded_redis() -> Iterator[EmbeddedRedis]:
    """A redis-server behind a Unix socket in a directory of its own, for the whole run."""
    # Short: a socket's path has room for a hundred bytes, and pytest's own directories are long.
    with tempfile.TemporaryDirectory(prefix="mgw-test-") as folder, asyncio.Runner() as runner:
        redis = EmbeddedRedis(Path(folder))
        runner.run(redis.__aenter__())
        try:
            yield redis
        finally:
            runner.run(redis.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def redis_url(embedded_redis: EmbeddedRedis) -> str:
    """The URL of the run's Redis. Tests in one process run one after another; `clean_redis` empties it."""
    return embedded_redis.url


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """The same URL, with nothing stored."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(redis_url.removeprefix("unix://"))
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(64) == b"+OK\r\n"
    return redis_url
