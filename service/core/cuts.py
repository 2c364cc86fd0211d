"""Stages that cut an answer where the wire has no field for it: stop sequences, and a single tool call.

Both are fed events and give events; what they cut off is never shown."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.events import (
    Event,
    Finish,
    FinishReason,
    Notice,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)


class StopSequences:
    """Ends the answer before the first stop sequence in its text. Tool arguments and reasoning are not
    searched.

    The first is the one that is complete first; of two that end together, the longer. Held back: the
    longest end of the text that some sequence begins with, nothing more. `sequences` holds at least one,
    none of them empty."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = tuple(sequences)
        self._held = ""
        self._has_ended = False

    def feed(self, event: Event) -> list[Event]:
        if self._has_ended:
            return []
        if isinstance(event, TextDelta):
            return self._text(event.text)
        if isinstance(event, Notice):
            return [event]  # the client never sees it: it does not part the text
        held, self._held = self._held, ""
        return [TextDelta(held), event] if held else [event]

    def _text(self, text: str) -> list[Event]:
        text = self._held + text
        found = self._first_complete(text)
        if found is not None:
            start, sequence = found
            self._has_ended, self._held = True, ""
            end = Finish(FinishReason.STOP, sequence)
            return [TextDelta(text[:start]), end] if start else [end]
        shown_end = self._possible_start(text)
        self._held = text[shown_end:]
        return [TextDelta(text[:shown_end])] if shown_end else []

    def _first_complete(self, text: str) -> tuple[int, str] | None:
        """Where the first complete sequence starts, and which it is. By its end, or cuts would change the
        answer: of `abcd` and `bc`, the second is there before the first is whole."""
        found = [(start, s) for s in self._sequences if (start := text.find(s)) >= 0]
        return min(found, key=lambda at: (at[0] + len(at[1]), at[0]), default=None)

    def _possible_start(self, text: str) -> int:
        """Where the longest end of the text starts that some sequence begins with; the text's length if
        none."""
        earliest = len(text)
        for sequence in self._sequences:
            start = text.find(sequence[0], max(len(text) - len(sequence) + 1, 0))
            while 0 <= start < earliest:
                if sequence.startswith(text[start:]):
                    earliest = start
                start = text.find(sequence[0], start + 1)
        return earliest


class SingleCall:
    """Lets one tool call through (`parallel_tool_calls: false`): the others are left out, the text stays."""

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd | ToolCallCut) and event.index > 0:
            return []
        return [event]
