"""What Redis keeps, in memory: the model catalogue, stored answers, and a store whose health is said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from service.config import ApiKey, IssuedKey
from service.core.errors import StoreUnavailable
from service.core.response_events import KeptEvents, StopWord


class FakeModelCatalogue:
    """Fits ports.ModelCatalogue."""

    def __init__(self) -> None:
        self.models_by_account: dict[str, Sequence[str]] = {}

    async def load(self) -> Mapping[str, Sequence[str]]:
        return dict(self.models_by_account)

    async def save(self, models_by_account: Mapping[str, Sequence[str]]) -> None:
        self.models_by_account.update({name: list(models) for name, models in models_by_account.items()})


class FakeObjects:
    """Fits ports.Objects. `loads` counts round trips; while `is_away` nothing is kept and nothing loaded."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str, str], bytes] = {}
        self.loads = 0
        self.is_away = False

    async def save(self, kind: str, key_id: str, bodies: Mapping[str, bytes]) -> bool:
        if not self.is_away:
            self.bodies |= {(kind, key_id, object_id): body for object_id, body in bodies.items()}
        return not self.is_away

    async def load(self, kind: str, key_id: str, object_ids: Sequence[str]) -> Mapping[str, bytes]:
        if not object_ids:
            return {}
        self._ask()
        self.loads += 1
        known = [object_id for object_id in object_ids if (kind, key_id, object_id) in self.bodies]
        return {object_id: self.bodies[kind, key_id, object_id] for object_id in known}

    async def delete(self, kind: str, key_id: str, object_id: str) -> bool:
        self._ask()
        return self.bodies.pop((kind, key_id, object_id), None) is not None

    def _ask(self) -> None:
        if self.is_away:
            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")


class FakeReasoningMemory:
    """Fits ports.ReasoningMemory. `recalls` counts round trips; while `is_away` it knows nothing."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self.recalls = 0
        self.is_away = False

    async def keep(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> None:
        if not self.is_away:
            self.texts |= {(key.key_id, call_id): reasoning for call_id in call_ids}

    async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
        self.recalls += 1
        if self.is_away:
            return {}
        known = [call_id for call_id in call_ids if (key.key_id, call_id) in self.texts]
        return {call_id: self.texts[key.key_id, call_id] for call_id in known}


class FakeResponseEvents:
    """Fits ports.ResponseEvents. `running` are the responses with a sign of life: take one out to lose its
    runner."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], list[KeptEvents]] = {}
        self.running: set[tuple[str, str]] = set()
        self.words: dict[tuple[str, str], StopWord] = {}
        self.is_away = False
        self._changed = asyncio.Condition()

    async def begin(self, key_id: str, response_id: str) -> None:
        self._ask()
        self.running.add((key_id, response_id))

    async def append(self, key_id: str, response_id: str, events: bytes, *, is_last: bool = False) -> None:
        self._ask()
        entries = self.entries.setdefault((key_id, response_id), [])
        entries.append(KeptEvents(entry_id=str(len(entries) + 1), events=events, is_last=is_last))
        async with self._changed:
            self._changed.notify_all()

    async def beat(self, key_id: str, response_id: str) -> StopWord | None:
        await self.begin(key_id, response_id)
        return self.words.get((key_id, response_id))

    async def ask(self, key_id: str, response_id: str, word: StopWord) -> None:
        self._ask()
        self.words[key_id, response_id] = word

    async def end(self, key_id: str, response_id: str) -> None:
        self._ask()
        self.running.discard((key_id, response_id))
        self.words.pop((key_id, response_id), None)

    async def forget(self, key_id: str, response_id: str) -> None:
        self._ask()
        self.entries.pop((key_id, response_id), None)

    async def is_running(self, key_id: str, response_id: str) -> bool:
        self._ask()
        return (key_id, response_id) in self.running

    async def read(self, key_id: str, response_id: str, *, after: str, wait_s: float) -> Sequence[KeptEvents]:
        self._ask()
        if not self._after(key_id, response_id, after) and wait_s > 0:
            try:
                async with asyncio.timeout(wait_s), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                return []
        return self._after(key_id, response_id, after)

    def _after(self, key_id: str, response_id: str, after: str) -> list[KeptEvents]:
        return self.entries.get((key_id, response_id), [])[int(after) :]

    def _ask(self) -> None:
        if self.is_away:
            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")


class FakeStoreHealth:
    """Fits ports.StoreHealth: says what it was told to say."""

    def __init__(self, trouble: str | None = None) -> None:
        self.trouble = trouble

    async def check(self) -> str | None:
        return self.trouble


class FakeKeyRegistry:
    """Fits ports.KeyRegistry. `lookups` counts what `find` was asked; while `is_away` everything fails."""

    def __init__(self) -> None:
        self.keys: dict[str, IssuedKey] = {}
        self.lookups = 0
        self.is_away = False

    def put(self, issued: IssuedKey) -> None:
        self.keys[issued.key.key_id] = issued

    async def find(self, key_id: str) -> ApiKey | None:
        self._ask()
        self.lookups += 1
        issued = self.keys.get(key_id)
        return None if issued is None else issued.key

    async def add(self, issued: IssuedKey) -> bool:
        self._ask()
        if issued.key.key_id in self.keys:
            return False
        self.put(issued)
        return True

    async def update(self, issued: IssuedKey) -> bool:
        self._ask()
        if issued.key.key_id not in self.keys:
            return False
        self.put(issued)
        return True

    async def remove(self, key_id: str) -> bool:
        self._ask()
        return self.keys.pop(key_id, None) is not None

    async def every(self) -> Sequence[IssuedKey]:
        self._ask()
        return sorted(self.keys.values(), key=lambda one: (one.created_at_s, one.key.name))

    def _ask(self) -> None:
        if self.is_away:
            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")
