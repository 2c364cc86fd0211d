"""The tokens of tool-call markup, once: what finds a tag also reads it and also closes it.

A tag is looked for at an opening angle bracket and nowhere else. The recogniser has three answers:

- NO     nothing that starts here can become a tag of the vocabulary: the bracket is text, now;
- MAYBE  the text ends before that is known: hold what there is, ask again with more;
- a Tag  it is one, and it ends at `end`.

MAYBE is exact: it is given only where some continuation would make a tag (patterns.py says how).

    tag       = open noise? [prefix gap] word rest        closing tags: one slash, before or after the prefix
    open      = "<" | "<<"                                CJK angle brackets are read as "<" and ">"
    noise     = up to four of  |  ！  、  ▁               fullwidth pipes are read as "|"
    prefix    = MiMoML | a foreign one with a separator   (tml:, antml:)
    gap       = up to four of noise, blank, ":", "-", "_" nothing at all after MiMoML
    word      = tool_calls … function_call | invoke | function | parameter | param | tool_call_none | think
    rest      = "=NAME" or attributes, then noise? "/"? ">"   wrapper and call tags may lack ">" before "<"

Letters in any case. Text that is not ASCII is first brought to ASCII one character at a time (NFKC for
fullwidth and mathematical letters, smart quotes to straight ones, zero-width characters dropped); positions
are mapped back, and names are cut from the text as it came. Every repetition is bounded, so what MAYBE
holds is bounded too (about 5 KB, reached by an attribute that long only)."""

from __future__ import annotations

import functools
import re

from service.core.mimoml.characters import ASCII, NOT_ASCII, OPEN_BRACKETS
from service.core.mimoml.patterns import (
    MAYBE,
    NO,
    Answer,
    Part,
    alt,
    before,
    one,
    opt,
    seq,
    some,
    up_to,
    word,
)
from service.core.mimoml.tags import FOREIGN_PREFIXES, Tag, read_tag

# --- the grammar --------------------------------------------------------------------------------------------

_BLANK = some(r"[ \t\r\n]", 0, 64)
_BRACKET = seq(one("<"), opt(one("<")))
_NOISE = some("[|;]", 0, 4)
_GAP = "[|;:_\\- \\t]"
_PREFIX = alt(
    seq(word("mimoml"), some(_GAP, 0, 4)),
    *(seq(word(prefix), some(_GAP, 1, 4)) for prefix in FOREIGN_PREFIXES),
)
_JOINT = opt(one(r"[_;\-]"))

_UNQUOTED = some(r"""[^ \t\r\n"'<>|/=]""", 1, 256)
_ENDS_VALUE = before(r"[ \t\r\n|;]*/?>")
_QUOTED = alt(
    *(
        seq(
            opt(one(r"\\")),
            one(quote),
            some(f"[^{quote}<>\\n]", 0, 1024),
            alt(one(quote), _ENDS_VALUE),
        )
        for quote in ('"', "'")
    )
)
_ATTRIBUTE = seq(
    some(r"[ \t\r\n|;]", 1, 64),
    some(r"[A-Za-z_:.\-]", 1, 32),
    _BLANK,
    one("="),
    _BLANK,
    alt(_QUOTED, _UNQUOTED),
)
_ATTRIBUTES = up_to(_ATTRIBUTE, 4)
_EQUALS = seq(_BLANK, one("="), _BLANK)
_TAIL = seq(_BLANK, _NOISE, _BLANK, opt(one("/")))
_END = seq(_TAIL, one(">"))
_END_OR_BRACKET = seq(_TAIL, alt(one(">"), before("<")))
_CLOSE_END = alt(
    seq(opt(seq(one("[ \\t\\r\\n=|;]"), some("[^<>\\n]", 0, 128))), one(">")),
    seq(_BLANK, before("<")),
)

