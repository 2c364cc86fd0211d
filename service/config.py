"""The configuration: frozen dataclasses, one loader, no key ever ignored. See docs/configuration.md.

`load` reads one JSON object. Every mistake is a ConfigError that names the path of the bad key and what is
allowed
there, as `limits.max_body_byte: unknown key; known: max_body_bytes, max_json_depth, …`. Secrets never reach a
message, a repr or a log: they are `Secret` values.
"""

from __future__ import annotations


class ConfigError(Exception):
    """A mistake in the configuration; the message is for the operator and holds no secret."""


class Secret:
    """A string that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
