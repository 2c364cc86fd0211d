"""JSON text <-> values, with every number kept as it was written.

orjson reads 2**64 as a float and 1.10 as 1.1; arguments of a tool must not change on the way, so this reads
numbers as text. It is strict but for two things that models do: raw control characters inside strings are
taken, and nothing is too large. Depth is bounded (MAX_DEPTH), so nothing recurses without end.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import orjson

MAX_DEPTH = 200


class Number(str):
    """A JSON number as text."""

    __slots__ = ()


JSONValue = None | bool | str | Number | list[Any] | dict[str, Any]

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING_MARK = re.compile(r'["\\]')
_WORDS = (("true", True), ("false", False), ("null", None))
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_TO_ESCAPE = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def escaped(text: str) -> str:
    """`text` as it stands between a JSON string's quotes."""
    if _TO_ESCAPE.search(text) is None:
        return text
    try:
        return orjson.dumps(text)[1:-1].decode()
    except orjson.JSONEncodeError:  # half a pair
        return _TO_ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character >= "\ud800":  # half a pair: strict readers refuse it in any form
        return "\ufffd"
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def quoted(text: str) -> str:
    """`text` as a JSON string."""
    return f'"{escaped(text)}"'


def encode(value: JSONValue) -> str:
    """The value as JSON text, separated by ", " and ": " (the form models write)."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(encode, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)}: {encode(item)}" for key, item in value.items()) + "}"
    return {True: "true", False: "false", None: "null"}[value]


def decode(text: str) -> JSONValue:
    """The one JSON value that `text` is, blanks round it allowed. Raises ValueError; of equal keys the first
    wins."""
    value, position = _value(text, _past_blank(text, 0), 0)
    if _past_blank(text, position) != len(text):
        raise ValueError("more than one value")
    return value


def past(pattern: re.Pattern[str], text: str, position: int, end: int = sys.maxsize) -> int:
    """The position behind what `pattern` matches at `position`; `position` itself where it does not match."""
    match = pattern.match(text, position, end)
    return position if match is None else match.end()


def _past_blank(text: str, position: int) -> int:
    return past(_BLANK, text, position)


def _value(text: str, position: int, depth: int) -> tuple[JSONValue, int]:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    character = text[position : position + 1]
    if character == '"':
        return _string(text, position + 1)
    if character == "{":
        return _object(text, position + 1, depth + 1)
    if character == "[":
        return _array(text, position + 1, depth + 1)
    number = NUMBER.match(text, position)
    if number is not None:
        return Number(number.group()), number.end()
    for literal, value in _WORDS:
        if text.startswith(literal, position):
            return value, position + len(literal)
    raise ValueError("no value")


def _string(text: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    while True:
        match = _STRING_MARK.search(text, position)
        if match is None:
            raise ValueError("string without end")
        pieces.append(text[position : match.start()])
        if match.group() == '"':
            return "".join(pieces), match.end()
        character, position = _escaped_character(text, match.end())
        pieces.append(character)


def _escaped_character(text: str, position: int) -> tuple[str, int]:
    """The character that the escape after a backslash stands for, and the position behind it."""
    letter = text[position : position + 1]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], position + 1
    code = _HEX4.match(text, position + 1) if letter == "u" else None
    if code is None:
        raise ValueError("no such escape")
    value, position = int(code.group(), 16), code.end()
    if 0xD800 <= value < 0xDC00 and text.startswith("\\u", position):
        low = _HEX4.match(text, position + 2)
        if low is not None and 0xDC00 <= int(low.group(), 16) < 0xE000:
            value = 0x10000 + ((value - 0xD800) << 10) + (int(low.group(), 16) - 0xDC00)
            position = low.end()
    return chr(value), position


def _object(text: str, position: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    position = _past_blank(text, position)
    if text[position : position + 1] == "}":
        return members, position + 1
    while True:
        if text[position : position + 1] != '"':
            raise ValueError("no key")
        key, position = _string(text, position + 1)
        position = _past_blank(text, position)
        if text[position : position + 1] != ":":
            raise ValueError("no colon")
        value, position = _value(text, _past_blank(text, position + 1), depth)
        members.setdefault(key, value)
        position = _past_blank(text, position)
        separator = text[position : position + 1]
        position += 1
        if separator == "}":
            return members, position
        if separator != ",":
            raise ValueError("no comma")
        position = _past_blank(text, position)


def _array(text: str, position: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    position = _past_blank(text, position)
    if text[position : position + 1] == "]":
        return items, position + 1
    while True:
        value, position = _value(text, position, depth)
        items.append(value)
        position = _past_blank(text, position)
        separator = text[position : position + 1]
        position += 1
        if separator == "]":
            return items, position
        if separator != ",":
            raise ValueError("no comma")
        position = _past_blank(text, position)


_MAX_REPAIR = 1 << 18  # characters; the repairing library is not linear in everything
_MAYBE_LOOSE = re.compile(r"\s*[\[{]")


def decode_loose(text: str) -> JSONValue:
    """The object or array that `text` was meant to be: single quotes, trailing commas, Python's words and
    the like are repaired. Raises ValueError for text that is neither."""
    try:
        return decode(text)
    except ValueError:
        if len(text) > _MAX_REPAIR or _MAYBE_LOOSE.match(text) is None:
            raise
    import json_repair  # heavy, and most answers never need it

    try:
        repaired = json_repair.repair_json(text, ensure_ascii=False, skip_json_loads=True)
    except RecursionError as error:
        raise ValueError("too deep") from error
    return decode(str(repaired))
