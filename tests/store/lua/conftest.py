"""Scripts by name on the real Redis, at a time that the test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.store.client import Store

NOW = 1_790_000_000_000
Run = Callable[..., Awaitable[Any]]


@pytest.fixture
def run(store: Store) -> Run:
    """`await run("renew", keys, *arguments)`."""

    async def run(name: str, keys: list[str], *arguments: str | int) -> Any:
        return await store.run(name, keys, arguments)

    return run


async def lifetimes(store: Store) -> dict[str, int]:
    """Milliseconds that each key has left; -1: for ever."""
    return {key.decode(): await store.redis.pttl(key) for key in await store.redis.keys("*")}
