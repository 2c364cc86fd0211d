"""A tag, and what its text says: for what it is, and which tool or parameter it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from service.core.mimoml.characters import ZERO_WIDTH
from service.core.mimoml.entities import decode_entities

FOREIGN_PREFIXES = ("antml", "tml")


class Kind(Enum):
    """What a tag is for."""

    WRAPPER = "wrapper"
    CALL = "call"
    PARAMETER = "parameter"
    NONE = "none"
    THINK = "think"
    CDATA = "cdata"


# Bound once: a member looked up through its Enum costs twenty times a global.
WRAPPER: Final = Kind.WRAPPER
CALL: Final = Kind.CALL
PARAMETER: Final = Kind.PARAMETER
NONE: Final = Kind.NONE
THINK: Final = Kind.THINK
CDATA: Final = Kind.CDATA


@dataclass(slots=True)
class Tag:
    """One recognised tag. `end` is the position after it.

    `name` is the tool or parameter it names, None where it names none. `is_native`: written `word=NAME`.
    `is_foreign`: under another vendor's prefix. `is_doubled`: it opened with two brackets, so a second ">"
    may follow. `is_wrapping`: a call written as a wrapper with a name (`<tool_call name="x">`).
    """

    kind: Kind
    end: int
    is_close: bool = False
    name: str | None = None
    word: str = ""
    is_native: bool = False
    is_empty: bool = False
    is_foreign: bool = False
    is_doubled: bool = False
    is_wrapping: bool = False

    def at(self, end: int) -> Tag:
        """The same tag, ending there."""
        return Tag(
            self.kind,
            end,
            self.is_close,
            self.name,
            self.word,
            self.is_native,
            self.is_empty,
            self.is_foreign,
            self.is_doubled,
            self.is_wrapping,
        )

    @property
    def is_exact(self) -> bool:
        """Our own renderer's word for: the JSON inside is to be taken as it is."""
        return 'form="json"' in self.word


_KIND_BY_GROUP = {
    "none": NONE,
    "wrapper": WRAPPER,
    "invoke": CALL,
    "function": CALL,
    "parameter": PARAMETER,
    "think": THINK,
    "cdata": CDATA,
    "close_wrapper": WRAPPER,
    "close_call": CALL,
    "close_parameter": PARAMETER,
    "close_think": THINK,
}


_NAME_ATTRIBUTE = re.compile(r"""[ \t\r\n|;]name[ \t\r\n]*=[ \t\r\n]*""", re.IGNORECASE)
_EQUALS_NAME = re.compile(r"[a-z]+[ \t\r\n]*=[ \t\r\n]*", re.IGNORECASE)
_VALUE = re.compile(
    r"""(?P<quoted>\\?(?P<quote>["'])(?P<inner>[^<>\n]*?)\\?(?:(?P=quote)|(?=[ |;]*/?>)|\Z))"""
)
_BARE = re.compile(r"""[^ \t\r\n"'<>|/=]+""")
_FOREIGN = re.compile(r"<+[|;/]*(?:" + "|".join(FOREIGN_PREFIXES) + ")", re.IGNORECASE)


def read_tag(
    match: re.Match[str], plain: str, end: int, window: str = "", origin: list[int] | None = None
) -> Tag:
    group = match.lastgroup or ""
    kind = _KIND_BY_GROUP[group]
    tag = Tag(kind, end, is_close=group.startswith("close_"))
    tag.is_doubled = plain.startswith("<<")
    if kind is CDATA:
        return tag
    tag.is_foreign = _FOREIGN.match(plain) is not None
    tag.word = match.group(group)
    if tag.is_close:
        return tag
    tag.is_empty = plain.endswith("/>")
    span, is_native = _name_span(tag.word, group)
    if span is not None:
        shift = match.start(group) - match.start()
        first, last = span[0] + shift, span[1] + shift
        raw = plain[first:last]
        if origin is not None:
            raw = window[origin[first] : origin[last - 1] + 1] if last > first else ""
            raw = "".join(c for c in raw if c not in ZERO_WIDTH)
        tag.name, tag.is_native = decode_entities(raw), is_native
        if kind is WRAPPER:
            tag.kind, tag.is_wrapping = CALL, True
    return tag


def _name_span(text: str, group: str) -> tuple[tuple[int, int] | None, bool]:
    """Where in the tag's text its name stands, and whether it is written `word=NAME`."""
    is_native = False
    start = _NAME_ATTRIBUTE.search(text)
    if group in ("function", "parameter"):
        equals = _EQUALS_NAME.match(text)
        if equals is not None:
            start, is_native = equals, True
    if start is None:
        return None, False
    quoted = _VALUE.match(text, start.end())
    if quoted is not None:
        return quoted.span("inner"), is_native
    if is_native and group == "parameter":
        last = len(text.rstrip(">").rstrip("/").rstrip(" \t|;"))
        return (start.end(), last), True
    bare = _BARE.match(text, start.end())
    return (bare.span() if bare else None), is_native
