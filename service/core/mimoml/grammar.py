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
from dataclasses import dataclass
from enum import Enum

from service.core.mimoml.characters import ASCII, NOT_ASCII, OPEN_BRACKETS, ZERO_WIDTH
from service.core.mimoml.entities import decode_entities
from service.core.mimoml.patterns import Answer, Part, alt, before, one, opt, seq, some, up_to, word


class Kind(Enum):
    """What a tag is for."""

    WRAPPER = "wrapper"
    CALL = "call"
    PARAMETER = "parameter"
    NONE = "none"
    THINK = "think"
    CDATA = "cdata"


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


# --- the grammar --------------------------------------------------------------------------------------------

_FOREIGN_PREFIXES = ("antml", "tml")

_BLANK = some(r"[ \t\r\n]", 0, 64)
_BRACKET = seq(one("<"), opt(one("<")))
_NOISE = some("[|;]", 0, 4)
_GAP = "[|;:_\\- \\t]"
_PREFIX = alt(
    seq(word("mimoml"), some(_GAP, 0, 4)),
    *(seq(word(prefix), some(_GAP, 1, 4)) for prefix in _FOREIGN_PREFIXES),
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

_KIND_BY_GROUP = {
    "none": Kind.NONE,
    "wrapper": Kind.WRAPPER,
    "invoke": Kind.CALL,
    "function": Kind.CALL,
    "parameter": Kind.PARAMETER,
    "think": Kind.THINK,
    "cdata": Kind.CDATA,
    "close_wrapper": Kind.WRAPPER,
    "close_call": Kind.CALL,
    "close_parameter": Kind.PARAMETER,
    "close_think": Kind.THINK,
}


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
            return Answer.NO
        foreign = NOT_ASCII.search(text, position, position + 96)
        if foreign is None:
            return self._ask(text, position, is_final)
        if self._is_none(text[position : position + 4].translate(ASCII), 0) is not None:
            return Answer.NO
        following = text[position + 1 : position + 2]
        if following > "\x7f" and ord(following) not in ASCII:
            return Answer.NO
        if foreign.start() > position:
            # What stands before the first odd character must be the beginning of a tag, or there is none.
            answer = self._ask(text[position : foreign.start()], 0, False)
            if isinstance(answer, Tag):
                answer.end += position
                return answer
            if answer is Answer.NO:
                return Answer.NO
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
        if len(beginning) > _MAX_REMEMBERED:
            return self._is_a_beginning(beginning)
        return self._is_beginning(beginning)

    def _is_a_beginning(self, text: str) -> bool:
        return self._partial.match(text) is not None

    def _ask(self, text: str, position: int, is_final: bool) -> Tag | Answer:
        if _MAY_END.search(text, position + 2, position + _MAX_TAG) is not None:
            match = self._full.match(text, position)
            if match is not None:
                return self._known(match).at(match.end())
        if not is_final and self._partial.match(text, position) is not None:
            return Answer.MAYBE
        return Answer.NO

    def _known(self, match: re.Match[str]) -> Tag:
        """The tag, read once: most tags of an answer were there before."""
        text = match.group()
        tag = self._tags.get(text)
        if tag is None:
            tag = _tag(match, text, 0)
            if len(self._tags) >= _MAX_KNOWN:
                self._tags.clear()
            if len(text) <= _MAX_REMEMBERED:
                self._tags[text] = tag
        return tag

    def _ask_odd(self, text: str, position: int, is_final: bool) -> Tag | Answer:
        """The same for text with characters that are read as others; a small window first."""
        answer = self._ask_window(text, position, 96, is_final)
        if answer is Answer.MAYBE and position + 96 < len(text):
            return self._ask_window(text, position, _MAX_TAG, is_final)
        return answer

    def _ask_window(self, text: str, position: int, length: int, is_final: bool) -> Tag | Answer:
        window = text[position : position + length]
        plain = window.translate(ASCII)
        if len(window) - len(plain) > _MAX_ZERO_WIDTH:
            return Answer.NO
        match = self._full.match(plain)
        if match is not None:
            origin = _origin(window)
            end = origin[match.end() - 1] + 1
            return _tag(match, match.group(), position + end, window, origin)
        is_open = not is_final or position + length < len(text)
        return Answer.MAYBE if is_open and self._partial.match(plain) else Answer.NO


def _class(characters: str) -> str:
    return "[" + "".join(map(re.escape, characters)) + "]"


def _origin(window: str) -> list[int]:
    """Where each character of `window.translate(ASCII)` came from."""
    return [index for index, character in enumerate(window) if ASCII.get(ord(character)) != ""]


_NAME_ATTRIBUTE = re.compile(r"""[ \t\r\n|;]name[ \t\r\n]*=[ \t\r\n]*""", re.IGNORECASE)
_EQUALS_NAME = re.compile(r"[a-z]+[ \t\r\n]*=[ \t\r\n]*", re.IGNORECASE)
_VALUE = re.compile(
    r"""(?P<quoted>\\?(?P<quote>["'])(?P<inner>[^<>\n]*?)\\?(?:(?P=quote)|(?=[ |;]*/?>)|\Z))"""
)
_BARE = re.compile(r"""[^ \t\r\n"'<>|/=]+""")
_FOREIGN = re.compile(r"<+[|;/]*(?:" + "|".join(_FOREIGN_PREFIXES) + ")", re.IGNORECASE)


def _tag(
    match: re.Match[str], plain: str, end: int, window: str = "", origin: list[int] | None = None
) -> Tag:
    group = match.lastgroup or ""
    kind = _KIND_BY_GROUP[group]
    tag = Tag(kind, end, is_close=group.startswith("close_"))
    tag.is_doubled = plain.startswith("<<")
    if kind is Kind.CDATA:
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
        if kind is Kind.WRAPPER:
            tag.kind, tag.is_wrapping = Kind.CALL, True
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


STARTERS = Vocabulary(opens="none wrapper invoke function think")
STRUCTURE = Vocabulary(
    opens="none wrapper invoke function parameter", closes="wrapper call parameter", has_cdata=True
)
CLOSERS = Vocabulary(closes="wrapper call parameter")
THINK_END = Vocabulary(closes="think")
