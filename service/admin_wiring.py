"""The part of the composition root that makes the admin's use cases. Only `app` and the command line import
it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence

from service.config import Account, AccountKind, Config
from service.gateway import admin_ports, ports
from service.gateway.account_book import AccountBook
from service.gateway.admin import Admin
from service.gateway.admin_accounts import AdminAccounts
from service.gateway.admin_api_keys import AdminApiKeys
from service.gateway.admin_audit import Audit
from service.gateway.admin_gate import AdminGate
from service.gateway.admin_overview import AdminOverview
from service.gateway.background import Background
from service.gateway.fleet import Fleet
from service.gateway.holdings import Holdings
from service.gateway.keyring import KeyRing
from service.gateway.models import Models
from service.gateway.stats import Stats
from service.gateway.system import SystemClock
from service.store.admin_sessions import RedisAdminAttempts, RedisAdminSessions, RedisAuditLog
from service.store.batch_numbers import RedisBatchNumbers
from service.store.client import Store
from service.store.fleet import RedisFleet
from service.store.health import RedisHealth
from service.store.stored_accounts import RedisStoredAccounts
from service.store.usage import RedisUsage

_MAX_HOST_CHARS = 40
_WORKER_DIGITS = 6


def account_shelf(config: Config, store: Store) -> admin_ports.AccountShelf:
    return RedisStoredAccounts(store, server_secret=config.secret_key.reveal())


async def book_of(config: Config, store: Store) -> AccountBook:
    """Every account as it stands now, for commands that look and leave; while Redis is away those of the
    file."""
    book = AccountBook(config.mimo_accounts, account_shelf(config, store))
    await book.look()
    return book


BY_COMMAND = "command line"


def audit_of(store: Store) -> Audit:
    """Where commands note what they changed, as `BY_COMMAND`."""
    entries: admin_ports.AuditLog = RedisAuditLog(store)
    return Audit(entries, SystemClock())


def fleet_of(store: Store, holdings: Holdings, *, clock: ports.Clock, ids: ports.Ids) -> Fleet:
    """This process among those that share its Redis. It is known by its pod or host, and by chance: two may
    run on one."""
    board: admin_ports.FleetBoard = RedisFleet(store)
    host = os.environ.get("POD_NAME") or socket.gethostname()
    worker = f"{host[:_MAX_HOST_CHARS]}:{ids.new('')[:_WORKER_DIGITS]}"
    return Fleet(board, Stats(clock), holdings.answers, clock=clock, worker=worker)


def admin_use_cases(
    config: Config,
    store: Store,
    *,
    fleet: Fleet,
    book: AccountBook,
    shelf: admin_ports.AccountShelf,
    pool: ports.Accounts,
    upstreams: Mapping[AccountKind, ports.Upstream],
    models: Models,
    keyring: KeyRing,
    registry: ports.KeyRegistry,
) -> Admin:
    """What the web layer needs."""
    clock = SystemClock()
    sessions: admin_ports.AdminSessions = RedisAdminSessions(store)
    attempts: admin_ports.AdminAttempts = RedisAdminAttempts(store)
    usage: ports.UsageReader = RedisUsage(store)
    audit = audit_of(store)
    board: admin_ports.FleetBoard = RedisFleet(store)
    batches: admin_ports.BatchNumbers = RedisBatchNumbers(store)
    redis: admin_ports.RedisWatch = RedisHealth(store)
    overview = AdminOverview(
        fleet=fleet, board=board, batches=batches, redis=redis, book=book, pool=pool, clock=clock
    )
    secret_key = config.secret_key.reveal()
    return Admin(
        playground_secret=f"{secret_key} {config.admin_key.reveal()}",
        gate=AdminGate(config.admin_key.reveal(), sessions=sessions, attempts=attempts, clock=clock),
        audit=audit,
        fleet=fleet,
        overview=overview,
        accounts=AdminAccounts(
            book=book,
            shelf=shelf,
            pool=pool,
            upstreams=upstreams,
            models=models,
            audit=audit,
            clock=clock,
            recent=overview.recent,
            can_seal=bool(secret_key),
        ),
        keys=AdminApiKeys(
            keyring=keyring, registry=registry, usage=usage, audit=audit, clock=clock, secret_key=secret_key
        ),
    )


def taking_over(models: Models, background: Background) -> Callable[[Sequence[Account]], None]:
    """Other accounts from now on; what new ones serve is asked at once."""

    def take_over(accounts: Sequence[Account]) -> None:
        models.use_accounts(accounts)
        background.spawn(models.learn(), name="model_discovery")

    return take_over
