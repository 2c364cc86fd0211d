"""JSON arguments on their way through: what comes in as JSON, or nearly, goes out as JSON while it comes.

Well-formed text leaves as it came, blanks and escapes included. On the way, without looking ahead:

- a member whose key was there already is dropped (the first wins);
- a string where the schema allows no string is held to its end and brought to the declared type;
- single quotes, bare keys, Python's words, missing and trailing commas are put right (`is_repaired`), and
  what stands wrong inside a string (jsonstrings.py);
- a quote inside a string is one of its characters unless a separator, a closing bracket or the end follows.

States: VALUE, KEY, COLON and AFTER between tokens; STRING, QUOTE (a quote that may end the string), LITERAL
and BARE_KEY inside one. Held back are the blanks and the comma before a member (`_gap`: it may be a dropped
one), a key, a literal, and the quote with the blanks behind it. "<" between tokens stops the
stream: it cannot be JSON, and the caller knows whether it closes the call."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from service.core.mimoml.jsonstrings import JSONString
from service.core.mimoml.jsontext import MAX_DEPTH, decode, encode, escaped, quoted
from service.core.mimoml.names import Names
from service.core.mimoml.schema import ANYTHING, Schema, coerced, loose_literal

_BLANK = re.compile("[ \t\r\n]+")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”"}
_LITERAL_END = re.compile("[,\\]}\n<]")
_BARE_KEY_END = re.compile("[:,}<\n]")
MAX_FAULTS = 16  # of places where something stands that JSON has nothing of


class _State(Enum):
    VALUE = "a value must come"
    KEY = "a key, or the end of the object"
    COLON = "the colon behind a key"
    AFTER = "a comma, or the end of the container"
    STRING = "inside a string"
    QUOTE = "behind a quote that may end the string"
    LITERAL = "inside a number or a word"
    BARE_KEY = "inside a key without quotes"
    DONE = "the object is closed"
    BROKEN = "too much stands where nothing should: it is no JSON"


# Bound once: a member looked up through its Enum costs twenty times a global.
_VALUE, _KEY, _COLON, _AFTER, _STRING, _QUOTE, _LITERAL, _BARE_KEY, _DONE, _BROKEN = _State
_OVER = (_DONE, _BROKEN)
_NO_KEYS: set[str] = set()


class _Frame:
    """One open container."""

    __slots__ = ("count", "is_object", "key", "keys", "schema")

    def __init__(self, is_object: bool, schema: Schema) -> None:
        self.is_object = is_object
        self.schema = schema
        self.keys: set[str] = set() if is_object else _NO_KEYS
        self.key = ""  # of the member that is being read
        self.count = 0


class JSONStream:
    """One JSON object in, its JSON text out by `write`, in pieces that concatenate to valid JSON.

    `names` resolves the keys of the outermost object; None leaves them. With `is_exact` nothing is coerced.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        schema: Schema,
        *,
        names: Names | None = None,
        is_exact: bool = False,
    ) -> None:
        self._write = write
        self._schema = ANYTHING if is_exact else schema
        self._names = names
        self._state = _VALUE
        self._frames: list[_Frame] = []
        self._gap: list[str] = []
        self._has_comma = False
        self._muted_at = 0  # depth of the container whose member is being dropped; 0 when none is
        self._pieces: list[str] | None = None  # of a string that is held: a key, or one to be coerced
        self._is_key = False
        self._inside = JSONString('"')
        self._literal: list[str] = []
        self.keys: set[str] = set()  # of the outermost object, as far as their values are complete
        self.is_repaired = False
        self._faults = 0

    @property
    def is_done(self) -> bool:
        return self._state is _DONE

    @property
    def is_over(self) -> bool:
        """Nothing more is taken in."""
        return self._state in _OVER

    @property
    def is_broken(self) -> bool:
        """What came is no JSON, nor meant to be: no call can be made of it."""
        return self._state is _BROKEN

    @property
    def is_lane(self) -> bool:
        """Inside a string that leaves as it comes."""
        is_plain = self._state is _STRING and self._inside.is_plain
        return is_plain and self._pieces is None and not self._muted_at

    @property
    def can_close(self) -> bool:
        """Between two members: closing what is open leaves no value cut."""
        return self._state in (_AFTER, _KEY, _QUOTE) or bool(
            self._state is _VALUE and self._frames and not self._frames[-1].is_object
        )

    def close(self) -> None:
        """Close what is still open. Only where `can_close`."""
        self.is_repaired = True
        if self._state is _QUOTE:
            self._end_string()
        while self._frames:
            self._close_container("}" if self._frames[-1].is_object else "]")

    def fault(self) -> None:
        """Something stands where JSON has nothing of the kind. So much of it is repaired, no more."""
        self.is_repaired = True
        self._faults += 1
        if self._faults > MAX_FAULTS:
            self._state = _BROKEN

    def feed(self, text: str, position: int = 0) -> int:
        """Take text in; the position it stopped at: behind the object, at a "<" outside strings, or the
        end."""
        end = len(text)
        while position < end and self._state not in _OVER:
            state = self._state
            if state is _STRING:
                position = self._string(text, position)
            elif state is _QUOTE:
                position = self._after_quote(text, position)
            elif state is _LITERAL or state is _BARE_KEY:
                position = self._word(text, position)
            else:
                blank = _BLANK.match(text, position)
                if blank is not None:
                    self._gap.append(blank.group())
                    position = blank.end()
                elif text[position] == "<":
                    return position
                else:
                    position = self._token(text[position], position)
        return position

    # --- between tokens -------------------------------------------------------------------------------------

    def _token(self, character: str, position: int) -> int:
        if self._state is _VALUE:
            return self._value(character, position)
        if self._state is _COLON:
            self._put(self._taken_gap() + ":")
            self._state = _VALUE
            if character != ":":
                self.fault()
            return position + (character in ":=")
        if character in "}]" and self._frames:
            self._close_container(character)
        elif character == ",":
            self.is_repaired |= self._has_comma or not self._frames[-1].count
            self._has_comma = True
            self._gap.append(",")
            self._state = _KEY if self._frames[-1].is_object else _VALUE
        elif self._state is _KEY:
            return self._start_key(character, position)
        else:  # a comma is missing
            self._state = _KEY if self._frames[-1].is_object else _VALUE
            self.is_repaired = True
            if character in ":;":
                return position + 1
            return position
        return position + 1

    def _value(self, character: str, position: int) -> int:
        if character in "}],":
            return self._no_value(character, position)
        if self._frames and not self._frames[-1].is_object:
            self._put(self._separator())
        else:
            self._put(self._taken_gap())
        if character in "{[":
            self._put(character)
            self._frames.append(_Frame(character == "{", self._value_schema()))
            self._state = _KEY if character == "{" else _VALUE
            if len(self._frames) > MAX_DEPTH:
                self._state = _BROKEN
            return position + 1
        quote = _QUOTES.get(character)
        if quote is not None:
            self._start_string(quote, is_key=False)
            return position + 1
        self._state, self._literal = _LITERAL, []
        return position

    def _no_value(self, character: str, position: int) -> int:
        """A closing bracket or comma where a value should be: an empty array, a trailing comma, or a gap."""
        if not self._frames:
            return position + 1
        if self._frames[-1].is_object:
            self._put("null")
            self._end_value()
            self.fault()
            return position
        if character == ",":
            self.is_repaired = True
            return position + 1
        self._close_container(character)
        return position + 1

    def _start_key(self, character: str, position: int) -> int:
        quote = _QUOTES.get(character)
        self._is_key, self._pieces = True, []
        if quote is None:
            self._state, self._literal = _BARE_KEY, []
            self.is_repaired = True
            return position
        self._start_string(quote, is_key=True)
        return position + 1

    def _close_container(self, character: str) -> None:
        frame = self._frames.pop()
        closer = "}" if frame.is_object else "]"
        self.is_repaired |= self._has_comma
        gap = self._taken_gap().replace(",", "")
        self._put(gap + closer)
        self._end_value()
        if character != closer:
            self.fault()

    def _end_value(self) -> None:
        depth = len(self._frames)
        if not depth:
            self._state = _DONE
            return
        self._frames[-1].count += 1
        if depth == 1:
            self.keys.add(self._frames[0].key)
        if self._muted_at == depth:
            self._muted_at = 0
        self._state = _AFTER

    def _value_schema(self) -> Schema:
        if not self._frames:
            return self._schema
        frame = self._frames[-1]
        if frame.schema is ANYTHING:
            return ANYTHING
        return frame.schema.member(frame.key) if frame.is_object else frame.schema.at(frame.count)

    def _separator(self) -> str:
        """The gap before a member or item, with exactly the comma that belongs there."""
        has_comma, is_first = self._has_comma, not self._frames[-1].count
        gap = self._taken_gap()
        if has_comma and is_first:
            return gap.replace(",", "")
        if has_comma == (not is_first):
            return gap if gap.count(",") <= 1 else ", "
        self.is_repaired = True
        return ", "

    def _taken_gap(self) -> str:
        gap = "".join(self._gap)
        self._gap, self._has_comma = [], False
        return gap

    def _put(self, text: str) -> None:
        if not self._muted_at and text:
            self._write(text)

    # --- strings --------------------------------------------------------------------------------------------

    def _start_string(self, quote: str, *, is_key: bool) -> None:
        self._state, self._is_key = _STRING, is_key
        self._inside = JSONString(quote)
        self.is_repaired |= quote != '"'
        schema = ANYTHING if is_key else self._value_schema()
        holds = is_key or (schema.types is not None and "string" not in schema.types)
        self._pieces = [] if holds else None
        if not holds:
            self._put('"')

    def _string(self, text: str, position: int) -> int:
        inside = self._inside
        given, position = inside.feed(text, position)
        if given:
            self._characters(given)
        if inside.is_closed:
            self.is_repaired |= inside.is_repaired
            if self._is_key:
                self._end_key()
            else:
                self._state = _QUOTE
        return position

    def _characters(self, text: str) -> None:
        """More of the string, escaped already."""
        if self._pieces is not None:
            self._pieces.append(text)
        else:
            self._put(text)

    def _after_quote(self, text: str, position: int) -> int:
        """Does the quote end the string? Blanks behind it wait in the gap."""
        blank = _BLANK.match(text, position)
        if blank is not None:
            self._gap.append(blank.group())
            return blank.end()
        character, quote = text[position], self._inside.quote
        if character == quote and not self._gap:  # of several, all but the last are characters of the string
            self.is_repaired = True
            self._characters(escaped(quote))
            return position + 1
        gap = "".join(self._gap)
        if character in ",]}<" or (character in "\"'" and "\n" in gap):
            self._end_string()
            return position
        self.is_repaired = True
        self._gap = []
        self._characters(escaped(quote + gap))
        self._inside.reopen()
        self._state = _STRING
        return position

    def _end_string(self) -> None:
        if self._pieces is None:
            self._put('"')
        else:
            text = decode(f'"{"".join(self._pieces)}"')
            value = coerced(text, self._value_schema())
            self.is_repaired |= value is not text
            self._put(encode(value))
            self._pieces = None
        self._end_value()

    def _end_key(self) -> None:
        raw = "".join(self._pieces or ())
        self._pieces = None
        written = f'"{raw}"'
        key = str(decode(written)) if "\\" in raw else raw
        if self._names is not None and len(self._frames) == 1:
            resolved = self._names.resolved(key)
            if resolved is not None and resolved != key:
                key, written, self.is_repaired = resolved, quoted(resolved), True
        frame = self._frames[-1]
        self._state = _COLON
        if not self._muted_at:
            frame.key = key
            if key in frame.keys:
                self._muted_at = len(self._frames)
                self._taken_gap()
                self.is_repaired = True
                return
            frame.keys.add(key)
        self._put(self._separator() + written)

    # --- numbers, words and bare keys -----------------------------------------------------------------------

    def _word(self, text: str, position: int) -> int:
        is_key = self._state is _BARE_KEY
        match = (_BARE_KEY_END if is_key else _LITERAL_END).search(text, position)
        if match is None:
            self._literal.append(text[position:])
            return len(text)
        self._literal.append(text[position : match.start()])
        raw = "".join(self._literal)
        if is_key:
            self._pieces = [escaped(raw.strip())]
            self._end_key()
        else:
            value = raw.rstrip(" \t\r")
            self._put(self._literal_value(value))
            self._end_value()
            self._gap.append(raw[len(value) :])
        return match.start()

    def _literal_value(self, raw: str) -> str:
        literal = loose_literal(raw.strip())
        self.is_repaired |= literal != raw.strip()
        if literal != "null" and literal[0] != '"' and self._value_schema().is_string:
            self.is_repaired = True
            return quoted(literal)
        return literal
