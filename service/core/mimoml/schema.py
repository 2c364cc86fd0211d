"""What a JSON Schema says of a value's type, and values brought to it.

Only what decides a type is read: `type` (one or several, OpenAPI's `nullable`), `enum`, `const`,
`properties`, `additionalProperties`, `items`, `prefixItems`, `$ref` within the document, `anyOf`, `oneOf`,
`allOf`. Nothing is validated: a value that does not fit stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from service.core.mimoml.jsontext import NUMBER, JSONValue, Number, decode, decode_loose, encode, quoted

_MAX_HOPS = 16
_TYPES: Final = frozenset(("string", "integer", "number", "boolean", "null", "array", "object"))


class Schema:
    """One node of a schema, its references resolved. Any value at all makes a node; a bad one allows all."""

    __slots__ = ("_items", "_members", "_others", "_root", "node", "types")

    def __init__(self, node: object, root: object = None) -> None:
        self._root = node if root is None else root
        # What was asked before: declared members by name, the others' schema, the items' where all have one.
        self._members: dict[str, Schema] = {}
        self._others: Schema | None = None
        self._items: Schema | None = None
        self.node: Mapping[str, Any] = _resolved(node, self._root)
        self.types: frozenset[str] | None = _types(self.node, self._root, 0)

    @property
    def is_string(self) -> bool:
        """Nothing but a string fits."""
        return self.types is not None and self.types == {"string"}

    def allows(self, name: str) -> bool:
        """A value of this type may stand here; False where no type is declared."""
        return self.types is not None and name in self.types

    def member(self, name: str) -> Schema:
        """The schema of an object's member."""
        known = self._members.get(name)
        if known is not None:
            return known
        for node in self._views():
            properties = node.get("properties")
            if isinstance(properties, Mapping) and name in properties:
                return self._members.setdefault(name, _schema(properties[name], self._root))
        if self._others is None:
            declared = (node.get("additionalProperties") for node in self._views())
            self._others = _schema(next((n for n in declared if isinstance(n, Mapping)), None), self._root)
        return self._others

    def at(self, index: int) -> Schema:
        """The schema of an array's item."""
        if self._items is not None:
            return self._items
        has_prefix = False
        for node in self._views():
            prefix = node.get("prefixItems")
            if isinstance(prefix, list):
                has_prefix = True
                if index < len(prefix):
                    return _schema(prefix[index], self._root)
            if isinstance(node.get("items"), Mapping):
                found = _schema(node["items"], self._root)
                break
        else:
            found = ANYTHING
        if not has_prefix:
            self._items = found
        return found

    def branch(self, value: JSONValue) -> Schema:
        """Of alternatives the one that `value` is closest to; itself where there are none."""
        branches = [Schema(node, self._root) for node in _listed(self.node, "anyOf", "oneOf")]
        if not branches:
            return self
        return max(branches, key=lambda branch: branch._closeness(value))

    @property
    def property_names(self) -> list[str]:
        """Every declared member, alternatives included, in order."""
        names: dict[str, None] = {}
        for node in self._views():
            properties = node.get("properties")
            if isinstance(properties, Mapping):
                names.update(dict.fromkeys(map(str, properties)))
        return list(names)

    @property
    def required(self) -> list[str]:
        """Members that must be there, by the node itself and its allOf."""
        names: list[str] = []
        for node in (self.node, *(_resolved(n, self._root) for n in _listed(self.node, "allOf"))):
            required = node.get("required")
            if isinstance(required, list):
                names.extend(name for name in required if isinstance(name, str))
        return names

    def _views(self) -> list[Mapping[str, Any]]:
        """This node and what it is combined from, one level down."""
        parts = _listed(self.node, "allOf", "anyOf", "oneOf")
        return [self.node, *(_resolved(part, self._root) for part in parts)]

    def _closeness(self, value: JSONValue) -> tuple[bool, bool, int]:
        kind = _type_of(value)
        fits = self.types is None or kind in self.types or (kind == "integer" and "number" in self.types)
        if not isinstance(value, dict):
            enum = _enum(self.node)
            return fits, enum is None or value in enum, 0
        for name in value:
            enum = _enum(self.member(name).node)
            if enum is not None and value[name] not in enum:
                return fits, False, 0
        has_required = all(name in value for name in self.required)
        return fits, has_required, sum(name in self.property_names for name in value)


def _listed(node: Mapping[str, Any], *keys: str) -> list[object]:
    return [part for key in keys if isinstance(node.get(key), list) for part in node[key]]


