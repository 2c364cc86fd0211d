"""Accounts that operators added, and settings laid over those of the file. Fits `AccountShelf`.

One hash: `added:<name>` and `changed:<name>`, each a JSON object. Credentials, with the host that they are
sent to, are sealed with AES-256-GCM under a key made of MIMO_SECRET_KEY and the account's name: who can write
to Redis can neither read one, nor move one to another name, nor have one sent to another host. Settings and
the masked credential are in the clear."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from service.config import Account, AccountKind, Secret, Shelved, StoredAccount
from service.core.batches import ContentUnreadable
from service.store import admin_keys
from service.store.client import Argument, Store
from service.store.sealing import Sealer

log = structlog.get_logger()

_ADDED, _CHANGED = "added:", "changed:"
_SECRETS = ("api_key", "service_token", "user_id", "xiaomichatbot_ph")
_SETTINGS = (
    *("enabled", "weight", "models"),
    *("max_concurrency", "requests_per_minute", "tokens_per_minute"),
)
_OWNER = "the gateway's accounts"  # what stands where content of an API key has the key's digest


class RedisStoredAccounts:
    """`server_secret`: MIMO_SECRET_KEY. What was sealed under another one cannot be read."""

    def __init__(self, store: Store, *, server_secret: str) -> None:
        self._store = store
        self._server_secret = server_secret
        self._raw: Mapping[bytes, bytes] = {}
        self._shelved = Shelved()
        self._told: set[str] = set()

    async def load(self) -> Shelved:
        """What is stored; unchanged bytes are not opened again."""
        raw = await self._store.hash(admin_keys.ACCOUNTS)
        if raw != self._raw:
            self._shelved, self._raw = self._decoded(raw), raw
        return self._shelved

    async def add(self, stored: StoredAccount) -> bool:
        name, value = stored.account.name, self._encoded(stored)
        return bool(await self._store.command("HSETNX", admin_keys.ACCOUNTS, _ADDED + name, value))

    async def replace(self, stored: StoredAccount) -> bool:
        return await self._swap(_ADDED + stored.account.name, self._encoded(stored))

    async def remove(self, name: str) -> bool:
        return bool(await self._store.command("HDEL", admin_keys.ACCOUNTS, _ADDED + name))

    async def change(self, name: str, changes: Mapping[str, object]) -> bool:
        return await self._swap(_CHANGED + name, orjson.dumps(dict(changes)) if changes else b"")

    # --- inside ---------------------------------------------------------------------------------------------

    async def _swap(self, field: str, value: bytes) -> bool:
        """The field's value from now on; False when it is no longer what was loaded."""
        arguments: list[Argument] = [field, self._raw.get(field.encode(), b""), value]
        return bool(await self._store.run("swap_field", [admin_keys.ACCOUNTS], arguments))

    def _sealer(self, name: str) -> Sealer:
        return Sealer(key_sha256=_OWNER, object_id=f"account {name}", server_secret=self._server_secret)

    def _encoded(self, stored: StoredAccount) -> bytes:
        account = stored.account
        secrets = {name: getattr(account, name) for name in _SECRETS}
        sealed = {
            "kind": str(account.kind),
            "base_url": account.base_url,
            **{name: secret.reveal() for name, secret in secrets.items() if secret is not None},
        }
        packed = self._sealer(account.name).seal(orjson.dumps(sealed), place="credential")
        return orjson.dumps(
            {
                "kind": str(account.kind),
                "base_url": account.base_url,
                "shown": stored.shown,
                "created_at_s": stored.created_at_s,
                "secret_at_s": stored.secret_at_s,
                "settings": {name: getattr(account, name) for name in _SETTINGS},
                "sealed": base64.b64encode(packed).decode(),
            }
        )

    def _decoded(self, raw: Mapping[bytes, bytes]) -> Shelved:
        added: list[StoredAccount] = []
        changes: dict[str, Mapping[str, object]] = {}
        for field, value in raw.items():
            kind, _, name = field.decode().partition(":")
            try:
                if kind == "added":
                    added.append(self._account(name, orjson.loads(value)))
                elif kind == "changed":
                    changes[name] = dict(orjson.loads(value))
            except (ValueError, KeyError, TypeError):  # not of this version's making; the others go on
                self._tell_unreadable(name)
        return Shelved(
            added=tuple(sorted(added, key=lambda one: (one.created_at_s, one.account.name))), changes=changes
        )

    def _tell_unreadable(self, name: str) -> None:
        """Once, not whenever another account changes."""
        if name not in self._told:
            self._told.add(name)
            log.error("account_unreadable", account=name)

    def _account(self, name: str, found: dict[str, Any]) -> StoredAccount:
        settings: dict[str, Any] = {
            known: value for known, value in found["settings"].items() if known in _SETTINGS
        }
        settings["models"] = tuple(settings.get("models", ()))
        try:
            packed = base64.b64decode(found["sealed"], validate=True)
            opened: dict[str, str] = orjson.loads(self._sealer(name).open(packed, place="credential"))
        except (ContentUnreadable, binascii.Error):
            self._tell_unreadable(name)
            opened = {"kind": found["kind"], "base_url": found["base_url"]}
            settings["enabled"] = False
        secrets = {secret: Secret(opened[secret]) for secret in _SECRETS if secret in opened}
        account = Account(
            name=name, kind=AccountKind(opened["kind"]), base_url=opened["base_url"], **settings | secrets
        )
        return StoredAccount(
            account=account,
            created_at_s=found["created_at_s"],
            secret_at_s=found["secret_at_s"],
            shown=found["shown"],
            is_readable=bool(secrets),
        )
