"""The composition root: Config -> wired objects -> a running server. The one file that sees everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from service.admin_wiring import account_shelf, admin_use_cases, fleet_of, taking_over
from service.batch_wiring import batch_use_cases, batch_worker
from service.config import AccountKind, Config, Listen, ToolsMode
from service.core.prices import SHIPPED
from service.gateway import ports
from service.gateway.account_book import LOOK_INTERVAL_S, AccountBook
from service.gateway.admin_account_views import sessions_left_s
from service.gateway.allowances import Allowances
from service.gateway.background import Background
from service.gateway.background_responses import BackgroundResponses
from service.gateway.chat import Chat, ChatPolicy
from service.gateway.fleet import PULSE_S
from service.gateway.holdings import HEARTBEAT_S, Holdings
from service.gateway.keyring import KeyRing
from service.gateway.metered import (
    SAMPLE_INTERVAL_S,
    AccountWatch,
    MeteredAccounts,
    MeteredLedger,
    MeteredLimits,
)
from service.gateway.models import REFRESH_INTERVAL_S, Models
from service.gateway.recovery import PROBE_INTERVAL_S, Recovery
from service.gateway.responses import Responses
from service.gateway.speech import Speech
from service.gateway.system import RandomIds, SystemClock
from service.gateway.usage import UsageReports
from service.outside_wiring import demo_accounts, opened_store, studio_upstream, upstreams_of, warned_of
from service.store.accounts import RedisAccounts
from service.store.api_keys import RedisKeyRegistry
from service.store.embedded import DEFAULT_DATA_DIR
from service.store.health import RedisHealth
from service.store.ledger import RedisLedger
from service.store.limits import RedisLimits
from service.store.models import RedisModelCatalogue
from service.store.objects import RedisObjects
from service.store.reasoning import RedisReasoning
from service.store.response_events import RedisResponseEvents
from service.store.usage import RedisUsage
from service.studio_wiring import keep_tidy, studio_threads, watch_sessions
from service.telemetry import looplag
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import tracing_of
from service.upstream.http import Http, client_session
from service.upstream.leftovers import Leftovers
from service.upstream.media import media_fetcher
from service.upstream.speech import PlatformSpeech, StudioSpeech
from service.web.context import SERVICES, Services
from service.web.listener import Listener
from service.web.middleware import gateway_middleware
from service.web.routes import add_ops_routes, add_routes
from service.worker.batches import BatchWorker

log = structlog.get_logger()

# Longer than a load balancer's idle time (60 s at most of them), or it would meet closed sockets.
_KEEPALIVE_S = 75.0
_BACKGROUND_DRAIN_S = 5.0
# What is still open when `running` is left was ended before, by `service.lifecycle`: no second patience.
_SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway. `base_url` is where it listens on loopback, without /v1.

    `listener` is the main port; the ops port lives to the end. `reconfigure` takes over what of a
    configuration can change while the process runs.
    """

    config: Config
    services: Services
    base_url: str
    ops_url: str
    listener: Listener
    reconfigure: Callable[[Config], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A batch worker that runs without a gateway. `reconfigure`: as a gateway's."""

    config: Config
    services: Services
    reconfigure: Callable[[Config], None]


@asynccontextmanager
async def running(config: Config, *, data_dir: Path = DEFAULT_DATA_DIR) -> AsyncIterator[Gateway]:
    """The gateway from its first socket to its last.

    Raises EmbeddedRedisError, RedisUrlError, and OSError when an address is taken."""
    async with AsyncExitStack() as stack:
        config = await demo_accounts(config, stack)
        services, worker = await _wired(config, stack, data_dir)
        app = application(services)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_KEEPALIVE_S,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listen = config.listen
        listener = await _listening(runner, stack, listen, listen.port)
        main_port = ops_port = listener.port
        if listen.ops_port is not None:
            ops_runner = web.AppRunner(_ops_application(services), access_log=None)
            await ops_runner.setup()
            stack.push_async_callback(ops_runner.cleanup)
            ops_port = (await _listening(ops_runner, stack, listen, listen.ops_port)).port
        if config.batches.runs_in_serve:
            services.batches.nudge = worker.nudge
            services.background.spawn(worker.run(), name="batch_worker")
            stack.push_async_callback(worker.stop)
        yield Gateway(
            config=config,
            services=services,
            base_url=f"http://127.0.0.1:{main_port}",
            ops_url=f"http://127.0.0.1:{ops_port}",
            listener=listener,
            reconfigure=lambda changed: _reconfigure(services, changed),
        )
        services.is_draining = True


@asynccontextmanager
async def working(config: Config, *, data_dir: Path = DEFAULT_DATA_DIR) -> AsyncIterator[Working]:
    """A batch worker without a gateway; probes and metrics on the ops port, if there is one.

    Raises EmbeddedRedisError, RedisUrlError, and OSError when the address is taken."""
    async with AsyncExitStack() as stack:
        config = await demo_accounts(config, stack)
        services, worker = await _wired(config, stack, data_dir, joins=True)
        if config.listen.ops_port is not None:
            runner = web.AppRunner(_ops_application(services), access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await _listening(runner, stack, config.listen, config.listen.ops_port)
        services.background.spawn(worker.run(), name="batch_worker")
        stack.push_async_callback(worker.stop)
        yield Working(
            config=config,
            services=services,
            reconfigure=lambda changed: _reconfigure(services, changed),
        )


async def _in_time(work: Callable[[], Awaitable[None]]) -> None:
    """Last work at the end, as far as it gets in a second."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SHUTDOWN_S):
            await work()


async def _listening(runner: web.AppRunner, stack: AsyncExitStack, listen: Listen, port: int) -> Listener:
    listener = Listener(runner)
    stack.callback(listener.close)
    await listener.open(listen.host, port)
    return listener


def _reconfigure(services: Services, config: Config) -> None:
    """Keys, accounts, models, aliases and limits of the next request; those under way keep what they had."""
    services.keyring.replace(config.api_keys)
    accounts = services.admin.accounts.book.configure(config.mimo_accounts)
    services.models.reconfigure(accounts, offered=config.models, aliases=config.model_aliases)
    services.limits = config.limits
    services.chat.policy = _chat_policy(config)
    services.speech.prices = services.usage.prices = SHIPPED.overridden(config.prices)
    services.background.spawn(services.models.refresh(), name="model_discovery")


def _chat_policy(config: Config) -> ChatPolicy:
    return ChatPolicy(
        max_attempts=config.limits.max_attempts,
        queue_s=config.timeouts.queue_s,
        keep_within_s=config.timeouts.redis_s / 5,
        offers_tools_on_studio=config.tools.mode is ToolsMode.AUTO,
        shows_lone_reasoning=config.reasoning.shows_alone,
        prices=SHIPPED.overridden(config.prices),
    )


def application(services: Services) -> web.Application:
    """The aiohttp application with every route."""
    app = web.Application(middlewares=[gateway_middleware], client_max_size=services.limits.max_body_bytes)
    app[SERVICES] = services
    add_routes(app)
    return app


def _ops_application(services: Services) -> web.Application:
    app = web.Application(middlewares=[gateway_middleware])
    app[SERVICES] = services
    add_ops_routes(app)
    return app


async def _wired(
    config: Config, stack: AsyncExitStack, data_dir: Path, *, joins: bool = False
) -> tuple[Services, BatchWorker]:
    """Every object of the process, opened in order and closed in reverse by `stack`. The worker does not run
    yet. `joins`: an embedded Redis that another process of this machine runs will do."""
    background, metrics, clock, ids = Background(), Metrics(), SystemClock(), RandomIds()
    tracing = tracing_of(os.environ, unix_s=clock.unix_s)
    stack.push_async_callback(asyncio.to_thread, tracing.close)
    store = await opened_store(config, stack, data_dir, background, metrics, joins=joins)
    holdings = Holdings()
    fleet = fleet_of(store, holdings, clock=clock, ids=ids)
    metrics.also = fleet.stats.observe
    stack.push_async_callback(_in_time, fleet.beat)  # what was counted last, settlements included
    session = await stack.enter_async_context(client_session(config.timeouts))
    stack.push_async_callback(background.drain, timeout_s=_BACKGROUND_DRAIN_S)
    fetcher = await stack.enter_async_context(media_fetcher(config, metrics))
    http = Http(session, config.timeouts)
    leftovers = Leftovers() if config.storage.deletes_studio_conversations else None
    upstreams = upstreams_of(config, http, fetcher, leftovers)
    studio = studio_upstream(config, http, fetcher, leftovers)
    threads: ports.Threads = studio_threads(config, store)
    pool = RedisAccounts(store, spawn=background.spawn, worker_id=ids.new("worker_"))
    key_limits = RedisLimits(store, spawn=background.spawn)
    accounts: ports.Accounts = MeteredAccounts(pool, metrics, clock)
    limits: ports.Limits = MeteredLimits(key_limits, metrics, clock)
    ledger: ports.Ledger = MeteredLedger(
        RedisLedger(store, accounts=pool, limits=key_limits), metrics, fleet.stats
    )
    registry: ports.KeyRegistry = RedisKeyRegistry(store)
    catalogue: ports.ModelCatalogue = RedisModelCatalogue(store)
    shelf = account_shelf(config, store)
    book = AccountBook(config.mimo_accounts, shelf)
    await book.look()
    models = Models(book.accounts, upstreams, catalogue, offered=config.models, aliases=config.model_aliases)
    book.on_change = taking_over(models, background)
    background.repeat(LOOK_INTERVAL_S, book.look, name="account_book")
    keep_tidy(config, stack, background, studio=studio, threads=threads, models=models)
    background.repeat(PULSE_S, fleet.beat, name="fleet_pulse")
    reasoning: ports.ReasoningMemory = RedisReasoning(
        store, config.storage, server_secret=config.secret_key.reveal()
    )
    chat = Chat(
        upstreams=upstreams,
        accounts=accounts,
        limits=limits,
        ledger=ledger,
        reasoning=reasoning,
        threads=threads if config.studio.reuse_conversations else None,
        models=models,
        background=background,
        holdings=holdings,
        clock=clock,
        ids=ids,
        policy=_chat_policy(config),
        allowances=Allowances(
            loop_guard=config.loop_guard,
            web_search=config.tools.web_search,
            text_models=config.media.text_models,
        ),
    )
    speech = Speech(
        {
            AccountKind.PLATFORM: PlatformSpeech(http, sends_trace=config.security.sends_trace_context),
            AccountKind.STUDIO: StudioSpeech(http, studio),
        },
        accounts=accounts,
        limits=limits,
        ledger=ledger,
        models=models,
        background=background,
        holdings=holdings,
        clock=clock,
        ids=ids,
        prices=SHIPPED.overridden(config.prices),
    )
    objects: ports.Objects = RedisObjects(store, config.storage, server_secret=config.secret_key.reveal())
    response_events: ports.ResponseEvents = RedisResponseEvents(
        store, server_secret=config.secret_key.reveal()
    )
    responses = Responses(objects=objects, ids=ids)
    background_responses = BackgroundResponses(
        chat=chat,
        responses=responses,
        events=response_events,
        background=background,
        metrics=metrics,
        tracing=tracing,
        clock=clock,
        ids=ids,
    )
    stack.push_async_callback(background_responses.drain, timeout_s=_SHUTDOWN_S)
    watch = AccountWatch(
        accounts,
        metrics,
        lambda: models.accounts,
        sessions_left_s=lambda: sessions_left_s(book.entries, now_s=clock.unix_s()),
    )
    await models.load()
    background.spawn(watch.sample(), name="account_watch")
    background.repeat(SAMPLE_INTERVAL_S, watch.sample, name="account_watch")
    background.repeat(looplag.INTERVAL_S, lambda: looplag.sample(metrics), name="loop_lag")
    background.spawn(models.refresh(), name="model_discovery")
    background.repeat(REFRESH_INTERVAL_S, models.refresh, name="model_discovery")
    recovery = Recovery(models, accounts, upstreams)
    background.spawn(recovery.look(), name="account_recovery")
    background.repeat(PROBE_INTERVAL_S, recovery.look, name="account_recovery")
    watch_sessions(config, store, background, models=models, accounts=accounts, upstreams=upstreams, ids=ids)
    background.repeat(HEARTBEAT_S, lambda: holdings.renew(accounts, limits), name="heartbeat")
    health = RedisHealth(store)
    background.spawn(warned_of(health), name="redis_warning")
    batches, files = batch_use_cases(config, store, models=models, background=background)
    keyring = KeyRing(config.api_keys, clock=clock, registry=registry, secret_key=config.secret_key.reveal())
    admin = admin_use_cases(
        config,
        store,
        fleet=fleet,
        book=book,
        shelf=shelf,
        pool=accounts,
        upstreams=upstreams,
        models=models,
        keyring=keyring,
        registry=registry,
    )
    services = Services(
        chat=chat,
        models=models,
        keyring=keyring,
        admin=admin,
        store_health=health,
        objects=objects,
        responses=responses,
        background_responses=background_responses,
        batches=batches,
        files=files,
        speech=speech,
        usage=UsageReports(RedisUsage(store), clock=clock, prices=SHIPPED.overridden(config.prices)),
        metrics=metrics,
        tracing=tracing,
        background=background,
        clock=clock,
        ids=ids,
        timeouts=config.timeouts,
        limits=config.limits,
        security=config.security,
    )
    admin.overview.is_draining = lambda: services.is_draining
    return services, batch_worker(config, store, services, consumer=ids.new("worker_"))
