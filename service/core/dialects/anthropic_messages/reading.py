"""What decoding a request learns beside its turns: notes for the client, and tools changed on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.core.conversation import ToolSpec
from service.core.notes import Note, NoteKind

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_DETAIL_CHARACTERS = 64
_KINDS = {
    "block-dropped": NoteKind.ITEM_DROPPED,
    "field-ignored": NoteKind.FIELD_DROPPED,
    "duplicate-tool-dropped": NoteKind.TOOL_DROPPED,
    "server-tool-dropped": NoteKind.TOOL_DROPPED,
}


class Reading:
    """One request's findings. `notes` are safe in a header: ASCII words, no comma, each once, in order.

    Tools can be declared, taken away and brought back inside messages (mid-conversation tool changes); what
    counts is the set in effect at the end. `foreign_tools` are the names of declared tools that only
    Anthropic can run; `effort` is the last one that a system message set; `web_search` is what
    Anthropic's web search asks for, in MiMo's terms."""

    def __init__(self) -> None:
        self.web_search: Mapping[str, object] | None = None
        self._notes: dict[str, NoteKind] = {}
        self.foreign_tools: set[str] = set()
        self.effort: str | None = None
        self._added: dict[str, ToolSpec] = {}
        self._removed: set[str] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(Note(text, kind) for text, kind in self._notes.items())

    def note(self, fact: str, detail: str) -> None:
        """Remember `fact:detail`; what is unsafe in a header is taken out of the detail."""
        text = f"{fact}:{_UNSAFE.sub('_', detail)[:_MAX_DETAIL_CHARACTERS]}"
        self._notes[text] = _KINDS.get(fact, NoteKind.VALUE_CHANGED)

    def add_tool(self, spec: ToolSpec) -> None:
        self._added[spec.name] = spec
        self._removed.discard(spec.name)

    def restore_tool(self, name: str) -> None:
        self._removed.discard(name)

    def remove_tool(self, name: str) -> None:
        self._removed.add(name)

    def takes_away(self, name: str) -> bool:
        """Whether the tool of that name was removed and not brought back."""
        return name in self._removed

    def tools_in_effect(self, declared: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
        """The declared tools and those added on the way, less the removed ones; the last of a name counts."""
        if not self._added and not self._removed:
            return declared
        by_name = {spec.name: spec for spec in declared} | self._added
        return tuple(spec for spec in by_name.values() if spec.name not in self._removed)
