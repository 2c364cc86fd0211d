"""The ports of the pool, the limits and the ledger, with what they do booked as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from logging import INFO, WARNING

import structlog

from service.config import Account, ApiKey
from service.core.errors import GatewayError
from service.core.events import Usage
from service.core.leases import AccountHealth, Admission, Lease, Penalty, PenaltyKind, Renewal
from service.core.policy import REMEDIES
from service.gateway.ports import Accounts, Clock, Ledger, Limits
from service.gateway.stats import Stats
from service.telemetry.labels import LIMITS, model_label
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

SAMPLE_INTERVAL_S = 5.0


class MeteredAccounts:
    """Fits ports.Accounts."""

    def __init__(self, inner: Accounts, metrics: Metrics, clock: Clock) -> None:
        self._inner = inner
        self._metrics = metrics
        self._clock = clock

    async def acquire(
        self,
        candidates: Sequence[Account],
        *,
        lease_id: str,
        estimated_tokens: int = 0,
        sticky_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        metrics, began_s = self._metrics, self._clock.monotonic_s()
        metrics.queue_depth.inc()
        result = "refused"
        try:
            lease = await self._inner.acquire(
                candidates,
                lease_id=lease_id,
                estimated_tokens=estimated_tokens,
                sticky_key=sticky_key,
                wait_s=wait_s,
            )
            result = "granted"
        except GatewayError as error:
            metrics.lease_events["refused",].inc()
            count_rejection(metrics, error)
            raise
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            metrics.queue_depth.dec()
            metrics.queue_wait_s[result,].observe(self._clock.monotonic_s() - began_s)
        metrics.lease_events["granted",].inc()
        if lease.sticky:
            metrics.sticky[lease.sticky,].inc()
        return lease

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        events = self._metrics.lease_events
        events["renewed",].inc(len(leases))
        found = await self._inner.renew(leases)
        events["expired",].inc(found.expired)
        events["lost",].inc(found.lost)
        return found

    async def release(
        self, lease: Lease, *, penalty: Penalty | None = None, sticky_key: str | None = None
    ) -> None:
        count_release(self._metrics, lease, penalty)
        await self._inner.release(lease, penalty=penalty, sticky_key=sticky_key)

    async def penalise(self, account_name: str, penalty: Penalty) -> None:
        count_penalty(self._metrics, account_name, penalty)
        await self._inner.penalise(account_name, penalty)

    async def health(self, accounts: Sequence[Account]) -> Sequence[AccountHealth]:
        healths = await self._inner.health(accounts)
        self._metrics.lease_events["expired",].inc(sum(health.expired_leases for health in healths))
        return healths

    async def reset(self, account_name: str) -> None:
        await self._inner.reset(account_name)


class MeteredLimits:
    """Fits ports.Limits."""

    def __init__(self, inner: Limits, metrics: Metrics, clock: Clock) -> None:
        self._inner = inner
        self._metrics = metrics
        self._clock = clock

    async def admit(self, key: ApiKey, *, request_id: str, estimated_tokens: int) -> Admission:
        began_s = self._clock.monotonic_s()
        try:
            return await self._inner.admit(key, request_id=request_id, estimated_tokens=estimated_tokens)
        except GatewayError as error:
            count_rejection(self._metrics, error)
            raise
        finally:
            self._metrics.overhead_s["admit",].observe(self._clock.monotonic_s() - began_s)

    async def renew(self, admissions: Sequence[Admission]) -> None:
        await self._inner.renew(admissions)


class MeteredLedger:
    """Fits ports.Ledger."""

    def __init__(self, inner: Ledger, metrics: Metrics, stats: Stats | None = None) -> None:
        self._inner = inner
        self._metrics = metrics
        self._stats = stats

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
        if cost_micro_usd:
            self._metrics.cost[model_label(model),].inc(cost_micro_usd)
        if self._stats is not None:
            self._stats.charge(usage, cost_micro_usd=cost_micro_usd)
        if lease is not None:
            count_release(self._metrics, lease, penalty)
        await self._inner.settle(
            admission,
            lease,
            usage=usage,
            model=model,
            penalty=penalty,
            sticky_key=sticky_key,
            cost_micro_usd=cost_micro_usd,
        )


class AccountWatch:
    """Looks at the pool from time to time: gauges, and one log line for each account that changed."""

    def __init__(
        self,
        accounts: Accounts,
        metrics: Metrics,
        configured: Callable[[], Sequence[Account]],
        *,
        sessions_left_s: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`sessions_left_s`: seconds until the session of each account ends, where that is known."""
        self._sessions_left_s = sessions_left_s
        self._accounts = accounts
        self._metrics = metrics
        self._configured = configured
        self._state_by_name: dict[str, str] = {}

    async def sample(self) -> None:
        """One look: one round trip, whatever the number of accounts."""
        healths = await self._accounts.health(self._configured())
        self._metrics.observe_accounts(healths)
        self._metrics.observe_sessions(self._sessions_left_s())
        for health in healths:
            before = self._state_by_name.get(health.account_name, "ready")
            if before != health.state:
                remedy = REMEDIES.get(health.reason)
                log.log(
                    INFO if remedy is None else WARNING,
                    "account_state_changed",
                    account=health.account_name,
                    state=str(health.state),
                    reason=health.reason,
                    **({} if remedy is None else {"notes": [remedy]}),
                )
        self._state_by_name = {health.account_name: str(health.state) for health in healths}


def count_rejection(metrics: Metrics, error: GatewayError) -> None:
    """A refusal by the limit it met; failures of another kind are no rejections."""
    if (pair := LIMITS.get(error.code or "")) is not None:
        metrics.limit_rejections[pair].inc()


def count_release(metrics: Metrics, lease: Lease, penalty: Penalty | None) -> None:
    """A lease was given back, and what its account has to pay for."""
    metrics.lease_events["released",].inc()
    if penalty is not None:
        count_penalty(metrics, lease.account_name, penalty)


def count_penalty(metrics: Metrics, account_name: str, penalty: Penalty) -> None:
    """Rests and quarantines; what only the breaker counts is none."""
    if penalty.kind is not PenaltyKind.FAILURE:
        metrics.account_cooldowns[account_name, penalty.reason].inc()
