"""Which models are offered, and by which accounts: configuration first, then what the upstreams list."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from service.config import Account, AccountKind
from service.core.errors import GatewayError
from service.core.models import CURRENT_MODELS, DEFAULT_ALIASES, Resolution, resolve
from service.gateway.ports import ModelCatalogue, Upstream

log = structlog.get_logger()

REFRESH_INTERVAL_S = 600.0
_MAX_RESOLVED = 1024  # names that clients use; a flood of invented ones is not remembered

_MAX_ASKED = 32  # accounts at once


class Models:
    """The listing of this process. `refresh` asks every account; `load` takes what another worker found.

    An account that has not answered yet counts as serving the current v2.6 family, so that a gateway
    answers from its first second; a wrong guess costs one failed attempt, no more."""

    def __init__(
        self,
        accounts: Sequence[Account],
        upstreams: Mapping[AccountKind, Upstream],
        catalogue: ModelCatalogue,
        *,
        offered: Sequence[str] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._upstreams = upstreams
        self._catalogue = catalogue
        self._listed: dict[str, tuple[str, ...]] = {}
        self._resolved: dict[str, Resolution] = {}
        self._refreshing = asyncio.Lock()
        self._asking = asyncio.Semaphore(_MAX_ASKED)
        self.reconfigure(accounts, offered=offered, aliases=aliases)

    def reconfigure(
        self,
        accounts: Sequence[Account],
        *,
        offered: Sequence[str] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """From now on this is the configuration; what accounts listed before is kept."""
        self._accounts = tuple(account for account in accounts if account.enabled)
        self._configured = tuple(offered)
        own = dict(aliases or {})
        self._aliases = own | {name: to for name, to in DEFAULT_ALIASES.items() if name not in own}
        self._offered = self._union()

    def use_accounts(self, accounts: Sequence[Account]) -> None:
        """From now on these are the accounts; the rest of the configuration stays. What one listed under
        another credential, or before it went, is forgotten."""
        before = self._accounts
        self._accounts = tuple(account for account in accounts if account.enabled)
        known = {(account.name, account.base_url, account.credentials) for account in self._accounts}
        for account in before:
            if (account.name, account.base_url, account.credentials) not in known:
                self._listed.pop(account.name, None)
        self._offered = self._union()

    def of(self, account: Account) -> tuple[str, ...]:
        """The ids that the account serves, as far as is known."""
        return self._models_of(account)

    @property
    def aliases(self) -> Mapping[str, str]:
        """Names and patterns, and what each leads to; "" leads nowhere. The operator's come first."""
        return self._aliases

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The enabled accounts, in the configuration's order."""
        return self._accounts

    @property
    def offered(self) -> tuple[str, ...]:
        """The ids that clients are shown, current ones first, each once."""
        return self._offered

    def resolve(self, name: str) -> Resolution:
        """The offered model that a client's name means. Raises ModelNotFound."""
        known = self._resolved.get(name)
        if known is None:
            known = resolve(name, self._offered, self._aliases)
            if len(self._resolved) < _MAX_RESOLVED:
                self._resolved[name] = known
        return known

    def accounts_for(self, model: str) -> list[Account]:
        """The enabled accounts that serve `model`, in the configuration's order."""
        return [account for account in self._accounts if model in self._models_of(account)]

    async def load(self) -> None:
        """Take over the listing that some worker stored."""
        stored = await self._catalogue.load()
        self._listed |= {name: tuple(models) for name, models in stored.items()}
        self._offered = self._union()

    async def refresh(self) -> None:
        """Ask every account, side by side. One that fails keeps what it had; the failure is logged by kind.

        Calls that come while one runs wait for it and ask no second time."""
        if self._refreshing.locked():
            async with self._refreshing:
                return
        async with self._refreshing:
            await self._ask_all(self._accounts)

    async def learn(self) -> None:
        """Ask the accounts of which nothing is known yet: those that have just come."""
        async with self._refreshing:
            await self._ask_all([one for one in self._accounts if one.name not in self._listed])

    async def _ask_all(self, accounts: Sequence[Account]) -> None:
        answers = await asyncio.gather(*map(self._ask, accounts))
        found = {account.name: models for account, models in zip(accounts, answers, strict=True) if models}
        self._listed |= found
        self._offered = self._union()
        if found:
            await self._catalogue.save(found)

    async def _ask(self, account: Account) -> tuple[str, ...]:
        try:
            async with self._asking:
                return tuple(await self._upstreams[account.kind].models(account))
        except GatewayError as error:
            log.warning("model_discovery_failed", account=account.name, error_kind=str(error.kind))
            return ()

    def _models_of(self, account: Account) -> tuple[str, ...]:
        if account.models:
            return account.models
        return self._listed.get(account.name, self._configured or CURRENT_MODELS)

    def _union(self) -> tuple[str, ...]:
        """What is offered now; what names were found to mean before is forgotten."""
        self._resolved.clear()
        listed = (model for account in self._accounts for model in self._models_of(account))
        found = tuple(dict.fromkeys(listed))
        if self._configured:
            return tuple(model for model in self._configured if model in found) or self._configured
        first = [model for model in CURRENT_MODELS if model in found]
        return (*first, *sorted(model for model in found if model not in CURRENT_MODELS))
