"""Redis for commands that look and leave: doctor, keys, accounts."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from service.config import Config
from service.gateway.background import Background
from service.store.client import Store, StoreSettings, connect
from service.store.embedded import EmbeddedRedis, running_url

_PATIENCE_S = 5.0


def patient(config: Config) -> StoreSettings:
    """No request waits behind a command: a slow Redis is waited for, and not called away."""
    return StoreSettings.within(max(config.timeouts.redis_s, _PATIENCE_S))


async def opened(config: Config, stack: AsyncExitStack, data_dir: Path) -> Store:
    """The configured Redis. An embedded one is the running gateway's; when none runs it is started, with its
    data, for as long as `stack` lasts. Raises EmbeddedRedisError, RedisUrlError."""
    url = config.redis_url.reveal()
    if url == "embedded":
        url = running_url(data_dir) or (await stack.enter_async_context(EmbeddedRedis(data_dir))).url
    background = Background()
    store = connect(url, spawn=background.spawn, settings=patient(config))
    stack.push_async_callback(store.aclose)
    stack.push_async_callback(background.drain, timeout_s=1.0)
    return store
