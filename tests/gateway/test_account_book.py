"""The accounts of the file and those of operators, as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.config import Account, Shelved, StoredAccount
from service.config_loader import accounts
from service.core.errors import StoreUnavailable
from service.gateway.account_book import AccountBook

FILE = accounts([{"name": "one", "api_key": "sk-1"}, {"name": "two", "api_key": "sk-2", "weight": 2}])


def stored(name: str, **more: object) -> StoredAccount:
    (account,) = accounts([{"name": name, "api_key": "sk-3"}])
    return StoredAccount(account=account, created_at_s=1, secret_at_s=1, shown="…", **more)  # type: ignore[arg-type]


class Shelf:
    def __init__(self) -> None:
        self.shelved = Shelved()
        self.is_away = False

    async def load(self) -> Shelved:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.shelved

    async def add(self, stored: StoredAccount) -> bool: ...

    async def replace(self, stored: StoredAccount) -> bool: ...

    async def remove(self, name: str) -> bool: ...

    async def change(self, name: str, changes: Mapping[str, object]) -> bool: ...


class Heard:
    def __init__(self, book: AccountBook) -> None:
        self.names: list[list[str]] = []
        book.on_change = self

    def __call__(self, accounts: Sequence[Account]) -> None:
        self.names.append([account.name for account in accounts])


async def test_added_accounts_follow_those_of_the_file() -> None:
    shelf = Shelf()
    book = AccountBook(FILE, shelf)
    heard = Heard(book)
    shelf.shelved = Shelved(added=(stored("mine"),))
    await book.look()
    await book.look()
    assert heard.names == [["one", "two", "mine"]], "told once"
    assert [entry.stored is None for entry in book.entries] == [True, True, False]


async def test_file_wins_over_an_added_account_of_its_name() -> None:
    shelf = Shelf()
    shelf.shelved = Shelved(added=(stored("one"), stored("mine")))
    book = AccountBook(FILE, shelf)
    await book.look()
    assert [(entry.account.name, entry.stored is None) for entry in book.entries] == [
        ("one", True),
        ("two", True),
        ("mine", False),
    ]
    assert [account.name for account in book.configure(FILE[1:])] == ["two", "one", "mine"]


async def test_settings_lie_over_those_of_the_file() -> None:
    shelf = Shelf()
    shelf.shelved = Shelved(changes={"two": {"enabled": False, "weight": 3}, "gone": {"weight": 4}})
    book = AccountBook(FILE, shelf)
    await book.look()
    two = book.find("two")
    assert two is not None
    assert (two.account.enabled, two.account.weight) == (False, 3)
    assert book.find("gone") is None


async def test_settings_that_cannot_be_read_change_nothing() -> None:
    shelf = Shelf()
    shelf.shelved = Shelved(changes={"two": {"weight": "heavy"}, "one": {"colour": "red"}})
    book = AccountBook(FILE, shelf)
    await book.look()
    assert book.accounts == FILE


async def test_what_was_known_goes_on_while_redis_is_away() -> None:
    shelf = Shelf()
    shelf.shelved = Shelved(added=(stored("mine"),))
    book = AccountBook(FILE, shelf)
    await book.look()
    shelf.is_away = True
    await book.look()
    assert book.find("mine") is not None
