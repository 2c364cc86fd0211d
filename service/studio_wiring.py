"""Studio accounts, wired: conversations that go on, what is deleted of them, whose sessions are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress

from service.config import AccountKind, Config
from service.gateway import ports
from service.gateway.background import Background
from service.gateway.models import Models
from service.gateway.sessions import Sessions
from service.gateway.threads import TIDY_INTERVAL_S, Tidying
from service.store.client import Store
from service.store.threads import RedisThreads
from service.store.turns import RedisTurns
from service.upstream.studio import StudioUpstream

_LEFTOVERS_INTERVAL_S = 20.0
# What is left behind at the end is deleted as far as it gets in this time.
_LAST_TIDYING_S = 1.0
_LOOKS_PER_INTERVAL = 5
_LONGEST_PAUSE_S = 30.0


def studio_threads(config: Config, store: Store) -> RedisThreads:
    """What waits at the studio, whether or not it is used."""
    return RedisThreads(
        store,
        ttl_s=config.studio.reuse_ttl_s,
        deletes=config.storage.deletes_studio_conversations,
        server_secret=config.secret_key.reveal(),
    )


def keep_tidy(
    config: Config,
    stack: AsyncExitStack,
    background: Background,
    *,
    studio: StudioUpstream,
    threads: ports.Threads,
    models: Models,
) -> None:
    """Delete what nobody goes on from: this process's own soon, and at its end; what waited in vain later,
    also after the reuse was switched off."""
    if not config.storage.deletes_studio_conversations:
        return
    told = threads.deleted if config.studio.reuse_conversations else None
    background.repeat(_LEFTOVERS_INTERVAL_S, lambda: studio.tidy(told), name="studio_tidying")
    stack.push_async_callback(_in_time, lambda: studio.tidy(told))
    tidying = Tidying(threads, studio, lambda: models.accounts)
    background.repeat(TIDY_INTERVAL_S, tidying.look, name="studio_tidying")


def watch_sessions(
    config: Config,
    store: Store,
    background: Background,
    *,
    models: Models,
    accounts: ports.Accounts,
    upstreams: Mapping[AccountKind, ports.Upstream],
    ids: ports.Ids,
) -> None:
    """Look at the session of each studio account in use from time to time, one worker for all."""
    interval_s = config.studio.probe_interval_s
    if not interval_s:
        return
    sessions = Sessions(models, accounts, upstreams, RedisTurns(store), ids, interval_s=interval_s)
    pause_s = min(interval_s / _LOOKS_PER_INTERVAL, _LONGEST_PAUSE_S)
    background.repeat(pause_s, sessions.look, name="studio_sessions")


async def _in_time(work: Callable[[], Awaitable[None]]) -> None:
    """Last work at the end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_TIDYING_S):
            await work()
