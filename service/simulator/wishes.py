"""Wishes put into words, as a gateway does where a wire has no field for them; a good model obeys them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORCED = re.compile(r"must call the tool `([^`]+)`")
_SINGLE_CALL = "Call at most one tool"
_JSON = "JSON object and nothing else"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What system text asks of the form of the answer. `forced` is a tool that is to be called now."""

    forced: str | None
    allows_parallel: bool
    wants_json: bool


def read_wishes(text: str) -> Wishes:
    forced = _FORCED.search(text)
    return Wishes(forced[1] if forced else None, _SINGLE_CALL not in text, _JSON in text)