_WRAPPER_WORD = alt(
    seq(word("tool"), _JOINT, word("call"), opt(one("s"))),
    seq(word("function"), _JOINT, word("call"), opt(one("s"))),
)
_OPENERS = {
    "none": seq(word("tool"), _JOINT, word("call"), _JOINT, word("none"), _END),
    "wrapper": seq(_WRAPPER_WORD, _ATTRIBUTES, _END_OR_BRACKET),
    "invoke": seq(word("invoke"), _ATTRIBUTE, _ATTRIBUTES, _END_OR_BRACKET),
    "function": seq(
        word("function"),
        alt(seq(_EQUALS, alt(_QUOTED, _UNQUOTED)), seq(_ATTRIBUTE, _ATTRIBUTES)),
        _END_OR_BRACKET,
    ),
    "parameter": seq(
        word("param"),
        opt(word("eter")),
        alt(seq(_EQUALS, alt(_QUOTED, some(r"[^<>\n]", 1, 256))), seq(_ATTRIBUTE, _ATTRIBUTES)),
        _END,
    ),
    "think": seq(word("think"), opt(word("ing")), _END),
}
_CLOSERS = {
    "wrapper": seq(_WRAPPER_WORD, _CLOSE_END),
    "call": seq(alt(word("invoke"), word("function")), _CLOSE_END),
    "parameter": seq(word("param"), opt(word("eter")), _CLOSE_END),
    "think": seq(word("think"), opt(word("ing")), _END),
}
_OPEN_HEAD = seq(_BRACKET, _NOISE, opt(_PREFIX))
_CLOSE_HEAD = alt(
    seq(_BRACKET, _NOISE, one("/"), _NOISE, opt(_PREFIX)),
    seq(_BRACKET, _NOISE, _PREFIX, one("/"), _NOISE),
)
_CDATA = seq(one("<"), one("[!;]"), one(r"\["), word("cdata"), one(r"\["))

_MAY_END = re.compile(r"[<>\[]")  # no tag ends without one of these in it or behind it
_MAY_TELL = re.compile(r"[<>\[]|[^\x01-\x7f]")
_MAX_ZERO_WIDTH = 32  # such characters in one tag
_MAX_KNOWN = 512  # tags, or beginnings of tags, that are remembered; and characters of one that is
_MAX_REMEMBERED = 256
_MAX_TAG = 8192  # characters; more than the longest tag


