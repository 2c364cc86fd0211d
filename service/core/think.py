"""Studio's inline thinking (mimo-api.md 5.4): text with `<think>`, `</think>` and NUL marks -> events."""

from __future__ import annotations

from service.core.events import Event


class ThinkSplitter:
    """Text of the answer in, TextDelta and ReasoningDelta out. Any cut gives the same characters."""

    def feed(self, text: str) -> list[Event]:
        """The events that `text` settles; what may still become a mark is held back."""
        raise NotImplementedError

    def finish(self) -> list[Event]:
        """What was held back, at the end of the answer."""
        raise NotImplementedError
