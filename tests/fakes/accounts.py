"""The pool of accounts in memory. Believed because it passes tests/store/test_accounts.py, as Redis does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.config import Account
from service.core.leases import AccountHealth, Lease, Penalty, Renewal
from service.store.local_accounts import LocalAccounts, PoolSettings
from service.store.refusals import NotLeased, Refusal, no_candidates, refused


class FakeAccounts:
    """Fits ports.Accounts. `leases` is what is out at present; `waiting` how many stand in the queue."""

    def __init__(self, monotonic_s: Callable[[], float], settings: PoolSettings | None = None) -> None:
        self._settings = PoolSettings() if settings is None else settings
        self._local = LocalAccounts(
            settings=self._settings, monotonic_s=monotonic_s, share_of=lambda slots: slots
        )
        self.leases: dict[str, Lease] = {}
        self._queue: list[tuple[frozenset[str], asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def acquire(
        self,
        candidates: Sequence[Account],
        *,
        lease_id: str,
        estimated_tokens: int = 0,
        sticky_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        usable = [account for account in candidates if account.enabled]
        if not usable:
            raise no_candidates(disabled=len(candidates))
        names = frozenset(account.name for account in usable)
        deadline_s = asyncio.get_running_loop().time() + wait_s
        outcome: str | NotLeased = NotLeased(refusal=Refusal.BUSY, busy=len(usable))
        wanted = frozenset[str]().union(*(others for others, _ in self._queue))
        if unwanted := [account for account in usable if account.name not in wanted]:  # who waits goes first
            outcome = self._take(unwanted, lease_id, estimated_tokens, sticky_key)
        while isinstance(outcome, NotLeased):
            left_s = deadline_s - asyncio.get_running_loop().time()
            is_vain = not outcome.busy and (outcome.retry_after_s or 0.0) > left_s
            if outcome.refusal is Refusal.NONE or left_s <= 0 or is_vain:
                raise refused(outcome, candidates=len(usable), waited_s=wait_s - max(left_s, 0.0))
            if len(self._queue) >= self._settings.max_waiting:
                raise refused(NotLeased(refusal=Refusal.FULL), candidates=len(usable))
            await self._stand_in_queue(names, left_s)
            outcome = self._take(usable, lease_id, estimated_tokens, sticky_key)
        lease = Lease(lease_id=lease_id, account_name=outcome)
        self.leases[lease_id] = lease
        return lease

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Leases of the fake have no end."""
        return Renewal()

    async def release(
        self, lease: Lease, *, penalty: Penalty | None = None, sticky_key: str | None = None
    ) -> None:
        self.leases.pop(lease.lease_id, None)
        self._local.give_back(lease.account_name, lease.lease_id, penalty=penalty, sticky_key=sticky_key)
        for names, turn in self._queue:
            if lease.account_name in names and not turn.done():
                turn.set_result(None)
                return

    async def penalise(self, account_name: str, penalty: Penalty) -> None:
        self._local.give_back(account_name, "", penalty=penalty)

    async def health(self, accounts: Sequence[Account]) -> Sequence[AccountHealth]:
        return [self._local.health(account) for account in accounts]

    async def reset(self, account_name: str) -> None:
        self._local.reset(account_name)

    def _take(
        self, usable: Sequence[Account], lease_id: str, tokens: int, sticky_key: str | None
    ) -> str | NotLeased:
        return self._local.take(usable, lease_id=lease_id, estimated_tokens=tokens, sticky_key=sticky_key)

    async def _stand_in_queue(self, names: frozenset[str], left_s: float) -> None:
        place = (names, asyncio.get_running_loop().create_future())
        self._queue.append(place)
        try:
            await asyncio.wait_for(place[1], left_s)
        except TimeoutError:
            return
        finally:
            self._queue.remove(place)
