"""Which account lists which models, so that a new worker knows at once. Fits `ports.ModelCatalogue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.client import Store


class RedisModelCatalogue:
    """A hash: account -> its model ids as a JSON list. A day old at most."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Mapping[str, Sequence[str]]:
        """{} when nothing is stored or Redis is away."""
        try:
            stored = await self._store.hash(keys.CATALOGUE)
        except StoreUnavailable:
            self._store.degraded("models")
            return {}
        return {account.decode(): orjson.loads(models) for account, models in stored.items()}

    async def save(self, models_by_account: Mapping[str, Sequence[str]]) -> None:
        """Replaces what is known of these accounts; others keep theirs. Does nothing without Redis."""
        if not models_by_account:
            return
        pairs = [
            word
            for account, models in models_by_account.items()
            for word in (account, orjson.dumps(list(models)))
        ]
        try:
            await self._store.command("HSET", keys.CATALOGUE, *pairs)
            await self._store.command("EXPIRE", keys.CATALOGUE, keys.CATALOGUE_TTL_S)
        except StoreUnavailable:
            self._store.degraded("models")
