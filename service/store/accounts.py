"""The pool of accounts, shared by all workers: leases, round robin, queue, health. Fits `ports.Accounts`.

The decisions are in `lua/acquire.lua` and `lua/release.lua`, each one round trip. Here: waiting for a turn,
what a caller that leaves half way would leave behind, and the fall back to this worker's share when Redis
is away."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from zlib import crc32

from service.config import Account
from service.core.errors import StoreUnavailable
from service.core.leases import AccountHealth, AccountState, Lease, Penalty, Renewal
from service.store import keys
from service.store.client import Argument, Call, Store, redis_time
from service.store.local_accounts import EXPIRED_REASONS, LocalAccounts, PoolSettings
from service.store.refusals import NotLeased, Refusal, no_candidates, refused
from service.store.resp import Reply
from service.store.wire import Spawn

_MAX_OWED = 1024
_IS_REPEATED = 9  # where acquire.lua's argument of that meaning stands
_STATE_TTL_MS = keys.STATE_TTL_S * 1000


class RedisAccounts:
    """One per process. `worker_id` tells workers apart: without Redis each uses its share of the slots."""

    def __init__(
        self,
        store: Store,
        *,
        spawn: Spawn,
        settings: PoolSettings | None = None,
        worker_id: str = "",
        monotonic_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = redis_time,
    ) -> None:
        self._store = store
        self._spawn = spawn
        self._settings = PoolSettings() if settings is None else settings
        self._worker_id = worker_id or uuid.uuid4().hex
        self._monotonic_s = monotonic_s
        self._now_ms = now_ms
        self._local = LocalAccounts(settings=self._settings, monotonic_s=monotonic_s, share_of=store.share_of)
        self._tokens_by_lease: dict[str, int] = {}  # leases this process holds, with their estimates
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []
        # What Redis did not hear of when it was away; told at the next heartbeat. Bounded: leases end by
        # themselves.
        self._owed: dict[str, Call] = {}

    async def acquire(
        self,
        candidates: Sequence[Account],
        *,
        lease_id: str,
        estimated_tokens: int = 0,
        sticky_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        """See `ports.Accounts`. Within one `lease_id` a repeated call gives the same lease."""
        usable = [account for account in candidates if account.enabled]
        if not usable:
            raise no_candidates(disabled=len(candidates))
        try:
            return await self._acquire_shared(usable, lease_id, estimated_tokens, sticky_key, wait_s)
        except StoreUnavailable:
            self._owe(f"abandon {lease_id}", self._abandon_call(usable, lease_id, estimated_tokens))
            return self._acquire_local(usable, lease_id, estimated_tokens, sticky_key)
        except asyncio.CancelledError:
            # The script may have run, or may still: nobody else knows of that lease.
            call = self._abandon_call(usable, lease_id, estimated_tokens)
            self._spawn(self._tell(f"abandon {lease_id}", call), name="abandon_lease")
            raise

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Also counts this worker as alive, so call it with no leases, too. Never raises for a Redis that
        is away."""
        held = [lease for lease in leases if lease.lease_id in self._tokens_by_lease]
        ids_by_account: dict[str, list[str]] = {}
        for lease in held:  # one that was given back meanwhile is not to come back
            ids_by_account.setdefault(lease.account_name, []).append(lease.lease_id)
        ttl_ms = _ms(self._settings.lease_ttl_s)
        calls = [Call("renew", [keys.WORKERS], [self._now_ms(), ttl_ms, self._worker_id])]
        calls += [
            Call("renew", [keys.account(name).leases], [self._now_ms(), ttl_ms, *lease_ids])
            for name, lease_ids in ids_by_account.items()
        ]
        try:
            await self._pay()
            replies = await self._store.run_together(calls)
        except StoreUnavailable:
            self._store.degraded("renew")
            return Renewal()
        self._store.workers = max(int(replies[0][0]), 1)
        ended = await self._release_those_that_ended(held)
        return Renewal(
            expired=sum(expired for _, expired, _ in replies[1:]),
            # One that was given back while the heartbeat was under way is not lost.
            lost=max(sum(lost for _, _, lost in replies[1:]) - ended, 0),
        )

    async def release(
        self, lease: Lease, *, penalty: Penalty | None = None, sticky_key: str | None = None
    ) -> None:
        """Never raises for a Redis that is away: the lease ends by itself, the penalty is told later."""
        call = self.release_call(lease, penalty=penalty, sticky_key=sticky_key)
        try:
            self.released(await self._store.run(call.script, call.keys, call.arguments))
        except StoreUnavailable:
            self.owe_release(lease, call)

    async def penalise(self, account_name: str, penalty: Penalty) -> None:
        """The script of `release` books what an end says of the account also where no such lease is held."""
        await self.release(Lease(lease_id=uuid.uuid4().hex, account_name=account_name), penalty=penalty)

    async def health(self, accounts: Sequence[Account]) -> Sequence[AccountHealth]:
        """This worker's own view when Redis is away."""
        if not accounts:
            return []
        held = [keys.account(account.name) for account in accounts]
        flat = [key for one in held for key in (one.leases, one.state)]
        try:
            rows = await self._store.run("inspect", flat, [self._now_ms()])
        except StoreUnavailable:
            self._store.degraded("health")
            return [self._local.health(account) for account in accounts]
        return [_health(account, row) for account, row in zip(accounts, rows, strict=True)]

    async def reset(self, account_name: str) -> None:
        """Raises StoreUnavailable: an operator must know that it did not happen."""
        await self._store.run("reset", [keys.account(account_name).state], [])
        self._local.reset(account_name)

    # --- for the ledger, which releases in the same round trip as it settles --------------------------------

    def release_call(
        self,
        lease: Lease,
        *,
        penalty: Penalty | None,
        sticky_key: str | None,
        used_tokens: int | None = None,
    ) -> Call:
        """The script that gives the lease back; this process forgets it at once."""
        reserved = self._tokens_by_lease.pop(lease.lease_id, 0)
        self._local.give_back(lease.account_name, lease.lease_id, penalty=penalty, sticky_key=sticky_key)
        settings, account = self._settings, keys.account(lease.account_name)
        return Call(
            "release",
            [
                account.leases,
                account.state,
                account.window,
                keys.sticky(sticky_key),
                keys.QUEUE,
            ],
            [
                self._now_ms(),
                lease.lease_id,
                lease.account_name,
                "success" if penalty is None else penalty.kind.value,
                "" if penalty is None else penalty.reason,
                0 if penalty is None else _ms(penalty.duration_s),
                settings.max_failures,
                _ms(settings.first_rest_s),
                _ms(settings.longest_rest_s),
                _STATE_TTL_MS,
                0 if sticky_key is None else _ms(settings.sticky_ttl_s),
                reserved,
                -1 if used_tokens is None else used_tokens,
            ],
        )

    def released(self, reply: Reply) -> None:
        """Wake who waits in this process; other processes look by themselves."""
        if reply[1] and self._sleepers:
            _, first = min(self._sleepers, key=lambda sleeper: sleeper[0])
            if not first.done():
                first.set_result(None)

    def owe_release(self, lease: Lease, call: Call) -> None:
        """Redis was away when the lease ended: tell it later."""
        self._store.degraded("release")
        self._owe(f"release {lease.lease_id}", call)

    # --- inside ---------------------------------------------------------------------------------------------

    async def _acquire_shared(
        self,
        candidates: Sequence[Account],
        lease_id: str,
        tokens: int,
        sticky_key: str | None,
        wait_s: float,
    ) -> Lease:
        began_s = self._monotonic_s()
        call_keys = _acquire_keys(candidates, sticky_key)
        candidate_arguments = _candidate_arguments(candidates)
        is_repeated = lease_id in self._tokens_by_lease
        while True:
            waited_s = self._monotonic_s() - began_s
            left_s = max(wait_s - waited_s, 0.0)
            arguments = [
                self._now_ms(),
                lease_id,
                _ms(self._settings.lease_ttl_s),
                tokens,
                _ms(left_s),
                self._settings.max_waiting,
                _ms(self._settings.waiter_ttl_s),
                _STATE_TTL_MS,
                0 if sticky_key is None else 1,
                1 if is_repeated else 0,
                *candidate_arguments,
            ]
            again = [*arguments[:_IS_REPEATED], 1, *candidate_arguments]
            reply = await self._store.run("acquire", call_keys, arguments, again=again)
            outcome = _outcome(reply, candidates)
            if isinstance(outcome, str):
                self._tokens_by_lease[lease_id] = tokens
                sticky = reply[2].decode() if len(reply) > 2 else ""
                return Lease(lease_id=lease_id, account_name=outcome, sticky=sticky)
            if outcome.refusal is not Refusal.WAITING:
                raise refused(outcome, candidates=len(candidates), waited_s=waited_s)
            await self._sleep(self._pause_s(outcome, lease_id, left_s), place=outcome.place)

    def _acquire_local(
        self, candidates: Sequence[Account], lease_id: str, tokens: int, sticky_key: str | None
    ) -> Lease:
        self._store.degraded("acquire")
        outcome = self._local.take(
            candidates, lease_id=lease_id, estimated_tokens=tokens, sticky_key=sticky_key
        )
        if isinstance(outcome, NotLeased):
            raise refused(outcome, candidates=len(candidates))
        self._tokens_by_lease[lease_id] = 0
        return Lease(lease_id=lease_id, account_name=outcome, is_degraded=True)

    def _pause_s(self, outcome: NotLeased, lease_id: str, left_s: float) -> float:
        """Until the next look: the head of the queue looks often, those behind it seldom, nobody in step."""
        jitter = 0.75 + crc32(lease_id.encode()) % 1024 / 2048
        pause_s = min(self._settings.poll_s * (1 + outcome.place), self._settings.longest_poll_s) * jitter
        return min(pause_s, left_s)

    async def _sleep(self, pause_s: float, *, place: int) -> None:
        """Until `pause_s` are over, or a lease is given back in this process and this one is the first."""
        loop = asyncio.get_running_loop()
        sleeper = (place, loop.create_future())
        timer = loop.call_later(pause_s, _wake, sleeper[1])
        self._sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            timer.cancel()
            self._sleepers.remove(sleeper)

    def _abandon_call(self, candidates: Sequence[Account], lease_id: str, tokens: int) -> Call:
        call_keys = [keys.QUEUE, keys.WAITERS]
        for account in candidates:
            call_keys += _account_keys(account)
        return Call("abandon", call_keys, [lease_id, tokens])

    async def _tell(self, what: str, call: Call) -> None:
        try:
            reply = await self._store.run(call.script, call.keys, call.arguments)
        except StoreUnavailable:
            self._owe(what, call)
            return
        if reply:
            self.released([1, 1])

    def _owe(self, what: str, call: Call) -> None:
        if len(self._owed) >= _MAX_OWED:
            self._owed.pop(next(iter(self._owed)))
        self._owed[what] = call

    async def _pay(self) -> None:
        """Tell Redis what it missed. Scripts may be repeated: one is forgotten only after its reply."""
        for what, call in list(self._owed.items()):
            await self._store.run(call.script, call.keys, call.arguments)
            self._owed.pop(what, None)

    async def _release_those_that_ended(self, held: Sequence[Lease]) -> int:
        """A release may overtake the heartbeat that still names its lease: take that back. How many did."""
        ended = [lease for lease in held if lease.lease_id not in self._tokens_by_lease]
        for lease in ended:
            call = Call(
                "abandon",
                [keys.QUEUE, keys.WAITERS, *_account_keys_of(lease.account_name)],
                [lease.lease_id, 0],
            )
            await self._tell(f"release {lease.lease_id}", call)
        return len(ended)


