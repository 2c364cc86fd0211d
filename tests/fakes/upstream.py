"""A scripted upstream: each attempt plays the next script, whatever account it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.config import Account
from service.core.conversation import Conversation
from service.core.errors import GatewayError
from service.core.events import Event
from service.core.upstreams.studio_thread import OpenThread, Thread


@dataclass
class Script:
    """One attempt. `refusal` is raised instead of an answer; each batch of events is one read; `cut` is
    raised
    after the last read; `stalls` waits for ever there. `thread`: what a next turn may go on from."""

    batches: Sequence[Sequence[Event]] = ()
    refusal: GatewayError | None = None
    cut: GatewayError | None = None
    stalls: bool = False
    notes: Sequence[str] = ()
    thread: Thread | None = None


@dataclass
class FakeUpstream:
    """Fits ports.Upstream. `opened` holds account names in order; `open_calls` counts what is not closed
    yet.
    """

    scripts: list[Script] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    traces: list[dict[str, str]] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    threads: list[Thread | None] = field(default_factory=list)
    dropped: list[Thread] = field(default_factory=list)
    open_calls: int = 0
    listed: Sequence[str] = ("mimo-v2.6-pro", "mimo-v2.6-flash")
    listing_error: GatewayError | None = None
    listings: int = 0

    async def open(
        self,
        account: Account,
        conversation: Conversation,
        *,
        request_id: str,
        trace_headers: Mapping[str, str] | None = None,
        thread: Thread | None = None,
    ) -> FakeCall:
        self.opened.append(account.name)
        self.traces.append(dict(trace_headers or {}))
        self.conversations.append(conversation)
        self.threads.append(thread)
        script = self.scripts.pop(0)
        if script.refusal is not None:
            raise script.refusal
        self.open_calls += 1
        return FakeCall(script, self)

    async def models(self, account: Account) -> Sequence[str]:
        self.listings += 1
        await asyncio.sleep(0)
        if self.listing_error is not None:
            raise self.listing_error
        return self.listed

    async def probe(self, account: Account) -> None:
        await self.models(account)


class FakeCall:
    """Fits ports.UpstreamCall: the chunks are numbers, the decoder looks their events up."""

    def __init__(self, script: Script, upstream: FakeUpstream) -> None:
        self._script = script
        self._upstream = upstream
        self._reads = 0
        self._is_closed = False
        self.decoder = FakeDecoder(script)
        self.notes = script.notes
        self.connect_s = 0.25

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        number, self._reads = self._reads, self._reads + 1
        if number < len(self._script.batches):
            return str(number).encode()
        if self._script.stalls:
            await asyncio.Event().wait()
        if self._script.cut is not None:
            raise self._script.cut
        return b""

    def take_thread(self) -> OpenThread | None:
        thread = self._script.thread
        if thread is None:
            return None
        return OpenThread(thread=thread, drop=lambda: self._upstream.dropped.append(thread))

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._upstream.open_calls -= 1


class FakeDecoder:
    """Fits pipeline.Decoder."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        return list(self._script.batches[int(chunk)])

    def finish(self) -> list[Event]:
        return []
