"""RESP2, the wire of Redis: commands to bytes, bytes to replies. Pure: any cut of the input gives the same
replies.
"""

from __future__ import annotations

from typing import Any, TypeAlias

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
_ERRORS: dict[bytes, type[Exception]] = {
    b"NOSCRIPT": NoScriptError,
    b"READONLY": ReadOnlyError,
    b"LOADING": BusyLoadingError,
    b"MASTERDOWN": ConnectionError,
    b"CLUSTERDOWN": ConnectionError,
    b"TRYAGAIN": ConnectionError,
}
_INCOMPLETE = object()


def encode(command: Command) -> bytes:
    """One command as an array of bulk strings."""
    pieces = [b"*%d\r\n" % len(command)]
    for word in command:
        if isinstance(word, str):
            raw = word.encode()
        elif isinstance(word, bytes):
            raw = word
        else:
            raw = repr(word).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(pieces)


class NotSent(ConnectionError):
    """There was no connection to send the command by: it was certainly not done."""


class ProtocolError(ConnectionError):
    """What came is not RESP2: the connection is of no use any more."""


class ReplyReader:
    """Bytes in, whole replies out. Errors come as exceptions in the list; nothing is scanned twice."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._open: list[tuple[list[Reply], int]] = []  # arrays begun: what they have, how many they need

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises ProtocolError."""
        self._buffer += data
        replies: list[Reply] = []
        while (item := self._element()) is not _INCOMPLETE:
            item = self._placed(item)
            if item is not _INCOMPLETE:
                replies.append(item)
        del self._buffer[: self._at]
        self._at = 0
        return replies

    def _placed(self, item: Reply) -> Reply:
        """The item, or the outermost array that it completes; _INCOMPLETE while an array lacks more."""
        while self._open:
            items, wanted = self._open[-1]
            items.append(item)
            if len(items) < wanted:
                return _INCOMPLETE
            self._open.pop()
            item = items
        return item

    def _element(self) -> Reply:
        """The next element, past the headers of arrays."""
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n", self._at)
            if end < 0:
                return _INCOMPLETE
            kind, rest = buffer[self._at], bytes(buffer[self._at + 1 : end])
            if kind == 0x24:  # $
                return self._bulk(end + 2, int(rest))
            self._at = end + 2
            if kind == 0x3A:  # :
                return int(rest)
            if kind == 0x2B:  # +
                return rest
            if kind == 0x2D:  # -
                return _error(rest)
            if kind != 0x2A:  # *
                raise ProtocolError("not RESP2")
            count = int(rest)
            if count <= 0:
                return [] if count == 0 else None
            self._open.append(([], count))

    def _bulk(self, start: int, length: int) -> Reply:
        if length < 0:
            self._at = start
            return None
        if len(self._buffer) < start + length + 2:
            return _INCOMPLETE
        self._at = start + length + 2
        return bytes(self._buffer[start : start + length])


class Redirected(ResponseError):
    """A Cluster's node names another: MOVED for good, ASK this once."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        kind, slot, address = line.split(" ")[:3]
        host, _, port = address.rpartition(":")
        self.is_asking = kind == "ASK"
        self.slot, self.host, self.port = int(slot), host, int(port)


def _error(line: bytes) -> Exception:
    code = line.partition(b" ")[0]
    text = line.decode(errors="replace")
    return Redirected(text) if code in (b"MOVED", b"ASK") else _ERRORS.get(code, ResponseError)(text)
