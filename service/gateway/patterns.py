"""Which regular expressions of a client's schema may be tried on a model's text.

Python's engine tries every way to match: a short pattern can take for ever on a short text, and nothing can
stop it. What could take long is told by the pattern's signs alone, and rather too often than too seldom.
"""

from __future__ import annotations

import re

_MAX_PATTERN_CHARS = 1000
_MAX_CHOICES = 10  # of `?` and `|`: each may double the ways
_MAX_SEARCHED_CHARS = 4000  # an unanchored repetition takes the square of the text's length
_IN_BRACKETS_OR_ESCAPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_GROUP_OPENING = re.compile(r"\(\?(?:[:=!]|<[=!]|P<\w+>)")
_REPEATED_GROUP = re.compile(r"\)\s*[*+?{]")
_REPETITION = re.compile(r"[*+]|\{(\d*)(,?)(\d*)\}")
_REFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")


def can_be_tried(pattern: str, text_chars: int) -> bool:
    """Whether the pattern ends soon on texts of that length, and means something in Python too: JavaScript's
    are a little different."""
    if is_slow(pattern, text_chars):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def is_slow(pattern: str, text_chars: int) -> bool:
    """True when the pattern may take long on texts of that length."""
    if len(pattern) > _MAX_PATTERN_CHARS or _REFERENCE.search(pattern):
        return True
    plain = _GROUP_OPENING.sub("(", _IN_BRACKETS_OR_ESCAPED.sub("x", pattern))
    if _REPEATED_GROUP.search(plain):
        return True
    choices, repetitions = plain.count("?") + plain.count("|"), 0
    for found in _REPETITION.finditer(plain):
        low, comma, high = found.groups(default="")
        if not comma and found[0][0] == "{":
            continue  # an exact count
        if high and int(high) - int(low or 0) <= _MAX_CHOICES:
            choices += int(high) - int(low or 0)
        else:
            repetitions += 1
    if choices > _MAX_CHOICES or repetitions > 1:
        return True
    is_anchored = plain.startswith("^") and "|" not in plain
    return bool(repetitions) and not is_anchored and text_chars > _MAX_SEARCHED_CHARS
