"""Literal addresses in a studio prompt, broken up and put back.

The studio fetches every address that stands in a query and shows the page to the model, which then answers
from it instead of calling the client's tool (mimo-api.md 5.3). So `https://a.b/c` is sent as
`https[:]//a.b/c`: the "defanged" form that security writing uses and models know how to read. It is undone by
one rule without any state, `[:]//` -> `://`, wherever it stands: in text, in thinking, in arguments. The
prompt tells the model so too (render.py); what it forgets, `SievePolicy.restores_urls` puts back.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]*)://")
_BROKEN = "[:]//"
_BEGINNINGS = tuple(_BROKEN[:length] for length in range(len(_BROKEN) - 1, 0, -1))


def defuse_urls(text: str) -> str:
    """`text` without a literal address: `restore_urls` gives it back."""
    return _ADDRESS.sub(r"\1" + _BROKEN, text) if "://" in text else text


def restore_urls(text: str) -> str:
    """`text` as it was before `defuse_urls`."""
    return text.replace(_BROKEN, "://")


class URLRestorer:
    """`restore_urls` for text in pieces. Holds back at most the beginning of one `[:]//`."""

    __slots__ = ("_held", "_is_reasoning")

    def __init__(self) -> None:
        self._held = ""
        self._is_reasoning = False

    @property
    def is_clear(self) -> bool:
        """Nothing is held."""
        return not self._held

    def feed(self, text: str, *, is_reasoning: bool) -> str:
        """What is certain of the text so far. At a change of channel call `finish` first."""
        self._is_reasoning = is_reasoning
        if self._held:
            text, self._held = self._held + text, ""
        if "[" not in text:
            return text
        text = text.replace(_BROKEN, "://")
        for beginning in _BEGINNINGS:
            if text.endswith(beginning):
                self._held = beginning
                return text[: -len(beginning)]
        return text

    def is_of(self, *, is_reasoning: bool) -> bool:
        """What is held, if anything, belongs to this channel."""
        return not self._held or self._is_reasoning is is_reasoning

    def finish(self) -> tuple[bool, str]:
        """What is held ("" for nothing), behind the channel it belongs to (True: reasoning)."""
        held, self._held = self._held, ""
        return self._is_reasoning, held
