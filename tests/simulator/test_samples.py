"""Sample values are valid against their schemas, and the same every time."""

import jsonschema
import pytest

from service.simulator.samples import Sampler, proper_names

SCHEMAS = {
    "scalars": {
        "properties": {
            "a": {"type": "string", "minLength": 20, "maxLength": 25},
            "b": {"type": "integer", "minimum": 5, "maximum": 9},
            "c": {"type": "number", "maximum": 0.5},
            "d": {"type": "boolean"},
            "e": {"type": "null"},
            "f": {"enum": ["x", "y"]},
            "g": {"const": 3},
            "h": {"type": ["string", "null"]},
            "i": {"type": "string", "default": "fallback"},
            "j": {"type": "string", "examples": ["shown"]},
            "k": {"type": "number"},
        }
    },
    "formats": {
        "properties": {
            name: {"type": "string", "format": name}
            for name in ("date", "date-time", "email", "uuid", "ipv4")
        }
    },
    "nested": {
        "properties": {
            "list": {
                "type": "array",
                "minItems": 2,
                "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
            },
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
            "any": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "bare": {},
            "yes": True,
        },
    },
    "references": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}},
                "required": ["v"],
            }
        },
        "properties": {"node": {"$ref": "#/$defs/node"}, "lost": {"$ref": "#/$defs/none"}},
        "required": ["node"],
    },
    "empty": {},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_samples_are_valid(name):
    schema = {"type": "object", **SCHEMAS[name]}
    value = Sampler(schema, "Two words and 7 in Rome").arguments()
    jsonschema.validate(value, schema)
    assert value == Sampler(schema, "Two words and 7 in Rome").arguments()


def test_required_properties_only_where_some_are_required():
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b", "lost"]}
    assert list(Sampler(schema, "").arguments()) == ["b"]


def test_endless_recursion_ends():
    schema = {
        "properties": {"self": {"$ref": "#/$defs/s"}},
        "$defs": {"s": {"properties": {"self": {"$ref": "#/$defs/s"}}, "required": ["self"]}},
    }
    assert Sampler(schema, "").arguments()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("city", "How is it in Beijing?", "Beijing"),
        ("city", 'Try "san marino"', "san marino"),
        ("city", "no name here", "sample city"),
        ("query", "  find cats ", "find cats"),
        ("command", "run it", "echo sample"),
    ],
)
def test_strings_come_from_the_text_where_it_has_them(name, text, expected):
    schema = {"properties": {name: {"type": "string"}}}
    assert Sampler(schema, text).arguments() == {name: expected}


def test_names_prefer_what_follows_a_preposition():
    assert proper_names("Tell Anna about Rome. Then go to New York") == ["Rome", "New York", "Anna"]
