"""Schemas with a mistake are told by its place; what the meta-schema takes is taken."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import Draft7Validator, Draft202012Validator

from service.core.json_schema import SchemaMistake, is_balanced, mistake_in

DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
TEXT = {"type": "string"}


def at(schema: dict[str, Any]) -> str | None:
    mistake = mistake_in(schema)
    return None if mistake is None else mistake.at


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        pytest.param({"type": "strng"}, "type", id="no such type"),
        pytest.param({"type": []}, "type", id="no type at all"),
        pytest.param({"type": 7}, "type", id="a type by number"),
        pytest.param({"type": ["string", 7]}, "type", id="a type among others by number"),
        pytest.param({"type": ["string", "string"]}, "type", id="a type twice"),
        pytest.param({"properties": {"a": {"type": "text"}}}, "properties.a.type", id="of a property"),
        pytest.param({"properties": {"a b": {"type": "x"}}}, 'properties["a b"].type', id="an odd name"),
        pytest.param({"properties": []}, "properties", id="properties in a list"),
        pytest.param({"properties": {"a": "string"}}, "properties.a", id="a word for a schema"),
        pytest.param({"required": "a"}, "required", id="required is a word"),
        pytest.param({"required": ["a", 7]}, "required", id="required by number"),
        pytest.param({"required": ["a", "a"]}, "required", id="required twice"),
        pytest.param({"properties": {"a": {"required": True}}}, "properties.a.required", id="draft 3's"),
        pytest.param({"enum": "a"}, "enum", id="enum is a word"),
        pytest.param({"items": {"minLength": -1}}, "items.minLength", id="a length below nothing"),
        pytest.param({"maxItems": 1.5}, "maxItems", id="half an item"),
        pytest.param({"minimum": "1"}, "minimum", id="a number in quotes"),
        pytest.param({"multipleOf": 0}, "multipleOf", id="a multiple of nothing"),
        pytest.param({"multipleOf": True}, "multipleOf", id="a multiple of a truth"),
        pytest.param({"uniqueItems": "yes"}, "uniqueItems", id="a flag in words"),
        pytest.param({"description": 7}, "description", id="a number for a text"),
        pytest.param({"additionalProperties": "no"}, "additionalProperties", id="a word for a flag"),
        pytest.param({"anyOf": [TEXT, {"anyOf": []}]}, "anyOf[1].anyOf", id="a choice of nothing"),
        pytest.param({"allOf": TEXT}, "allOf", id="a choice that is none"),
        pytest.param({"items": [TEXT]}, "items", id="a list of items in 2020-12"),
        pytest.param({**DRAFT_7, "additionalItems": 7}, "additionalItems", id="a number for the others"),
        pytest.param({**DRAFT_7, "items": [TEXT, 7]}, "items[1]", id="an item that is no schema"),
        pytest.param({"dependentRequired": ["a"]}, "dependentRequired", id="dependent on a list"),
        pytest.param({"dependentRequired": {"a": "b"}}, "dependentRequired", id="dependent on a word"),
        pytest.param({"dependencies": {"a": ["b", "b"]}}, "dependencies.a", id="dependent twice"),
        pytest.param({"dependencies": {"a": 7}}, "dependencies.a", id="dependent on a number"),
        pytest.param({"pattern": "[a-z"}, "pattern", id="a pattern that is not closed"),
        pytest.param({"pattern": 7}, "pattern", id="a pattern that is no text"),
        pytest.param({**DRAFT_4, "pattern": "("}, "pattern", id="the same in an old draft"),
        pytest.param({"patternProperties": {"(": {}}}, 'patternProperties["("]', id="a name's pattern"),
        pytest.param({"$ref": 7}, "$ref", id="a reference by number"),
        pytest.param({"$schema": 7}, "$schema", id="a draft by number"),
        pytest.param({"items": {"$ref": "#/$defs/a"}}, "items.$ref", id="a reference to nothing"),
        pytest.param({"$defs": {"a": 7}, "$ref": "#/$defs/a"}, "$defs.a", id="a definition that is none"),
        pytest.param({"x": 7, "$ref": "#/x"}, "$ref", id="a reference to a number"),
        pytest.param({"anyOf": [TEXT], "not": {"$ref": "#/anyOf/1"}}, "not.$ref", id="past a list's end"),
        pytest.param({"$ref": "#name"}, "$ref", id="no such anchor"),
        pytest.param({"$ref": "http://127.0.0.1:9/x"}, "$ref", id="the network"),
        pytest.param({"$ref": "file:///etc/passwd"}, "$ref", id="the disk"),
        pytest.param({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "$ref", id="the standard"),
    ],
)
def test_a_mistake_is_told_by_its_place(schema: dict[str, Any], place: str) -> None:
    assert at(schema) == place


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="anything"),
        pytest.param(
            {"type": ["string", "null"], "properties": {"a": True}}, id="types, and a boolean schema"
        ),
        pytest.param({"maxItems": 2.0, "multipleOf": 0.5, "minimum": -1.5}, id="numbers"),
        pytest.param({"$defs": {"a/b": TEXT}, "$ref": "#/$defs/a~1b"}, id="an escaped name"),
        pytest.param({"$defs": {"a b": TEXT}, "$ref": "#/$defs/a%20b"}, id="a quoted name"),
        pytest.param({"items": {"$ref": "#"}}, id="a schema that holds itself"),
        pytest.param({"anyOf": [TEXT], "not": {"$ref": "#/anyOf/0"}}, id="into a list"),
        pytest.param({"$defs": {"a": {"$anchor": "n"}}, "$ref": "#n"}, id="an anchor"),
        pytest.param({"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}}, id="a dynamic anchor"),
        pytest.param({**DRAFT_7, "definitions": {"a": {"$id": "#n"}}, "$ref": "#n"}, id="draft 7's anchor"),
        pytest.param(
            {
                "$id": "https://a.example/x",
                "$defs": {"i": {"$id": "item"}},
                "items": {"$ref": "item"},
                "not": {"$ref": "https://a.example/item#"},
            },
            id="a schema within the schema",
        ),
        pytest.param(
            {"$defs": {"i": {"$id": "item", "$defs": {"t": TEXT}, "items": {"$ref": "#/$defs/t"}}}},
            id="a pointer within a schema within the schema",
        ),
        pytest.param({**DRAFT_7, "items": [TEXT]}, id="draft 7's list of items"),
        pytest.param({"dependencies": {"a": ["b"], "c": TEXT}}, id="both kinds of dependencies"),
        pytest.param({"dependentRequired": {"a": ["b"]}}, id="dependent names"),
        pytest.param({**DRAFT_4, "minimum": 5, "exclusiveMinimum": True, "id": "x"}, id="draft 4's flag"),
        pytest.param({"const": {"type": "strng"}, "default": {"$ref": 7}}, id="values are no schemas"),
        pytest.param({"x-mine": {"type": "strng"}}, id="an unknown keyword"),
        pytest.param({"properties": {"type": TEXT, "$ref": TEXT}}, id="properties named as keywords are"),
        pytest.param({"pattern": r"^\p{L}+(?<y>\d{4})[\]\-(]\($"}, id="a pattern of JavaScript"),
    ],
)
def test_what_is_right_is_let_through(schema: dict[str, Any]) -> None:
    assert mistake_in(schema) is None


def test_a_mistake_is_told_in_words() -> None:
    assert mistake_in({"type": "strng"}) == SchemaMistake(
        at="type",
        what="'strng' is no type: known are array, boolean, integer, null, number, object, string",
    )
    told = mistake_in({"$ref": "http://127.0.0.1:9/x"})
    assert told is not None
    assert "nothing is fetched" in told.what


def test_pointers_into_very_many_schemas_are_not_followed() -> None:
    within = {f"d{n}": {"$id": f"s{n}"} for n in range(20)}
    assert at({"$defs": within, "items": {"$ref": "#/nowhere"}}) is None


@pytest.mark.parametrize(
    ("pattern", "is_whole"),
    [
        *(("", True), ("a(b)c", True), ("[(]", True), (r"\(", True), ("[]]", True), ("[^)]*", True)),
        *(("(", False), (")", False), (")(", False), ("[a", False), ("a\\", False), (r"[\]", False)),
    ],
)
def test_patterns_must_be_balanced(pattern: str, is_whole: bool) -> None:
    assert is_balanced(pattern) is is_whole


# --- beside the meta-schema ---------------------------------------------------------------------------------

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-2, 2) | st.sampled_from(["a", "string"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
KEYWORDS = (
    *("type", "required", "enum", "minLength", "maxItems", "minimum", "exclusiveMinimum", "multipleOf"),
    *("uniqueItems", "description", "properties", "patternProperties", "additionalProperties", "items"),
    *("anyOf", "allOf", "not", "if", "then", "contains", "propertyNames", "const", "default", "dependencies"),
    *("additionalItems", "minContains", "dependentRequired", "prefixItems", "$defs", "definitions", "title"),
)
# What the older draft has no word for.
NEW = frozenset(("minContains", "dependentRequired", "prefixItems", "$defs"))


def schemas(keywords: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Schemas most of whose keywords are right and some of which are not."""
    return st.recursive(
        st.fixed_dictionaries({}, optional={"type": st.sampled_from(["string", "object", ["null"]])}),
        lambda inner: st.dictionaries(
            st.sampled_from(keywords),
            inner | st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner) | ANY,
            max_size=3,
        ),
        max_leaves=6,
    ).filter(lambda value: isinstance(value, dict))


@pytest.mark.parametrize("draft", [Draft202012Validator, Draft7Validator], ids=["2020-12", "draft-07"])
@given(data=st.data())
def test_the_meta_schema_agrees(draft: Any, data: st.DataObject) -> None:
    is_new = draft is Draft202012Validator
    keywords = tuple(word for word in KEYWORDS if is_new or word not in NEW)
    schema = {"$schema": draft.META_SCHEMA["$schema"], **data.draw(schemas(keywords))}
    errors = list(draft(draft.META_SCHEMA).iter_errors(schema))
    assert (mistake_in(schema) is None) is (not errors), (mistake_in(schema), errors[:1])


def test_a_hostile_schema_takes_no_time() -> None:
    """References and schemas within the schema by the thousand: nothing is looked up for each pair."""
    many = {f"d{n}": {"$id": f"https://a.example/{n}", "$ref": f"#/x/{n}"} for n in range(10_000)}
    began_s = time.process_time()
    assert (
        at({"$defs": many, "allOf": [{"$ref": f"https://b.example/{n}"} for n in range(5_000)]}) is not None
    )
    assert time.process_time() - began_s < 5
