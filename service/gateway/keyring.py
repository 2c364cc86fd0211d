"""Who calls: an API key as shown -> the key we know, by digest.

The configuration's keys are known at once. Keys that were issued later (`mimo-gateway keys create`) stand in
Redis, by an HMAC of the key; what was found there is trusted for `TRUST_S`: a revoked key stops within that
time. While Redis is away a key that was known goes on for `GRACE_S`, and an unknown one is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from service.config import ApiKey, IssuedKey, key_digest
from service.core.errors import StoreUnavailable, Unauthenticated
from service.gateway.ports import Clock, KeyRegistry

TRUST_S = 5.0
GRACE_S = 600.0
_MAX_HELD = 4096  # of each kind: a flood of invented keys pushes out invented keys only
_PREFIX = "sk-mimo-"
_RANDOM_BYTES = 24
_T = TypeVar("_T")


def issued_digest(key: str, secret_key: str) -> str:
    """What Redis keeps of an issued key, 64 hexadecimal digits: its HMAC-SHA-256 under MIMO_SECRET_KEY.

    Without one it is the plain SHA-256: an issued key has 192 random bits, nobody finds it by trying."""
    if not secret_key:
        return key_digest(key)
    return hmac.new(secret_key.encode(), key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def issue(limits: ApiKey, *, secret_key: str, now_s: float) -> tuple[str, IssuedKey]:
    """A fresh key with the name and the limits of `limits`: what its owner is shown, and what is kept."""
    shown = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    key = replace(limits, key_sha256=issued_digest(shown, secret_key))
    return shown, IssuedKey(key=key, created_at_s=int(now_s), shown=f"{_PREFIX}…{shown[-4:]}")


@dataclass(frozen=True, slots=True)
class _Held:
    key: ApiKey
    at_s: float


class KeyRing:
    """Keys are looked up by SHA-256, so that no comparison leaks how much of a key was right.
    `registry` None: there are no issued keys."""

    def __init__(
        self,
        keys: Iterable[ApiKey],
        *,
        clock: Clock,
        registry: KeyRegistry | None = None,
        secret_key: str = "",
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._secret_key = secret_key
        self._issued: dict[str, _Held] = {}  # by the plain digest, which never leaves the process
        self._unknown: dict[str, float] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on these are the configuration's keys."""
        self._by_digest = {key.key_sha256: key for key in keys}

    @property
    def configured(self) -> tuple[ApiKey, ...]:
        """The configuration's keys."""
        return tuple(self._by_digest.values())

    async def with_id(self, key_id: str) -> ApiKey | None:
        """The key that work was left by; None when nobody knows it (any more). Raises StoreUnavailable."""
        configured = next((key for key in self._by_digest.values() if key.key_id == key_id), None)
        if configured is not None or self._registry is None:
            return configured
        return await self._registry.find(key_id)

    def known(self, presented: str | None) -> ApiKey | None:
        """The key, if that can be told without waiting; None: ask `find`."""
        if not presented:
            return None
        digest = key_digest(presented)
        if (key := self._by_digest.get(digest)) is not None:
            return key
        held = self._issued.get(digest)
        return held.key if held is not None and self._age_s(held.at_s) < TRUST_S else None

    async def find(self, presented: str | None) -> ApiKey:
        """The key that was shown. Raises Unauthenticated, whose message never repeats it; StoreUnavailable
        for one that cannot be looked up now."""
        if not presented:
            raise Unauthenticated(
                "No API key was sent. Send it as 'Authorization: Bearer KEY', 'x-api-key' or 'api-key'.",
                code="missing_api_key",
            )
        key = self.known(presented) or await self._looked_up(presented)
        if key is None:
            raise Unauthenticated("The API key is not known to this gateway.", code="invalid_api_key")
        return key

    async def _looked_up(self, presented: str) -> ApiKey | None:
        digest = key_digest(presented)
        is_unknown = self._age_s(self._unknown.get(digest, float("-inf"))) < TRUST_S
        if self._registry is None or is_unknown:
            return None
        wanted = issued_digest(presented, self._secret_key)
        held = self._issued.get(digest)
        try:
            key = await self._registry.find(wanted[:16])
        except StoreUnavailable as error:
            if held is not None and self._age_s(held.at_s) < GRACE_S:
                return held.key
            raise StoreUnavailable(
                "The API key cannot be checked at present: the gateway's store does not answer.",
                code="store_unavailable",
            ) from error
        now_s = self._clock.monotonic_s()
        self._issued.pop(digest, None)
        if key is None or not hmac.compare_digest(key.key_sha256, wanted):
            _hold(self._unknown, digest, now_s)
            return None
        _hold(self._issued, digest, _Held(key, now_s))
        return key

    def _age_s(self, at_s: float) -> float:
        return self._clock.monotonic_s() - at_s


def _hold(held: dict[str, _T], digest: str, value: _T) -> None:
    """Remember it as the youngest, and forget the oldest when there are too many."""
    held.pop(digest, None)
    if len(held) >= _MAX_HELD:
        del held[next(iter(held))]
    held[digest] = value
