"""Redis, as the rest of the store uses it: scripts by name, an end to every wait, one kind of error.

`connect(url)` makes a Store for one server, for Sentinel or for a Cluster. It does not dial: a process starts
without Redis and serves as soon as there is one. Every exception of redis-py becomes StoreUnavailable, here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.core.errors import StoreUnavailable
from service.store.breaker import Breaker, BreakerSettings
from service.store.cluster import ClusterLines
from service.store.dialling import line_of
from service.store.resp import Command, NotSent, Redirected, Reply
from service.store.scripts import Script, script
from service.store.topologies import ClientSettings, assert_effective, client_of, close_client
from service.store.urls import RedisTarget, Topology, decode_url
from service.store.wire import Expiry, Line, Spawn

Argument = str | bytes | int


class Outcome(StrEnum):
    """How a call ended. REFUSED: Redis answered with an error. SHED: the breaker was open, nothing was sent.

    DEGRADED: not a call; a port did its work without Redis."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SHED = "shed"
    DEGRADED = "degraded"


class Observe(Protocol):
    """Told of every round trip, for the metrics: the operation's name (a closed set), how long, and how it
    ended."""

    def __call__(self, operation: str, took_s: float, outcome: Outcome, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`blocking_timeout_s` is for the client of reads that wait, `patience_s` for downloads under way."""

    client: ClientSettings = field(default_factory=ClientSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    blocking_timeout_s: float = 30.0
    patience_s: float = 10.0

    @classmethod
    def within(cls, timeout_s: float) -> StoreSettings:
        """A call may take `timeout_s`; what is slow, and what a second call gets, follow from it."""
        client = ClientSettings(socket_timeout_s=timeout_s, connect_timeout_s=timeout_s)
        breaker = BreakerSettings(
            slow_call_s=0.8 * timeout_s, timeout_s=timeout_s, suspect_timeout_s=0.16 * timeout_s
        )
        return cls(client=client, breaker=breaker)


@dataclass(frozen=True, slots=True)
class Call:
    """One script with its keys and arguments; `again`: the arguments for a second try, None: the same."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[Argument]
    again: Sequence[Argument] | None = None


Exchange = Callable[[float], Awaitable[list[Reply]]]
"""Sends and awaits. It is told when to give up, by the event loop's clock."""

_UNREACHABLE = (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError, TimeoutError)


def redis_time() -> int:
    """What scripts take as their clock: 0 tells them to ask Redis, so workers' clocks do not matter."""
    return 0


def ignore(operation: str, took_s: float, outcome: Outcome, /) -> None:
    """Observes nothing."""


def connect(
    url: str,
    *,
    spawn: Spawn,
    observe: Observe = ignore,
    settings: StoreSettings | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Store:
    """A Store for the URL. Raises RedisUrlError. The network is first touched by the first call."""
    return Store(
        decode_url(url),
        spawn=spawn,
        observe=observe,
        settings=StoreSettings() if settings is None else settings,
        monotonic_s=monotonic_s,
    )


class Store:
    """Scripts and commands on one Redis, with a breaker. Close it with `aclose`."""

    def __init__(
        self,
        target: RedisTarget,
        *,
        spawn: Spawn,
        observe: Observe,
        settings: StoreSettings,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._target = target
        self._spawn = spawn
        self.workers = 1  # how many share this Redis, as the last heartbeat heard
        self._observe = observe
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._breaker = Breaker(settings.breaker, monotonic_s)
        self._blocking: Redis | RedisCluster | None = None
        self._client = client_of(target, settings.client)
        self._line = line_of(target, settings.client, spawn=spawn)
        # Bodies of megabytes travel here: no lease waits behind one.
        self._side_line = line_of(target, settings.client, spawn=spawn)
        if isinstance(self._client, Redis):
            assert_effective(self._client.connection_pool, settings.client)

    @property
    def is_away(self) -> bool:
        """Redis failed so often that it is not asked at present."""
        return self._breaker.is_open

    def in_flight(self, line: str) -> int:
        """Commands whose reply is awaited: of scripts (`line`), or of commands and bodies (`side_line`)."""
        return (self._line if line == "line" else self._side_line).in_flight

    def share_of(self, limit: int) -> int:
        """This worker's part of a shared limit while Redis is away; at least one of what is not nothing."""
        return max(limit // self.workers, 1) if limit > 0 else 0

    @property
    def is_cluster(self) -> bool:
        return self._target.topology is Topology.CLUSTER

    @property
    def redis(self) -> Redis | RedisCluster:
        """The plain client, for the odd command. Its exceptions are redis-py's: wrap them with `ask`."""
        return self._client

    @property
    def blocking(self) -> Redis | RedisCluster:
        """A client of its own for reads that wait (XREADGROUP BLOCK): longer time-outs, its own pool."""
        if self._blocking is None:
            patient = replace(self._settings.client, socket_timeout_s=self._settings.blocking_timeout_s)
            self._blocking = client_of(self._target, patient)
        return self._blocking

    async def run(
        self,
        name: str,
        keys: Sequence[str],
        arguments: Sequence[Argument],
        *,
        again: Sequence[Argument] | None = None,
    ) -> Reply:
        """The script's reply. Scripts are idempotent: after a lost connection they are sent once more.

        Raises StoreUnavailable within the breaker's time-out."""
        return (await self.run_together([Call(name, keys, arguments, again)]))[0]

    async def run_together(self, calls: Sequence[Call]) -> list[Reply]:
        """Several scripts in one round trip (Cluster: at once). Raises StoreUnavailable when one fails."""
        scripts = [script(call.script) for call in calls]
        for one, call in zip(scripts, calls, strict=True):
            one.check_keys(len(call.keys))

        async def exchange(expires_at_s: float) -> list[Reply]:
            return await self._exchange(scripts, calls, expires_at_s)

        return await self._guarded(calls[0].script, exchange)

    async def command(self, *command: str | bytes | int | float) -> Reply:
        """One plain command's reply, as RESP2 has it (a hash: see `hash`). Raises StoreUnavailable."""

        async def exchange(expires_at_s: float) -> list[Reply]:
            return await self._send([command], self._side_line, expires_at_s)

        return (await self._guarded(str(command[0]).lower(), exchange))[0]

    async def read_patiently(self, *command: str | bytes | int | float) -> Reply:
        """A read in the middle of a download, where a hiccup of Redis must not cut what is half done: asked
        again for `patience_s`. Raises StoreUnavailable after that."""
        gives_up_at_s = self._monotonic_s() + self._settings.patience_s
        while True:
            try:
                return await self.command(*command)
            except StoreUnavailable:
                if self._monotonic_s() >= gives_up_at_s:
                    raise
            await asyncio.sleep(self._settings.breaker.probe_interval_s)

    async def hash(self, key: str) -> dict[bytes, bytes]:
        """Every field of a hash, {} when there is none. Raises StoreUnavailable."""
        reply = await self.command("HGETALL", key)
        return dict(zip(reply[::2], reply[1::2], strict=True))

    async def ask(self, operation: str, work: Awaitable[Reply]) -> Reply:
        """Await redis-py calls under the same deadline, breaker and errors as everything else."""

        async def exchange(expires_at_s: float) -> list[Reply]:
            async with asyncio.timeout_at(expires_at_s):
                return [await work]

        try:
            return (await self._guarded(operation, exchange))[0]
        finally:
            _discard(work)

    async def ping(self) -> None:
        """Past the breaker, and closing it when Redis answers. Raises StoreUnavailable."""
        await self._timed("ping", self._any_node("PING"), timeout_s=self._settings.breaker.timeout_s)

    async def eviction_policy(self) -> str | None:
        """`maxmemory-policy`, None where the server does not tell. Raises StoreUnavailable."""
        try:
            answer = await self._timed(
                "config",
                self._any_node("CONFIG", "GET", "maxmemory-policy"),
                timeout_s=self._breaker.timeout_s,
            )
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                return None
            raise
        return answer[0][1].decode() if answer[0] else None

    async def server_version(self) -> str | None:
        """What the server calls its release, None where it does not tell. Raises StoreUnavailable."""
        try:
            (answer,) = await self._timed(
                "info", self._any_node("INFO", "server"), timeout_s=self._breaker.timeout_s
            )
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                return None
            raise
        lines = answer.decode("utf-8", "replace").splitlines()
        return next((line.partition(":")[2] for line in lines if line.startswith("redis_version:")), None)

    def degraded(self, operation: str) -> None:
        """A port did its work without Redis: let the operator know."""
        self._observe(operation, 0.0, Outcome.DEGRADED)

    async def aclose(self) -> None:
        self._line.close()
        self._side_line.close()
        for client in (self._client, self._blocking):
            if client is not None:
                await close_client(client)

    # --- one exchange, guarded ------------------------------------------------------------------------------

    async def _guarded(self, operation: str, exchange: Exchange) -> list[Reply]:
        if self._breaker.is_open:
            if self._breaker.probe_is_due():
                self._spawn(self._probe(), name="redis_probe")
            self._observe(operation, 0.0, Outcome.SHED)
            raise StoreUnavailable("The gateway's store does not answer.", code="store_unavailable")
        return await self._timed(operation, exchange, timeout_s=self._breaker.timeout_s)

    async def _timed(self, operation: str, exchange: Exchange, *, timeout_s: float) -> list[Reply]:
        began_s = self._monotonic_s()
        sent_at_s = asyncio.get_running_loop().time()
        try:
            replies = await exchange(sent_at_s + timeout_s)
        except _UNREACHABLE as error:
            for line in (self._line, self._side_line):
                line.suspect(sent_at_s=sent_at_s)
            took_s = self._monotonic_s() - began_s
            is_timeout = isinstance(error, TimeoutError | RedisTimeoutError)
            # In a Cluster a master that is gone concerns its own slots only, and costs them no waiting.
            if is_timeout or not self.is_cluster:
                self._breaker.record_failure(sent_at_s=began_s)
            self._observe(operation, took_s, Outcome.TIMED_OUT if is_timeout else Outcome.FAILED)
            raise StoreUnavailable(
                "The gateway's store does not answer.", code="store_unavailable"
            ) from error
        except RedisError as error:
            # Redis is there and says no (out of memory, read-only, no permission). That costs no waiting: the
            # breaker does not count it.
            self._observe(operation, self._monotonic_s() - began_s, Outcome.REFUSED)
            raise StoreUnavailable(
                "The gateway's store refused a command.", code="store_unavailable"
            ) from error
        took_s = self._monotonic_s() - began_s
        self._breaker.record_answer(sent_at_s=began_s)
        self._observe(operation, took_s, Outcome.OK)
        return replies

    async def _probe(self) -> None:
        try:
            await self.ping()
        except StoreUnavailable:
            return  # counted and observed; the next probe is due in a while

    def _any_node(self, *command: str) -> Exchange:
        async def exchange(expires_at_s: float) -> list[Reply]:
            async with asyncio.timeout_at(expires_at_s):
                return [await self._line.send_anywhere(command)]

        return exchange

    async def _exchange(
        self, scripts: Sequence[Script], calls: Sequence[Call], expires_at_s: float
    ) -> list[Reply]:
        commands: list[Command] = [
            ("EVALSHA", one.digest, len(call.keys), *call.keys, *call.arguments)
            for one, call in zip(scripts, calls, strict=True)
        ]
        replies = await _try(commands, self._line, expires_at_s)
        again = [place for place, reply in enumerate(replies) if isinstance(reply, Exception)]
        if not again:
            return replies
        for place in again:
            call, error = calls[place], replies[place]
            if not isinstance(error, NoScriptError) and not await _recovered(self._line, error, expires_at_s):
                raise error
            # EVAL, not SCRIPT LOAD: some proxies and ACLs forbid the latter, and EVAL loads it as well.
            arguments = call.arguments if call.again is None else call.again
            commands[place] = ("EVAL", scripts[place].source, len(call.keys), *call.keys, *arguments)
        second = await self._send([commands[place] for place in again], self._line, expires_at_s)
        for place, reply in zip(again, second, strict=True):
            replies[place] = reply
        return replies

    async def _send(
        self, commands: Sequence[Command], line: Line | ClusterLines, expires_at_s: float
    ) -> list[Reply]:
        """The replies; raises the first error. Sent again only what a Cluster's node would not do itself."""
        replies = await _try(commands, line, expires_at_s)
        for place, reply in enumerate(replies):
            if isinstance(reply, Redirected | NotSent) and await _recovered(line, reply, expires_at_s):
                (replies[place],) = await _try([commands[place]], line, expires_at_s)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


async def _try(commands: Sequence[Command], line: Line | ClusterLines, expires_at_s: float) -> list[Reply]:
    """The replies, with errors in their places: TimeoutError for those that did not come until then."""
    futures = [line.send(command) for command in commands]
    expiry = Expiry(futures, expires_at_s)
    replies: list[Reply] = []
    try:
        for future in futures:
            try:
                replies.append(await future)
            except (RedisError, OSError, TimeoutError) as error:
                replies.append(error)
    finally:
        expiry.cancel()
        for future in futures[len(replies) :]:  # cancelled half way: nobody waits for the rest
            if not future.cancel() and not future.cancelled():
                future.exception()
    return replies


async def _recovered(line: Line | ClusterLines, error: Exception, expires_at_s: float) -> bool:
    """Whether a second try is worth it. Raises TimeoutError."""
    async with asyncio.timeout_at(expires_at_s):
        return await line.recover(error)


def _discard(work: Awaitable[object]) -> None:
    """Close a coroutine that may not have been awaited, so that Python does not warn of a forgotten one."""
    if close := getattr(work, "close", None):
        close()
