"""RESP2, the wire of Redis, by hiredis: commands to bytes, bytes to replies. Any cut of the input gives the
same replies."""

from __future__ import annotations

from typing import Any, TypeAlias

import hiredis
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

Command: TypeAlias = tuple[str | bytes | int | float, ...]
Reply: TypeAlias = Any  # bytes, int, None, an error, or a list of these; decoded by whoever asked

# The errors that somebody here tells apart, by the first word of the reply.
_ERRORS: dict[str, type[Exception]] = {
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
    "LOADING": BusyLoadingError,
    "MASTERDOWN": ConnectionError,
    "CLUSTERDOWN": ConnectionError,
    "TRYAGAIN": ConnectionError,
}
_INCOMPLETE = object()


def encode(command: Command) -> bytes:
    """One command as an array of bulk strings."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # the stub means one word only
    return packed


class NotSent(ConnectionError):
    """There was no connection to send the command by: it was certainly not done."""


class ProtocolError(ConnectionError):
    """What came is not RESP2: the connection is of no use any more."""


class ReplyReader:
    """Bytes in, whole replies out. Errors come as exceptions in the list."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(
            protocolError=ProtocolError, replyError=_error, notEnoughData=_INCOMPLETE
        )

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises ProtocolError."""
        self._reader.feed(data)
        replies: list[Reply] = []
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            replies.append(reply)
        return replies


class Redirected(ResponseError):
    """A Cluster's node names another: MOVED for good, ASK this once."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        kind, slot, address = line.split(" ")[:3]
        host, _, port = address.rpartition(":")
        self.is_asking = kind == "ASK"
        self.slot, self.host, self.port = int(slot), host, int(port)


def _error(line: str) -> Exception:
    code = line.partition(" ")[0]
    return Redirected(line) if code in ("MOVED", "ASK") else _ERRORS.get(code, ResponseError)(line)
