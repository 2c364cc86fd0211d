"""What decoding a request learns beside its turns: notes for the client, and tools changed on the way."""

from __future__ import annotations

import re

from service.core.conversation import ToolSpec

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_DETAIL_CHARACTERS = 64


class Reading:
    """One request's findings. `notes` are safe in a header: ASCII words, no comma, each once, in order.

    Tools can be declared, taken away and brought back inside messages (mid-conversation tool changes); what
    counts is the set in effect at the end. `foreign_tools` are the names of declared tools that only
    Anthropic can run; `effort` is the last one that a system message set."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self.foreign_tools: set[str] = set()
        self.effort: str | None = None
        self._added: dict[str, ToolSpec] = {}
        self._removed: set[str] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def note(self, fact: str, detail: str) -> None:
        """Remember `fact:detail`; what is unsafe in a header is taken out of the detail."""
        self._notes[f"{fact}:{_UNSAFE.sub('_', detail)[:_MAX_DETAIL_CHARACTERS]}"] = None

    def add_tool(self, spec: ToolSpec) -> None:
        self._added[spec.name] = spec
        self._removed.discard(spec.name)

    def restore_tool(self, name: str) -> None:
        self._removed.discard(name)

    def remove_tool(self, name: str) -> None:
        self._removed.add(name)

    def tools_in_effect(self, declared: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
        """The declared tools and those added on the way, less the removed ones; the last of a name counts."""
        if not self._added and not self._removed:
            return declared
        by_name = {spec.name: spec for spec in declared} | self._added
        return tuple(spec for spec in by_name.values() if spec.name not in self._removed)
