"""How far a text is the beginning of one JSON object or array, told while it comes.

States: VALUE, KEY, COLON and AFTER between tokens (FIRST_VALUE and FIRST_KEY where the container may end at
once); STRING, ESCAPE and HEX inside a string; NUMBER and WORD. Nothing is held back: each character that may
still become JSON is taken, and the first that cannot ends it. Strict as RFC 8259 is; a number must end
before its container does. Linear in the text, and the same for any cut of it."""

from __future__ import annotations

import re
from enum import Enum, auto

_BLANKS = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_WORDS = {"t": "true", "f": "false", "n": "null"}
_DIGITS = "0123456789"
# The part of a number that was read, and the sign that follows -> the part that it belongs to.
_NUMBER = {
    (part, sign): to
    for part, signs, to in (
        *(("-", "0", "0"), ("-", "123456789", "9"), ("9", _DIGITS, "9"), ("0", ".", "."), ("9", ".", ".")),
        *((".", _DIGITS, "f"), ("f", _DIGITS, "f"), ("0", "eE", "e"), ("9", "eE", "e"), ("f", "eE", "e")),
        *(("e", "+-", "s"), ("e", _DIGITS, "x"), ("s", _DIGITS, "x"), ("x", _DIGITS, "x")),
    )
    for sign in signs
}
_ENDS_NUMBER = frozenset("09fx")


class _State(Enum):
    VALUE = auto()
    FIRST_VALUE = auto()
    KEY = auto()
    FIRST_KEY = auto()
    COLON = auto()
    AFTER = auto()
    STRING = auto()
    ESCAPE = auto()
    HEX = auto()
    NUMBER = auto()
    WORD = auto()


class JsonPrefix:
    """One value's text in. `is_whole`: it is closed; `is_broken`: no text can make it JSON any more."""

    def __init__(self) -> None:
        self._state = _State.VALUE
        self._open: list[str] = []  # the brackets that will close what is open
        self._is_key = False
        self._rest = ""  # of a word
        self._part = ""  # of a number
        self._hex_digits = 0
        self.is_whole = False
        self.is_broken = False

    def feed(self, text: str) -> int:
        """How many characters of the text belong to the value; fewer than all when it is whole or broken."""
        at = 0
        while at < len(text) and not self.is_whole and not self.is_broken:
            at = self._step(text, at)
        return at

    def _step(self, text: str, at: int) -> int:
        match self._state:
            case _State.STRING:
                return self._string(text, at)
            case _State.ESCAPE | _State.HEX:
                return self._escape(text[at], at)
            case _State.NUMBER:
                return self._number(text[at], at)
            case _State.WORD:
                return self._word(text[at], at)
            case _:
                blanks = _BLANKS.match(text, at)
                at = blanks.end() if blanks else at
                return at if at == len(text) else self._token(text[at], at)

    def _token(self, sign: str, at: int) -> int:
        state = self._state
        if state is _State.COLON and sign == ":":
            self._state = _State.VALUE
        elif state is _State.AFTER and sign == ",":
            self._state = _State.KEY if self._open[-1] == "}" else _State.VALUE
        elif sign in "]}" and self._may_close(sign):
            self._open.pop()
            self._ended()
        elif state in (_State.KEY, _State.FIRST_KEY) and sign == '"':
            self._state, self._is_key = _State.STRING, True
        elif state in (_State.VALUE, _State.FIRST_VALUE):
            return self._value(sign, at)
        else:
            self.is_broken = True
            return at
        return at + 1

    def _may_close(self, sign: str) -> bool:
        may_end = self._state in (_State.AFTER, _State.FIRST_KEY, _State.FIRST_VALUE)
        return may_end and self._open[-1] == sign

    def _value(self, sign: str, at: int) -> int:
        if sign in "{[":
            self._open.append("}" if sign == "{" else "]")
            self._state = _State.FIRST_KEY if sign == "{" else _State.FIRST_VALUE
        elif not self._open:
            self.is_broken = True
            return at
        elif sign == '"':
            self._state, self._is_key = _State.STRING, False
        elif sign in _WORDS:
            self._state, self._rest = _State.WORD, _WORDS[sign][1:]
        elif sign == "-" or ("-", sign) in _NUMBER:
            self._state, self._part = _State.NUMBER, "-" if sign == "-" else _NUMBER["-", sign]
        else:
            self.is_broken = True
            return at
        return at + 1

    def _ended(self) -> None:
        """A value is whole."""
        self._state = _State.AFTER
        self.is_whole = not self._open

    def _string(self, text: str, at: int) -> int:
        plain = _PLAIN.match(text, at)
        at = plain.end() if plain else at
        if at == len(text):
            return at
        if text[at] == "\\":
            self._state = _State.ESCAPE
        elif text[at] != '"':
            self.is_broken = True
            return at
        elif self._is_key:
            self._state = _State.COLON
        else:
            self._ended()
        return at + 1

    def _escape(self, sign: str, at: int) -> int:
        if self._state is _State.HEX and sign in "0123456789abcdefABCDEF":
            self._hex_digits -= 1
            self._state = _State.HEX if self._hex_digits else _State.STRING
        elif self._state is _State.ESCAPE and sign == "u":
            self._state, self._hex_digits = _State.HEX, 4
        elif self._state is _State.ESCAPE and sign in '"\\/bfnrt':
            self._state = _State.STRING
        else:
            self.is_broken = True
            return at
        return at + 1

    def _number(self, sign: str, at: int) -> int:
        part = _NUMBER.get((self._part, sign))
        if part is not None:
            self._part = part
            return at + 1
        if self._part in _ENDS_NUMBER:
            self._ended()
        else:
            self.is_broken = True
        return at

    def _word(self, sign: str, at: int) -> int:
        if sign != self._rest[0]:
            self.is_broken = True
            return at
        self._rest = self._rest[1:]
        if not self._rest:
            self._ended()
        return at + 1
