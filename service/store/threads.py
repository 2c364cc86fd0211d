"""Conversations at the studio that wait for their next turn. Fits `ports.Threads`.

A place is an HMAC-SHA-256 over the API key's id, the account (its name, host and user) and the digest of the
history (core/upstreams/studio_thread.py), keyed with the API key's digest and the server's secret: another
key, another account or another history is another place, and whoever reads Redis cannot try out guesses.
What stands there is sealed for that key and that place."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

import orjson

from service.config import Account, ApiKey
from service.core.batches import ContentUnreadable
from service.core.errors import StoreUnavailable
from service.core.upstreams.studio_thread import Canonical, Thread, pieces
from service.store import keys
from service.store.client import Store, redis_time
from service.store.sealing import Sealer

MAX_DUE = 10_000
BATCH = 50
GRACE_S = 600
AGAIN_S = 300


class RedisThreads:
    """One per process. A Redis that is away costs the reuse, never a request. `deletes` False: what waited is
    left in the studio's history."""

    def __init__(
        self,
        store: Store,
        *,
        ttl_s: int,
        deletes: bool,
        server_secret: str = "",
        now_ms: Callable[[], int] = redis_time,
    ) -> None:
        self._store = store
        self._ttl_s = ttl_s
        self._deletes = deletes
        self._server_secret = server_secret
        self._now_ms = now_ms

    async def seek(self, key: ApiKey, history: str) -> str | None:
        """The sticky key under which the pool finds the account that holds it; None when none does."""
        sticky_key = self._place(key, None, history)
        try:
            is_there = await self._store.command("EXISTS", keys.sticky(sticky_key))
        except StoreUnavailable:
            self._store.degraded("threads")
            return None
        return sticky_key if is_there else None

    async def claim(self, key: ApiKey, account: Account, history: str) -> Thread | None:
        """Take it: nobody else has it from now on."""
        place = self._place(key, account, history)
        try:
            sealed = await self._store.command("GETDEL", keys.thread(account.name, key.key_id, place))
        except StoreUnavailable:
            self._store.degraded("threads")
            return None
        return None if sealed is None else self._opened(key, place, sealed)

    async def keep(self, key: ApiKey, account: Account, history: str, thread: Thread) -> bool:
        """Let it wait. False: Redis is away."""
        place, sticky_key = self._place(key, account, history), self._place(key, None, history)
        ttl_ms = self._ttl_s * 1000
        due_id = thread.conversation_id if self._deletes else ""
        kept = self._store.run(
            "thread_keep",
            [keys.thread(account.name, key.key_id, place), keys.threads_due(account.name)],
            [
                self._now_ms(),
                self._sealed(key, place, thread),
                ttl_ms,
                due_id,
                GRACE_S * 1000,
                keys.DUE_TTL_S * 1000,
                MAX_DUE,
            ],
        )
        held_by = self._store.command("SET", keys.sticky(sticky_key), account.name, "PX", ttl_ms)
        try:
            await asyncio.gather(kept, held_by)
        except StoreUnavailable:
            self._store.degraded("threads")
            return False
        return True

    async def due(self, account: Account) -> Sequence[str]:
        """Conversations to delete; they are due again in a while unless `deleted` is told."""
        try:
            found = await self._store.run(
                "thread_due", [keys.threads_due(account.name)], [self._now_ms(), BATCH, AGAIN_S * 1000]
            )
        except StoreUnavailable:
            return ()
        return [conversation_id.decode() for conversation_id in found]

    async def deleted(self, account: Account, conversation_ids: Sequence[str]) -> None:
        """They are gone."""
        try:
            await self._store.command("ZREM", keys.threads_due(account.name), *conversation_ids)
        except StoreUnavailable:
            self._store.degraded("threads")

    def _place(self, key: ApiKey, account: Account | None, history: str) -> str:
        user = None if account is None or account.user_id is None else account.user_id.reveal()
        whose: Canonical = None if account is None else (account.name, account.base_url, user)
        secret = b"".join(pieces((key.key_sha256, self._server_secret)))
        return hmac.new(secret, b"".join(pieces(("thread", key.key_id, whose, history))), sha256).hexdigest()

    def _sealed(self, key: ApiKey, place: str, thread: Thread) -> bytes:
        value = orjson.dumps([thread.conversation_id, thread.dialog_id, thread.prompt_tokens])
        return self._sealer(key).seal(value, place=place)

    def _opened(self, key: ApiKey, place: str, sealed: bytes) -> Thread | None:
        """What does not open is as good as not there."""
        try:
            conversation_id, dialog_id, tokens = orjson.loads(self._sealer(key).open(sealed, place=place))
        except (ContentUnreadable, ValueError):
            return None
        return Thread(conversation_id=conversation_id, dialog_id=dialog_id, prompt_tokens=tokens)

    def _sealer(self, key: ApiKey) -> Sealer:
        return Sealer(key_sha256=key.key_sha256, object_id="thread", server_secret=self._server_secret)
