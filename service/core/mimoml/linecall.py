"""The legacy line `TOOL_CALL: name(key="value", n=3)`: where its parentheses end, and what they say."""

from __future__ import annotations

import re

from service.core.mimoml.grammar import STRUCTURE
from service.core.mimoml.jsontext import JSONValue, Number, decode_loose, past
from service.core.mimoml.schema import ANYTHING, value_of_text

_MARKS = re.compile("[\"'()\\[\\]{}\\\\]")
_MARKS_OR_TAG = re.compile(f"{_MARKS.pattern}|(?!{STRUCTURE.never_tag})<")
_KEY = re.compile(r"\s*([A-Za-z_][\w.\-]*)\s*[=:]\s*")
_COMMA = re.compile(r"\s*(?:,\s*|\Z)")
_STRING = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_BARE = re.compile(r"[^,]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Nesting:
    """Finds the bracket that closes the first one, strings apart, in text that comes in pieces."""

    __slots__ = ("_is_escaped", "_quote", "_quotes", "depth")

    def __init__(self, quotes: str = "\"'") -> None:
        self.depth = 0
        self._quotes = quotes
        self._quote = ""
        self._is_escaped = False

    def feed(self, text: str, position: int, *, stops_at_tags: bool = False) -> int:
        """The position behind the closing bracket or at a "<" outside strings that may begin a tag (`depth`
        tells which), len(text) when neither came."""
        end = len(text)
        marks = _MARKS_OR_TAG if stops_at_tags else _MARKS
        while position < end:
            if self._is_escaped:
                self._is_escaped = False
                position += 1
                continue
            match = marks.search(text, position)
            if match is None:
                return end
            character = match.group()
            position = match.end()
            if self._quote:
                self._in_string(character)
            elif character == "<":
                return position - 1
            elif self._outside(character):
                return position
        return end

    def _in_string(self, character: str) -> None:
        if character == "\\":
            self._is_escaped = True
        elif character == self._quote:
            self._quote = ""

    def _outside(self, character: str) -> bool:
        """True when this closed the first bracket."""
        if character in self._quotes:
            self._quote = character
        elif character in "([{":
            self.depth += 1
        elif character in ")]}":
            self.depth -= 1
            return self.depth == 0
        return False


def arguments_of_line(text: str) -> list[tuple[str | None, JSONValue, bool]]:
    """What is between the parentheses: (key or None, value, was it a quoted string). May raise ValueError."""
    if text.lstrip()[:1] == "{":
        value = decode_loose(text)
        return [(key, item, False) for key, item in value.items()] if isinstance(value, dict) else []
    members: list[tuple[str | None, JSONValue, bool]] = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        key = _KEY.match(text, position)
        if key is not None:
            position = key.end()
        value, is_string, position = _value(text, position, is_named=key is not None)
        members.append((key.group(1) if key else None, value, is_string))
        comma = _COMMA.match(text, position)
        if comma is None:
            raise ValueError("no comma")
        position = comma.end()
    return members


def _value(text: str, position: int, *, is_named: bool) -> tuple[JSONValue, bool, int]:
    quoted = _STRING.match(text, position)
    if quoted is not None:
        body = quoted[1] if quoted[1] is not None else quoted[2]
        return _ESCAPE.sub(_unescaped, body), True, quoted.end()
    if text[position : position + 1] in ("[", "{"):
        end = Nesting().feed(text, position)
        return decode_loose(text[position:end]), False, end
    end = past(_BARE, text, position)
    word = text[position:end].strip()
    if not word:
        raise ValueError("no value")
    words: dict[str, JSONValue] = {"true": True, "false": False, "none": None, "null": None}
    if word.lower() in words:
        return words[word.lower()], False, end
    value = value_of_text(word, ANYTHING)
    if value == word and not isinstance(value, Number) and not is_named:
        raise ValueError("words, not a value")
    return value, False, end


def _unescaped(match: re.Match[str]) -> str:
    letter = match[1]
    if len(letter) == 5:
        code = int(letter[1:], 16)
        return match.group() if 0xD800 <= code <= 0xDFFF else chr(code)
    return _SHORT.get(letter, letter)


class StringDecoder:
    """The characters of a JSON string whose opening quote was read, as they come."""

    __slots__ = ("_escape", "is_done")

    def __init__(self) -> None:
        self._escape = ""
        self.is_done = False

    @property
    def is_escaped(self) -> bool:
        """An escape was begun."""
        return bool(self._escape)

    def feed(self, text: str, position: int) -> tuple[str, int]:
        """What `text` adds, and the position behind it or behind the closing quote."""
        pieces: list[str] = []
        end = len(text)
        while position < end and not self.is_done:
            if self._escape:
                pieces.append(self._escaped(text[position]))
                position += 1
                continue
            match = _STRING_MARK.search(text, position)
            if match is None:
                pieces.append(text[position:])
                return "".join(pieces), end
            pieces.append(text[position : match.start()])
            position = match.end()
            if match.group() == '"':
                self.is_done = True
            else:
                self._escape = "\\"
        return "".join(pieces), position

    def _escaped(self, character: str) -> str:
        self._escape += character
        if self._escape[1] != "u":
            letter, self._escape = self._escape[1], ""
            return _SHORT.get(letter, letter)
        if len(self._escape) < 6:
            return ""
        text, self._escape = self._escape[2:], ""
        if not _HEX4.fullmatch(text):
            return "u" + text
        code = int(text, 16)
        # Half of a pair stays an escape: the JSON inside the string knows what to do with it.
        return f"\\u{text}" if 0xD800 <= code <= 0xDFFF else chr(code)


_STRING_MARK = re.compile(r'["\\]')
_HEX4 = re.compile("[0-9a-fA-F]{4}")
