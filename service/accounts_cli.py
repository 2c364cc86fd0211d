"""`mimo-gateway accounts list|test|import|reset|remove`: the pool as all workers see it, and new sessions.

`import` reads what the user copied out of their own browser from standard input or a file, never from the
command line: what is typed there stays in the shell's history and the list of processes. No secret is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from service import redis_access
from service.account_check import UNREADABLE, checked
from service.account_file import remove_account, write_account
from service.admin_wiring import BY_COMMAND, account_shelf, audit_of, book_of
from service.config import Account, Config
from service.core.errors import InvalidRequest, StoreUnavailable
from service.core.leases import AccountHealth
from service.core.pasted import MAX_CHARS, decode_pasted
from service.core.policy import REMEDIES
from service.gateway.account_book import BookEntry
from service.gateway.background import Background
from service.gateway.system import SystemClock
from service.outside_wiring import demo_accounts, upstreams_of
from service.store.accounts import RedisAccounts
from service.telemetry.metrics import Metrics
from service.upstream.http import Http, client_session
from service.upstream.media import media_fetcher

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser, data_dir: Path) -> None:
    """What follows `mimo-gateway accounts`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="each account's state, for how long and why, and its leases")
    test = actions.add_parser("test", help="ask each account by a call that costs no chat")
    test.add_argument("name", nargs="?", help="this one only")
    add = actions.add_parser("import", help="put a copied session or key into the configuration file")
    add.add_argument("--file", type=Path, help="where the copied text is (default: standard input)")
    add.add_argument("--name", help="the entry to update or to add")
    reset = actions.add_parser("reset", help="end an account's cooldown, open breaker or quarantine")
    reset.add_argument("name")
    remove = actions.add_parser("remove", help="take an account out of the file, or out of Redis")
    remove.add_argument("name")
    for action in (listing, test, add, reset, remove):
        action.add_argument("--config", type=Path)
        action.add_argument("--data-dir", type=Path, default=data_dir, help="the embedded Redis's data")


# --- import -------------------------------------------------------------------------------------------------


def import_account(config_file: Path, arguments: argparse.Namespace, say: Say) -> int:
    """0; 1 when the text holds no credentials. Raises ConfigError for a file that cannot be updated."""
    try:
        credentials = decode_pasted(_pasted(arguments.file, say))
    except (InvalidRequest, OSError, UnicodeDecodeError) as error:
        say(error.message if isinstance(error, InvalidRequest) else f"The text cannot be read: {error}")
        return 1
    written = write_account(config_file, credentials, name=arguments.name, now_s=SystemClock().unix_s())
    what = "added" if written.is_new else "updated"
    say(f"{what} account {written.name} in {config_file} (mode 600)")
    if written.is_new_file:
        say("The file is new: its api_keys holds a fresh key.")
    say("A running gateway takes it over within seconds; `mimo-gateway accounts test` asks the account.")
    return 0


def _pasted(file: Path | None, say: Say) -> str:
    if file is not None:
        with file.open(encoding="utf-8") as opened:
            return opened.read(MAX_CHARS + 1)
    if sys.stdin.isatty():
        say("Paste the Cookie header or the copied cURL command, then press Ctrl-D on an empty line:")
    return sys.stdin.read(MAX_CHARS + 1)


# --- remove -------------------------------------------------------------------------------------------------


