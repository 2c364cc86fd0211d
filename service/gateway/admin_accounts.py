"""Accounts for operators: shown, added, changed, tested and removed, on every worker within seconds.

The use case of `/admin/api/accounts` and of `mimo-gateway accounts`. No secret leaves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from service.config import Account, AccountKind, StoredAccount
from service.config_loader import CHANGEABLE, accounts, changed_account
from service.config_values import ConfigError
from service.core.addresses import RefusedAddress, refuse_account_host
from service.core.errors import Conflict, GatewayError, InvalidRequest, NotFound, StoreUnavailable
from service.core.pasted import decode_pasted, pasted_origin
from service.gateway.account_book import AccountBook, BookEntry
from service.gateway.admin_account_views import (
    AccountView,
    Recent,
    Recognised,
    Tested,
    masked,
    plan_of,
    region_of,
    view,
)
from service.gateway.admin_audit import Audit
from service.gateway.admin_fields import refuse_unknown, refused
from service.gateway.admin_ports import AccountShelf
from service.gateway.advice import advice
from service.gateway.models import Models
from service.gateway.ports import Accounts, Clock, Upstream

_WAYS = ("api_key", "cookie", "curl")
_SETTINGS = tuple("is_enabled" if name == "enabled" else name for name in CHANGEABLE)
_ADDING = ("name", "base_url", "region", *_WAYS, *_SETTINGS)
_CHANGING = ("base_url", "region", *_WAYS, *_SETTINGS)
_WHERE = ("base_url", "region")
_API_NAMES = {"enabled": "is_enabled"}
_MAX_TRIES = 5  # at a change that somebody else was faster with


class AdminAccounts:
    """`recent` tells how the attempts of the last hour went, by account. `can_seal`: there is a
    MIMO_SECRET_KEY, under which secrets may be kept."""

    def __init__(
        self,
        *,
        book: AccountBook,
        shelf: AccountShelf,
        pool: Accounts,
        upstreams: Mapping[AccountKind, Upstream],
        models: Models,
        audit: Audit,
        clock: Clock,
        recent: Callable[[], Awaitable[Mapping[str, Recent]]],
        can_seal: bool,
    ) -> None:
        self.book = book
        self._shelf = shelf
        self._pool = pool
        self._upstreams = upstreams
        self._models = models
        self._audit = audit
        self._clock = clock
        self._recent = recent
        self._can_seal = can_seal

    # --- seeing ---------------------------------------------------------------------------------------------

    async def every(self) -> list[AccountView]:
        """All of them, as they stand, also what another worker was just told."""
        await self.book.look()
        entries = self.book.entries
        healths = await self._pool.health([entry.account for entry in entries])
        recent = await self._recent()
        now_s = self._clock.unix_s()
        return [
            view(
                entry,
                health,
                recent.get(entry.account.name, Recent()),
                models=self._models.of(entry.account) if entry.is_readable else (),
                is_changed=entry.account.name in self.book.changes,
                now_s=now_s,
            )
            for entry, health in zip(entries, healths, strict=True)
        ]

    async def one(self, name: str) -> AccountView:
        """Raises NotFound."""
        found = next((seen for seen in await self.every() if seen.name == name), None)
        if found is None:
            raise _unknown()
        return found

    def recognise(self, asked: Mapping[str, object]) -> Recognised:
        """What `add` would make of it; nothing is kept. Raises InvalidRequest."""
        account = self._decoded(asked)
        return Recognised(
            name=account.name,
            kind=str(account.kind),
            base_url=account.base_url,
            plan=plan_of(account),
            region=region_of(account),
            secret=masked(account),
        )

    # --- changing -------------------------------------------------------------------------------------------

    async def add(self, asked: Mapping[str, object], *, who: str) -> AccountView:
        """Raises InvalidRequest, Conflict, StoreUnavailable."""
        account = self._decoded(asked)
        if self.book.find(account.name) is not None or not await self._shelf.add(self._stored(account)):
            raise Conflict(f"There is an account called '{account.name}' already.", param="name")
        await self._pool.reset(account.name)  # of one that had its name before
        await self._audit.note(
            who=who, action="account_added", target=account.name, detail=f"{account.kind} {masked(account)}"
        )
        return await self.one(account.name)

    async def change(self, name: str, asked: Mapping[str, object], *, who: str) -> AccountView:
        """Other settings, or for an added account another credential of its kind (and where it is sent).
        Of two operators who change an account at once neither undoes the other's.

        Raises InvalidRequest, NotFound, Conflict, StoreUnavailable."""
        for _ in range(_MAX_TRIES):
            if await self._has_changed(await self._entry(name), asked):
                break
        else:
            raise Conflict(f"'{name}' is being changed by somebody else as well. Try again.")
        await self._audit.note(
            who=who, action="account_changed", target=name, detail=", ".join(sorted(asked))
        )
        return await self.one(name)

    async def remove(self, name: str, *, who: str) -> None:
        """Raises NotFound, Conflict for one of the file, StoreUnavailable."""
        entry = await self._entry(name)
        if entry.stored is None:
            raise Conflict(
                f"'{name}' stands in the configuration file: take it out there, or disable it here."
            )
        await self._shelf.remove(name)
        await self.book.look()
        await self._audit.note(who=who, action="account_removed", target=name)

    async def reset(self, name: str, *, who: str) -> AccountView:
        """End its cooldown, open breaker or quarantine. Raises NotFound, StoreUnavailable."""
        await self._entry(name)
        await self._pool.reset(name)
        await self._audit.note(who=who, action="account_reset", target=name)
        return await self.one(name)

    async def test(self, name: str, *, who: str) -> Tested:
        """A cheap call, no chat; an account that answers and was quarantined is not reset. Raises NotFound,
        Conflict for one that cannot be read."""
        entry = await self._entry(name)
        self._require_readable(entry)
        upstream, began_s = self._upstreams[entry.account.kind], self._clock.monotonic_s()
        try:
            await upstream.probe(entry.account)
            models = await upstream.models(entry.account)
            is_ok, what = True, f"it answers and lists {len(models)} models"
        except GatewayError as error:
            is_ok, what = False, advice(entry.account, error)
        latency_ms = round((self._clock.monotonic_s() - began_s) * 1000, 1)
        await self._audit.note(
            who=who, action="account_tested", target=name, detail="ok" if is_ok else "failed"
        )
        return Tested(is_ok=is_ok, what=what, latency_ms=latency_ms)

    # --- inside ---------------------------------------------------------------------------------------------

    async def _entry(self, name: str) -> BookEntry:
        """As Redis has it now, or as it was known while that is away. Raises NotFound."""
        await self.book.look()
        if (entry := self.book.find(name)) is None:
            raise _unknown()
        return entry

    def _require_readable(self, entry: BookEntry) -> None:
        if not entry.is_readable:
            raise Conflict(
                f"'{entry.account.name}' was sealed under another MIMO_SECRET_KEY and cannot be read: "
                "give it its credential anew, or remove it.",
                code="account_unreadable",
            )

    async def _has_changed(self, entry: BookEntry, asked: Mapping[str, object]) -> bool:
        """False: somebody else changed it since it was looked at, and nothing was done."""
        refuse_unknown(asked, _CHANGING)
        name, changes = entry.account.name, _settings(asked)
        changed = _checked(entry.account, changes)
        if any(field in asked for field in (*_WAYS, *_WHERE)):
            return await self._has_renewed(entry, changed, asked)
        if entry.stored is None:
            return await self._shelf.change(name, {**self.book.changes.get(name, {}), **changes})
        self._require_readable(entry)
        self._require_secret_key()
        return await self._shelf.replace(replace(entry.stored, account=changed))

    async def _has_renewed(self, entry: BookEntry, changed: Account, asked: Mapping[str, object]) -> bool:
        """Another credential: a session that was begun anew, a key that was replaced. False as above."""
        name = entry.account.name
        if entry.stored is None:
            raise Conflict(f"'{name}' stands in the configuration file: its credential is changed there.")
        if not any(asked.get(way) for way in _WAYS):
            raise InvalidRequest(
                "Another host needs the credential anew: send api_key, cookie or curl beside it.",
                param=next(field for field in (*_WHERE, *_WAYS) if field in asked),
            )
        given = {name: asked[name] for name in (*_WAYS, *_WHERE) if name in asked}
        # What is not sealed may have been written by anybody: a new credential is not sent where it says.
        kept = {"base_url": changed.base_url} if entry.is_readable and "region" not in given else {}
        other = self._decoded({"name": name, **kept, **given}, is_new=False)
        if other.kind is not entry.account.kind:
            raise Conflict(f"'{name}' is a {entry.account.kind} account; add this one under another name.")
        account = replace(
            changed,
            base_url=other.base_url,
            api_key=other.api_key,
            service_token=other.service_token,
            user_id=other.user_id,
            xiaomichatbot_ph=other.xiaomichatbot_ph,
            enabled=changed.enabled or (not entry.is_readable and asked.get("is_enabled") is not False),
        )
        stored = self._stored(account)
        if not await self._shelf.replace(replace(stored, created_at_s=entry.stored.created_at_s)):
            return False
        await self._pool.reset(name)
        return True

    def _stored(self, account: Account) -> StoredAccount:
        self._require_secret_key()
        now_s = int(self._clock.unix_s())
        return StoredAccount(account=account, created_at_s=now_s, secret_at_s=now_s, shown=masked(account))

    def _require_secret_key(self) -> None:
        if not self._can_seal:
            raise StoreUnavailable(
                "Credentials are kept encrypted, and there is no key for that: set MIMO_SECRET_KEY for every "
                "worker and restart them.",
                code="secret_key_missing",
            )

    def _decoded(self, asked: Mapping[str, object], *, is_new: bool = True) -> Account:
        """What was sent as an Account, with a name of its own where none was given. Raises InvalidRequest."""
        refuse_unknown(asked, _ADDING)
        entry: dict[str, object] = {
            name: asked[name] for name in ("name", "base_url", "region") if asked.get(name) not in (None, "")
        }
        entry |= _settings(asked) | _credentials(asked)
        if "api_key" in entry and "base_url" not in entry and isinstance(asked.get("curl"), str):
            origin = pasted_origin(str(asked["curl"]))
            entry |= {"base_url": origin} if origin else {}
        kind = AccountKind.PLATFORM if "api_key" in entry else AccountKind.STUDIO
        if is_new:
            entry.setdefault("name", self._free_name(kind))
        try:
            (account,) = accounts([entry], "account")
            refuse_account_host(account.base_url)
        except ConfigError as error:
            raise refused(error, _API_NAMES) from None
        except RefusedAddress as error:
            raise InvalidRequest(f"base_url: {error}.", param="base_url") from None
        return account

    def _free_name(self, kind: AccountKind) -> str:
        taken = {account.name for account in self.book.accounts}
        numbers = range(1, len(taken) + 2)
        return next(name for name in (f"{kind}-{number}" for number in numbers) if name not in taken)


def _unknown() -> NotFound:
    return NotFound("There is no account of that name.")


def _settings(asked: Mapping[str, object]) -> dict[str, object]:
    """The settings as the configuration names them. What may not be null and is, is as if left out."""
    nullable = ("requests_per_minute", "tokens_per_minute")
    return {
        "enabled" if name == "is_enabled" else name: asked[name]
        for name in _SETTINGS
        if name in asked and (asked[name] is not None or name in nullable)
    }


def _checked(account: Account, changes: Mapping[str, object]) -> Account:
    try:
        return changed_account(account, changes, "account")
    except ConfigError as error:
        raise refused(error, _API_NAMES) from None


def _credentials(asked: Mapping[str, object]) -> dict[str, str]:
    given = [way for way in _WAYS if asked.get(way) not in (None, "")]
    if len(given) != 1:
        raise InvalidRequest("Send exactly one of api_key, cookie and curl.", param="api_key")
    (way,) = given
    text = asked[way]
    if not isinstance(text, str):
        raise InvalidRequest(f"{way} must be a string.", param=way)
    if way == "api_key":
        return {"api_key": text.strip()}
    try:
        return decode_pasted(text)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=way) from None
