"""One background response while it runs: its events on their way to Redis, its sign of life, its stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.core.errors import StoreUnavailable
from service.core.response_events import StopWord
from service.gateway.ports import ResponseEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """Seconds between two signs of life, two looks at a response that is being cancelled, and two looks of a
    follower in silence; how long a cancel waits for the end; how often the end is tried to be kept.

    After `whole_entries` appends the events travel in pieces of `piece_bytes`, so that a long answer
    stays within the stream's bound."""

    beat_s: float = 1.0
    look_s: float = 0.1
    follow_wait_s: float = 5.0
    cancel_wait_s: float = 5.0
    keep_tries: int = 60
    whole_entries: int = 2000
    piece_bytes: int = 4096


class RunningResponse:
    """`stopped` is the word that ended it early, None otherwise; `ended` is set when the run is over."""

    def __init__(self, events: ResponseEvents, *, key_id: str, response_id: str, policy: RunPolicy) -> None:
        self.key_id = key_id
        self.response_id = response_id
        self.stopped: StopWord | None = None
        self.ended = asyncio.Event()
        self._events = events
        self._policy = policy
        self._scope: asyncio.Timeout | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._entries = 0
        self._writing = asyncio.Lock()

    def stop(self, word: StopWord) -> None:
        """End the run at its next await. A second word only counts when it is DELETE."""
        self.stopped = word if self.stopped is None or word is StopWord.DELETE else self.stopped
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def until_stopped(self) -> AsyncIterator[None]:
        """What is inside ends without an error when `stop` is called."""
        try:
            async with asyncio.timeout(None) as self._scope:
                if self.stopped is not None:
                    self._scope.reschedule(asyncio.get_running_loop().time())
                yield
        except TimeoutError:
            if self.stopped is None:
                raise
        finally:
            self._scope = None

    async def watch(self) -> None:
        """A sign of life and an ear for others, until the run has ended."""
        while not self.ended.is_set():
            await self.listen()
            try:
                async with asyncio.timeout(self._policy.beat_s):
                    await self.ended.wait()
            except TimeoutError:
                continue

    async def listen(self) -> None:
        """One sign of life, and what was asked meanwhile. While Redis is away the run goes on."""
        try:
            word = await self._events.beat(self.key_id, self.response_id)
            await self._flush()
        except StoreUnavailable:
            return
        if word is not None:
            self.stop(word)

    async def write(self, events: bytes) -> None:
        """Append events. What Redis does not take stays held and goes with the next."""
        self._hold(events)
        if self._entries >= self._policy.whole_entries and self._held_bytes < self._policy.piece_bytes:
            return
        try:
            await self._flush()
        except StoreUnavailable:
            return

    async def end(self, events: bytes = b"") -> None:
        """The last events, then no more signs of life. Redis may be away: then its lifetime ends them."""
        self.ended.set()
        self._hold(events)
        try:
            await self._flush(is_last=True)
            await self._events.end(self.key_id, self.response_id)
        except StoreUnavailable:
            return

    async def forget(self) -> None:
        """The response was deleted: nothing of it stays."""
        self.ended.set()
        try:
            await self._events.forget(self.key_id, self.response_id)
            await self._events.end(self.key_id, self.response_id)
        except StoreUnavailable:
            return

    def _hold(self, events: bytes) -> None:
        if events:
            self._held.append(events)
            self._held_bytes += len(events)

    async def _flush(self, *, is_last: bool = False) -> None:
        async with self._writing:
            taken = len(self._held)
            if not taken:
                return
            events = b"".join(self._held[:taken])
            await self._events.append(self.key_id, self.response_id, events, is_last=is_last)
            del self._held[:taken]  # what came in meanwhile stays
            self._held_bytes -= len(events)
            self._entries += 1
