"""The inside of a JSON string on its way through: well-formed text leaves as it came, the rest put right.

Put right are raw control characters, escapes that JSON does not know, and halves of a pair that have lost
the other one (U+FFFD: strict readers refuse them in any form). Only an escape that the end of the text cuts
is held back, and the first half of a pair until it is known what follows."""

from __future__ import annotations

import re

from service.core.mimoml.jsontext import escaped

_HEX = "[0-9a-fA-F]"
WHOLE_ESCAPE = rf"\\(?:[\"\\/bfnrt]|u(?![dD][89a-fA-F]){_HEX}{{4}})"  # whole, and no half of a pair
_RUN_BY_QUOTE = {
    quote: re.compile(rf"(?:[^{quote}\"\\\x00-\x1f\ud800-\udfff]++|{WHOLE_ESCAPE})*+") for quote in "\"'”"
}
_HALF = re.compile(rf"\\u{_HEX}{{4}}")  # where no run goes on
_LOW_HALF = re.compile(r"\\u[dD][c-fC-F]")
CUT_ESCAPE = rf"\\(?:u{_HEX}{{0,3}})?"
_RAW = re.compile("[\x00-\x1f\ud800-\udfff]+")
_CUT = re.compile(rf"{CUT_ESCAPE}\Z")


class JSONString:
    """One string, behind its opening quote. `feed` until `is_closed`."""

    __slots__ = ("_cut", "_high", "_run", "is_closed", "is_repaired", "quote")

    def __init__(self, quote: str) -> None:
        self.quote = quote
        self.is_closed = False
        self.is_repaired = False
        self._run = _RUN_BY_QUOTE[quote].match
        self._cut = ""
        self._high = ""

    @property
    def is_plain(self) -> bool:
        """Text without a quote or a broken escape leaves as it comes."""
        return self.quote == '"' and not self._high and not self._cut

    def feed(self, text: str, position: int) -> tuple[str, int]:
        """What `text` adds, as JSON writes it; and the position behind it or behind the closing quote."""
        start = position - len(self._cut)
        if self._cut:
            text, position, self._cut = self._cut + text[position:], 0, ""
        else:
            start = 0
        pieces: list[str] = []
        while True:
            run = self._run(text, position)
            if run is not None and run.end() > position:
                pieces.append(self._behind_half(run.group()))
                position = run.end()
            if position == len(text):
                break
            if text[position] == self.quote:
                pieces.append(self._behind_half(""))
                self.is_closed = True
                position += 1
                break
            if _CUT.match(text, position) is not None:
                self._cut = text[position:]
                position = len(text)
                break
            position = self._odd(text, position, pieces)
        return "".join(pieces), position + start

    def reopen(self) -> None:
        """The quote that closed it was one of its characters."""
        self.is_closed = False

    def _odd(self, text: str, position: int, pieces: list[str]) -> int:
        """One character, or one escape, that does not leave as it came."""
        half = _HALF.match(text, position)
        if half is not None:
            if _LOW_HALF.match(half.group()) is None:
                pieces.append(self._behind_half(""))
                self._high = half.group()
            elif self._high:
                pieces.append(self._high + half.group())
                self._high = ""
            else:
                self.is_repaired = True
                pieces.append("\ufffd")
            return half.end()
        self.is_repaired = True
        if text[position] != "\\":
            raw = _RAW.match(text, position)
            end = position + 1 if raw is None else raw.end()
            pieces.append(self._behind_half(escaped(text[position:end])))
            return end
        is_quote = text[position + 1] == "'"
        pieces.append(self._behind_half("'" if is_quote else "\\\\"))
        return position + 1 + is_quote

    def _behind_half(self, text: str) -> str:
        """`text`, and before it what has become of a first half without its second."""
        if not self._high:
            return text
        self._high, self.is_repaired = "", True
        return "\ufffd" + text
