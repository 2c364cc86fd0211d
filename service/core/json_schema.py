"""A client's JSON Schema looked at before anybody is asked: what is wrong with it, by its place.

Each keyword has a form (a table below); what stands under an unknown one is the client's own. References
must lead to a place within the schema, since nothing is fetched; patterns must at least be balanced, which
is all that JavaScript's and Python's have in common. Linear in the schema's size, a few microseconds a
keyword: holding it against the meta-schema takes a hundred times as long. tests/core/test_json_schema.py
holds the two together. Source: JSON Schema drafts 2020-12 and 7, read 2026-11-20."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag, urljoin

import orjson

from service.core.json_body import type_word

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_SCHEMA = frozenset(
    (
        *("not", "if", "then", "else", "contains", "additionalProperties", "unevaluatedProperties", "items"),
        *("unevaluatedItems", "propertyNames", "contentSchema"),
    )
)
_SCHEMA_BY_NAME = frozenset(
    ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
)
_SCHEMAS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_MAX_RESOURCES = 16  # schemas within the schema that a pointer may begin at
_PLAIN_NAME = re.compile(r"[\w$-]{1,64}")
# The drafts before 6 have keywords of other forms: of those only references and patterns are looked at.
_OLD_DRAFT = re.compile(r"json-schema\.org/draft-0[1-4]/")
# A list in `items` is what 2020-12 calls `prefixItems`.
_LISTS_ITEMS = re.compile(r"json-schema\.org/(draft-0[67]|draft/2019-09)/")

# A value -> what is wrong with it; None when nothing is.
_Form = Callable[[object], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaMistake:
    """`at` is the path within the schema, as `properties.name.type`; "" for the schema itself."""

    at: str
    what: str


def mistake_in(schema: Mapping[str, object]) -> SchemaMistake | None:
    """The first thing that is wrong with the schema; None when nothing is."""
    return next(_Walk(schema).mistakes(), None)


# --- forms --------------------------------------------------------------------------------------------------


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _names(value: object) -> str | None:
    if type(value) is not list or not all(type(name) is str for name in value):
        return f"expected an array of strings, but got {type_word(value)}"
    return None if len(set(value)) == len(value) else "a name stands there twice"


def _types(value: object) -> str | None:
    types = [value] if type(value) is str else value
    if type(types) is not list or not types:
        return f"expected a type or an array of types, but got {type_word(value)}"
    unknown = [name for name in types if name not in _TYPES]
    if unknown:
        shown = unknown[0] if type(unknown[0]) is str else type_word(unknown[0])
        return f"'{shown[:64]}' is no type: known are {', '.join(_TYPES)}"
    return None if len(set(types)) == len(types) else "a type stands there twice"


def _a(kind: type) -> _Form:
    def form(value: object) -> str | None:
        if type(value) is kind:
            return None
        return f"expected {type_word(kind())}, but got {type_word(value)}"

    return form


def _count(value: object) -> str | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and value >= 0:
        return None
    return "expected an integer of 0 or more"


def _number(value: object) -> str | None:
    return None if _is_number(value) else f"expected a number, but got {type_word(value)}"


def _positive(value: object) -> str | None:
    is_positive = (type(value) is int or type(value) is float) and value > 0
    return None if is_positive else "expected a number above 0"


def _name_lists(value: object) -> str | None:
    if type(value) is not dict:
        return f"expected an object, but got {type_word(value)}"
    return next((fault for names in value.values() if (fault := _names(names)) is not None), None)


def _pattern(value: object) -> str | None:
    if type(value) is not str:
        return f"expected a string, but got {type_word(value)}"
    return None if is_balanced(value) else "it is no regular expression"


_FORM_BY_KEYWORD: Mapping[str, _Form] = {
    "type": _types,
    "required": _names,
    "dependentRequired": _name_lists,
    "multipleOf": _positive,
    "enum": _a(list),
    "examples": _a(list),
    **dict.fromkeys(("uniqueItems", "readOnly", "writeOnly", "deprecated"), _a(bool)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _count),
    **dict.fromkeys(("title", "description", "format", "$comment", "$id", "$anchor", "$schema"), _a(str)),
    **dict.fromkeys(("contentEncoding", "contentMediaType", "$ref", "$dynamicRef"), _a(str)),
    "pattern": _pattern,
}
_FORM_IN_OLD_DRAFTS: Mapping[str, _Form] = {"$ref": _a(str), "$schema": _a(str), "pattern": _pattern}


def is_balanced(pattern: str) -> bool:
    """Whether brackets and groups are closed, and no escape ends the pattern."""
    depth, in_set, at = 0, False, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
            if at == len(pattern):
                return False
        elif in_set:
            in_set = sign != "]"
        elif sign == "[":
            in_set = True
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth < 0:
                return False
        at += 1
    return depth == 0 and not in_set


# --- the walk -----------------------------------------------------------------------------------------------


class _Walk:
    """One schema's. Collects where references lead and what they may lead to on the way."""

    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root
        draft = root.get("$schema")
        named = draft if type(draft) is str else ""
        self._is_old = _OLD_DRAFT.search(named) is not None
        self._lists_items = self._is_old or _LISTS_ITEMS.search(named) is not None
        self._forms = _FORM_IN_OLD_DRAFTS if self._is_old else _FORM_BY_KEYWORD
        self._resources: list[Mapping[str, object]] = [root]
        self._ids: list[str] = []
        self._anchors: set[str] = set()
        self._documents: set[str] | None = None
        self._references: list[tuple[str, str]] = []

    def mistakes(self) -> Iterator[SchemaMistake]:
        yield from self._schema(self._root, "")
        for at, reference in self._references:
            if (what := self._leads_nowhere(reference)) is not None:
                yield SchemaMistake(at=at, what=what)

    def _schema(self, schema: object, at: str) -> Iterator[SchemaMistake]:
        if isinstance(schema, Mapping):
            self._note_names(schema, at)
            for keyword, value in schema.items():
                yield from self._keyword(keyword, value, _inside(at, keyword))
        elif type(schema) is not bool:
            yield SchemaMistake(at=at, what=f"expected a schema, but got {type_word(schema)}")

    def _keyword(self, keyword: str, value: object, at: str) -> Iterator[SchemaMistake]:
        form = self._forms.get(keyword)
        if form is not None and (what := form(value)) is not None:
            yield SchemaMistake(at=at, what=what)
        elif keyword == "items" and type(value) is list and value and self._lists_items:
            yield from self._list(value, at)
        elif keyword in _SCHEMA or (keyword == "additionalItems" and self._lists_items):
            yield from self._schema(value, at)
        elif keyword in _SCHEMA_BY_NAME:
            yield from self._by_name(keyword, value, at)
        elif keyword in _SCHEMAS:
            if type(value) is list and value:
                yield from self._list(value, at)
            else:
                found = "an empty array" if value == [] else type_word(value)
                yield SchemaMistake(at=at, what=f"expected an array of schemas, but got {found}")

    def _note_names(self, schema: Mapping[str, object], at: str) -> None:
        for keyword in ("$ref", "$dynamicRef"):
            if type(reference := schema.get(keyword)) is str:
                self._references.append((_inside(at, keyword), reference))
        for keyword in ("$anchor", "$dynamicAnchor"):
            if type(anchor := schema.get(keyword)) is str:
                self._anchors.add(anchor)
        identity = schema.get("id" if self._is_old else "$id")
        if type(identity) is str:
            self._ids.append(identity)
            self._resources.append(schema)
            if identity.startswith("#"):  # what an anchor was before 2019-09
                self._anchors.add(identity[1:])

    def _list(self, schemas: list[object], at: str) -> Iterator[SchemaMistake]:
        for index, schema in enumerate(schemas):
            yield from self._schema(schema, f"{at}[{index}]")

    def _by_name(self, keyword: str, value: object, at: str) -> Iterator[SchemaMistake]:
        if type(value) is dict:
            for name, schema in value.items():
                yield from self._named(keyword, name, schema, _inside(at, name))
        else:
            what = f"expected an object of schemas, but got {type_word(value)}"
            yield SchemaMistake(at=at, what=what)

    def _named(self, keyword: str, name: str, schema: object, at: str) -> Iterator[SchemaMistake]:
        if keyword == "patternProperties" and not is_balanced(name):
            yield SchemaMistake(at=at, what="its name is no regular expression")
        elif keyword != "dependencies" or type(schema) is not list:
            yield from self._schema(schema, at)
        elif (what := _names(schema)) is not None:
            yield SchemaMistake(at=at, what=what)

    def _leads_nowhere(self, reference: str) -> str | None:
        document, fragment = urldefrag(reference)
        shown = reference[:64]
        if document:
            base = self._ids[0] if self._ids else ""
            if self._documents is None:
                self._documents = {urldefrag(urljoin(base, identity))[0] for identity in self._ids}
            if urljoin(base, document) in self._documents:
                return None
            return f"'{shown}' is not within the schema, and nothing is fetched for a reference: use '$defs'"
        if not fragment or fragment in self._anchors:
            return None
        if fragment.startswith("/"):
            is_known = any(_leads(root, fragment) for root in self._resources[:_MAX_RESOURCES])
            if is_known or len(self._resources) > _MAX_RESOURCES:
                return None
        return f"'{shown}' leads to nothing in the schema"


def _leads(root: object, pointer: str) -> bool:
    """Whether the JSON pointer leads to a schema."""
    for word in unquote(pointer)[1:].split("/"):
        word = word.replace("~1", "/").replace("~0", "~")
        if type(root) is list and word.isdecimal() and int(word) < len(root):
            root = root[int(word)]
        elif isinstance(root, Mapping) and word in root:
            root = root[word]
        else:
            return False
    return isinstance(root, Mapping | bool)


def _inside(at: str, name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f"{at}.{name}" if at else name
    return f"{at}[{orjson.dumps(name[:64]).decode()}]"
