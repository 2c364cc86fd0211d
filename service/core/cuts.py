"""Stages that end an answer early, where the wire has no field for it: stop sequences, and a single tool
call.

Both are fed events and give events; what they cut off is never shown, and the Finish says so honestly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.core.events import (
    Event,
    Finish,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)


class StopSequences:
    """Ends the answer before the first stop sequence in its text. Tool arguments and reasoning are not
    searched.

    Held back: the longest end of the text that some sequence begins with, nothing more.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._pattern = re.compile("|".join(re.escape(s) for s in sorted(sequences, key=len, reverse=True)))
        self._prefixes = {s[:length] for s in sequences for length in range(1, len(s))}
        self._longest = max(map(len, sequences)) - 1
        self._held = ""
        self._has_ended = False

    def feed(self, event: Event) -> list[Event]:
        if self._has_ended:
            return []
        if isinstance(event, TextDelta):
            return self._text(event.text)
        held, self._held = self._held, ""
        return [TextDelta(held), event] if held else [event]

    def _text(self, text: str) -> list[Event]:
        text = self._held + text
        found = self._pattern.search(text)
        if found:
            self._has_ended, self._held = True, ""
            end = Finish(FinishReason.STOP, found.group())
            return [TextDelta(text[: found.start()]), end] if found.start() else [end]
        self._held = self._possible_start(text)
        shown = text[: len(text) - len(self._held)]
        return [TextDelta(shown)] if shown else []

    def _possible_start(self, text: str) -> str:
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._prefixes:
                return text[-length:]
        return ""


class SingleCall:
    """Lets one tool call through (`parallel_tool_calls: false`): the others are left out, the text stays."""

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd) and event.index > 0:
            return []
        return [event]
