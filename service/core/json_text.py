"""The JSON in a model's answer, without what models put round it: code fences, a sentence before, one after.

`JsonText` does it while the answer streams. States: before the value (text is held back, it may be prose),
within it (text passes, as it is), after it (text is dropped). What has passed is always the beginning of one
JSON value, as far as the model wrote JSON at all.
"""

from __future__ import annotations

import re

import orjson

MAX_HELD_CHARS = 64 << 10
_MARK = re.compile(r'["\\{}\[\]]')
_FENCED = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


class JsonText:
    """One answer's text in, its JSON out. Linear, and the same for any cut of the text. `openings`: what a
    value may begin with."""

    def __init__(self, openings: str = "{[") -> None:
        self._opening = re.compile(f"[{re.escape(openings)}]")
        self._held: list[str] = []
        self._held_chars = 0
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._has_ended = False
        self._passes_all = False
        self.has_begun = False

    def feed(self, text: str) -> str:
        """What may be shown of the text so far. A long text without any value is no JSON: it passes."""
        if self._has_ended:
            return ""
        if self._passes_all:
            return text
        if not self.has_begun:
            opening = self._opening.search(text)
            if opening is None:
                self._held.append(text)
                self._held_chars += len(text)
                return self.rest() if self._held_chars > MAX_HELD_CHARS else ""
            self.has_begun, self._held = True, []
            text = text[opening.start() :]
        return text[: self._end(text)]

    def rest(self) -> str:
        """What was held back, since no value came after it; all passes from now on."""
        held, self._held = "".join(self._held), []
        self._passes_all = not self.has_begun
        return held

    def _end(self, text: str) -> int:
        """Where the value ends in the text; its length when it goes on."""
        position = 0
        while position < len(text):
            if self._is_escaped:
                self._is_escaped, position = False, position + 1
                continue
            mark = _MARK.search(text, position)
            if mark is None:
                break
            position = mark.end()
            self._take(mark[0])
            if self._has_ended:
                return position
        return len(text)

    def _take(self, mark: str) -> None:
        if mark == '"':
            self._is_in_string = not self._is_in_string
        elif mark == "\\":
            self._is_escaped = self._is_in_string
        elif not self._is_in_string:
            self._depth += 1 if mark in "{[" else -1
            self._has_ended = self._depth <= 0


def json_in(text: str, openings: str = "{[") -> str:
    """The JSON value in a whole answer: all of it, what stands in its code fence, or what begins with its
    first bracket. The text as it is when none of them is JSON."""
    stripped = text.strip()
    fenced = _FENCED.search(stripped)
    candidates = [stripped, fenced[1].strip() if fenced else "", JsonText(openings).feed(stripped)]
    return next((one for one in candidates if is_json(one)), text)


def is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
