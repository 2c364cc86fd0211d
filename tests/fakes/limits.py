"""Limits and ledger in memory. They are believed because they pass tests/store's suites, as Redis does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.config import ApiKey
from service.core.events import Usage
from service.core.leases import Admission, Lease, Penalty
from service.store.local_limits import LocalLimits

from .accounts import FakeAccounts


class FakeLimits:
    """Fits ports.Limits."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self.local = LocalLimits(share_of=lambda limit: limit, monotonic_s=monotonic_s)
        self.admitted: list[Admission] = []

    async def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
        admission = self.local.admit(key, request_id=request_id, estimated_tokens=estimated_tokens)
        admission = replace(admission, is_degraded=False)
        self.admitted.append(admission)
        return admission

    async def renew(self, admissions: Sequence[Admission]) -> None:
        """Slots of the fake have no end."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One call of `settle`, as it was made."""

    admission: Admission
    lease: Lease | None
    usage: Usage
    model: str
    penalty: Penalty | None
    sticky_key: str | None
    cost_micro_usd: int


class FakeLedger:
    """Fits ports.Ledger. `settled` is what was booked, in order; a request booked twice stands there once."""

    def __init__(self, *, accounts: FakeAccounts, limits: FakeLimits) -> None:
        self._accounts = accounts
        self._limits = limits
        self.settled: list[Settled] = []

    async def settle(
        self,
        admission: Admission,
        lease: Lease | None,
        *,
        usage: Usage,
        model: str,
        penalty: Penalty | None = None,
        sticky_key: str | None = None,
        cost_micro_usd: int = 0,
    ) -> None:
        is_new = all(one.admission.request_id != admission.request_id for one in self.settled)
        if is_new:
            self.settled.append(Settled(admission, lease, usage, model, penalty, sticky_key, cost_micro_usd))
        was_refused = lease is None and not usage.total_tokens
        self._limits.local.settle(
            admission,
            used_tokens=None if was_refused else usage.total_tokens,
            cost_micro_usd=cost_micro_usd if is_new else 0,
        )
        if lease is not None:
            await self._accounts.release(lease, penalty=penalty, sticky_key=sticky_key)
