"""The object that a cut JSON text already tells: for the arguments of a call that the answer broke off in.

Anthropic shows such a call with the `input` that was whole by then, and its SDKs build the same from a stream
(jiter's partial mode): complete members stay, a cut string or word is dropped with its key, open lists and
objects are closed.

States: a stack of open containers, and for each the length of the text up to which it is sound (`safe`),
that is after its bracket or after its last complete value. A string or word is complete once its end is
seen; a number at the very end counts as complete when it reads as one. Linear in the text.
"""

from __future__ import annotations

import re

import orjson

# A whole string, bracket, comma, colon, or word (a number or literal). White space is skipped over.
_TOKEN = re.compile(
    r'[ \t\r\n]*(?:("(?:[^"\\]++|\\.)*+")|([\[{])|([\]}])|([,:])|([^\s"\[\]{},:]+))', re.DOTALL
)


def started_object(text: str) -> dict[str, object]:
    """The members of the JSON object that `text` begins, as far as they are whole; {} when it begins none."""
    value = _loaded(text)
    if value is None:
        sound, closers = _sound_prefix(text)
        value = _loaded(text[:sound] + closers)
    return value if isinstance(value, dict) else {}


def _loaded(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _sound_prefix(text: str) -> tuple[int, str]:
    """How much of `text` is sound, and the brackets that close it."""
    closers: list[str] = []
    sound, sound_depth = 0, 0
    is_key, at = False, 0
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        string, opened, closed, mark, word = token.groups()
        if opened:
            closers.append("}" if opened == "{" else "]")
            is_key = opened == "{"
            sound, sound_depth = at, len(closers)
        elif mark:
            is_key = mark == "," and bool(closers) and closers[-1] == "}"
        elif is_key and string:
            continue
        elif closed and closers:
            closers.pop()
            sound, sound_depth = at, len(closers)
        elif string or _loaded(word or "") is not None or word == "null":
            sound, sound_depth = at, len(closers)
        else:
            break
    return sound, "".join(reversed(closers[:sound_depth]))
