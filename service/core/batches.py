"""Batches as values, and the decisions about them: what a failed item does next, who gets the free slots.

A batch is a list of items, each one request of one endpoint. Items are numbered from 0 in the order sent.
An item runs at least once and has exactly one result. Nothing here knows a dialect: dialects/*/batches.py
show the values in their own shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.errors import GatewayError, Kind
from service.core.events import Usage


class ContentUnreadable(GatewayError):
    """What is stored does not open: it was changed, or sealed under another MIMO_SECRET_KEY."""

    kind = Kind.INTERNAL

    def __init__(self) -> None:
        super().__init__("What was stored for this request cannot be read.", code="content_unreadable")


SHARDS = 8  # queues in Redis; part of the keys' names: another number would lose sight of stored batches


class BatchKind(StrEnum):
    """Which endpoint the items are for: Anthropic's messages, OpenAI's chat completions or responses."""

    MESSAGES = "messages"
    CHAT = "chat"
    RESPONSES = "responses"


class BatchState(StrEnum):
    """VALIDATING: its file is being read (OpenAI only). CANCELING and EXPIRING: no further item begins; those
    under way end as they end. FAILED: the file was not valid, no item ran. ENDED: every item has a result."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    EXPIRING = "expiring"
    FAILED = "failed"
    ENDED = "ended"


OVER = frozenset({BatchState.FAILED, BatchState.ENDED})


class ItemStatus(StrEnum):
    """How an item ended."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The items of one batch by how they ended; the rest of `total` has not ended."""

    total: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def ended(self) -> int:
        return self.succeeded + self.errored + self.canceled + self.expired

    @property
    def processing(self) -> int:
        return self.total - self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFault:
    """Why a file was refused: the line counts from 1, None where the file as a whole is at fault."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it stands. Instants are Unix seconds, None: not yet.

    `left_as` is how the items that never began count once the batch was canceled or expired. The sizes are
    those of the result files (OpenAI), as far as their lines were written; `deleted_files` are of `output`
    and `error`.
    """

    batch_id: str
    key_id: str
    kind: BatchKind
    state: BatchState
    counts: Counts
    created_at_s: float
    expires_at_s: float
    started_at_s: float | None = None
    cancel_at_s: float | None = None
    ended_at_s: float | None = None
    left_as: ItemStatus | None = None
    usage: Usage = field(default_factory=Usage)
    output_bytes: int = 0
    error_bytes: int = 0
    input_file_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[BatchFault, ...] = ()
    deleted_files: frozenset[str] = frozenset()

    @property
    def is_over(self) -> bool:
        return self.state in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item to be stored: `body` is its request as sent (one JSON object)."""

    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that a client uploaded. `expires_at_s` is Unix time."""

    file_id: str
    key_id: str
    filename: str
    purpose: str
    length_bytes: int
    created_at_s: float
    expires_at_s: float


# --- the queue ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One item that a worker took. `number` None: the batch's file is to be read, not an item to be run.

    `tries` counts runs that failed, `deaths` workers that vanished with it."""

    shard: int
    entry_id: str
    batch_id: str
    key_id: str
    number: int | None
    tries: int = 0
    deaths: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedItem:
    """A claimed item's request, and how its batch stands. `state` None: the batch is gone; `body` None: the
    item has ended already (or is no item but a file to be read)."""

    state: BatchState | None
    kind: BatchKind = BatchKind.MESSAGES
    input_file_id: str = ""
    is_overdue: bool = False
    custom_id: str = ""
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """What one shard said when it was asked for items. `owners` is how many keys have items there that wait;
    `lag_s` how long the batch that was served least recently has waited for its turn, 0 when none waits;
    `overdue` are (batch_id, key_id) of batches past their end."""

    owners: int = 0
    lag_s: float = 0.0
    reclaimed: int = 0
    overdue: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """How an item ended, with its line of the results (no line end; empty for canceled and expired)."""

    status: ItemStatus
    line: bytes = b""
    usage: Usage | None = None


# --- decisions ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The item goes back and is due again in `wait_s`. `burns_try` False: the failure was not its own.
    `pauses_batch`: its siblings would meet the same refusal, so none begins before then."""

    wait_s: float
    burns_try: bool = True
    pauses_batch: bool = False


_WAITING_KINDS = frozenset(
    {
        Kind.RATE_LIMITED,
        Kind.UPSTREAM_RATE_LIMITED,
        Kind.OVERLOADED,
        Kind.NO_ACCOUNT,
        Kind.STORE_UNAVAILABLE,
    }
)
_RETRIED_KINDS = frozenset(
    {
        Kind.UPSTREAM_UNAVAILABLE,
        Kind.UPSTREAM_TIMEOUT,
        Kind.UPSTREAM_PROTOCOL,
        Kind.UPSTREAM_ACCOUNT,
        Kind.INTERNAL,
    }
)
_WAIT_S = 5.0
_MAX_WAIT_S = 300.0
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0


def after_failure(error: GatewayError, *, tries: int, max_tries: int, jitter: float) -> Later | None:
    """What a failed item does next; None: it is over, the error is its result.

    Where only time is missing (a limit, a busy pool, Redis away) it waits and no try is burnt; what the
    upstream or the network broke is tried again, `max_tries` times in all, ever later; what the request
    itself causes would fail again. `jitter` is in [0, 1)."""
    if error.kind in _WAITING_KINDS:
        return None if _never_passes(error) else _waiting(error, jitter)
    if error.kind not in _RETRIED_KINDS or tries + 1 >= max_tries:
        return None
    pause_s = min(_FIRST_PAUSE_S * 2.0**tries, _MAX_PAUSE_S)
    return Later(wait_s=pause_s * (0.5 + jitter))


def _never_passes(error: GatewayError) -> bool:
    """A limit of the key that no waiting lifts (a spent budget, a request larger than a minute's tokens)
    comes without a time."""
    return error.kind is Kind.RATE_LIMITED and error.retry_after_s is None


def _waiting(error: GatewayError, jitter: float) -> Later:
    told_s = _WAIT_S if error.retry_after_s is None else error.retry_after_s
    wait_s = min(max(told_s, 0.25), _MAX_WAIT_S) * (1.0 + jitter / 4)
    return Later(wait_s=wait_s, burns_try=False, pauses_batch=True)


def free_slots(
    *, capacity: int, in_use: int, reserve_ratio: float, own: int, max_own: int, waiting: int = 0
) -> int:
    """How many items this worker may begin now.

    `capacity` and `in_use` count the slots of the accounts that are ready, `own` the items it runs. Live
    requests find `reserve_ratio` of the slots free of batches, so that they need not queue behind items; an
    idle worker may always begin one item, or a busy pool would starve batches for ever. `waiting` items of
    its own have no slot yet."""
    share = math.floor(capacity * (1.0 - reserve_ratio)) - in_use - waiting
    room = min(max(share, 0), max_own - own)
    return room if room > 0 or own else min(1, max_own)


def apportion(room: int, weights: Sequence[int], *, turn: int) -> list[int]:
    """`room` split over the weights, as even per unit of weight as whole numbers allow.

    What is left over goes round: `turn` counts up from call to call and says who is first. Weights of 0 get
    nothing; the sum is `room` unless all are 0."""
    total = sum(weights)
    if total == 0 or room <= 0:
        return [0] * len(weights)
    shares = [room * weight // total for weight in weights]
    left = room - sum(shares)
    # One place after another from `turn` on, each as often as its weight: in the long run everybody's due.
    places = [place for place, weight in enumerate(weights) for _ in range(weight)]
    for step in range(left):
        shares[places[(turn + step) % len(places)]] += 1
    return shares
