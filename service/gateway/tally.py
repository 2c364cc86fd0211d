"""What the events of an answer tell: usage, counts, how it ended, and the reasoning to keep."""

from __future__ import annotations

from service.core.conversation import Conversation
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.promotion import PROMOTED
from service.core.tokens import chars_tokens, quick_prompt_tokens
from service.gateway.ports import Clock
from service.gateway.reasoning import MAX_REASONING_CHARS, Thoughts
from service.telemetry.record import RequestRecord

# What of it a client should know, too: in the notes header as long as that has not been sent.
_TOLD = {
    "loop_ended": "the loop guard ended the answer ({})",
    "input_truncated": "the {} cut the input, which is too long for it",
    "repetition_truncated": "MiMo ended the answer, which repeated itself",
}


class Tally:
    """One request's books. `usage` is what the answer that is shown took, as far as it is known."""

    def __init__(
        self, conversation: Conversation, record: RequestRecord, thoughts: Thoughts, clock: Clock
    ) -> None:
        self._conversation = conversation
        self._record = record
        self._thoughts = thoughts
        self._clock = clock
        self._output_chars = 0
        self._reasoning_chars = 0
        self._was_promoted = False
        self._has_sources = False
        self._given_up = Usage()
        self.usage: Usage | None = None

    @property
    def output_tokens(self) -> int:
        """Estimated, of what has come so far."""
        return chars_tokens(self._output_chars + self._reasoning_chars)

    def seen(self, events: list[Event]) -> list[Event]:
        """Book what the events tell; what the client may see of them comes back."""
        shown = events
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                self._output_chars += len(event.text)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                text = event.text  # type: ignore[union-attr]
                self._reasoning_chars += len(text)
                if self._reasoning_chars <= MAX_REASONING_CHARS + len(text):
                    self._thoughts.pieces.append(text)
            elif kind is ToolCallDelta:
                self._output_chars += len(event.fragment)  # type: ignore[union-attr]
            else:
                shown = self._booked(event, shown)
        return shown

    def start_again(self, *, was_whole: bool) -> None:
        """Another attempt follows. `was_whole`: the answer was complete and is paid for all the same."""
        if was_whole and self.usage is not None:
            self._given_up = self._given_up + self.usage
        self.usage = None
        self._output_chars = self._reasoning_chars = 0
        self._was_promoted = self._has_sources = False
        self._record.tools_called, self._record.error = 0, None
        self._thoughts.forget()

    def charged(self, *, was_open: bool) -> Usage | None:
        """All that the request took, answers that were given up included; None when no upstream worked.

        `was_open`: the client left while one did, which read the prompt though it had said nothing."""
        if self.usage is None and (was_open or self._output_chars or self._reasoning_chars):
            self.usage = self._estimated_usage()
        if self._given_up.total_tokens:
            return self._given_up + (self.usage or Usage())
        return self.usage

    def _booked(self, event: Event, shown: list[Event]) -> list[Event]:
        record = self._record
        match event:
            case UsageReport():
                self.usage = event.usage
            case ToolCallStart():
                record.tools_called += 1
                self._thoughts.call_ids.append(event.call_id)
            case Notice() if event.name == PROMOTED:
                self._was_promoted = True
                return [other for other in shown if other is not event]
            case Notice():
                name = (event.name, event.detail)
                record.sieve[name] = record.sieve.get(name, 0) + 1
                if event.name in _TOLD:
                    record.notes.append(_TOLD[event.name].format(event.detail))
                return [other for other in shown if other is not event]
            case Finish():
                record.finish_reason = str(event.reason)
                record.finished_at_s = self._clock.monotonic_s()
                is_silent = not self._output_chars and not record.tools_called
                record.is_reasoning_only = self._was_promoted or (self._reasoning_chars > 0 and is_silent)
                if self.usage is None:
                    self.usage = self._estimated_usage()
                    return [*shown[:-1], UsageReport(self.usage), event]
            case Citation():
                self._has_sources = True
            case Failed():
                record.error = event.error
            case _:
                pass
        return shown

    def _estimated_usage(self) -> Usage:
        return Usage(
            input_tokens=quick_prompt_tokens(self._conversation),
            output_tokens=chars_tokens(self._output_chars + self._reasoning_chars),
            # The platform bills each search, and has made one at least; the studio bills none.
            searches=int(self._has_sources and self._record.wire == "platform"),
            is_estimated=True,
        )
