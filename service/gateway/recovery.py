"""Bringing accounts back: what is quarantined is probed by a call that costs no chat, and reset when it
answers.

An operator who renewed a session or topped up a key needs to do nothing more than put it into the
configuration; one that was cured upstream comes back by itself."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from service.config import AccountKind
from service.core.errors import GatewayError
from service.core.leases import AccountState
from service.gateway.models import Models
from service.gateway.ports import Accounts, Upstream

log = structlog.get_logger()

PROBE_INTERVAL_S = 60.0
_OUT = (AccountState.QUARANTINED, AccountState.EXPIRED)


class Recovery:
    """Fits `background.repeat`: one look at every account that is out."""

    def __init__(self, models: Models, accounts: Accounts, upstreams: Mapping[AccountKind, Upstream]) -> None:
        self._models = models
        self._accounts = accounts
        self._upstreams = upstreams

    async def look(self) -> None:
        """Probe what is quarantined; a probe that fails changes nothing."""
        by_name = {account.name: account for account in self._models.accounts}
        for health in await self._accounts.health(tuple(by_name.values())):
            if health.state not in _OUT:
                continue
            account = by_name[health.account_name]
            try:
                await self._upstreams[account.kind].probe(account)
            except GatewayError:
                continue
            await self._accounts.reset(account.name)
            log.info("account_recovered", account=account.name, reason=health.reason)
