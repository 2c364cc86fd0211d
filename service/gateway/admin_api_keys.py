"""API keys for operators: issued, shown once, limited, revoked. The use case of `/admin/api/keys`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from service.config import ApiKey, IssuedKey
from service.config_values import ConfigError, section
from service.core.errors import Conflict, InvalidRequest, NotFound
from service.gateway.admin_audit import Audit
from service.gateway.admin_fields import refuse_unknown, refused
from service.gateway.keyring import KeyRing, issue
from service.gateway.ports import Clock, KeyRegistry, UsageReader

LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrency", "budget_usd")
_SETTINGS = (*LIMITS, "models", "loop_guard", "web_search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a key used this month (UTC)."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """One key as an operator sees it. `shown` None: nothing of it is known; `created_at` is Unix time."""

    id: str
    name: str
    source: str
    shown: str | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_concurrency: int | None
    budget_usd: float | None
    models: Sequence[str]
    loop_guard: bool | None
    web_search: bool | None
    created_at: int | None
    used: Used
    is_revocable: bool


class AdminApiKeys:
    """`secret_key`: MIMO_SECRET_KEY, which issued keys are digested with."""

    def __init__(
        self,
        *,
        keyring: KeyRing,
        registry: KeyRegistry,
        usage: UsageReader,
        audit: Audit,
        clock: Clock,
        secret_key: str,
    ) -> None:
        self._keyring = keyring
        self._registry = registry
        self._usage = usage
        self._audit = audit
        self._clock = clock
        self._secret_key = secret_key

    async def every(self) -> list[KeyView]:
        """Those of the file, then the issued ones, the oldest first. Raises StoreUnavailable."""
        configured = [_view(key, None) for key in self._keyring.configured]
        issued = [_view(one.key, one) for one in await self._registry.every()]
        views = configured + issued
        used = await self._used_this_month()
        return [replace(seen, used=used.get(seen.id, Used())) for seen in views]

    async def _used_this_month(self) -> Mapping[str, Used]:
        today = datetime.fromtimestamp(self._clock.unix_s(), UTC).date()
        used: dict[str, Used] = {}
        for booked in await self._usage.booked(today.replace(day=1), today):
            before, row = used.get(booked.key_id, Used()), booked.row
            used[booked.key_id] = Used(
                requests=before.requests + row.requests,
                input_tokens=before.input_tokens + row.input_tokens,
                output_tokens=before.output_tokens + row.output_tokens,
                cost_micro_usd=before.cost_micro_usd + row.cost_micro_usd,
            )
        return used

    async def create(self, asked: Mapping[str, object], *, who: str) -> tuple[str, KeyView]:
        """The key, which is shown this once, and what is kept of it.

        Raises InvalidRequest, Conflict, StoreUnavailable."""
        if not isinstance(asked.get("name"), str):
            raise InvalidRequest("A name is needed: logs and lists call the key by it.", param="name")
        wanted = _limits(asked, ("name", *_SETTINGS))
        names = {one.key.name for one in await self._registry.every()}
        if wanted.name in names | {key.name for key in self._keyring.configured}:
            raise Conflict(f"There is a key called '{wanted.name}' already.", param="name")
        shown, issued = issue(wanted, secret_key=self._secret_key, now_s=self._clock.unix_s())
        await self._registry.add(issued)
        await self._audit.note(who=who, action="key_created", target=wanted.name)
        return shown, _view(issued.key, issued)

    async def change(self, key_id: str, asked: Mapping[str, object], *, who: str) -> KeyView:
        """Other limits, on every worker within seconds.

        Raises InvalidRequest, NotFound, Conflict for a key of the file, StoreUnavailable."""
        issued = await self._issued(key_id)
        before = {f.name: getattr(issued.key, f.name) for f in fields(ApiKey)}
        typed = _limits(asked, _SETTINGS)
        changed = replace(issued.key, **{**before, **{name: getattr(typed, name) for name in asked}})
        if not await self._registry.update(replace(issued, key=changed)):
            raise _unknown()
        await self._audit.note(
            who=who, action="key_changed", target=changed.name, detail=", ".join(sorted(asked))
        )
        return next(seen for seen in await self.every() if seen.id == key_id)

    async def revoke(self, key_id: str, *, who: str) -> None:
        """Within five seconds, everywhere. Raises NotFound, Conflict for a key of the file,
        StoreUnavailable."""
        issued = await self._issued(key_id)
        await self._registry.remove(key_id)
        await self._audit.note(who=who, action="key_revoked", target=issued.key.name)

    async def _issued(self, key_id: str) -> IssuedKey:
        found = next((one for one in await self._registry.every() if one.key.key_id == key_id), None)
        if found is not None:
            return found
        if any(key.key_id == key_id for key in self._keyring.configured):
            raise Conflict("This key stands in the configuration file: it is changed there.")
        raise _unknown()


def _unknown() -> NotFound:
    return NotFound("There is no API key of that id.")


def _limits(asked: Mapping[str, object], known: Sequence[str]) -> ApiKey:
    refuse_unknown(asked, known)
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return section(ApiKey, {"name": "unnamed", "key_sha256": "", **given}, "key")
    except ConfigError as error:
        raise refused(error) from None


def _view(key: ApiKey, issued: IssuedKey | None) -> KeyView:
    return KeyView(
        id=key.key_id,
        name=key.name,
        source="config" if issued is None else "issued",
        shown=None if issued is None else issued.shown or None,
        **{name: getattr(key, name) for name in _SETTINGS},
        created_at=None if issued is None else issued.created_at_s,
        used=Used(),
        is_revocable=issued is not None,
    )
