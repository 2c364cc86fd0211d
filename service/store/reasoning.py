"""The reasoning of answers with tool calls, by the call's id. Fits `ports.ReasoningMemory`.

Compressed and sealed (sealing.py). The call's id is the client's word: only its digest stands in a name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from service.config import ApiKey, Storage
from service.core.batches import ContentUnreadable
from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.client import Store
from service.store.sealing import Sealer

_IN_THREAD_BYTES = 128 << 10  # what takes longer than some 2 ms would hold up every stream of the process


class RedisReasoning:
    """One per process. A Redis that is away costs what was to be remembered, never a request."""

    def __init__(self, store: Store, storage: Storage, *, server_secret: str = "") -> None:
        self._store = store
        self._ttl_s = storage.reasoning_ttl_s
        self._server_secret = server_secret

    async def keep(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> None:
        """Under each of the ids, in one round trip."""
        if len(reasoning) * len(call_ids) < _IN_THREAD_BYTES:
            sealed = self._sealed(key, call_ids, reasoning)
        else:
            sealed = await asyncio.to_thread(self._sealed, key, call_ids, reasoning)
        saved = (
            self._store.command("SET", keys.reasoning(key.key_id, call_id), body, "EX", self._ttl_s)
            for call_id, body in sealed.items()
        )
        try:
            await asyncio.gather(*saved)
        except StoreUnavailable:
            self._store.degraded("reasoning")

    async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
        """What is known of them, in one round trip; {} when Redis is away."""
        try:
            stored = await self._store.command(
                "MGET", *(keys.reasoning(key.key_id, call_id) for call_id in call_ids)
            )
        except StoreUnavailable:
            self._store.degraded("reasoning")
            return {}
        found = {call_id: body for call_id, body in zip(call_ids, stored, strict=True) if body is not None}
        if sum(map(len, found.values())) < _IN_THREAD_BYTES // 4:
            return self._opened(key, found)
        return await asyncio.to_thread(self._opened, key, found)

    def _sealed(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> dict[str, bytes]:
        sealer, content = self._sealer(key), reasoning.encode("utf-8", "surrogatepass")
        return {call_id: sealer.seal(content, place=keys.digest(call_id)) for call_id in call_ids}

    def _opened(self, key: ApiKey, sealed: Mapping[str, bytes]) -> dict[str, str]:
        """What does not open (another secret than when it was kept) is as good as forgotten."""
        sealer, found = self._sealer(key), dict[str, str]()
        for call_id, body in sealed.items():
            try:
                content = sealer.open(body, place=keys.digest(call_id))
            except ContentUnreadable:
                continue
            found[call_id] = content.decode("utf-8", "surrogatepass")
        return found

    def _sealer(self, key: ApiKey) -> Sealer:
        return Sealer(key_sha256=key.key_sha256, object_id="reasoning", server_secret=self._server_secret)
