"""What the admin's use cases need of the outside, by shape; the rest is in ports.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from service.config import Shelved, StoredAccount
from service.core.admin import AuditEntry, BatchLoad, Heard, Pulse, RedisState


class AdminSessions(Protocol):
    """Browsers that are signed in, known to all workers. `digest` names a session; its token is nowhere.

    Every method raises StoreUnavailable."""

    async def begin(self, digest: str, *, expires_at_s: float, ttl_s: int) -> None: ...

    async def expires_at_s(self, digest: str) -> float | None:
        """Unix time; None for a session that never was, or is over."""
        ...

    async def end(self, digest: str) -> None: ...


class AdminAttempts(Protocol):
    """Wrong keys of the last minute, counted for all workers. Every method raises StoreUnavailable."""

    async def add(self, address: str, *, window_s: int) -> None:
        """One more wrong key from there."""
        ...

    async def counts(self, address: str) -> tuple[int, int]:
        """How many came from there, and how many from everywhere, in the current window."""
        ...


class AuditLog(Protocol):
    """Every change that was made by way of the admin API, the newest thousand."""

    async def add(self, entry: AuditEntry) -> None:
        """Raises StoreUnavailable."""
        ...

    async def newest(self, limit: int) -> Sequence[AuditEntry]:
        """Raises StoreUnavailable."""
        ...


class AccountShelf(Protocol):
    """Accounts that were added by an operator, and changes of those in the file, for all workers.

    Every method raises StoreUnavailable."""

    async def load(self) -> Shelved: ...

    async def add(self, stored: StoredAccount) -> bool:
        """False when there is one of that name: nothing was changed."""
        ...

    async def replace(self, stored: StoredAccount) -> bool:
        """False when it is no longer as `load` saw it: nothing was changed."""
        ...

    async def remove(self, name: str) -> bool:
        """False when there was none."""
        ...

    async def change(self, name: str, changes: Mapping[str, object]) -> bool:
        """Lay these settings over those that the file has for the account; {}: none any more. False when they
        are no longer as `load` saw them: nothing was changed."""
        ...


class FleetBoard(Protocol):
    """Where workers tell one another of themselves. Every method raises StoreUnavailable."""

    async def pulse(self, pulse: Pulse, *, live: bytes = b"") -> Heard:
        """To send the same pulse again is safe: its counts are added once."""
        ...

    async def slots(self, step: str, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        """The counts of each slot, {} for an empty one."""
        ...

    async def errors(self) -> Mapping[str, bytes]:
        """Account -> its last error, as JSON."""
        ...

    async def rows(self) -> Sequence[bytes]:
        """What each worker that lives says of itself, as JSON."""
        ...

    async def lives(self) -> Sequence[bytes]:
        """The live requests of each worker that shows them, as JSON."""
        ...

    async def watch(self, *, ttl_s: int) -> None:
        """Ask every worker to show its live requests for a while."""
        ...

    async def stop(self, request_id: str, *, until_ms: int) -> None:
        """Ask whichever worker runs the request to end it."""
        ...


class BatchNumbers(Protocol):
    """The queue of all batches."""

    async def load(self, *, now_s: float) -> BatchLoad:
        """Raises StoreUnavailable."""
        ...


class RedisWatch(Protocol):
    """Redis at this moment."""

    async def state(self) -> RedisState:
        """Never raises for a Redis that is away: that is the answer."""
        ...
