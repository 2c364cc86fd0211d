"""The pool of accounts in one process's memory: what a worker falls back on when Redis is away.

The same decisions as `lua/acquire.lua` and `lua/release.lua`, on this worker's share of each account's
slots and minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.config import Account
from service.core.leases import AccountHealth, AccountState, Penalty, PenaltyKind
from service.store.refusals import NotLeased, Refusal

_MINUTE_S = 60.0

EXPIRED_REASONS = frozenset({"session_expired", "expired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How accounts rest and requests wait. The breaker opens after `max_failures` in a row, for
    `first_rest_s`, then twice as long each time to `longest_rest_s`; so do cooldowns of no stated length,
    from one second.
    """

    lease_ttl_s: float = 15.0
    sticky_ttl_s: float = 3600.0
    max_failures: int = 5
    first_rest_s: float = 5.0
    longest_rest_s: float = 300.0
    max_waiting: int = 512
    waiter_ttl_s: float = 1.5
    poll_s: float = 0.025
    longest_poll_s: float = 0.25


@dataclass(slots=True)
class _State:
    turn: float = -1.0
    lease_ids: set[str] = field(default_factory=set)
    quarantine: bool = False
    cool_until_s: float = 0.0
    cools: int = 0
    failures: int = 0
    opens: int = 0
    open_until_s: float = 0.0
    probe: str = ""
    why: str = ""
    minute: deque[tuple[float, int]] = field(default_factory=deque)  # (at_s, tokens)


