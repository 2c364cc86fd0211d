"""Who may administer: whoever shows the admin key, and browsers that signed in with it.

A session is a random token in a cookie. Redis knows a digest of it that depends on the admin key as well, so
another admin key ends every session. Wrong keys are counted by address and in all, here and in Redis: what
this process counts, no race between two requests can get round; what Redis counts, holds for the fleet."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import structlog

from service.config import key_digest
from service.core.errors import PermissionDenied, RateLimited, StoreUnavailable, Unauthenticated
from service.gateway.admin_ports import AdminAttempts, AdminSessions
from service.gateway.ports import Clock

log = structlog.get_logger()

SESSION_S = 12 * 3600
WINDOW_S = 60
MAX_FAILURES = 5  # of one address in a window
MAX_FAILURES_IN_ALL = 60
GRACE_S = 600.0  # while Redis is away, a session that was seen here goes on so long
BY_KEY = "admin key"
_MAX_SEEN = 256
_MAX_ADDRESSES = 4096
_WHO_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One signed-in browser. `who` is what the audit log calls it; `expires_at_s` is Unix time."""

    who: str
    csrf_token: str
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """What Redis said of a session last, and when."""

    expires_at_s: float
    at_s: float


class Failures:
    """Wrong keys of the current window in this process, by address. Time is handed in."""

    def __init__(self) -> None:
        self._window = -1
        self._by_address: dict[str, int] = {}
        self._in_all = 0

    def add(self, address: str, *, now_s: float) -> None:
        self._turn(now_s)
        self._in_all += 1
        if address in self._by_address or len(self._by_address) < _MAX_ADDRESSES:
            self._by_address[address] = self._by_address.get(address, 0) + 1

    def are_too_many(self, address: str, *, now_s: float) -> bool:
        self._turn(now_s)
        return _too_many(self._by_address.get(address, 0), self._in_all)

    def _turn(self, now_s: float) -> None:
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window, self._in_all = window, 0
            self._by_address.clear()


def _too_many(of_address: int, in_all: int) -> bool:
    return of_address >= MAX_FAILURES or in_all >= MAX_FAILURES_IN_ALL


class AdminGate:
    """`admin_key` is the key's digest, "" when there is none: then nobody is let in."""

    def __init__(
        self, admin_key: str, *, sessions: AdminSessions, attempts: AdminAttempts, clock: Clock
    ) -> None:
        self._admin_key = admin_key
        self._sessions = sessions
        self._attempts = attempts
        self._clock = clock
        self._failures = Failures()
        self._seen: dict[str, _Seen] = {}

    @property
    def is_configured(self) -> bool:
        return bool(self._admin_key)

    def require_configured(self) -> None:
        """Raises PermissionDenied, which says what to do."""
        if not self.is_configured:
            raise PermissionDenied(
                "No admin key is configured, so nothing is open here. Set the environment variable "
                "MIMO_ADMIN_KEY, or `admin_key` in the configuration file, and restart the gateway.",
                code="admin_not_configured",
            )

    async def check_key(self, presented: str, *, address: str) -> None:
        """Raises Unauthenticated for a wrong key, RateLimited after too many of them (for a right one, too:
        who guesses must not learn which it was)."""
        self.require_configured()
        await self._refuse_too_many(address)
        if hmac.compare_digest(key_digest(presented), self._admin_key):
            return
        self._failures.add(address, now_s=self._clock.unix_s())
        log.warning("admin_refused", reason="wrong_key")
        try:
            await self._attempts.add(address, window_s=WINDOW_S)
        except StoreUnavailable:
            log.warning("admin_attempts_uncounted", reason="store_unavailable")
        raise Unauthenticated("This is not the admin key.", code="invalid_admin_key")

    async def sign_in(self, presented: str, *, address: str) -> tuple[str, Session]:
        """A session for who shows the key: its token, for a cookie, and what is known of it.

        Raises as `check_key`, and StoreUnavailable."""
        await self.check_key(presented, address=address)
        token = secrets.token_urlsafe(32)
        expires_at_s = self._clock.unix_s() + SESSION_S
        await self._sessions.begin(self._digest(token), expires_at_s=expires_at_s, ttl_s=SESSION_S)
        return token, self._session(token, expires_at_s)

    async def session(self, token: str | None) -> Session | None:
        """The session of that token; None when it is over or never was. While Redis is away those that this
        process knew go on for a while: an operator wants to see what is wrong. Raises StoreUnavailable."""
        if not token or not self.is_configured:
            return None
        expires_at_s = await self._expires_at_s(self._digest(token))
        if expires_at_s is None or expires_at_s <= self._clock.unix_s():
            return None
        return self._session(token, expires_at_s)

    async def _expires_at_s(self, digest: str) -> float | None:
        now_s, seen = self._clock.monotonic_s(), self._seen.get(digest)
        try:
            expires_at_s = await self._sessions.expires_at_s(digest)
        except StoreUnavailable:
            if seen is None or now_s - seen.at_s >= GRACE_S:
                raise
            return seen.expires_at_s
        self._seen.pop(digest, None)
        if expires_at_s is not None:
            if len(self._seen) >= _MAX_SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[digest] = _Seen(expires_at_s, now_s)
        return expires_at_s

    async def sign_out(self, token: str) -> None:
        """Raises StoreUnavailable: who signs out must know when it did not happen."""
        await self._sessions.end(self._digest(token))

    async def _refuse_too_many(self, address: str) -> None:
        # Our own count once more after the wait: nothing waits between it and the next wrong key, so that of
        # many requests side by side no more are compared than one after the other.
        if (
            self._are_too_many(address)
            or await self._are_too_many_of_all(address)
            or self._are_too_many(address)
        ):
            log.warning("admin_refused", reason="too_many_wrong_keys")
            raise RateLimited(
                "Too many wrong keys were sent. Wait a minute.",
                code="too_many_attempts",
                retry_after_s=WINDOW_S - self._clock.unix_s() % WINDOW_S,
            )

    def _are_too_many(self, address: str) -> bool:
        return self._failures.are_too_many(address, now_s=self._clock.unix_s())

    async def _are_too_many_of_all(self, address: str) -> bool:
        """As Redis has it; while that is away this process's own count holds."""
        try:
            return _too_many(*await self._attempts.counts(address))
        except StoreUnavailable:
            return False

    def _session(self, token: str, expires_at_s: float) -> Session:
        csrf_token = self._keyed("csrf", token)
        return Session(
            who=f"session {self._digest(token)[:_WHO_DIGITS]}",
            csrf_token=csrf_token,
            expires_at_s=expires_at_s,
        )

    def _digest(self, token: str) -> str:
        return self._keyed("session", token)

    def _keyed(self, purpose: str, token: str) -> str:
        """Neither the token nor another purpose's digest can be told from it."""
        message = f"{purpose} {self._admin_key}".encode()
        return hmac.new(token.encode("utf-8", "surrogatepass"), message, hashlib.sha256).hexdigest()