async def remove(config: Config, config_file: Path, arguments: argparse.Namespace, say: Say) -> int:
    """0; 1 when there is no such account. Raises ConfigError for a file that cannot be updated.

    An account of the file is taken out of it; one that was added while the gateway ran, out of Redis. What
    Redis knows of it (its state, settings laid over the file's) goes, too."""
    name: str = arguments.name
    is_of_file = not config.is_demo and remove_account(config_file, name)
    async with AsyncExitStack() as stack:
        store = await redis_access.opened(config, stack, arguments.data_dir)
        shelf = account_shelf(config, store)
        try:
            is_of_redis = not is_of_file and await shelf.remove(name)
            if is_of_file or is_of_redis:
                await shelf.load()
                await shelf.change(name, {})
                await RedisAccounts(store, spawn=Background().spawn).reset(name)
                await audit_of(store).keep(who=BY_COMMAND, action="account_removed", target=name)
        except StoreUnavailable:
            if not is_of_file:
                say(f"The file has no account {name!r}, and Redis does not answer.")
                return 1
            is_of_redis = False
    if not is_of_file and not is_of_redis:
        say(f"No account is called {name!r}.")
        return 1
    say(f"removed account {name} from {config_file if is_of_file else 'Redis'}")
    say("A running gateway gives it no more requests within seconds; those under way end by themselves.")
    return 0


# --- list, test, reset --------------------------------------------------------------------------------------


async def run(config: Config, arguments: argparse.Namespace, say: Say) -> int:
    """0; 1 when something does not answer or there is no such account."""
    name = getattr(arguments, "name", None)
    async with AsyncExitStack() as stack:
        if arguments.action == "test":
            return await _test(await demo_accounts(config, stack), arguments, stack, say)
        store = await redis_access.opened(config, stack, arguments.data_dir)
        pool = RedisAccounts(store, spawn=Background().spawn)
        try:
            await store.ping()  # without it the pool would tell what this process has seen: nothing
            book = await book_of(config, store)
            if name is not None and book.find(name) is None:
                say(f"No account is called {name!r}.")
                return 1
            if arguments.action == "reset":
                await pool.reset(name or "")
                await audit_of(store).keep(who=BY_COMMAND, action="account_reset", target=name or "")
            healths = await pool.health(book.accounts)
        except StoreUnavailable:
            say("Redis does not answer; `mimo-gateway doctor` says more.")
            return 1
    chosen = [health for health in healths if name in (None, health.account_name)]
    say(table(book.accounts, chosen))
    for health in chosen:
        if (remedy := REMEDIES.get(health.reason)) is not None:
            say(f"  {health.account_name}: {remedy}")
    for entry in book.entries:
        if not entry.is_readable and name in (None, entry.account.name):
            say(f"  {entry.account.name}: {UNREADABLE}")
    return 0


async def _test(config: Config, arguments: argparse.Namespace, stack: AsyncExitStack, say: Say) -> int:
    """Accounts of Redis too; one of the file that is named needs no Redis."""
    name: str | None = arguments.name
    session = await stack.enter_async_context(client_session(config.timeouts))
    fetcher = await stack.enter_async_context(media_fetcher(config, Metrics()))
    upstreams = upstreams_of(config, Http(session, config.timeouts), fetcher)
    entries = tuple(BookEntry(account=account) for account in config.mimo_accounts)
    if name is None or name not in {entry.account.name for entry in entries}:
        store = await redis_access.opened(config, stack, arguments.data_dir)
        try:
            await store.ping()
            entries = (await book_of(config, store)).entries
        except StoreUnavailable:
            say("Redis does not answer: accounts that were added while the gateway ran are not known.")
            if name is not None:
                return 1
    chosen = [entry for entry in entries if name in (None, entry.account.name)]
    if not chosen and name is not None:
        say(f"No account is called {name!r}.")
        return 1
    answers = [await checked(entry, upstreams[entry.account.kind], say) for entry in chosen]
    return 0 if all(answers) else 1


def table(accounts: Sequence[Account], healths: Sequence[AccountHealth]) -> str:
    """One line for each account."""
    kinds: Mapping[str, str] = {account.name: str(account.kind) for account in accounts}
    rows = [("ACCOUNT", "KIND", "STATE", "REASON", "FOR", "LEASES")]
    for health in healths:
        lasts = "-" if health.until_s is None else f"{health.until_s:.0f} s"
        rows.append(
            (
                health.account_name,
                kinds[health.account_name],
                str(health.state),
                health.reason or "-",
                lasts,
                f"{health.leases}/{health.max_concurrency}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
