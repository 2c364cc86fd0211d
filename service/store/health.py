"""Redis, as readiness sees it. Fits `ports.StoreHealth`."""

from __future__ import annotations

import time

from service.core.admin import RedisState
from service.core.errors import StoreUnavailable
from service.store.client import Store

_WANTED_POLICY = "noeviction"


class RedisHealth:
    """Answers within the breaker's time-out, and ends the breaker's pause when Redis is back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def check(self) -> str | None:
        """None when Redis answers, else the kind of failure: never an address or a password."""
        try:
            await self._store.ping()
        except StoreUnavailable as error:
            return f"Redis does not answer ({_cause_of(error)})"
        return None

    async def state(self) -> RedisState:
        """How it stands at this moment."""
        began_s = time.monotonic()
        if (trouble := await self.check()) is not None:
            return RedisState(is_up=False, why=trouble)
        latency_ms = round((time.monotonic() - began_s) * 1000, 2)
        try:
            version = await self._store.server_version()
        except StoreUnavailable:
            version = None
        return RedisState(is_up=True, version=version, latency_ms=latency_ms, why=await self.warning())

    async def warning(self) -> str | None:
        """What an operator should change about this Redis; None when it is well or does not tell.

        Managed Redis often forbids CONFIG: then nothing is known, and nothing is claimed."""
        try:
            policy = await self._store.eviction_policy()
        except StoreUnavailable:
            return None
        if policy in (None, _WANTED_POLICY):
            return None
        return (
            f"Redis may evict the gateway's state when it is full (maxmemory-policy {policy}): leases and "
            f"limits would be lost. Set maxmemory-policy {_WANTED_POLICY}; give caches a Redis of their own."
        )


def _cause_of(error: BaseException) -> str:
    """The innermost reason's kind: an address or a password may stand in its words. Behind a time-out stands
    only how it was brought about."""
    while error.__cause__ is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return type(error).__name__
