"""Why no account could be leased, as the error the caller sees. No account's name stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import GatewayError, NoAccount, RateLimited


class Refusal(StrEnum):
    """WAITING: has a place in the queue. BUSY: may not wait, or it would be in vain. FULL: the queue is.

    NONE: no candidate comes back by itself."""

    WAITING = "waiting"
    BUSY = "busy"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLeased:
    """A look at the pool that ended without a lease. `retry_after_s` None: nobody knows."""

    refusal: Refusal
    retry_after_s: float | None = None
    place: int = 0
    busy: int = 0
    why: str = ""


_RETRY_BUSY_S = 1.0  # a slot may be given back at any moment: soon, but no stampede


def no_candidates(*, disabled: int) -> NoAccount:
    """Nobody to ask at all."""
    told = f"all {disabled} are disabled" if disabled else "none is configured"
    return NoAccount(f"No account can serve this request: {told}.", code="no_account")


def refused(outcome: NotLeased, *, candidates: int, waited_s: float = 0.0) -> GatewayError:
    """NoAccount when no candidate comes back by itself, else RateLimited with the soonest reset."""
    accounts = "the one account" if candidates == 1 else f"all {candidates} accounts"
    if outcome.refusal is Refusal.NONE:
        return NoAccount(
            f"No account can serve this request: {accounts} out of service ({outcome.why or 'unknown'}).",
            code="no_account",
        )
    retry_after_s = _RETRY_BUSY_S if outcome.retry_after_s is None else outcome.retry_after_s
    if outcome.refusal is Refusal.FULL:
        text, code = f"{accounts} busy and the queue is full.", "queue_full"
    elif outcome.busy:
        retry_after_s = min(retry_after_s, _RETRY_BUSY_S)
        waited = f" for {waited_s:.1f} s" if waited_s >= 0.1 else ""
        text, code = f"{accounts} busy{waited}.", "accounts_busy"
    else:
        text, code = f"{accounts} resting ({outcome.why or 'unknown'}).", "accounts_resting"
        text += f" Try again in {retry_after_s:.1f} s."
    return RateLimited(
        f"The gateway has no account free for this model: {text} This is not a limit of your API key.",
        code=code,
        retry_after_s=retry_after_s,
    )