def _acquire_keys(candidates: Sequence[Account], sticky_key: str | None) -> list[str]:
    call_keys = [keys.TURNS, keys.QUEUE, keys.WAITERS, keys.sticky(sticky_key)]
    for account in candidates:
        call_keys += _account_keys(account)
    return call_keys


def _account_keys(account: Account) -> tuple[str, str, str]:
    return _account_keys_of(account.name)


def _account_keys_of(name: str) -> tuple[str, str, str]:
    one = keys.account(name)
    return one.leases, one.state, one.window


def _candidate_arguments(candidates: Sequence[Account]) -> list[Argument]:
    arguments: list[Argument] = []
    for account in candidates:
        requests = -1 if account.requests_per_minute is None else account.requests_per_minute
        tokens = -1 if account.tokens_per_minute is None else account.tokens_per_minute
        arguments += (account.name, f"{account.max_concurrency} {requests} {tokens} {account.weight}")
    return arguments


def _outcome(reply: Reply, candidates: Sequence[Account]) -> str | NotLeased:
    if reply[0] == b"leased":
        place: int = reply[1]
        return candidates[place - 1].name
    status, retry_after_ms, in_queue, busy, why = reply
    return NotLeased(
        refusal=Refusal(status.decode()),
        retry_after_s=None if retry_after_ms < 0 else retry_after_ms / 1000,
        place=in_queue,
        busy=busy,
        why=why.decode(),
    )


def _health(account: Account, row: Sequence[Reply]) -> AccountHealth:
    leases, is_quarantined, cool_ms, opens, open_ms, why, _, expired = row
    reason, until_ms = why.decode(), None
    if not account.enabled:
        state = AccountState.DISABLED
    elif is_quarantined:
        state = AccountState.EXPIRED if reason in EXPIRED_REASONS else AccountState.QUARANTINED
    elif cool_ms:
        state, until_ms = AccountState.COOLING, cool_ms
    elif open_ms:
        state, until_ms = AccountState.OPEN, open_ms
    else:
        state = AccountState.HALF_OPEN if opens else AccountState.READY
    return AccountHealth(
        account_name=account.name,
        state=state,
        reason="" if state is AccountState.READY else reason,
        until_s=None if until_ms is None else until_ms / 1000,
        leases=leases,
        max_concurrency=account.max_concurrency,
        expired_leases=expired,
    )


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