class LocalAccounts:
    """One worker's own book of the accounts. `share_of` says which part of an account's slots is its own."""

    def __init__(
        self, *, settings: PoolSettings, monotonic_s: Callable[[], float], share_of: Callable[[int], int]
    ) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._share_of = share_of
        self._state_by_name: dict[str, _State] = {}
        self._sticky: dict[str, str] = {}
        self._clock = 0.0

    def take(
        self,
        candidates: Sequence[Account],
        *,
        lease_id: str,
        estimated_tokens: int = 0,
        sticky_key: str | None = None,
    ) -> str | NotLeased:
        """The name of the account whose slot was taken, or why there is none. Never waits."""
        for account in candidates:
            if lease_id in self._state(account.name).lease_ids:
                return account.name
        looks = [(account, *self._look(account, estimated_tokens)) for account in candidates]
        ready = [account for account, free, _, _ in looks if free > 0]
        if not ready:
            waits = [wait_s for _, _, wait_s, why in looks if why != "busy" and wait_s is not None]
            busy = sum(why == "busy" for _, _, _, why in looks)
            is_final = not busy and not waits
            return NotLeased(
                refusal=Refusal.NONE if is_final else Refusal.BUSY,
                retry_after_s=min(waits, default=None),
                busy=busy,
                why=next((why for _, _, _, why in looks if why), ""),
            )
        stuck = self._sticky.get(sticky_key) if sticky_key is not None else None
        chosen = next((account for account in ready if account.name == stuck), None)
        if chosen is None:
            chosen = min(ready, key=self._order)
            self._clock = self._turn(chosen)
        state = self._state(chosen.name)
        state.turn = self._turn(chosen) + 1 / max(chosen.weight, 1)
        state.lease_ids.add(lease_id)
        if chosen.requests_per_minute is not None or chosen.tokens_per_minute is not None:
            state.minute.append((self._monotonic_s(), estimated_tokens))
        if state.opens:
            state.probe = lease_id
        return chosen.name

    def give_back(
        self, name: str, lease_id: str, *, penalty: Penalty | None, sticky_key: str | None = None
    ) -> bool:
        """Whether the lease was held here. The penalty counts all the same: it is what this worker saw."""
        state = self._state(name)
        was_held = lease_id in state.lease_ids
        state.lease_ids.discard(lease_id)
        is_probe = state.probe == lease_id
        if is_probe:
            state.probe = ""
        self._book(state, penalty, is_probe=is_probe)
        if sticky_key is not None:
            self._stick(sticky_key, name, succeeded=penalty is None)
        return was_held

    def reset(self, name: str) -> None:
        old = self._state(name)
        self._state_by_name[name] = _State(turn=old.turn, lease_ids=old.lease_ids)

    def health(self, account: Account) -> AccountHealth:
        state, now_s = self._state(account.name), self._monotonic_s()
        until_s: float | None = None
        if not account.enabled:
            standing = AccountState.DISABLED
        elif state.quarantine:
            is_expired = state.why in EXPIRED_REASONS
            standing = AccountState.EXPIRED if is_expired else AccountState.QUARANTINED
        elif state.cool_until_s > now_s:
            standing, until_s = AccountState.COOLING, state.cool_until_s - now_s
        elif state.opens and state.open_until_s > now_s:
            standing, until_s = AccountState.OPEN, state.open_until_s - now_s
        else:
            standing = AccountState.HALF_OPEN if state.opens else AccountState.READY
        return AccountHealth(
            account_name=account.name,
            state=standing,
            reason="" if standing is AccountState.READY else state.why,
            until_s=until_s,
            leases=len(state.lease_ids),
            max_concurrency=account.max_concurrency,
        )

    # --- inside ---------------------------------------------------------------------------------------------

    def _state(self, name: str) -> _State:
        return self._state_by_name.setdefault(name, _State())

    def _turn(self, account: Account) -> float:
        lead = 16 / max(account.weight, 1)
        return min(max(self._state(account.name).turn, self._clock), self._clock + lead)

    def _order(self, account: Account) -> tuple[float, float, int]:
        return self._turn(account), self._state(account.name).turn, -account.weight

    def _look(self, account: Account, tokens: int) -> tuple[int, float | None, str]:
        """Free slots, seconds until a look is worth it (None: not by itself), and why not now."""
        state, now_s = self._state(account.name), self._monotonic_s()
        if state.quarantine:
            return 0, None, state.why
        rest_s = max(state.cool_until_s, state.open_until_s if state.opens else 0.0) - now_s
        if rest_s > 0:
            return 0, rest_s, state.why
        free = self._share_of(account.max_concurrency) - len(state.lease_ids)
        if free <= 0:
            return 0, 0.0, "busy"
        if state.opens and state.probe:
            return 0, 1.0, state.why
        minute_s = self._minute_wait_s(account, state.minute, tokens)
        return (free, 0.0, "") if minute_s == 0 else (0, minute_s, "minute")

    def _minute_wait_s(self, account: Account, minute: deque[tuple[float, int]], tokens: int) -> float | None:
        """Seconds until the account's minute has room; 0 when it has, None when it never will."""
        now_s = self._monotonic_s()
        while minute and minute[0][0] <= now_s - _MINUTE_S:
            minute.popleft()
        excess = 0
        if account.requests_per_minute is not None:
            if account.requests_per_minute == 0:
                return None
            excess = len(minute) + 1 - self._share_of(account.requests_per_minute)
        excess_tokens = 0
        if account.tokens_per_minute is not None and minute:
            used = sum(used for _, used in minute)
            excess_tokens = used + tokens - self._share_of(account.tokens_per_minute)
        wait_s = 0.0
        for at_s, used in minute:
            if excess <= 0 and excess_tokens <= 0:
                break
            excess, excess_tokens, wait_s = excess - 1, excess_tokens - used, at_s + _MINUTE_S - now_s
        return wait_s

    def _book(self, state: _State, penalty: Penalty | None, *, is_probe: bool) -> None:
        now_s = self._monotonic_s()
        match penalty:
            case None:
                if not state.opens or is_probe:
                    state.failures = state.opens = state.cools = 0
            case Penalty(kind=PenaltyKind.QUARANTINE):
                state.quarantine, state.why = True, penalty.reason
            case Penalty(kind=PenaltyKind.COOLDOWN):
                state.cools += 1
                rest_s = penalty.duration_s or self._grown_s(1.0, state.cools - 1)
                state.cool_until_s, state.why = max(state.cool_until_s, now_s + rest_s), penalty.reason
            case Penalty(kind=PenaltyKind.FAILURE):
                state.failures += 1
                if is_probe or (not state.opens and state.failures >= self._settings.max_failures):
                    state.open_until_s = now_s + self._grown_s(self._settings.first_rest_s, state.opens)
                    state.opens, state.why = state.opens + 1, penalty.reason
            case _:
                pass

    def _grown_s(self, first_s: float, times: int) -> float:
        return float(min(first_s * 2 ** min(times, 20), self._settings.longest_rest_s))

    def _stick(self, sticky_key: str, name: str, *, succeeded: bool) -> None:
        if succeeded:
            if len(self._sticky) >= 10_000:
                self._sticky.pop(next(iter(self._sticky)))
            self._sticky[sticky_key] = name
        elif self._sticky.get(sticky_key) == name:
            del self._sticky[sticky_key]
