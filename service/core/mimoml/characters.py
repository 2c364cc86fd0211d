"""Characters that are read as others inside a tag: models write brackets, pipes and letters in many forms.

`ASCII` maps code points to what they stand for (zero-width ones to ""); inside data nothing is changed."""

from __future__ import annotations

import re
import unicodedata

OPEN_BRACKETS = "<＜﹤〈《⟨〈"
CLOSE_BRACKETS = ">＞﹥〉》⟩〉"
ZERO_WIDTH = "\0\u00ad\u034f\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufe0f\ufeff"


def _ascii_by_character() -> dict[int, str]:
    """Characters that are read as another one inside a tag; zero-width ones map to ""."""
    table: dict[int, str] = {}
    ranges = ((0xFF01, 0xFF5E), (0x1D400, 0x1D7FF), (0x2100, 0x214F), (0x24B6, 0x24E9), (0xAA, 0xBA))
    for first, last in ranges:
        for code in range(first, last + 1):
            plain = unicodedata.normalize("NFKC", chr(code))
            if len(plain) == 1 and plain.isascii():
                table[code] = plain
    groups = (
        ("<", OPEN_BRACKETS[1:]),
        (">", CLOSE_BRACKETS[1:]),
        ("|", "｜¦‖│┃∣￨"),
        (";", "！、▁"),  # noise of its own: a plain "!" after "<" opens a comment, not a tag
        ('"', "“”„‟＂«»「」"),
        ("'", "‘’‚‛＇"),
        (" ", "\u00a0\u3000"),
        ("", ZERO_WIDTH),
    )
    for plain, characters in groups:
        table.update(dict.fromkeys(map(ord, characters), plain))
    return table


ASCII = _ascii_by_character()
NOT_ASCII = re.compile("[^\x01-\x7f]")
