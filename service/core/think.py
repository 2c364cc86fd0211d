"""Studio's inline thinking: the answer's text -> TextDelta and ReasoningDelta (mimo-api.md 5.4).

The wire writes `<think>` NUL before the thinking and `</think>` NUL after it, cut anywhere across frames.

    state      what moves it
    START      nothing was given out yet: `<think>` opens even without its NUL
    TEXT       `<think>` NUL opens; `</think>` NUL, with nothing to close, is dropped; without the NUL both
               are text that the model wrote
    THINKING   `</think>`, or its corrupted form `</thinkgt;>`, closes, with or without NUL

Every NUL is dropped, in every state: it can never reach a client. Held back is only what may still become a
mark: the longest end of the input that begins one, at most ten characters. Thinking that never closes stays
thinking."""

from __future__ import annotations

import re

from service.core.events import Event, ReasoningDelta, TextDelta

_OPENER = "<think>"
_MARKS_IN_TEXT = ("<think>\x00", "</think>\x00")
_MARKS_IN_THINKING = ("</think>", "</thinkgt;>")
_IN_TEXT = re.compile("|".join(map(re.escape, _MARKS_IN_TEXT)))
_IN_THINKING = re.compile("|".join(map(re.escape, _MARKS_IN_THINKING)))
_MAX_HELD = max(map(len, _MARKS_IN_TEXT + _MARKS_IN_THINKING)) - 1


class ThinkSplitter:
    """Text of the answer in, events out. Any cut gives the same characters; time grows linearly."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False
        self._is_start = True

    def feed(self, text: str) -> list[Event]:
        """The events that `text` settles, at most one a stretch of text or thinking."""
        if not (self._held or self._is_start) and "<" not in text:
            return self._delta(text)  # nothing can begin or end here: the common frame
        text = self._held + text
        self._held = ""
        start_at = self._after_start(text) if self._is_start else 0
        return self._split(text, start_at)

    def finish(self) -> list[Event]:
        """What was held back: it became no mark."""
        held, self._held = self._held, ""
        return self._delta(held)

    def _after_start(self, text: str) -> int:
        """Where the answer goes on behind its opener, or behind all of `text` while that is undecided."""
        begin = len(text) - len(text.lstrip("\x00"))
        if text.startswith(_OPENER, begin):
            self._is_start, self._is_thinking = False, True
            return begin + len(_OPENER)
        if _OPENER.startswith(text[begin : begin + len(_OPENER)]):
            self._held = text[begin:]
            return len(text)
        self._is_start = False
        return begin

    def _split(self, text: str, position: int) -> list[Event]:
        events: list[Event] = []
        while found := (_IN_THINKING if self._is_thinking else _IN_TEXT).search(text, position):
            events += self._delta(text[position : found.start()])
            self._is_thinking = found[0] == _MARKS_IN_TEXT[0]
            position = found.end()
        marks = _MARKS_IN_THINKING if self._is_thinking else _MARKS_IN_TEXT
        end = text.rfind("<", max(position, len(text) - _MAX_HELD))
        if end >= 0 and any(mark.startswith(text[end:]) for mark in marks):
            self._held = text[end:]
        else:
            end = len(text)
        return events + self._delta(text[position:end])

    def _delta(self, text: str) -> list[Event]:
        if "\x00" in text:
            text = text.replace("\x00", "")
        if not text:
            return []
        return [ReasoningDelta(text) if self._is_thinking else TextDelta(text)]
