"""Accounts as operators see them: credentials masked, states in the API's words, times as Unix time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.config import Account, AccountKind
from service.config_loader import TOKEN_PLAN_PREFIXES
from service.core.leases import AccountHealth, AccountState
from service.gateway.account_book import BookEntry

# A studio session lasts about a day (mimo-api.md 5.1): after that its user must log in again.
SESSION_LASTS_S = 86_400
_REGION_OF_HOST = re.compile(r"//token-plan-([a-z]+)\.")
_LOGIN_TIMES = (
    *("%Y-%m-%d %H:%M UTC", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"),
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"),
)
_STATE_WORDS = {AccountState.OPEN: "cooling", AccountState.EXPIRED: "quarantined"}
_MIN_SHOWN = 12  # of a shorter credential nothing is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong with an account last, by the kind of error. `time` is Unix time."""

    time: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One account as an operator sees it; times are Unix time. `until` None: for no known time."""

    name: str
    kind: str
    source: str
    base_url: str
    plan: str | None
    region: str | None
    secret: str
    state: str
    reason: str | None
    until: float | None
    leases: int
    max_concurrency: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    weight: int
    models: Sequence[str]
    success_rate: float | None
    last_error: Trouble | None
    session_expires_at: float | None
    is_enabled: bool
    is_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What would be added."""

    name: str
    kind: str
    base_url: str
    plan: str | None
    region: str | None
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a cheap call said."""

    is_ok: bool
    what: str
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """How the attempts of the last hour went."""

    succeeded: int = 0
    failed: int = 0
    last_error: Trouble | None = None


def masked(account: Account) -> str:
    """Enough of the credential to tell one from another."""
    secret = account.api_key or account.service_token
    text = "" if secret is None else secret.reveal()
    if len(text) < _MIN_SHOWN:
        return "…"
    prefix = text.partition("-")[0] + "-" if account.kind is AccountKind.PLATFORM and "-" in text[:5] else ""
    return f"{prefix}…{text[-4:]}"


def plan_of(account: Account) -> str | None:
    """What the key's prefix says; None for studio accounts and keys of another form."""
    key = "" if account.api_key is None else account.api_key.reveal()
    if key.startswith(TOKEN_PLAN_PREFIXES):
        return "token-plan"
    return "pay-as-you-go" if key.startswith("sk-") else None


def region_of(account: Account) -> str | None:
    """A Token Plan's region, as its host has it."""
    found = _REGION_OF_HOST.search(account.base_url)
    return found[1] if found else None


def view(
    entry: BookEntry,
    health: AccountHealth,
    recent: Recent,
    *,
    models: Sequence[str],
    is_changed: bool,
    now_s: float,
) -> AccountView:
    """The account as it stands now."""
    account, stored = entry.account, entry.stored
    state, reason = _STATE_WORDS.get(health.state, str(health.state)), health.reason or None
    if not entry.is_readable:
        state, reason = "disabled", "cannot be read: it was sealed under another MIMO_SECRET_KEY"
    elif health.state is AccountState.OPEN:
        reason = reason or "breaker"
    attempts = recent.succeeded + recent.failed
    return AccountView(
        name=account.name,
        kind=str(account.kind),
        source="config" if stored is None else "admin",
        base_url=account.base_url,
        plan=plan_of(account),
        region=region_of(account),
        secret=masked(account) if stored is None else stored.shown,
        state=state,
        reason=reason,
        until=None if health.until_s is None else round(now_s + health.until_s, 3),
        leases=health.leases,
        max_concurrency=account.max_concurrency,
        requests_per_minute=account.requests_per_minute,
        tokens_per_minute=account.tokens_per_minute,
        weight=account.weight,
        models=models,
        success_rate=round(recent.succeeded / attempts, 4) if attempts else None,
        last_error=recent.last_error,
        session_expires_at=session_expires_at(entry),
        is_enabled=account.enabled,
        is_changed=is_changed,
    )


def session_expires_at(entry: BookEntry) -> float | None:
    """About when a studio session ends; None where nobody told when it began."""
    if entry.account.kind is not AccountKind.STUDIO:
        return None
    if entry.stored is not None:
        return float(entry.stored.secret_at_s + SESSION_LASTS_S)
    for form in _LOGIN_TIMES:
        try:
            began = datetime.strptime(entry.account.login_time.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return began.timestamp() + SESSION_LASTS_S
    return None


def sessions_left_s(entries: Iterable[BookEntry], *, now_s: float) -> dict[str, float]:
    """For each studio account of which it is known: seconds until its session ends, below 0 when it should
    have ended. `now_s` is Unix time."""
    ends = {entry.account.name: session_expires_at(entry) for entry in entries}
    return {name: ends_at_s - now_s for name, ends_at_s in ends.items() if ends_at_s is not None}
