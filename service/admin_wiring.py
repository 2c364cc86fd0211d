"""The part of the composition root that makes the admin's use cases. Only `app` and the command line import
it."""

from __future__ import annotations

from collections.abc import Mapping

from service.config import AccountKind, Config
from service.gateway import admin_ports, ports
from service.gateway.account_book import AccountBook
from service.gateway.admin import Admin
from service.gateway.admin_accounts import AdminAccounts
from service.gateway.admin_api_keys import AdminApiKeys
from service.gateway.admin_audit import Audit
from service.gateway.admin_gate import AdminGate
from service.gateway.keyring import KeyRing
from service.gateway.models import Models
from service.gateway.system import SystemClock
from service.store.admin_sessions import RedisAdminAttempts, RedisAdminSessions, RedisAuditLog
from service.store.client import Store
from service.store.stored_accounts import RedisStoredAccounts
from service.store.usage import RedisUsage


def account_shelf(config: Config, store: Store) -> admin_ports.AccountShelf:
    return RedisStoredAccounts(store, server_secret=config.secret_key.reveal())


def admin_use_cases(
    config: Config,
    store: Store,
    *,
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
    entries: admin_ports.AuditLog = RedisAuditLog(store)
    usage: ports.UsageReader = RedisUsage(store)
    audit = Audit(entries, clock)
    secret_key = config.secret_key.reveal()
    return Admin(
        playground_secret=f"{secret_key} {config.admin_key.reveal()}",
        gate=AdminGate(config.admin_key.reveal(), sessions=sessions, attempts=attempts, clock=clock),
        audit=audit,
        accounts=AdminAccounts(
            book=book,
            shelf=shelf,
            pool=pool,
            upstreams=upstreams,
            models=models,
            audit=audit,
            clock=clock,
            can_seal=bool(secret_key),
        ),
        keys=AdminApiKeys(
            keyring=keyring, registry=registry, usage=usage, audit=audit, clock=clock, secret_key=secret_key
        ),
    )
