"""The state of one simulator: record, script, counters of accounts, and a watch for closed clients."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from service.simulator.directives import Script, parse_directive
from service.simulator.options import Limits, PlatformAccount, SimulatorOptions, StudioSession
from service.simulator.record import AccountTotals, Entry, Record
from service.simulator.studio.threads import Threads
from service.simulator.usage import PrefixCache

_MAX_KEPT = 500  # uploads and speech tasks
SWEEP_S = 0.05  # how often paused requests look whether their client is still there
Account = PlatformAccount | StudioSession


class ClientClosed(Exception):
    """The client went away while its answer was being made."""


class OverLimit(Exception):
    """The account is too fast or too busy."""


class ClosedWatch:
    """Wakes a paused handler when its client leaves. One timer for all; none runs while nobody pauses.

    aiohttp cancels the handler itself only under `handler_cancellation=True`, which is not ours to choose.
    """

    def __init__(self) -> None:
        self._paused: dict[asyncio.Future[None], web.Request] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def pause(self, request: web.Request, seconds: float) -> None:
        """Wait so long. Raises ClientClosed as soon as the client has left."""
        if is_closed(request):
            raise ClientClosed
        if seconds <= 0:
            return
        if seconds <= SWEEP_S:
            await asyncio.sleep(seconds)
            if is_closed(request):
                raise ClientClosed
            return
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        self._paused[gone] = request
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_S, self._sweep)
        try:
            async with asyncio.timeout(seconds):
                await gone
        except TimeoutError:
            return
        finally:
            del self._paused[gone]
        raise ClientClosed

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        for gone, request in self._paused.items():
            if is_closed(request) and not gone.done():
                gone.set_result(None)
        if self._paused:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)


def is_closed(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


class Slot:
    """One answer in flight on an account; freed once, at the latest when the request ends."""

    __slots__ = ("_totals",)

    def __init__(self, totals: AccountTotals) -> None:
        self._totals: AccountTotals | None = totals
        totals.in_flight += 1
        totals.max_in_flight = max(totals.max_in_flight, totals.in_flight)

    def free(self) -> None:
        if self._totals is not None:
            self._totals.in_flight -= 1
            self._totals = None


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file on its way through the studio's three steps. `file_id` is set once it was parsed."""

    name: str
    object_name: str
    md5: str | None
    content: bytes = b""
    is_put: bool = False
    polls: int = 0
    file_id: str = ""


@dataclass(slots=True, kw_only=True)
class SpeechTask:
    """Speech that was asked for, ready after some polls."""

    audio: bytes
    polls: int = 0


class World:
    """Everything that outlives one request."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.record = Record(max_records=options.max_records, max_record_bytes=options.max_record_bytes)
        self.script = Script([block for text in options.script for block in parse_directive(text)])
        self.watch = ClosedWatch()
        self.cache = PrefixCache()
        self.platform_by_key = {account.api_key: account for account in options.platform}
        self.studio_by_token = {session.service_token: session for session in options.studio}
        self.uploads: dict[str, Upload] = {}
        self.speech: dict[str, SpeechTask] = {}
        self.conversations: dict[str, dict[str, object]] = {}
        self.threads = Threads()
        self._recent_by_account: dict[str, deque[float]] = {}
        self._counter = 0

    def reset(self) -> None:
        """Forget what was seen: the record and all counters, not the standing script."""
        self.record.clear()
        self.script.reset()
        self._recent_by_account.clear()

    def next_id(self) -> str:
        """32 hex digits, another each time, the same series after every start."""
        self._counter += 1
        return hashlib.md5(b"simulator-%d" % self._counter, usedforsecurity=False).hexdigest()

    def keep_upload(self, resource_url: str, upload: Upload) -> None:
        self.uploads[resource_url] = upload
        if len(self.uploads) > _MAX_KEPT:
            del self.uploads[next(iter(self.uploads))]

    def keep_speech(self, task_id: str, task: SpeechTask) -> None:
        self.speech[task_id] = task
        if len(self.speech) > _MAX_KEPT:
            del self.speech[next(iter(self.speech))]

    @contextmanager
    def recorded(self, request: web.Request, endpoint: str) -> Iterator[Entry]:
        """An entry for as long as the request lasts, closed with whatever outcome it got."""
        loop = asyncio.get_running_loop()
        entry = Entry(
            number=0,
            method=request.method,
            path=request.path,
            endpoint=endpoint,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            started_at_s=loop.time(),
        )
        generation = self.record.open(entry)
        try:
            yield entry
        except (ClientClosed, asyncio.CancelledError):
            entry.client_closed = True
            if entry.outcome == "open":
                entry.outcome = "client_closed"
            raise
        finally:
            if entry.outcome == "open":
                entry.outcome = "failed"
            entry.finished_at_s = loop.time()
            self.record.close(entry, generation)

    async def admit(self, account: Account) -> Slot:
        """A slot of the account. Raises OverLimit where its concurrency or its minute is used up."""
        totals = self.record.account(account.name)
        limits = account.limits
        if totals.in_flight >= (limits.max_concurrency or max(totals.max_in_flight, 1)):
            # A client that just closed one connection and opened another: let the loop see the close first.
            for _ in range(3):
                await asyncio.sleep(0)
        if limits.max_concurrency is not None and totals.in_flight >= limits.max_concurrency:
            raise OverLimit
        if limits.requests_per_minute is not None:
            self._count_minute(account.name, limits)
        return Slot(totals)

    def _count_minute(self, name: str, limits: Limits) -> None:
        now_s = asyncio.get_running_loop().time()
        recent = self._recent_by_account.setdefault(name, deque())
        while recent and recent[0] <= now_s - 60:
            recent.popleft()
        if limits.requests_per_minute is not None and len(recent) >= limits.requests_per_minute:
            raise OverLimit
        recent.append(now_s)


WORLD = web.AppKey("world", World)
