"""Pure decisions: what a failure costs its account, and whether another try makes sense."""

from __future__ import annotations

from enum import StrEnum

from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.leases import Penalty, PenaltyKind


class NextStep(StrEnum):
    """After a failed attempt that gave the client nothing yet: another account, or the end."""

    FAIL_OVER = "fail_over"
    GIVE_UP = "give_up"


RATE_LIMIT_COOLDOWN_S = 20.0  # a 429 without Retry-After: MiMo documents none (mimo-api.md 3)
BALANCE_COOLDOWN_S = 60.0  # a 402 may be a burst limit (MiMo#99): rest, then try again
MAX_COOLDOWN_S = 600.0

# The code of an UpstreamAccountError, and the reason of its penalty: a new session is all that is needed.
SESSION_EXPIRED = "session_expired"


_OF_THE_ATTEMPT = (
    UpstreamAccountError,
    UpstreamRateLimited,
    UpstreamUnavailable,
    UpstreamTimeout,
    UpstreamProtocolError,
)


def next_step(error: GatewayError) -> NextStep:
    """Whether another account may do better. What the request itself causes, every account would say
    again."""
    return NextStep.FAIL_OVER if isinstance(error, _OF_THE_ATTEMPT) else NextStep.GIVE_UP


def penalty_of(error: GatewayError) -> Penalty | None:
    """What the failure costs its account; None when the account is not at fault."""
    match error:
        case UpstreamRateLimited():
            rest_s = RATE_LIMIT_COOLDOWN_S if error.retry_after_s is None else error.retry_after_s
            return Penalty(
                kind=PenaltyKind.COOLDOWN, reason="rate_limited", duration_s=min(rest_s, MAX_COOLDOWN_S)
            )
        case UpstreamAccountError(status=402):
            return Penalty(kind=PenaltyKind.COOLDOWN, reason="no_balance", duration_s=BALANCE_COOLDOWN_S)
        case UpstreamAccountError(code="session_expired"):
            return Penalty(kind=PenaltyKind.QUARANTINE, reason=SESSION_EXPIRED)
        case UpstreamAccountError(status=401):
            return Penalty(kind=PenaltyKind.QUARANTINE, reason="unauthorized")
        case UpstreamAccountError():
            return Penalty(kind=PenaltyKind.QUARANTINE, reason="restricted")
        case UpstreamUnavailable() | UpstreamProtocolError():
            return Penalty(kind=PenaltyKind.FAILURE, reason="unavailable")
        case UpstreamTimeout():
            return Penalty(kind=PenaltyKind.FAILURE, reason="timeout")
        case _:
            return None


def retry_pause_s(attempt: int, jitter: float) -> float:
    """Seconds to wait before attempt number `attempt` (2 is the first retry). `jitter` is in [0, 1)."""
    return float(0.05 * 2 ** (attempt - 2) * (0.5 + jitter))
