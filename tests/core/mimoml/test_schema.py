"""What a schema says of a type, and values brought to it; nested elements; loose names."""

from __future__ import annotations

import pytest

from service.core.mimoml.elements import plain_text, value_of_elements
from service.core.mimoml.jsontext import MAX_DEPTH, Number, decode, encode
from service.core.mimoml.names import Names
from service.core.mimoml.schema import ANYTHING, Schema, coerced, loose_number, value_of_text


@pytest.mark.parametrize(
    ("node", "types"),
    [
        ({}, None),
        (True, None),
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null", 7, "odd"]}, {"string", "null"}),
        ({"type": "odd"}, None),
        ({"type": "integer", "nullable": True}, {"integer", "null"}),
        (
            {"enum": ["a", 1, 1.5, True, None, [], {}]},
            {"string", "integer", "number", "boolean", "null", "array", "object"},
        ),
        ({"enum": []}, None),
        ({"const": "a"}, {"string"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"string", "null"}),
        ({"oneOf": [{"type": "string"}, {}]}, None),
        ({"allOf": [{}, {"type": "array"}]}, {"array"}),
        ({"properties": {}}, {"object"}),
        ({"items": {}}, {"array"}),
        ({"prefixItems": []}, {"array"}),
        ({"$ref": "#/x~1y", "x/y": {"type": "null"}}, {"null"}),
        ({"$ref": "#/missing/x"}, None),
        ({"$ref": "#"}, None),
        ({"$ref": "https:other"}, None),
    ],
)
def test_types(node: object, types: set[str] | None) -> None:
    assert Schema(node).types == types


def test_a_schema_that_turns_in_circles_ends() -> None:
    circle: dict[str, object] = {"anyOf": [{"$ref": "#"}, {"type": "string"}]}
    assert Schema(circle).types is None
    both: dict[str, object] = {"allOf": [{"$ref": "#"}]}
    assert Schema(both).types is None


def test_members_and_items() -> None:
    schema = Schema({"additionalProperties": {"type": "integer"}, "properties": {"a": {"type": "null"}}})
    assert schema.member("a").types == {"null"}
    assert schema.member("b").types == {"integer"}
    row = Schema({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}})
    assert [row.at(index).types for index in (0, 1)] == [{"string"}, {"integer"}]
    assert Schema({"prefixItems": []}).at(3) is ANYTHING
    assert ANYTHING.at(0) is ANYTHING
    both = Schema(
        {"allOf": [{"properties": {"a": {"type": "null"}}, "required": ["a", 1]}], "required": ["b"]}
    )
    assert both.property_names == ["a"]
    assert both.required == ["b", "a"]


def test_branches() -> None:
    schema = Schema(
        {
            "anyOf": [
                {"type": "integer"},
                {"type": "array", "items": {"type": "integer"}},
                {"type": "object", "properties": {"k": {"enum": ["x"]}, "v": {"type": "integer"}}},
                {
                    "type": "object",
                    "properties": {"k": {"enum": ["y"]}, "v": {"type": "number"}},
                    "required": ["v"],
                },
            ]
        }
    )
    assert coerced(["1"], schema) == [Number("1")]
    assert coerced({"k": "y", "v": "1.5"}, schema) == {"k": "y", "v": Number("1.5")}
    assert coerced({"k": "x", "v": "1"}, schema) == {"k": "x", "v": Number("1")}
    assert schema.branch(Number("1")).types == {"integer"}
    assert schema.branch(Number("1.5")).types is not None


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("1e3", "integer", "1e3"),
        ("-0", "integer", "-0"),
        ("1.", "number", Number("1")),
        (".", "number", "."),
        ("", "integer", ""),
        ('"x', "array", '"x'),
        ('"x"', "integer", '"x"'),
        ('{"a": 1}', "array", '{"a": 1}'),
        ("[1", "object", "[1"),
        ("[" * 300_000, "array", "[" * 300_000),
    ],
)
def test_text(text: str, types: str, value: object) -> None:
    assert value_of_text(text, Schema({"type": types})) == value


def test_values_that_came_as_json() -> None:
    assert coerced(True, Schema({"type": "string"})) == "true"
    assert coerced(None, Schema({"type": "string"})) is None
    assert coerced([], Schema({"type": "string"})) == []
    assert coerced({}, Schema({"type": "array"})) == {}
    assert loose_number("+.5e1") == "0.5e1"
    assert loose_number("x") is None


def test_names() -> None:
    names = Names(["getWeather", "get_time", "GET_TIME", "a-b"])
    assert names.resolved("getWeather") == "getWeather"
    assert names.resolved("get_weather") == "getWeather"
    assert names.resolved("Get_Time") is None, "it fits two"
    assert names.resolved("aB") == "a-b"
    assert names.resolved(" ｇet_time ") == "get_time"
    assert names.resolved("x") is None


OBJECT = {
    "type": "object",
    "properties": {
        "any": {},
        "tags": {"type": "array", "items": {"type": "string"}},
        "name": {"type": "string"},
        "fileName": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<any><item>1</item><item>x</item></any>", '{"any": [1, "x"]}'),
        ("<any><a>1</a><b>x</b></any>", '{"any": {"a": 1, "b": "x"}}'),
        ("<any>1</any><any>2</any>", '{"any": [1, 2]}'),
        ("<tags>a</tags>", '{"tags": ["a"]}'),
        ("<tags>a</tags><tags>b</tags>", '{"tags": ["a", "b"]}'),
        ("<tags><item>a</item></tags><tags><item>b</item></tags>", '{"tags": ["a"]}'),
        ("<name>a</name><name>b</name>", '{"name": "a"}'),
        ("<file_name>a</file_name>", '{"fileName": "a"}'),
        ("<name/>", '{"name": ""}'),
        ("<name>a <br> b</name>", '{"name": "a <br> b"}'),
        ("<name><![CDATA[<x>]]></name>", '{"name": "<x>"}'),
        ("<name> <![CDATA[a]]> &lt; <![CDATA[b]]> </name>", '{"name": "a &lt; b"}'),
        ('<parameter name="a&lt;">1</parameter>', '{"a<": 1}'),
        ("<parameter=name>1</parameter>", '{"name": "1"}'),
        ("<parameter>1</parameter>", '{"parameter": 1}'),
        ("</x><name>a</name>", None),
    ],
)
def test_elements(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="not made of elements"):
            value_of_elements(text, Schema(OBJECT))
    else:
        assert encode(value_of_elements(text, Schema(OBJECT))) == value.replace("&lt;", "<")


@pytest.mark.parametrize(
    "text", ["", "text", "<a>x</a> text", "text <a>x</a>", "<a>", "<a>" * (MAX_DEPTH + 5)]
)
def test_text_that_is_not_made_of_elements(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        value_of_elements(text, Schema(OBJECT))


def test_plain_text() -> None:
    assert plain_text("a &amp; b") == ("a & b", False)
    assert plain_text("a <![CDATA[&amp;]]> b") == ("a &amp; b", True)
    assert plain_text("<![CDATA[a") == ("<![CDATA[a", False)
    assert plain_text("<b><![CDATA[a]]></b>") == ("<b>a</b>", True)
    assert decode("1") == "1"