def _resolved(node: object, root: object) -> Mapping[str, Any]:
    """The node behind `$ref`s of this document; {} for what is no schema."""
    for _ in range(_MAX_HOPS):
        if not isinstance(node, Mapping):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return node
        node = root
        for step in filter(None, reference[1:].split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            node = node.get(step) if isinstance(node, Mapping) else None
    return {}


def _types(node: Mapping[str, Any], root: object, depth: int) -> frozenset[str] | None:
    """The types that fit, None for any."""
    named = node.get("type")
    found: frozenset[str] | None = None
    if isinstance(named, str | list):
        found = _TYPES.intersection([named] if isinstance(named, str) else filter(_is_text, named))
    elif (enum := _enum(node)) is not None:
        found = frozenset(map(_type_of, enum))
    elif depth < _MAX_HOPS and (branches := _listed(node, "anyOf", "oneOf")):
        found = _union(branches, root, depth)
    elif depth < _MAX_HOPS and (parts := _listed(node, "allOf")):
        known = (_types(_resolved(part, root), root, depth + 1) for part in parts)
        found = next((types for types in known if types is not None), None)
    elif isinstance(node.get("properties"), Mapping):
        found = frozenset(("object",))
    elif isinstance(node.get("items"), Mapping) or isinstance(node.get("prefixItems"), list):
        found = frozenset(("array",))
    if found and node.get("nullable") is True:
        found |= {"null"}
    return found or None


def _union(branches: list[object], root: object, depth: int) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for branch in branches:
        types = _types(_resolved(branch, root), root, depth + 1)
        if types is None:
            return None
        found |= types
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _enum(node: Mapping[str, Any]) -> list[Any] | None:
    if "const" in node:
        return [node["const"]]
    enum = node.get("enum")
    return enum if isinstance(enum, list) and enum else None


def _type_of(value: object) -> str:
    """A type's name for one of our values or one of the schema's own."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, Number):
        return "integer" if value.lstrip("-").isdigit() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


ANYTHING = Schema({})


def _schema(node: object, root: object) -> Schema:
    return Schema(node, root) if node else ANYTHING


# --- text and values brought to a schema --------------------------------------------------------------------

_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_LOOSE_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?")


def value_of_text(text: str, schema: Schema, *, is_cdata: bool = False) -> JSONValue:
    """What a parameter's text means. Text that fits nothing stays a string."""
    types = schema.types
    if types is None:
        return text if is_cdata else _literal(text)
    if "string" in types:
        if types == {"string"} or is_cdata or text in (_enum(schema.node) or ()):
            return text
        found = _other(text, types - {"string"}, schema)
        return text if found is None else found[0]
    found = _other(text, types, schema)
    return text if found is None else found[0]


def coerced(value: JSONValue, schema: Schema) -> JSONValue:
    """A value that came as JSON, with strings turned to what is declared and numbers to declared strings, all
    the way down."""
    types = schema.types
    if types is None:
        return value
    if isinstance(value, str) and not isinstance(value, Number):
        return value if "string" in types else value_of_text(value, schema)
    if types == {"string"} and (isinstance(value, bool | Number)):
        return encode(value)
    if isinstance(value, list) and "array" in types:
        schema = schema.branch(value)
        return [coerced(item, schema.at(index)) for index, item in enumerate(value)]
    if isinstance(value, dict) and "object" in types:
        schema = schema.branch(value)
        return {name: coerced(item, schema.member(name)) for name, item in value.items()}
    return value


def _literal(text: str) -> JSONValue:
    try:
        return decode(text)
    except ValueError:
        return text


def _other(text: str, types: frozenset[str], schema: Schema) -> tuple[JSONValue] | None:
    """The text as a value of one of these types (never a plain string), None when it is none."""
    text = text.strip(" \t\r\n")
    scalar = _scalar(text, types)
    if scalar is not None:
        return scalar
    if not types & {"array", "object"} or text[:1] not in ("[", "{", '"'):
        return _unquoted(text, types, schema) if text[:1] == '"' else None
    if text[0] == '"':
        return _unquoted(text, types, schema)
    try:
        value = decode_loose(text)
    except ValueError:
        return None
    if _type_of(value) not in types:
        return None
    return (coerced(value, schema),)


def _unquoted(text: str, types: frozenset[str], schema: Schema) -> tuple[JSONValue] | None:
    """A value that was written as a JSON string: `"3"`, `"[1, 2]"`."""
    try:
        inner = decode(text)
    except ValueError:
        return None
    return _other(inner, types, schema) if isinstance(inner, str) else None


def _scalar(text: str, types: frozenset[str]) -> tuple[JSONValue] | None:
    folded = text.lower()
    if not text:
        return _empty(types)
    if "null" in types and folded in ("null", "none"):
        return (None,)
    if "boolean" in types and folded in ("true", "false"):
        return (folded == "true",)
    if "integer" in types and _INTEGER.fullmatch(text):
        digits = text.partition(".")[0].lstrip("+")
        sign = "-" if digits[0] == "-" else ""
        return (Number(sign + (digits.lstrip("-").lstrip("0") or "0")),)
    if types & {"number", "integer"}:
        number = loose_number(text)
        if number is not None and ("number" in types or number.lstrip("-").isdigit()):
            return (number,)
    return None


def _empty(types: frozenset[str]) -> tuple[JSONValue] | None:
    if "null" in types:
        return (None,)
    if "object" in types:
        return ({},)
    return ([],) if "array" in types else None


def loose_number(text: str) -> Number | None:
    """A number as JSON writes it, where `text` is one in a wider sense (`.5`, `+1`, `007`); else None."""
    if NUMBER.fullmatch(text):
        return Number(text)
    match = _LOOSE_NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    sign = "-" if match[1] == "-" else ""
    fraction = f".{match[3]}" if match[3] else ""
    return Number(f"{sign}{match[2].lstrip('0') or '0'}{fraction}{match[4] or ''}")


_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null"}


def loose_literal(text: str) -> str:
    """A number or a word without quotes as JSON writes it: `.5`, `None`; any other word becomes a string."""
    if NUMBER.fullmatch(text):
        return text
    return _WORDS.get(text.lower()) or loose_number(text) or quoted(text)
