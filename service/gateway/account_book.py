"""All accounts of the gateway: those of the file, changed as operators wished, and those that were added.

Each process looks into Redis every `LOOK_INTERVAL_S` and takes over what others have changed. While Redis is
away what was known goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from service.config import Account, Shelved, StoredAccount
from service.config_loader import changed_account
from service.config_values import ConfigError
from service.core.errors import StoreUnavailable
from service.gateway.admin_ports import AccountShelf

log = structlog.get_logger()

LOOK_INTERVAL_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BookEntry:
    """One account as it is used. `stored` None: it stands in the file."""

    account: Account
    stored: StoredAccount | None = None

    @property
    def is_readable(self) -> bool:
        return self.stored is None or self.stored.is_readable


class AccountBook:
    """`on_change` is told of every account when any has changed; it may be set later."""

    def __init__(self, configured: Sequence[Account], shelf: AccountShelf) -> None:
        self._configured = tuple(configured)
        self._shelf = shelf
        self._shelved = Shelved()
        self._entries: tuple[BookEntry, ...] = ()
        self.on_change: Callable[[Sequence[Account]], None] = lambda accounts: None
        self._merge()

    @property
    def entries(self) -> tuple[BookEntry, ...]:
        """Those of the file first, then the added ones, the oldest first."""
        return self._entries

    @property
    def accounts(self) -> tuple[Account, ...]:
        return tuple(entry.account for entry in self._entries)

    @property
    def changes(self) -> Mapping[str, Mapping[str, object]]:
        """The settings that are laid over those of the file, by account."""
        return self._shelved.changes

    def find(self, name: str) -> BookEntry | None:
        return next((entry for entry in self._entries if entry.account.name == name), None)

    def configure(self, configured: Sequence[Account]) -> tuple[Account, ...]:
        """From now on these are the file's accounts; all accounts come back."""
        self._configured = tuple(configured)
        self._merge()
        return self.accounts

    async def look(self) -> None:
        """Take over what has changed; for `background.repeat` and after a change of one's own."""
        try:
            shelved = await self._shelf.load()
        except StoreUnavailable:
            return
        if shelved == self._shelved:
            return
        self._shelved = shelved
        self._merge()
        log.info("accounts_changed", accounts=len(self._entries))
        self.on_change(self.accounts)

    def _merge(self) -> None:
        configured = [BookEntry(account=self._changed(account)) for account in self._configured]
        names = {account.name for account in self._configured}
        added = [
            BookEntry(account=stored.account, stored=stored)
            for stored in self._shelved.added
            if stored.account.name not in names  # the file wins
        ]
        self._entries = (*configured, *added)

    def _changed(self, account: Account) -> Account:
        changes = self._shelved.changes.get(account.name, {})
        try:
            return changed_account(account, changes, account.name)
        except ConfigError:  # another version wrote it
            log.warning("account_change_unreadable", account=account.name)
            return account
