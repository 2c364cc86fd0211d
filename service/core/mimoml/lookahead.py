"""Asking for a tag that may not have come whole, at a place or behind another tag.

What is asked is remembered (`asked`, `asked_at`): while a tag is being spelled out, each further piece is
answered by one pattern, before anything else is read again."""

from __future__ import annotations

import re

from service.core.mimoml.characters import CLOSE_BRACKETS, OPEN_BRACKETS
from service.core.mimoml.grammar import STRUCTURE, Vocabulary
from service.core.mimoml.jsontext import past
from service.core.mimoml.patterns import MAYBE, NO, Answer
from service.core.mimoml.tags import CDATA, Tag

_BLANKS = re.compile("[ \t\r\n]*")
_MAX_LAYOUT = 256  # blanks behind a closer that are looked past; more than that count as an end


class Lookahead:
    """Shared by all that read one buffer. `is_final`: no more comes."""

    __slots__ = ("asked", "asked_at", "is_final")

    def __init__(self) -> None:
        self.asked: Vocabulary | None = None  # whose last answer was MAYBE, and for which position
        self.asked_at = 0
        self.is_final = False

    def at(self, vocabulary: Vocabulary, text: str, position: int) -> Tag | Answer:
        """The tag at `position`, an opening bracket."""
        answer = vocabulary.recognise(text, position, is_final=self.is_final)
        if answer is MAYBE:
            self.asked, self.asked_at = vocabulary, position
        return answer

    def behind(self, tag: Tag, text: str) -> Tag | Answer | None:
        """The structural tag behind `tag`, blanks apart; None for the end; NO when it is something else."""
        end = tag.end
        if tag.is_doubled and text[end : end + 1] in CLOSE_BRACKETS:
            end += 1
        answer = self.next_from(text, min(end, len(text)))
        return NO if isinstance(answer, Tag) and answer.kind is CDATA else answer

    def next_from(self, text: str, position: int) -> Tag | Answer | None:
        """The same from a position on, CDATA included."""
        end = past(_BLANKS, text, position, position + _MAX_LAYOUT)
        if end == len(text):
            return None if self.is_final else MAYBE
        if end - position == _MAX_LAYOUT:
            return None
        return self.at(STRUCTURE, text, end) if text[end] in OPEN_BRACKETS else NO
