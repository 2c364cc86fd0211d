"""Reasoning that clients lose, kept for them: collected from each answer, put back into later requests.

`Recollection` asks for what a request needs as soon as the request is there, so that Redis answers while the
key is admitted and an account leased. `Thoughts` collects an answer's reasoning and keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from service.config import Account, AccountKind, ApiKey
from service.core.conversation import Conversation, Thinking
from service.core.reasoning import wanted_call_ids, with_reasoning
from service.gateway.background import Background
from service.gateway.ports import ReasoningMemory
from service.telemetry.record import RequestRecord

# Longer reasoning is a loop in most cases; sending it back would cost more than it is worth.
MAX_REASONING_CHARS = 1 << 20


class NoMemory:
    """Fits ports.ReasoningMemory: forgets at once."""

    async def keep(self, key: ApiKey, call_ids: Sequence[str], reasoning: str) -> None:
        """Nothing is kept."""

    async def recall(self, key: ApiKey, call_ids: Sequence[str]) -> Mapping[str, str]:
        return {}


class Recollection:
    """One request's lost reasoning. Nothing is asked for unless a turn lost some and a platform account may
    answer: the studio's wire has no such rule."""

    def __init__(
        self,
        memory: ReasoningMemory,
        background: Background,
        key: ApiKey,
        conversation: Conversation,
        candidates: Sequence[Account],
    ) -> None:
        may_need = any(account.kind is AccountKind.PLATFORM for account in candidates)
        call_ids = tuple(dict.fromkeys(wanted_call_ids(conversation))) if may_need else ()
        self._found: asyncio.Future[Mapping[str, str]] | None = None
        self._is_booked = False
        if call_ids:
            self._found = found = asyncio.get_running_loop().create_future()

            async def recall() -> None:
                known: Mapping[str, str] = {}
                try:
                    known = await memory.recall(key, call_ids)
                finally:
                    if not found.done():
                        found.set_result(known)

            background.spawn(recall(), name="recall_reasoning")

    async def restored(
        self, conversation: Conversation, kind: AccountKind, record: RequestRecord
    ) -> Conversation:
        """The conversation as an account of that kind needs it; what was done is booked once."""
        if kind is not AccountKind.PLATFORM or conversation.thinking is Thinking.DISABLED:
            return conversation
        known = {} if self._found is None else await self._found
        filled, replay = with_reasoning(conversation, known)
        if not self._is_booked:
            self._is_booked = True
            record.reasoning_replay = replay
            if replay.note is not None:
                record.notes.append(replay.note)
        return filled


class Thoughts:
    """The reasoning of one answer, and the calls that it led to."""

    def __init__(self, memory: ReasoningMemory, background: Background, key: ApiKey) -> None:
        self._memory = memory
        self._background = background
        self._key = key
        self.pieces: list[str] = []
        self.call_ids: list[str] = []

    def forget(self) -> None:
        """The answer was given up: another one follows."""
        self.pieces, self.call_ids = [], []

    def keep(self) -> asyncio.Future[None] | None:
        """Keep them, off the client's path. The future is done when they are kept; None when there is
        nothing (more) to keep."""
        pieces, call_ids = self.pieces, self.call_ids
        self.forget()
        if not pieces or not call_ids or sum(map(len, pieces)) > MAX_REASONING_CHARS:
            return None
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def keep() -> None:
            try:
                await self._memory.keep(self._key, call_ids, "".join(pieces))
            finally:
                if not kept.done():
                    kept.set_result(None)

        self._background.spawn(keep(), name="keep_reasoning")
        return kept
