"""Which declared name is meant: exact, then in any case, then snake_case for camelCase."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable


class Names:
    """Declared names. A spelling that fits two of them loosely fits none."""

    __slots__ = ("_exact", "_folded", "_squeezed")

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(names)
        self._folded = _unique(self._exact, str.casefold)
        self._squeezed = _unique(self._exact, _squeezed)

    def resolved(self, name: str) -> str | None:
        """The declared name that `name` means; None when it means none."""
        if name in self._exact:
            return name
        name = unicodedata.normalize("NFKC", name).strip()
        if name in self._exact:
            return name
        return self._folded.get(name.casefold()) or self._squeezed.get(_squeezed(name))


def _squeezed(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _unique(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return {folded: group[0] for folded, group in groups.items() if len(group) == 1}
