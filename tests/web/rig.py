"""A whole gateway in the test's own loop, over a real runner: simulator upstream, real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import aiohttp

from service.app import Gateway
from service.config import Config, Secret
from service.config_loader import accounts, api_keys
from service.simulator import Simulator

KEY = {"Authorization": "Bearer sk-mimo"}
# The Redis of these tests is there, however long the machine takes: what follows from a slow one has tests of
# its own, which hurt theirs.
PATIENCE_S = 30.0


def config_for(simulator: Simulator, redis_url: str, *kinds: str, **more: object) -> Config:
    """A configuration whose accounts are the simulator's. `more` replaces sections."""
    entries = {
        "platform": {"name": "platform", "api_key": "sk-simulator-1"},
        "platform-2": {"name": "platform-2", "api_key": "sk-simulator-2"},
        "studio": {
            "name": "studio",
            "service_token": "simulator-token-1",
            "user_id": "10001",
            "xiaomichatbot_ph": "c2ltdWxhdG9yLTE/+w==",
            "max_concurrency": 8,
        },
        "studio-2": {
            "name": "studio-2",
            "service_token": "simulator-token-2",
            "user_id": "10002",
            "xiaomichatbot_ph": "c2ltdWxhdG9yLTI/+w==",
            "max_concurrency": 8,
        },
    }
    config = Config(
        api_keys=api_keys("sk-mimo"),
        mimo_accounts=accounts([{**entries[kind], "base_url": simulator.base_url} for kind in kinds]),
        redis_url=Secret(redis_url),
    )
    config = replace(config, listen=replace(config.listen, host="127.0.0.1", port=0), **more)
    return replace(config, timeouts=replace(config.timeouts, redis_s=PATIENCE_S))


@dataclass(frozen=True)
class Rig:
    """A gateway, its upstream, and a client."""

    gateway: Gateway
    simulator: Simulator
    http: aiohttp.ClientSession

    def url(self, path: str) -> str:
        return self.gateway.base_url + path

    async def leases(self) -> int:
        """How many leases the pool counts at present."""
        chat = self.gateway.services.chat
        return sum(h.leases for h in await chat.accounts.health(self.gateway.config.mimo_accounts))

    async def nothing_is_held(self) -> None:
        """Wait until every lease is back: that happens after the last byte, off the client's path."""
        for _ in range(2000):
            if not await self.leases():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("a lease was not given back")


Start = Callable[..., AbstractAsyncContextManager[Rig]]
