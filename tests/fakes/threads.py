"""Studio conversations in memory. Believed because it passes tests/store/test_threads.py, as Redis does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.config import Account, ApiKey
from service.core.upstreams.studio_thread import Thread

_GRACE_S, _AGAIN_S = 600.0, 300.0


class FakeThreads:
    """Fits ports.Threads. `waiting` is what may be gone on with at present, by key, account and history."""

    def __init__(self, monotonic_s: Callable[[], float], *, ttl_s: float = 3600.0) -> None:
        self._monotonic_s = monotonic_s
        self._ttl_s = ttl_s
        self._holders: dict[tuple[str, str], float] = {}
        self._due_at_s: dict[tuple[str, str], float] = {}
        self._ends_at_s: dict[tuple[str, str, str], float] = {}
        self.waiting: dict[tuple[str, str, str], Thread] = {}
        self.is_away = False

    async def seek(self, key: ApiKey, history: str) -> str | None:
        holder = (key.key_sha256, history)
        is_there = not self.is_away and self._holders.get(holder, 0) > self._monotonic_s()
        return f"{key.key_sha256} {history}" if is_there else None

    async def claim(self, key: ApiKey, account: Account, history: str) -> Thread | None:
        place = (key.key_sha256, account.name, history)
        if self.is_away or self._ends_at_s.get(place, 0) <= self._monotonic_s():
            return None
        return self.waiting.pop(place, None)

    async def keep(self, key: ApiKey, account: Account, history: str, thread: Thread) -> bool:
        if self.is_away:
            return False
        ends_at_s = self._monotonic_s() + self._ttl_s
        place = (key.key_sha256, account.name, history)
        self.waiting[place], self._ends_at_s[place] = thread, ends_at_s
        self._holders[key.key_sha256, history] = ends_at_s
        self._due_at_s[account.name, thread.conversation_id] = ends_at_s + _GRACE_S
        return True

    async def due(self, account: Account) -> Sequence[str]:
        now_s = self._monotonic_s()
        found = [
            conversation_id
            for (name, conversation_id), at_s in self._due_at_s.items()
            if name == account.name and at_s <= now_s
        ]
        for conversation_id in found:
            self._due_at_s[account.name, conversation_id] = now_s + _AGAIN_S
        return found

    async def deleted(self, account: Account, conversation_ids: Sequence[str]) -> None:
        for conversation_id in conversation_ids:
            self._due_at_s.pop((account.name, conversation_id), None)


class FakeTurns:
    """Fits ports.Turns."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._until_s: dict[str, float] = {}

    async def take(self, name: str, *, every_s: float) -> bool:
        now_s = self._monotonic_s()
        if self._until_s.get(name, now_s) > now_s:
            return False
        self._until_s[name] = now_s + every_s
        return True
