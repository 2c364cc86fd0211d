"""Custom tools upstream are functions of one string: their JSON arguments and the raw input inside.

FreeformInput reads `{"input": "…"}` while it streams and gives out the string's characters as they come.

States, and what moves them:
- HEAD: waiting for `{"input": "`, blanks allowed between; all text is held. Text that cannot become that
  head moves to WHOLE.
- STRING: inside the value; characters leave at once, only an unfinished escape is held (`\\`, `\\u12`, a high
  surrogate whose low half may follow). The closing quote moves to AFTER.
- AFTER: the rest is ignored: `}` as a rule.
- WHOLE: arguments of another form; everything is held until the end and read as one (see `_input_of`).
An unpaired surrogate becomes U+FFFD: it has no UTF-8 form.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TypeGuard

import orjson

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_BLANK = re.compile(r"\s+")
_HEAD_TOKENS = '{"input":"'
_SPECIAL = re.compile(r'["\\]')
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MAX_HEAD_CHARACTERS = 256


def freeform_arguments(text: str) -> str:
    """The JSON arguments that stand for the raw input `text` upstream."""
    return orjson.dumps({"input": text}).decode()


def freeform_input(arguments: str, *, is_complete: bool = True) -> str:
    """The raw input inside the arguments: the same text that streaming them gives. Of arguments that were cut
    off only what is certain."""
    reader = FreeformInput()
    text = reader.feed(arguments)
    return text + reader.finish() if is_complete else text


class _State(Enum):
    HEAD = auto()
    STRING = auto()
    AFTER = auto()
    WHOLE = auto()


class FreeformInput:
    """Fragments of JSON arguments in, pieces of the raw input out. Any cut gives the same text; linear."""

    def __init__(self) -> None:
        self._state = _State.HEAD
        self._held = ""
        self._pieces: list[str] = []

    def feed(self, fragment: str) -> str:
        """The characters of the input that `fragment` completes; "" when there are none yet."""
        match self._state:
            case _State.STRING:
                return self._string(self._held + fragment)
            case _State.AFTER:
                return ""
            case _State.WHOLE:
                self._pieces.append(fragment)
                return ""
            case _State.HEAD:  # pragma: no branch - the last of them
                return self._head(self._held + fragment)

    def finish(self) -> str:
        """What is left at the end of the arguments. An escape that was cut off is left out."""
        match self._state:
            case _State.STRING:
                left, self._held = _left_over(self._held), ""
                return left
            case _State.AFTER:
                return ""
            case _State.HEAD | _State.WHOLE:  # pragma: no branch - the last of them
                return _input_of(self._held + "".join(self._pieces))

    def _head(self, text: str) -> str:
        # Models write the head within a few characters; the cap keeps a long wait from becoming quadratic. It
        # counts for the match too, or the cut of the input would show.
        start = text[:_MAX_HEAD_CHARACTERS]
        found = _HEAD.match(start)
        if found:
            self._state, self._held = _State.STRING, ""
            return self._string(text[found.end() :])
        self._held = text
        may_follow = _HEAD_TOKENS.startswith(_BLANK.sub("", start))
        if len(start) == _MAX_HEAD_CHARACTERS or not may_follow:
            self._state = _State.WHOLE
        return ""

    def _string(self, text: str) -> str:
        out: list[str] = []
        at = 0
        while True:
            special = _SPECIAL.search(text, at)
            if special is None:
                out.append(text[at:])
                self._held = ""
                break
            out.append(text[at : special.start()])
            at = special.start()
            if text[at] == '"':
                self._state, self._held = _State.AFTER, ""
                break
            decoded = _escape_at(text, at)
            if decoded is None:
                self._held = text[at:]
                break
            out.append(decoded[0])
            at = decoded[1]
        return "".join(out)


def _escape_at(text: str, at: int) -> tuple[str, int] | None:
    """The character of the escape that starts at `at` and where it ends; None when more input may change it.

    An escape that JSON does not know stands for itself, backslash included: a model's slip must not lose it.
    """
    found = _ESCAPE.match(text, at)
    if found is None:
        return None
    if found[1] is None:
        return _short_escape(text, at, found[2])
    code = int(found[1], 16)
    if 0xD800 <= code < 0xDC00:
        return _surrogate_pair(text, found.end(), code)
    return ("\ufffd" if 0xDC00 <= code < 0xE000 else chr(code)), found.end()


def _short_escape(text: str, at: int, letter: str) -> tuple[str, int] | None:
    if letter == "u" and _may_grow(text[at + 2 : at + 6]):
        return None
    return _SHORT_ESCAPES.get(letter, "\\" + letter), at + 2


def _surrogate_pair(text: str, at: int, high: int) -> tuple[str, int] | None:
    """The character whose high half ends at `at`. A low half that does not follow leaves U+FFFD."""
    rest = text[at : at + 6]
    low = _ESCAPE.fullmatch(rest)
    if low and low[1] and 0xDC00 <= int(low[1], 16) < 0xE000:
        return chr(0x10000 + ((high - 0xD800) << 10) + int(low[1], 16) - 0xDC00), at + 6
    may_follow = rest in ("", "\\") or (rest.startswith("\\u") and _may_grow(rest[2:]))
    return None if may_follow else ("\ufffd", at)


def _may_grow(digits: str) -> bool:
    """Whether these digits of a \\u escape are too few and all of them hexadecimal."""
    return len(digits) < 4 and all(digit in "0123456789abcdefABCDEF" for digit in digits)


def _left_over(held: str) -> str:
    """What an unfinished escape amounts to when nothing follows: a lone high surrogate is one character."""
    return "\ufffd" if len(held) >= 6 else ""


def _input_of(arguments: str) -> str:
    """The raw input inside arguments of another form: `input` after other fields, the only string of an
    object, a JSON string; else the arguments themselves, so that nothing is lost."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    if _is_object(value):
        inner = value.get("input")
        texts = [item for item in value.values() if isinstance(item, str)]
        if isinstance(inner, str):
            return inner
        return texts[0] if len(texts) == 1 and len(value) == 1 else arguments
    return value if isinstance(value, str) else arguments


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
