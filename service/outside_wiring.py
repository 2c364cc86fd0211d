"""The part of the composition root that opens what is outside: Redis and the upstreams. Only `app` and the
command line import it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from service.config import AccountKind, Config, ToolsMode
from service.config_loader import demo
from service.gateway import ports
from service.gateway.background import Background
from service.simulator import Simulator, SimulatorOptions
from service.store.client import Outcome, Store, StoreSettings, connect
from service.store.embedded import EmbeddedRedis, running_url
from service.store.health import RedisHealth
from service.telemetry.metrics import Metrics
from service.upstream.http import Http
from service.upstream.leftovers import Leftovers
from service.upstream.media import MediaFetcher
from service.upstream.platform import PlatformUpstream
from service.upstream.studio import StudioUpstream

log = structlog.get_logger()

# The demo's answers come at the speed of a model, so that streaming can be seen.
_DEMO_PACE = ("pace_ms=15",)


async def demo_accounts(config: Config, stack: AsyncExitStack) -> Config:
    """The demo's configuration with its own simulator started as the upstream; any other one as it is."""
    if not config.is_demo:
        return config
    simulator = await stack.enter_async_context(Simulator.start(SimulatorOptions(script=_DEMO_PACE)))
    return replace(config, mimo_accounts=demo(simulator.base_url).mimo_accounts)


def upstreams_of(
    config: Config, http: Http, fetcher: MediaFetcher, leftovers: Leftovers | None = None
) -> Mapping[AccountKind, ports.Upstream]:
    """Both upstream kinds, by kind."""
    return {
        AccountKind.PLATFORM: PlatformUpstream(
            http, fetcher, sends_trace=config.security.sends_trace_context
        ),
        AccountKind.STUDIO: studio_upstream(config, http, fetcher, leftovers),
    }


def studio_upstream(
    config: Config, http: Http, fetcher: MediaFetcher, leftovers: Leftovers | None
) -> StudioUpstream:
    """The studio's wire."""
    return StudioUpstream(
        http,
        fetcher,
        user_agent=config.security.studio_user_agent,
        offers_tools=config.tools.mode is ToolsMode.AUTO,
        leftovers=leftovers,
    )


async def opened_store(
    config: Config,
    stack: AsyncExitStack,
    data_dir: Path,
    background: Background,
    metrics: Metrics,
    *,
    joins: bool,
) -> Store:
    """Redis: the configured one, or an embedded one that lives as long as `stack`. `joins`: one that another
    process of this machine runs will do. Raises EmbeddedRedisError, RedisUrlError."""
    url = config.redis_url.reveal()
    if url == "embedded" and joins:
        url = running_url(data_dir) or url
    if url == "embedded":
        embedded = await stack.enter_async_context(EmbeddedRedis(data_dir))
        url = embedded.url

    was_away = False

    def observe(operation: str, took_s: float, outcome: Outcome) -> None:
        nonlocal was_away
        metrics.observe_redis(operation, took_s, str(outcome))
        if store.is_away is not was_away:
            was_away = store.is_away
            log.warning("redis_breaker_changed", state="open" if was_away else "closed")

    settings = StoreSettings.within(config.timeouts.redis_s)
    store = connect(url, spawn=background.spawn, observe=observe, settings=settings)
    stack.push_async_callback(store.aclose)
    metrics.redis_breaker.set_function(lambda: float(store.is_away))
    for (line,), gauge in metrics.redis_in_use.items():
        gauge.set_function(partial(store.in_flight, line))
    return store


async def warned_of(health: RedisHealth) -> None:
    """What an operator should change about Redis, once."""
    if (warning := await health.warning()) is not None:
        log.warning("redis_misconfigured", notes=[warning])
