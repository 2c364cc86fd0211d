"""Directives: `[[sim: status=429 retry_after=2 times=1]]` in a message chooses a fault or a scripted answer.

A block is words of the form `name` or `name=value`; a value with blanks or `]` stands in double quotes, with
JSON's escapes. Several blocks may stand in one message; those that apply are merged, later words winning.
docs/simulator.md lists every word; a word that is not on the list is refused, so that no typo goes unseen.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

_OPEN = "[[sim:"
_WORD = re.compile(r'\s*([a-z][a-z0-9_]*)(?:=("(?:[^"\\]|\\.)*"|[^\s\]"]+))?')
_CLOSE = re.compile(r"\s*\]\]")

CHOICE_WORDS = frozenset({"id", "times", "every", "account", "on", "endpoint"})
BEFORE_WORDS = frozenset(
    {"delay_ms", "drop", "status", "retry_after", "message", "code", "type", "param", "html", "json200"}
    | {"empty_body", "sensitive"}
)
PLAY_WORDS = frozenset(
    {"first_delay_ms", "pace_ms", "burst", "stall_after", "cut_after", "end_after", "rst", "slice", "crlf"}
    | {"garbage_after", "garbage", "error_frame", "error_after", "comments", "hold_ms", "garbage_bytes"}
)
ANSWER_WORDS = frozenset(
    {"say", "raw", "raw_base64", "reasoning", "reasoning_base64", "tool_leak", "pieces", "repeat", "tokens"}
    | {"finish", "no_usage", "usage", "empty", "no_tools", "calls", "call", "args", "args_base64", "notice"}
    | {"search", "reasoning_tokens", "tips", "think_close", "bare_done"}
)
WORDS = CHOICE_WORDS | BEFORE_WORDS | PLAY_WORDS | ANSWER_WORDS


class DirectiveError(ValueError):
    """A block that cannot be read, or a word that no one knows."""


@dataclass(frozen=True, slots=True)
class Block:
    """One `[[sim: …]]`. `key` names its counter for `times` and `every`: its `id`, else its own text."""

    words: Mapping[str, str]
    key: str


class Directive:
    """The words that apply to one request, read by type."""

    __slots__ = ("words",)

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        self.words: Mapping[str, str] = words or {}

    def __contains__(self, name: str) -> bool:
        return name in self.words

    def __bool__(self) -> bool:
        return bool(self.words)

    def text(self, name: str) -> str | None:
        """The value as given; `name_base64` wins when both stand."""
        encoded = self.words.get(f"{name}_base64")
        if encoded is None:
            return self.words.get(name)
        try:
            return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as error:
            raise DirectiveError(f"{name}_base64 is not base64") from error

    def number(self, name: str) -> int | None:
        """The value as a whole number; a word without a value counts as 1."""
        value = self.words.get(name)
        if value is None:
            return None
        try:
            return int(value or "1")
        except ValueError as error:
            raise DirectiveError(f"{name}={value} is not a whole number") from error

    def seconds(self, name: str) -> float:
        """A value in milliseconds as seconds, 0 where it does not stand."""
        return (self.number(name) or 0) / 1000

    def has_any(self, names: Iterable[str]) -> bool:
        return any(name in self.words for name in names)


NO_DIRECTIVE = Directive()


def split_directives(text: str) -> tuple[str, list[Block]]:
    """The text without its blocks, and the blocks in order. Raises DirectiveError for a malformed one."""
    if _OPEN not in text:
        return text, []
    kept: list[str] = []
    blocks: list[Block] = []
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        kept.append(text[position:start])
        block, position = _block_at(text, start + len(_OPEN))
        blocks.append(block)
    kept.append(text[position:])
    return "".join(kept).strip(), blocks


def parse_directive(text: str) -> list[Block]:
    """The blocks of a header or a script line: with the brackets, or bare words that make one block."""
    if _OPEN in text:
        return split_directives(text)[1]
    return [_block_at(text + "]]", 0)[0]] if text.strip() else []


def _block_at(text: str, start: int) -> tuple[Block, int]:
    words: dict[str, str] = {}
    position = start
    while not (end := _CLOSE.match(text, position)):
        match = _WORD.match(text, position)
        if not match:
            raise DirectiveError(f"unreadable directive at {text[position : position + 30]!r}")
        name, value = match[1], match[2] or ""
        if name not in WORDS:
            raise DirectiveError(f"unknown directive {name!r}; known: {', '.join(sorted(WORDS))}")
        words[name] = _unquoted(value)
        position = match.end()
    return Block(words, words.get("id") or text[start : end.start()].strip()), end.end()


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(orjson.loads(value.replace("\n", "\\n").replace("\t", "\\t")))
    except orjson.JSONDecodeError as error:
        raise DirectiveError(f"{value[:30]} is not a JSON string") from error


@dataclass(slots=True)
class Script:
    """Directives that stand for every request, and the counters of all that count."""

    blocks: list[Block] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def play(self, *texts: str) -> None:
        """Replace the standing directives."""
        self.blocks = [block for text in texts for block in parse_directive(text)]

    def reset(self) -> None:
        """Forget the counters, so that `times=1` fails once again."""
        self.seen.clear()

    def resolve(
        self,
        own: Iterable[Block],
        *,
        account: str,
        endpoint: str,
        has_results: bool,
        is_answering: bool,
    ) -> Directive:
        """What applies to this request: the standing directives first, then its own. Counts as it goes.

        An endpoint that does not answer prompts (`is_answering` False) obeys only blocks that name it.
        """
        merged: dict[str, str] = {}
        for block in (*self.blocks, *own):
            named = block.words.get("endpoint")
            if named not in ((None, endpoint) if is_answering else (endpoint,)):
                continue
            if self._applies(block, account=account, has_results=has_results):
                merged.update(block.words)
        return Directive(merged) if merged else NO_DIRECTIVE

    def _applies(self, block: Block, *, account: str, has_results: bool) -> bool:
        words = block.words
        if "account" in words and words["account"] != account:
            return False
        phase = words.get("on", "call" if "tool_leak" in words else "")
        if phase and phase != ("result" if has_results else "call"):
            return False
        if "times" not in words and "every" not in words:
            return True
        directive = Directive(words)
        self.seen[block.key] += 1
        count = self.seen[block.key]
        if "every" in words:
            return count % (directive.number("every") or 1) == 0
        return count <= (directive.number("times") or 1)