class Vocabulary:
    """The tags that matter in one place: a subset of the one grammar.

    `never_tag` is a pattern for a bracket that one or two characters behind it show to begin none of them,
    `may_tag` one for the others: most brackets in text are told by that one look."""

    __slots__ = ("_full", "_is_beginning", "_is_none", "_partial", "_tags", "may_tag", "never_tag")

    def __init__(self, *, opens: str = "", closes: str = "", has_cdata: bool = False) -> None:
        branches: list[tuple[Part, dict[str, Part]]] = []
        if opens:
            branches.append((_OPEN_HEAD, {name: _OPENERS[name] for name in opens.split()}))
        if closes:
            branches.append((_CLOSE_HEAD, {f"close_{name}": _CLOSERS[name] for name in closes.split()}))
        if has_cdata:
            branches.append((Part("", r"(?!)"), {"cdata": _CDATA}))
        fulls, partials = [], []
        for head, words in branches:
            named = "|".join(f"(?P<{name}>{part.full})" for name, part in words.items())
            fulls.append(f"{head.full}(?:{named})")
            partials.append(seq(head, alt(*words.values())).partial)
        self._full = re.compile("|".join(fulls), re.IGNORECASE)
        self._partial = re.compile("|".join(partials), re.IGNORECASE)
        # A model spells a tag in the same pieces each time: the same beginnings are asked for again.
        self._is_beginning = functools.lru_cache(_MAX_KNOWN)(self._is_a_beginning)
        self._tags: dict[str, Tag] = {}
        never_behind = self._never_behind()
        self.never_tag = f"[{OPEN_BRACKETS}](?={never_behind})"
        self.may_tag = f"[{OPEN_BRACKETS}](?!{never_behind})"
        self._is_none = re.compile(self.never_tag).match

    def _never_behind(self) -> str:
        """What never stands behind the bracket of a tag: one ASCII character or two, three that begin with a
        slash, or two more brackets."""
        return "|".join([*self._never_after("<"), f"[{OPEN_BRACKETS}]{{2}}"])

    def _never_after(self, beginning: str) -> list[str]:
        """Patterns of the shortest texts that make no tag of `beginning`, which may be one."""
        ascii_characters = [chr(code) for code in range(1, 128)]
        never = "".join(c for c in ascii_characters if not self._partial.match(beginning + c))
        if len(beginning) == 3 or (len(beginning) == 2 and beginning[1] != "/"):
            return [_class(never)]
        firsts_by_rest: dict[str, str] = {}
        for first in ascii_characters:
            if first not in never:
                rest = "|".join(self._never_after(beginning + first))
                firsts_by_rest[rest] = firsts_by_rest.get(rest, "") + first
        return [_class(never), *(f"{_class(firsts)}(?:{rest})" for rest, firsts in firsts_by_rest.items())]

    def recognise(self, text: str, position: int, *, is_final: bool = False) -> Tag | Answer:
        """Is there a tag of this vocabulary at `position`, an opening bracket? `is_final`: no more comes."""
        if self._is_none(text, position) is not None:
            return NO
        foreign = NOT_ASCII.search(text, position, position + 96)
        if foreign is None:
            return self._ask(text, position, is_final)
        if self._is_none(text[position : position + 4].translate(ASCII), 0) is not None:
            return NO
        following = text[position + 1 : position + 2]
        if following > "\x7f" and ord(following) not in ASCII:
            return NO
        if foreign.start() > position:
            # What stands before the first odd character must be the beginning of a tag, or there is none.
            answer = self._ask(text[position : foreign.start()], 0, False)
            if isinstance(answer, Tag):
                answer.end += position
                return answer
            if answer is NO:
                return NO
        return self._ask_odd(text, position, is_final)

    def goes_on(self, text: str, position: int, more: str) -> bool:
        """After MAYBE at `position`: surely MAYBE still, now that `text` ends with `more`."""
        if _MAY_TELL.search(more) is not None:
            return False
        beginning = text[position:]
        if not beginning.isascii() or "\0" in beginning:
            plain = beginning.translate(ASCII)
            if len(beginning) - len(plain) > _MAX_ZERO_WIDTH:
                return False
            beginning = plain
        return self._begins(beginning)

    def _begins(self, text: str) -> bool:
        return (self._is_a_beginning if len(text) > _MAX_REMEMBERED else self._is_beginning)(text)

    def _is_a_beginning(self, text: str) -> bool:
        return self._partial.match(text) is not None

    def _ask(self, text: str, position: int, is_final: bool) -> Tag | Answer:
        if _MAY_END.search(text, position + 2, position + _MAX_TAG) is not None:
            match = self._full.match(text, position)
            if match is not None:
                return self._known(match).at(match.end())
        if not is_final and self._partial.match(text, position) is not None:
            return MAYBE
        return NO

    def _known(self, match: re.Match[str]) -> Tag:
        """The tag, read once: most tags of an answer were there before."""
        text = match.group()
        tag = self._tags.get(text)
        if tag is None:
            tag = read_tag(match, text, 0)
            if len(self._tags) >= _MAX_KNOWN:
                self._tags.clear()
            if len(text) <= _MAX_REMEMBERED:
                self._tags[text] = tag
        return tag

    def _ask_odd(self, text: str, position: int, is_final: bool) -> Tag | Answer:
        """The same for text with characters that are read as others; a small window first."""
        answer = self._ask_window(text, position, 96, is_final)
        if answer is MAYBE and position + 96 < len(text):
            return self._ask_window(text, position, _MAX_TAG, is_final)
        return answer

    def _ask_window(self, text: str, position: int, length: int, is_final: bool) -> Tag | Answer:
        window = text[position : position + length]
        plain = window.translate(ASCII)
        if len(window) - len(plain) > _MAX_ZERO_WIDTH:
            return NO
        match = self._full.match(plain) if _MAY_END.search(plain, 2) is not None else None
        if match is not None:
            origin = _origin(window)
            end = origin[match.end() - 1] + 1
            return read_tag(match, match.group(), position + end, window, origin)
        is_open = not is_final or position + length < len(text)
        return MAYBE if is_open and self._begins(plain) else NO


def _class(characters: str) -> str:
    return "[" + "".join(map(re.escape, characters)) + "]"


def _origin(window: str) -> list[int]:
    """Where each character of `window.translate(ASCII)` came from."""
    return [index for index, character in enumerate(window) if ASCII.get(ord(character)) != ""]


STARTERS = Vocabulary(opens="none wrapper invoke function think")
STRUCTURE = Vocabulary(
    opens="none wrapper invoke function parameter", closes="wrapper call parameter", has_cdata=True
)
CLOSERS = Vocabulary(closes="wrapper call parameter")
THINK_END = Vocabulary(closes="think")
