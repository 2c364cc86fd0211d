"""Values of the shared state: what an admission and a lease are, and what an account's failure costs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import RateLimited


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One limit of an API key as it stands after admission: what is left until `resets_in_s` from now."""

    limit: int
    remaining: int
    resets_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """An API key's request was let in. `requests` and `tokens` are None where the key has no such limit.

    `reserved_tokens` is the estimate that was taken from the key's minute; settling puts the real usage
    there.
    `is_degraded`: Redis was away and a local share of the limits was used. `key_name`: what the ledger calls
    the key.
    """

    key_id: str
    key_name: str = ""
    request_id: str
    reserved_tokens: int = 0
    requests: Allowance | None = None
    tokens: Allowance | None = None
    is_degraded: bool = False


class OverLimit(RateLimited):
    """The API key met a limit of this gateway. `requests` and `tokens` as in an Admission: what is left of
    the minute, for the headers; the limit that was met resets after `retry_after_s`, None: not by waiting."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retry_after_s: float | None,
        requests: Allowance | None = None,
        tokens: Allowance | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.requests = requests
        self.tokens = tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One slot of one account, held by one attempt. It ends by itself when nobody renews it. `sticky` tells
    of a conversation that goes on whether it met its account again: hit, moved, or miss (it had none)."""

    lease_id: str
    account_name: str
    is_degraded: bool = False
    sticky: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What a heartbeat found. `expired`: leases of others that had run out and were dropped (their worker was
    killed, or hung). `lost`: leases of this process that had run out, and were taken again."""

    expired: int = 0
    lost: int = 0


class PenaltyKind(StrEnum):
    """COOLDOWN ends by itself; QUARANTINE needs a probe or an operator; FAILURE only counts for the
    breaker."""

    COOLDOWN = "cooldown"
    QUARANTINE = "quarantine"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """What an attempt's failure costs its account. `reason` is of a closed set of short words, safe to
    show."""

    kind: PenaltyKind
    reason: str
    duration_s: float = 0.0


class AccountState(StrEnum):
    """How an account stands. EXPIRED is a quarantine whose cause is an ended session."""

    READY = "ready"
    COOLING = "cooling"
    OPEN = "open"
    HALF_OPEN = "half_open"
    QUARANTINED = "quarantined"
    EXPIRED = "expired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHealth:
    """One account as the operator sees it. `until_s` is how many seconds the state lasts, None: until
    reset. `expired_leases` had run out when it was looked at, and were dropped."""

    account_name: str
    state: AccountState
    reason: str = ""
    until_s: float | None = None
    leases: int = 0
    max_concurrency: int = 0
    expired_leases: int = 0
