"""JSON objects that stand in the middle of prose: how the simulated model reads schemas out of a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_MAX_SCANNED = 500_000  # characters looked at in vain, where a text is full of braces that open no JSON


def json_objects(text: str) -> Iterator[tuple[int, int, dict[str, object]]]:
    """(start, end, value) of each outermost object that parses, in order."""
    position = scanned = 0
    while scanned < _MAX_SCANNED and (start := text.find("{", position)) >= 0:
        position = start + 1
        end = _closing(text, start)
        value = _object(text[start:end]) if end else None
        if value is None:
            scanned += (end or len(text)) - start
        else:
            position = end
            yield start, end, value


def _closing(text: str, start: int) -> int:
    """The index after the brace that closes the one at `start`; 0 when none does."""
    depth = 0
    for mark in _MARKS.finditer(text, start):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            if depth == 0:
                return mark.end()
    return 0


def _object(text: str) -> dict[str, object] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
