"""An answer that is thinking and nothing else, shown as text: for clients that show no reasoning.

Some models put the whole answer into their thinking at times. Only an answer that ended by itself is
promoted: what a limit cut in the middle of its thoughts is no answer."""

from __future__ import annotations

from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
    UsageReport,
)

PROMOTED = "reasoning_promoted"
MAX_CHARS = 1 << 20


class ReasoningAsText:
    """Gives the reasoning out once more, as text, where no text and no call came. A stage."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._chars = 0
        self._is_alone = True
        self._usage: list[Event] = []

    def feed(self, event: Event) -> list[Event]:
        match event:
            case ReasoningDelta() if self._is_alone and self._chars < MAX_CHARS:
                self._pieces.append(event.text)
                self._chars += len(event.text)
            case TextDelta() | ToolCallStart():
                self._is_alone, self._pieces = False, []
            case UsageReport():
                self._usage.append(event)
                return []
            case Finish() | Failed():
                return [*self._promoted(event), *self._usage, event]
            case _:
                pass
        return [event]

    def _promoted(self, end: Event) -> list[Event]:
        ended_by_itself = isinstance(end, Finish) and end.reason is FinishReason.STOP
        if not self._is_alone or not self._pieces or not ended_by_itself:
            return []
        return [Notice(PROMOTED), TextDelta("".join(self._pieces))]
