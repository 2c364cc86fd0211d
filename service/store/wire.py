"""One connection that all tasks share, safely: replies come in the order of the commands, and nobody else
reads.

Commands of one turn of the event loop leave in one write; a command costs 10 to 15 us of CPU here where
redis-py's pool takes 90 (measured beside each other, redis-py 8.1). Each caller waits for its own future. One
that is cancelled leaves its place in the row, so its reply is dropped and nobody gets another's; no
connection is closed for it, and a thousand clients that leave at once cause no thousand reconnects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, cast

from redis.exceptions import ConnectionError, ReadOnlyError

from service.store.resp import Command, NotSent, Reply, ReplyReader, encode

MAX_IN_FLIGHT = 4096
_STALL_S = 0.01
_MAX_GRACE_S = 0.25


class Spawn(Protocol):
    """Starts a task that somebody holds on to: `gateway.background.spawn`, handed in by the app."""

    def __call__(self, work: Coroutine[Any, Any, None], /, *, name: str) -> object: ...


class Wire(asyncio.Protocol):
    """An open connection."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._replies = ReplyReader()
        self._awaited: deque[asyncio.Future[Reply]] = deque()
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.received_at_s = 0.0
        self.is_closed = False

    @property
    def in_flight(self) -> int:
        return len(self._awaited)

    def send(self, command: Command) -> asyncio.Future[Reply]:
        """The reply to come. It fails with redis-py's exceptions, whoever made them."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send_for(future, command)
        return future

    def send_for(self, future: asyncio.Future[Reply], command: Command) -> None:
        """The reply goes to a future that somebody holds already."""
        if self.is_closed or len(self._awaited) >= MAX_IN_FLIGHT:
            future.set_exception(NotSent("closed" if self.is_closed else "too many calls in flight"))
            return
        encoded = encode(command)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(encoded)
        self._awaited.append(future)

    def close(self) -> None:
        """Every call in flight fails."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()
        self._fail(ConnectionError("connection closed"))

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and not self.is_closed:
            self._transport.write(b"".join(outgoing))

    def _fail(self, error: Exception) -> None:
        while self._awaited:
            _settle(self._awaited.popleft(), error)

    # --- what asyncio calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self.received_at_s = self._loop.time()
        try:
            for reply in self._replies.feed(data):
                _settle(self._awaited.popleft(), reply)
        except (ConnectionError, ValueError, IndexError):  # not RESP2, or a reply that nobody asked for
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        self._fail(
            ConnectionError(f"connection lost: {type(error).__name__ if error else 'closed by Redis'}")
        )


def _settle(future: asyncio.Future[Reply], reply: Reply) -> None:
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


class Expiry:
    """Fails with TimeoutError those futures that have no reply at `expires_at_s` (the loop's clock).

    A process that stood still itself (no CPU, a long pause) wakes late, and what Redis sent meanwhile may
    not have been read yet: then there is one more look, as much later. One timer for all makes it cheap."""

    __slots__ = ("_expires_at_s", "_futures", "_has_waited", "_loop", "_timer")

    def __init__(self, futures: Sequence[asyncio.Future[Reply]], expires_at_s: float) -> None:
        self._futures = futures
        self._expires_at_s = expires_at_s
        self._has_waited = False
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_at(expires_at_s, self._due)

    def cancel(self) -> None:
        self._timer.cancel()

    def _due(self) -> None:
        late_s = self._loop.time() - self._expires_at_s
        if late_s > _STALL_S and not self._has_waited:
            self._has_waited = True
            self._timer = self._loop.call_later(min(late_s, _MAX_GRACE_S), self._due)
            return
        for future in self._futures:
            if not future.done():
                future.set_exception(TimeoutError())


Dial = Callable[[], Awaitable[Wire]]


class Line:
    """A wire that is dialled when somebody has something to send, and again after it broke."""

    def __init__(self, dial: Dial, *, spawn: Spawn, finds_master: bool = False) -> None:
        self._dial = dial
        self._finds_master = finds_master
        self._spawn = spawn
        self._wire: Wire | None = None
        self._waiting: list[tuple[Command, asyncio.Future[Reply]]] = []
        self._is_dialling = False
        self._is_closed = False

    def send(self, command: Command) -> asyncio.Future[Reply]:
        """The reply to come."""
        if self._wire is not None and not self._wire.is_closed:
            return self._wire.send(command)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._is_closed or len(self._waiting) >= MAX_IN_FLIGHT:
            future.set_exception(NotSent("closed" if self._is_closed else "too many calls wait"))
            return future
        self._waiting.append((command, future))
        if not self._is_dialling:
            self._is_dialling = True
            self._spawn(self._connect(), name="redis_dial")
        return future

    @property
    def in_flight(self) -> int:
        """Commands whose reply is awaited."""
        return len(self._waiting) + (0 if self._wire is None else self._wire.in_flight)

    def suspect(self, *, sent_at_s: float) -> None:
        """A call timed out. A wire on which nothing has come since is dropped: its other end may be gone."""
        if self._wire is not None and self._wire.received_at_s < sent_at_s:
            self.drop()

    def send_anywhere(self, command: Command) -> asyncio.Future[Reply]:
        """A command that needs no key: PING and its like."""
        return self.send(command)

    async def recover(self, error: Exception) -> bool:
        """Whether a second try is worth it: the wire broke, or the master has become a replica (Sentinel)."""
        if isinstance(error, ReadOnlyError):
            self.drop()
            return self._finds_master
        return isinstance(error, ConnectionError)

    def drop(self) -> None:
        """The next call dials anew."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def close(self) -> None:
        self._is_closed = True
        self.drop()
        self._fail_waiting(ConnectionError("closed"))

    async def _connect(self) -> None:
        try:
            wire = await self._dial()
        except (OSError, TimeoutError, ConnectionError) as error:
            not_sent = NotSent(f"no connection: {type(error).__name__}")
            not_sent.__cause__ = error
            self._fail_waiting(not_sent)
            return
        except Exception as error:  # whatever it was (a wrong password, say), those who wait are told
            self._fail_waiting(error)
            return
        except asyncio.CancelledError:
            self._fail_waiting(ConnectionError("closed"))
            raise
        finally:
            self._is_dialling = False
        if self._is_closed:
            wire.close()
            return
        self._wire = wire
        waiting, self._waiting = self._waiting, []
        for command, future in waiting:
            if not future.done():
                wire.send_for(future, command)

    def _fail_waiting(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            _settle(future, error)
