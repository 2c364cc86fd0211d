"""Lanes: text that passes by the machine, because it can mean nothing where it stands.

Most pieces of an answer are a few characters in the midst of a line or of a string argument. Reading them
state by state costs ten times what they are worth, so a lane says with one pattern how far a piece is `sure`
to be data. What follows that may be `held` for the next piece, if only that can tell (a backslash, "<" at
the end); a piece with anything else in it goes to the machine, what was held before it. A lane therefore
decides nothing: with and without it the same leaves, and no later.

Which lane is open is the machine's knowledge (`Machine.lane`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from service.core.mimoml.characters import CLOSE_BRACKETS, OPEN_BRACKETS
from service.core.mimoml.entities import decode_entities
from service.core.mimoml.grammar import CLOSERS, STARTERS, STRUCTURE
from service.core.mimoml.jsonstrings import CUT_ESCAPE, WHOLE_ESCAPE
from service.core.mimoml.jsontext import escaped

MAX_HELD = 64  # characters; the machine holds what is longer, in pieces
MAX_SPELT = 8  # of which a bracket and what may be a tag's beginning, with blanks before it


@dataclass(frozen=True, slots=True)
class Lane:
    """`sure` matches from the start of a text what is data; `held` from there what must wait for more.

    Most text has no character of which anything must be asked: `doubt` finds the first. `written`: what
    passes, as it leaves; None where it leaves as it is."""

    doubt: Callable[[str], re.Match[str] | None]
    sure: Callable[[str], re.Match[str] | None]
    held: Callable[[str, int], re.Match[str] | None]
    written: Callable[[str], str] | None = None


def _lane(plain: str, *tokens: str, held: str, written: Callable[[str], str] | None = None) -> Lane:
    """`plain`: characters that end a run of data; `tokens`: what else is sure, beginning with one of them."""
    doubt = f"[{plain}" + rf"\"\\\x00-\x1f{_HALVES}" * (written is not None) + "]"
    sure = "(?:" + "|".join([f"[^{plain}]++", *tokens]) + ")*+"
    return Lane(re.compile(doubt).search, re.compile(sure).match, re.compile(rf"(?:{held})\Z").match, written)


def _escaped_data(text: str) -> str:
    return escaped(decode_entities(text))


_LINE_END = r"(?:\r\n?+|\n)[ \t]*"
_HALVES = "\ud800-\udfff"
_TAG_HELD = "<(?:/?[^>\u0080-\U0010ffff])?"
_ADDRESS, _ADDRESS_HELD = r"\[(?!:|\Z)", r"\[(?::\]?/?)?"


def _data(*, has_entities: bool, has_addresses: bool) -> Lane:
    """In a string argument outside CDATA: a line end may be layout, if a closer comes behind it."""
    bracket = STRUCTURE.never_tag
    plain = OPEN_BRACKETS + "\r\n" + "&" * has_entities + r"\[" * has_addresses
    tokens = [bracket, rf"{_LINE_END}+(?=[^ \t{OPEN_BRACKETS}]|{bracket})"]
    held = [f"(?:{_LINE_END})?(?:{_TAG_HELD})?"]
    if has_entities:
        tokens.append("&(?=[#a-zA-Z0-9]{0,9}+[^#a-zA-Z0-9]|[#a-zA-Z0-9]{10})")
        held.append("&[#a-zA-Z0-9]{0,9}")
    if has_addresses:
        tokens.append(_ADDRESS)
        held.append(_ADDRESS_HELD)
    return _lane(plain, *tokens, held="|".join(held), written=_escaped_data if has_entities else escaped)


def _cdata(*, has_addresses: bool) -> Lane:
    plain = OPEN_BRACKETS + r"\]" + r"\[" * has_addresses
    tokens = [CLOSERS.never_tag, rf"\]++(?=[^\]{CLOSE_BRACKETS}])|\](?=\]\])"]
    held = [_TAG_HELD, r"\]\]?"]
    if has_addresses:
        tokens.append(_ADDRESS)
        held.append(_ADDRESS_HELD)
    return _lane(plain, *tokens, held="|".join(held), written=escaped)


def _json(*, has_addresses: bool) -> Lane:
    """In a string of JSON arguments: whole escapes that JSON knows, but for halves of a pair."""
    plain = r"\"\\\x00-\x1f" + _HALVES + r"\[" * has_addresses
    tokens = [WHOLE_ESCAPE]
    held = [CUT_ESCAPE]
    if has_addresses:
        tokens.append(_ADDRESS)
        held.append(_ADDRESS_HELD)
    return _lane(plain, *tokens, held="|".join(held))


_OUTER_ESCAPE = re.compile(r"\\([\"\\])")


def _unwrapped(text: str) -> str:
    return _OUTER_ESCAPE.sub(r"\1", text)


def _json_in_string(*, has_addresses: bool) -> Lane:
    """The same where the arguments are a JSON string themselves: every escape is escaped once more."""
    plain = r"\"\\\x00-\x1f" + _HALVES + r"\[" * has_addresses
    tokens = [r"\\\\(?:[/bfnrt]|\\[\"\\]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})"]
    held = [r"\\{1,3}|\\\\u[0-9a-fA-F]{0,3}"]
    if has_addresses:
        tokens.append(_ADDRESS)
        held.append(_ADDRESS_HELD)
    return _lane(plain, *tokens, held="|".join(held), written=_unwrapped)


def _text(*, is_in_list: bool, has_addresses: bool) -> Lane:
    """In the midst of a line of text. A line that begins with a letter begins in its midst; only a list is
    left by it, and "TO" may begin a call."""
    plain = OPEN_BRACKETS + r"`\\\n" + r"\[" * has_addresses
    tokens = (
        [STARTERS.never_tag] + [r"\n++(?=[^\W\d_T]|T[^O])"] * (not is_in_list) + [_ADDRESS] * has_addresses
    )
    return _lane(plain, *tokens, held="|".join([_TAG_HELD] + [_ADDRESS_HELD] * has_addresses))


def _code(plain: str, *, has_addresses: bool) -> Lane:
    """In the midst of a line inside code, where only its end counts."""
    tokens = [_ADDRESS] * has_addresses
    return _lane(plain + r"\[" * has_addresses, *tokens, held=_ADDRESS_HELD if has_addresses else "(?!)")


class Lanes:
    """Every lane, for answers in which addresses are put back (`[` may begin one) or not."""

    __slots__ = (
        "cdata",
        "data",
        "data_with_entities",
        "fenced",
        "json",
        "json_in_string",
        "span",
        "text",
        "text_in_list",
    )

    def __init__(self, *, has_addresses: bool) -> None:
        self.text = _text(is_in_list=False, has_addresses=has_addresses)
        self.text_in_list = _text(is_in_list=True, has_addresses=has_addresses)
        self.fenced = _code(r"\n", has_addresses=has_addresses)
        self.span = _code(r"`\n", has_addresses=has_addresses)
        self.data = _data(has_entities=False, has_addresses=has_addresses)
        self.data_with_entities = _data(has_entities=True, has_addresses=has_addresses)
        self.cdata = _cdata(has_addresses=has_addresses)
        self.json = _json(has_addresses=has_addresses)
        self.json_in_string = _json_in_string(has_addresses=has_addresses)


LANES = Lanes(has_addresses=False)
LANES_WITH_ADDRESSES = Lanes(has_addresses=True)
