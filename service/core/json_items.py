"""A JSON object's members one by one, and the elements of its long arrays, out of bytes as they come.

For bodies too long to be held: no more than one member or element is ever kept. Only the frame is read here
(the object's braces, its keys, the commas of the named arrays); each piece comes out as the bytes that were
sent, for orjson to decode and so to check.

States, and what moves them:
- START      before the object; `{` leads to KEY_OR_END
- KEY_OR_END after `{`, KEY after a comma: a quote begins a key (IN_KEY), `}` ends the object (END)
- COLON      after a key; leads to VALUE
- VALUE      before a member's value: `[` of a named array leads to ITEM_OR_END, else a piece (IN_PIECE)
- ITEM_OR_END after `[`, ITEM after a comma: `]` ends the array (NEXT), anything else is a piece
- IN_PIECE   inside a value: ends where its brackets or its string close, or its scalar meets a delimiter
- NEXT       after a member; NEXT_ITEM after an element; END takes blanks only
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import NamedTuple

import orjson

from service.core.errors import BodyTooLarge, InvalidRequest


class Piece(NamedTuple):
    """One member's value, or (`is_element`) one element of the array that is the member `name`."""

    name: str
    body: bytes
    is_element: bool


class _State(Enum):
    START = auto()
    KEY_OR_END = auto()
    KEY = auto()
    IN_KEY = auto()
    COLON = auto()
    VALUE = auto()
    ITEM_OR_END = auto()
    ITEM = auto()
    IN_PIECE = auto()
    NEXT = auto()
    NEXT_ITEM = auto()
    END = auto()


class _Shape(Enum):
    """What the piece under way is: decides where it ends."""

    CONTAINER = auto()
    STRING = auto()
    SCALAR = auto()


_BLANKS = re.compile(rb"[ \t\r\n]*")
_IN_STRING = re.compile(rb'["\\]')
_IN_CONTAINER = re.compile(rb'["{}\[\]]')
_AFTER_SCALAR = re.compile(rb"[,\]} \t\r\n]")
_MAX_KEY_BYTES = 1024
_QUOTE = ord('"')


