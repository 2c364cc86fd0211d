"""Values that the admin's use cases and the store share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `time` is Unix time; `who` is a session's short digest or `admin key`; `detail` names what
    was changed and never holds a secret."""

    time: float
    who: str
    action: str
    target: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Counts on their way into one slot of the fleet's series."""

    step: str
    starts_at_s: int
    kept_s: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a worker tells the others every second or two. `number` counts the flushes of one worker: slots of
    the same number are added once, however often they are sent. `errors`: an account's last one, as JSON."""

    worker: str
    row: bytes
    number: int = 0
    slots: Sequence[Slot] = ()
    errors: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back: whether somebody watches the live requests, and which of them are to be stopped."""

    is_watched: bool = False
    stops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """One request that runs, without anything of what it says. `worker` is a process's own name."""

    request_id: str
    key_name: str
    model: str
    account: str
    dialect: str
    route: str
    phase: str
    age_s: float
    output_tokens: int
    is_streaming: bool
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoad:
    """Items of batches: those that wait for their turn or another try, those handed out to workers, those
    given up. `oldest_seconds`: how long the batch served least recently has waited for its next turn."""

    waiting: int = 0
    in_progress: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisState:
    """Redis as the overview shows it; `why` without addresses and passwords."""

    is_up: bool
    version: str | None = None
    latency_ms: float | None = None
    why: str | None = None
