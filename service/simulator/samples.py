"""Sample values from a JSON Schema: the arguments of the calls that the simulated model makes."""

from __future__ import annotations

import re
from collections.abc import Mapping

_QUOTED = re.compile(r"[\"“«「]([^\"”»」]{1,200})[\"”»」]")
_CAPITALISED = re.compile(r"[A-ZÀ-Þ][\w'’-]*(?:\s+[A-ZÀ-Þ][\w'’-]*)*")
_AFTER_PREPOSITION = re.compile(r"\b(?i:in|at|for|to|of|from|about|near)\s+(" + _CAPITALISED.pattern + ")")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.]*[A-Za-z])")
_WHOLE_TEXT_NAMES = frozenset(
    {"query", "q", "question", "prompt", "text", "message", "input", "task", "content", "description"}
)
_FORMATS = {
    "date": "2026-09-21",
    "date-time": "2026-09-21T12:00:00Z",
    "time": "12:00:00",
    "email": "sample@example.com",
    "uri": "https://example.com/sample",
    "url": "https://example.com/sample",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "ipv4": "192.0.2.1",
}
_BY_NAME = {"command": "echo sample", "path": "sample.txt", "file_path": "sample.txt", "pattern": "sample"}
_MAX_DEPTH = 8


def proper_names(text: str) -> list[str]:
    """Capitalised words that are likely names: those after a preposition first, never a sentence's first."""
    found = _AFTER_PREPOSITION.findall(text)
    for match in _CAPITALISED.finditer(text):
        name = match[0]
        before = text[: match.start()].rstrip()
        if not before or before[-1] in ".!?:;\n":
            name = name.partition(" ")[2]
        if name and name not in found:
            found.append(name)
    return found


class Sampler:
    """Makes one value per schema, the same for the same text. `names` overrides what the text offers."""

    def __init__(self, root: Mapping[str, object], text: str, names: list[str] | None = None) -> None:
        self._root = root
        self._text = text
        self._names = proper_names(text) if names is None else names
        self._quoted = _QUOTED.findall(text)
        self._numbers = [int(number) for number in _NUMBER.findall(text)]

    def arguments(self) -> dict[str, object]:
        """A value for the root, which is always an object for a tool."""
        value = self._object(self._resolved(self._root), 0)
        return value if isinstance(value, dict) else {}

    def _value(self, schema: object, name: str, depth: int) -> object:
        if not isinstance(schema, Mapping):
            return None if schema is False else self._string({}, name)
        schema = self._resolved(schema)
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        for several in ("enum", "examples"):
            values = schema.get(several)
            if isinstance(values, list) and values:
                return values[0]
        return self._by_type(schema, name, depth)

    def _by_type(self, schema: Mapping[str, object], name: str, depth: int) -> object:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, kind)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _object(self, schema: Mapping[str, object], depth: int) -> object:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or depth > _MAX_DEPTH:
            return {}
        required = schema.get("required")
        wanted = [key for key in required if key in properties] if isinstance(required, list) else []
        return {key: self._value(properties[key], key, depth + 1) for key in (wanted or properties)}

    def _array(self, schema: Mapping[str, object], name: str, depth: int) -> object:
        if depth > _MAX_DEPTH:
            return []
        minimum = schema.get("minItems")
        count = min(max(minimum if isinstance(minimum, int) else 1, 1), 5)
        prefix = schema.get("prefixItems")
        if isinstance(prefix, list):
            return [self._value(item, name, depth + 1) for item in prefix]
        return [self._value(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _number(self, schema: Mapping[str, object], kind: str) -> int | float:
        low, high = schema.get("minimum"), schema.get("maximum")
        for number in self._numbers:
            if (not isinstance(low, int | float) or number >= low) and (
                not isinstance(high, int | float) or number <= high
            ):
                return number
        if isinstance(low, int | float):
            return low
        if isinstance(high, int | float) and high < 1:
            return high
        return 1 if kind == "integer" else 1.5

    def _string(self, schema: Mapping[str, object], name: str) -> str:
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        value = self._quoted[0] if self._quoted else self._named_string(name)
        low, high = schema.get("minLength"), schema.get("maxLength")
        if isinstance(low, int) and len(value) < low <= 10_000:
            value = value.ljust(low, "x")
        return value[:high] if isinstance(high, int) and high >= 0 else value

    def _named_string(self, name: str) -> str:
        key = name.lower()
        if key in _WHOLE_TEXT_NAMES and self._text.strip():
            return self._text.strip()[:200]
        if key in _BY_NAME:
            return _BY_NAME[key]
        if self._names:
            return self._names[0]
        return f"sample {name}".strip()

    def _resolved(self, schema: Mapping[str, object]) -> Mapping[str, object]:
        for _ in range(_MAX_DEPTH):
            reference = schema.get("$ref")
            target = self._referenced(reference) if isinstance(reference, str) else _first_branch(schema)
            if target is None:
                return schema
            schema = target
        return schema

    def _referenced(self, reference: str) -> Mapping[str, object] | None:
        here: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if not isinstance(here, Mapping) or not step:
                break
            here = here.get(step.replace("~1", "/").replace("~0", "~"))
        return here if isinstance(here, Mapping) and here is not self._root else None


def _first_branch(schema: Mapping[str, object]) -> Mapping[str, object] | None:
    for union in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(union)
        if isinstance(branches, list):
            for branch in branches:
                if isinstance(branch, Mapping) and branch.get("type") != "null":
                    return branch
    return None


def _type_of(schema: Mapping[str, object]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"
