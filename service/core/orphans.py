"""A closing tag of thinking that begins an answer's text and closes nothing (mimo-api.md 4.2): dropped.

States: at the start (blanks pass), in doubt (the text so far may become the tag: held), after the tag (line
ends after it are dropped), over. Only the very start is looked at: an answer that opens `<thinking>` itself,
or speaks of the tag later, is left alone. Thinking has a channel of its own by then, so a closer has no
opener."""

from __future__ import annotations

from service.core.events import Event, Notice, ReasoningDelta, TextDelta

_TAGS = ("</think>", "</thinking>")


class OrphanCloser:
    """A `pipeline.Stage`. Holds back at most one character less than the longest tag."""

    def __init__(self) -> None:
        self._held = ""
        self._is_after = False
        self._is_over = False

    def feed(self, event: Event) -> list[Event]:
        if self._is_over:
            return [event]
        if isinstance(event, TextDelta):
            return self._text(event.text)
        if isinstance(event, Notice) or (isinstance(event, ReasoningDelta) and not self._held):
            return [event]
        self._is_over = True
        return [TextDelta(self._held), event] if self._held else [event]

    def _text(self, text: str) -> list[Event]:
        if self._is_after:
            return self._rest(text)
        text = self._held + text
        word = text.lstrip()
        tag = next((tag for tag in _TAGS if word.startswith(tag)), None)
        if tag is None and not any(tag.startswith(word) for tag in _TAGS):
            self._is_over = True
            return [TextDelta(text)]
        blanks = text[: len(text) - len(word)]
        passed: list[Event] = [TextDelta(blanks)] if blanks else []
        if tag is None:
            self._held = word
            return passed
        self._held, self._is_after = "", True
        return [*passed, Notice("leak_removed", "think"), *self._rest(word[len(tag) :])]

    def _rest(self, text: str) -> list[Event]:
        kept = text.lstrip("\r\n")
        self._is_over = bool(kept)
        return [TextDelta(kept)] if kept else []
