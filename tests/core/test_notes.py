"""A note is its text, and has a kind."""

from __future__ import annotations

import orjson

from service.core.notes import Note, NoteKind


def test_a_note_is_a_string_with_a_kind() -> None:
    note = Note("max_tokens 0 became 1", NoteKind.VALUE_CHANGED)
    assert note == "max_tokens 0 became 1"
    assert note in ["max_tokens 0 became 1"]
    assert orjson.dumps([note]) == b'["max_tokens 0 became 1"]'
    assert note.kind is NoteKind.VALUE_CHANGED
