"""Pure decisions: what a failure costs its account, and whether another try makes sense, of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from service.core.conversation import Conversation, Thinking
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.leases import Penalty, PenaltyKind
from service.core.web_search import WEB_SEARCH


class NextStep(StrEnum):
    """After a failed attempt that gave the client nothing yet: another account, or the end."""

    FAIL_OVER = "fail_over"
    GIVE_UP = "give_up"


RATE_LIMIT_COOLDOWN_S = 20.0  # a 429 without Retry-After: MiMo documents none (mimo-api.md 3)
BALANCE_COOLDOWN_S = 60.0  # a 402 may be a burst limit (MiMo#99): rest, then try again
MAX_COOLDOWN_S = 600.0

# The code of an UpstreamAccountError, and the reason of its penalty: a new session is all that is needed.
SESSION_EXPIRED = "session_expired"


# What an operator does about an account that does not come back by itself, by the reason of its penalty.
REMEDIES: Mapping[str, str] = {
    SESSION_EXPIRED: "the studio session has ended: log out and in again in the browser (a refresh is not "
    "enough), then run `mimo-gateway accounts import`",
    "unauthorized": "the key was refused: check it, and that its plan belongs to the account's host",
    "no_balance": "the balance is used up, or too many requests came at once: top up, or wait",
    "restricted": "the account is restricted: ask Xiaomi, and switch it off meanwhile",
}


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


def costs_budget(error: GatewayError) -> bool:
    """Whether a retry after it adds to the load of an upstream that may be ill. What concerns one account
    alone takes that account out of the pool and spends nothing."""
    return isinstance(error, UpstreamUnavailable | UpstreamTimeout | UpstreamProtocolError)


class RetryBudget:
    """How many retries a process may make: `ratio` of its requests, and a few in any case. An outage is then
    met with a tenth more traffic and not with three times as much. Time is handed in.

    A balance of at most `max_saved`: each request adds `ratio`, each second `floor_per_s`; a retry takes one.
    """

    def __init__(
        self, *, now_s: float, ratio: float = 0.1, floor_per_s: float = 0.5, max_saved: float = 20.0
    ) -> None:
        self._ratio = ratio
        self._floor_per_s = floor_per_s
        self._max_saved = max_saved
        self._balance = max_saved
        self._looked_at_s = now_s

    def earn(self) -> None:
        """A request came."""
        self._balance = min(self._balance + self._ratio, self._max_saved)

    def affords(self, *, now_s: float) -> bool:
        """Whether a retry would be allowed now."""
        grown = self._balance + (now_s - self._looked_at_s) * self._floor_per_s
        self._balance, self._looked_at_s = min(grown, self._max_saved), now_s
        return self._balance >= 1

    def spend(self, *, now_s: float) -> bool:
        """Take one retry. False: there is none, the failure is the answer."""
        if not self.affords(now_s=now_s):
            return False
        self._balance -= 1
        return True


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


def without_what_is_refused(
    conversation: Conversation, error: UpstreamRefused
) -> tuple[Conversation | None, str]:
    """The conversation without what the upstream will not have, for one more try of the same account, and
    what to say of it; None when it cannot go without."""
    if error.code == "reasoning_not_passed_back" and conversation.thinking is not Thinking.DISABLED:
        said = "thinking was switched off: the upstream wants reasoning that is not known"
        return replace(conversation, thinking=Thinking.DISABLED), said
    search = conversation.extra.get(WEB_SEARCH)
    is_optional = isinstance(search, Mapping) and not search.get("force_search")
    if error.code == "web_search_unavailable" and is_optional:
        extra = {name: value for name, value in conversation.extra.items() if name != WEB_SEARCH}
        return replace(conversation, extra=extra), "web search was left out: the account has it switched off"
    return None, ""
