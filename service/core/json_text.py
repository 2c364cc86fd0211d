"""The JSON in a model's answer, without what models put round it: code fences, a sentence before, one after.

`JsonText` does it while the answer streams. States: before the value (text is dropped, it is prose), within
it (text passes, as it is), after it (text is dropped). What has passed is always the beginning of one JSON
object or array: where the model stops writing JSON, nothing more passes.
"""

from __future__ import annotations

import re

import orjson

from service.core.json_prefix import JsonPrefix

MAX_PROSE_CHARS = 64 << 10
_FENCED = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


class JsonText:
    """One answer's text in, its JSON out. Linear, and the same for any cut of the text. `openings`: what a
    value may begin with."""

    def __init__(self, openings: str = "{[") -> None:
        self._opening = re.compile(f"[{re.escape(openings)}]")
        self._prose_chars = 0
        self._value = JsonPrefix()
        self.has_begun = False

    @property
    def is_broken(self) -> bool:
        """What came cannot become JSON any more, or is prose without an end."""
        return self._value.is_broken or self._prose_chars > MAX_PROSE_CHARS

    def feed(self, text: str) -> str:
        """What may be shown of the text so far."""
        if self.is_broken:
            return ""
        if not self.has_begun:
            opening = self._opening.search(text)
            self._prose_chars += len(text) if opening is None else opening.start()
            if opening is None or self.is_broken:
                return ""
            self.has_begun, text = True, text[opening.start() :]
        return text[: self._value.feed(text)]


def json_in(text: str, openings: str = "{[") -> str:
    """The JSON value in a whole answer: all of it, what stands in its code fence, or what begins with its
    first bracket. The text as it is when none of them is JSON."""
    stripped = text.strip()
    if is_json(stripped):
        return stripped
    fenced = _FENCED.search(stripped)
    if fenced is not None and is_json(inside := fenced[1].strip()):
        return inside
    begun = JsonText(openings).feed(stripped)
    return begun if is_json(begun) else text


def is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
