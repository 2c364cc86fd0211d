"""What a client should know of its request: a text for header and log, and its kind for the metrics."""

from __future__ import annotations

from enum import StrEnum


class NoteKind(StrEnum):
    """What was done to a request so that the upstream could answer it. A closed set: it becomes a label."""

    FIELD_DROPPED = "field_dropped"
    VALUE_CHANGED = "value_changed"
    TOOL_DROPPED = "tool_dropped"
    ITEM_DROPPED = "item_dropped"
    MEDIA_DROPPED = "media_dropped"
    SAID_IN_WORDS = "said_in_words"


class Note(str):
    """The text itself; `kind` goes with it wherever notes are kept as strings."""

    __slots__ = ("kind",)
    kind: NoteKind

    def __new__(cls, text: str, kind: NoteKind) -> Note:
        note = super().__new__(cls, text)
        note.kind = kind
        return note
