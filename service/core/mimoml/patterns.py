"""Patterns that know their beginnings.

A recogniser that is fed in pieces has three answers: no, maybe, and the match. To have "maybe" without
writing a grammar twice, it is built from parts that each know two patterns: `full` matches the part,
`partial` matches a proper beginning of it that reaches the end of the text. A sequence's partial is "the
first part's partial, or the first part and the partial of the rest"; so both come from one description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Answer(Enum):
    """What the recogniser says when it has no tag."""

    NO = "no"
    MAYBE = "maybe"


# Bound once: a member looked up through its Enum costs twenty times a global.
NO: Final = Answer.NO
MAYBE: Final = Answer.MAYBE


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of grammar: `full` matches it, `partial` a proper beginning of it at the end of the text."""

    full: str
    partial: str


def one(characters: str) -> Part:
    """One character of a class."""
    return Part(characters, r"\Z")


def some(characters: str, low: int, high: int) -> Part:
    """`low` to `high` characters of a class."""
    return Part(f"{characters}{{{low},{high}}}", rf"{characters}{{0,{high - 1}}}\Z")


def word(text: str) -> Part:
    """These very letters (in any case, where the pattern is compiled so)."""
    return seq(*map(one, map(re.escape, text)))


def seq(*parts: Part) -> Part:
    """One after the other."""
    partial = parts[-1].partial
    for part in reversed(parts[:-1]):
        partial = f"(?:{part.partial}|{part.full}{partial})"
    return Part("".join(part.full for part in parts), partial)


def alt(*parts: Part) -> Part:
    """Any one of them."""
    return Part(
        "(?:" + "|".join(part.full for part in parts) + ")",
        "(?:" + "|".join(part.partial for part in parts) + ")",
    )


def opt(part: Part) -> Part:
    """It, or nothing."""
    return Part(f"(?:{part.full})?", part.partial)


def before(characters: str) -> Part:
    """Nothing, where one of these characters comes next."""
    return Part(f"(?={characters})", r"\Z")


def up_to(part: Part, times: int) -> Part:
    """It, from none to `times` times."""
    result = opt(part)
    for _ in range(times - 1):
        result = opt(seq(part, result))
    return result


class Pattern:
    """A part, ready to be asked with three answers."""

    __slots__ = ("_full", "_partial")

    def __init__(self, part: Part, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._full = re.compile(part.full, flags)
        self._partial = re.compile(part.partial, flags)

    def ask(self, text: str, position: int, *, is_final: bool = False) -> re.Match[str] | Answer:
        """The match at `position`, MAYBE where more text could make one, else NO."""
        match = self._full.match(text, position)
        if match is not None:
            return match
        is_open = not is_final and self._partial.match(text, position) is not None
        return MAYBE if is_open else NO
