"""Sessions of studio accounts that end are noticed before a request meets the end: each ready account is
asked from time to time by a call that costs no chat (mimo-api.md 5.1).

Workers take turns through Redis, so that more of them ask no more often; each pause is a little different, so
that accounts do not move in step. What the wire does not tell, when a session will end, nobody can know."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import structlog

from service.config import Account, AccountKind
from service.core.errors import GatewayError, UpstreamAccountError
from service.core.leases import AccountState
from service.core.policy import penalty_of
from service.gateway.models import Models
from service.gateway.ports import Accounts, Ids, Turns, Upstream

log = structlog.get_logger()

_IN_USE = (AccountState.READY, AccountState.COOLING)


class Sessions:
    """Fits `background.repeat`: one look at the accounts whose turn it is."""

    def __init__(
        self,
        models: Models,
        accounts: Accounts,
        upstreams: Mapping[AccountKind, Upstream],
        turns: Turns,
        ids: Ids,
        *,
        interval_s: float,
    ) -> None:
        self._models = models
        self._accounts = accounts
        self._upstreams = upstreams
        self._turns = turns
        self._ids = ids
        self._interval_s = interval_s

    async def look(self) -> None:
        """Ask each account that is in use and that no worker asked lately; an ended session takes it out."""
        studio = [account for account in self._models.accounts if account.kind is AccountKind.STUDIO]
        by_name = {account.name: account for account in studio}
        for health in await self._accounts.health(studio):
            if health.state not in _IN_USE:
                continue
            if await self._turns.take(f"session:{health.account_name}", every_s=self._pause_s()):
                await self._ask(by_name[health.account_name])

    async def _ask(self, account: Account) -> None:
        try:
            await self._upstreams[account.kind].probe(account)
        except UpstreamAccountError as error:
            if (penalty := penalty_of(error)) is not None:
                await self._accounts.penalise(account.name, penalty)
                log.warning("account_probe_refused", account=account.name, reason=penalty.reason)
        except GatewayError:
            return  # an upstream that cannot be reached says nothing of the session

    def _pause_s(self) -> float:
        """Four to six fifths of the interval."""
        share = crc32(self._ids.new("turn_").encode()) % 1024 / 1024
        return self._interval_s * (0.8 + 0.4 * share)