class ObjectReader:
    """Feed it the body; `arrays` are the members whose arrays are taken apart.

    A piece of more than `max_piece_bytes` raises BodyTooLarge, a broken frame InvalidRequest. Linear in the
    body."""

    def __init__(self, arrays: Collection[str], *, max_piece_bytes: int) -> None:
        self._arrays = arrays
        self._max_piece_bytes = max_piece_bytes
        self._state = _State.START
        self._name = ""
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._shape = _Shape.SCALAR
        self._depth = 0
        self._in_string = False
        self._skips_next = False  # the chunk ended with a backslash
        self._is_element = False

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that ended in this chunk."""
        found: list[Piece] = []
        position = 0
        while position < len(chunk):
            if self._state in _INSIDE:
                position = self._inside(chunk, position, found)
                continue
            position = _after_blanks(chunk, position)
            if position < len(chunk):
                position = self._frame(chunk, position)
        return found

    def finish(self) -> None:
        """Raises InvalidRequest when the object has not ended."""
        if self._state is not _State.END:
            raise _invalid("it ends in the middle" if self._state is not _State.START else "it is empty")

    # --- the frame ------------------------------------------------------------------------------------------

    def _frame(self, chunk: bytes, position: int) -> int:
        byte = chunk[position : position + 1]
        following = _FRAME.get((self._state, byte))
        if following is not None:
            if self._state is _State.VALUE and self._name not in self._arrays:
                return self._begin(byte, position)
            self._state = following
            return position + 1
        if self._state in _BEFORE_PIECE:
            return self._begin(byte, position)
        raise _invalid(f"unexpected character {byte!r}"[:60])

    def _begin(self, byte: bytes, position: int) -> int:
        """A piece begins at `position`."""
        if byte in b",:]}":
            raise _invalid(f"unexpected character {byte!r}"[:60])
        self._is_element = self._state is not _State.VALUE
        self._shape = _SHAPES.get(byte, _Shape.SCALAR)
        self._in_string = self._shape is _Shape.STRING
        self._depth = 1 if self._shape is _Shape.CONTAINER else 0
        self._state = _State.IN_PIECE
        if self._shape is _Shape.SCALAR:
            return position
        self._keep(byte)
        return position + 1

    # --- inside keys and pieces -----------------------------------------------------------------------------

    def _inside(self, chunk: bytes, position: int, found: list[Piece]) -> int:
        end, has_ended = self._end_of_piece(chunk, position)
        self._keep(chunk[position:end])
        if has_ended:
            body, self._kept, self._kept_bytes = b"".join(self._kept), [], 0
            if self._state is _State.IN_KEY:
                self._name = _key(body)
                self._state = _State.COLON
            else:
                found.append(Piece(self._name, body, self._is_element))
                self._state = _State.NEXT_ITEM if self._is_element else _State.NEXT
        return end

    def _end_of_piece(self, chunk: bytes, position: int) -> tuple[int, bool]:
        if self._state is _State.IN_KEY or self._shape is _Shape.STRING:
            return self._end_of_string(chunk, position)
        if self._shape is _Shape.SCALAR:
            match = _AFTER_SCALAR.search(chunk, position)
            return (match.start(), True) if match else (len(chunk), False)
        return self._end_of_container(chunk, position)

    def _end_of_string(self, chunk: bytes, position: int) -> tuple[int, bool]:
        """Just after the closing quote; what a backslash escapes closes nothing."""
        if self._skips_next:
            self._skips_next = False
            position += 1
        while match := _IN_STRING.search(chunk, position):
            position = match.end()
            if chunk[match.start()] == _QUOTE:
                return position, True
            if position == len(chunk):
                self._skips_next = True
                break
            position += 1
        return len(chunk), False

    def _end_of_container(self, chunk: bytes, position: int) -> tuple[int, bool]:
        while position < len(chunk):
            if self._in_string:
                position, has_ended = self._end_of_string(chunk, position)
                self._in_string = not has_ended
                continue
            match = _IN_CONTAINER.search(chunk, position)
            if match is None:
                break
            position = match.end()
            byte = chunk[match.start()]
            if byte == _QUOTE:
                self._in_string = True
                continue
            self._depth += 1 if byte in b"{[" else -1
            if self._depth == 0:
                return position, True
        return len(chunk), False

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        limit = _MAX_KEY_BYTES if self._state is _State.IN_KEY else self._max_piece_bytes
        if self._kept_bytes > limit:
            raise BodyTooLarge(max_bytes=limit)
        self._kept.append(piece)


_INSIDE = frozenset({_State.IN_KEY, _State.IN_PIECE})
_BEFORE_PIECE = frozenset({_State.VALUE, _State.ITEM_OR_END, _State.ITEM})
_SHAPES: Mapping[bytes, _Shape] = {b"{": _Shape.CONTAINER, b"[": _Shape.CONTAINER, b'"': _Shape.STRING}
_FRAME: Mapping[tuple[_State, bytes], _State] = {
    (_State.START, b"{"): _State.KEY_OR_END,
    (_State.KEY_OR_END, b'"'): _State.IN_KEY,
    (_State.KEY_OR_END, b"}"): _State.END,
    (_State.KEY, b'"'): _State.IN_KEY,
    (_State.COLON, b":"): _State.VALUE,
    (_State.VALUE, b"["): _State.ITEM_OR_END,
    (_State.ITEM_OR_END, b"]"): _State.NEXT,
    (_State.NEXT, b","): _State.KEY,
    (_State.NEXT, b"}"): _State.END,
    (_State.NEXT_ITEM, b","): _State.ITEM,
    (_State.NEXT_ITEM, b"]"): _State.NEXT,
}


def _after_blanks(chunk: bytes, position: int) -> int:
    match = _BLANKS.match(chunk, position)
    return match.end() if match else position


def _key(body: bytes) -> str:
    """`body` ends with its closing quote."""
    try:
        return str(orjson.loads(b'"' + body))
    except orjson.JSONDecodeError:
        raise _invalid("a key is no string") from None


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The request body is not valid JSON: {why}.", code="invalid_json")


class LineReader:
    """The lines of a JSONL file, out of bytes as they come. Blank lines come out as b"".

    A line of more than `max_line_bytes` raises BodyTooLarge. Linear in the file."""

    def __init__(self, *, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ended in this chunk, without their ends."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for piece in ended:
            self._keep(piece)
            lines.append(self._taken())
        if rest:
            self._keep(rest)
        return lines

    def finish(self) -> list[bytes]:
        """A last line without an end."""
        return [self._taken()] if self._kept else []

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if self._kept_bytes > self._max_line_bytes:
            raise BodyTooLarge(max_bytes=self._max_line_bytes)
        self._kept.append(piece)

    def _taken(self) -> bytes:
        line, self._kept, self._kept_bytes = b"".join(self._kept).strip(b" \t\r"), [], 0
        return line
