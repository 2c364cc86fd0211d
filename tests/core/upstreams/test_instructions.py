"""What is said in words where a wire has no field for it."""

from __future__ import annotations

import pytest

from service.core.conversation import (
    ResponseFormat,
    ResponseFormatKind,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolSpec,
)
from service.core.upstreams.instructions import (
    choice_instruction,
    custom_schema,
    format_instruction,
    object_schema,
)

AUTO, NONE, REQUIRED, NAMED = ToolChoiceMode
ONE = "Call at most one tool in this answer."


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (ToolChoice(), ""),
        (ToolChoice(mode=NONE), ""),
        (
            ToolChoice(mode=REQUIRED),
            "You must call at least one of the tools now; do not answer with text alone.",
        ),
        (
            ToolChoice(mode=NAMED, name="look"),
            "You must call the tool `look` now; do not answer with text alone.",
        ),
        (ToolChoice(allows_parallel=False), ONE),
        (
            ToolChoice(mode=NAMED, name="look", allows_parallel=False),
            f"You must call the tool `look` now; do not answer with text alone. {ONE}",
        ),
    ],
)
def test_choice(choice: ToolChoice, words: str) -> None:
    assert choice_instruction(choice) == words


ONLY_JSON = "Answer with one JSON object and nothing else: no prose around it, no code fence."


@pytest.mark.parametrize(
    ("response_format", "words"),
    [
        (ResponseFormat(), ""),
        (ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT), ONLY_JSON),
        (
            ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema={"z": 1, "a": "é"}),
            f'{ONLY_JSON} It must be valid against this JSON Schema:\n{{"z":1,"a":"é"}}',
        ),
    ],
)
def test_format(response_format: ResponseFormat, words: str) -> None:
    assert format_instruction(response_format) == words


EMPTY = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("schema", "encoded"),
    [
        pytest.param({}, EMPTY, id="none sent"),
        pytest.param({"$schema": "http://json-schema.org/draft-07/schema#"}, EMPTY, id="$schema alone"),
        pytest.param({"$schema": "x", "type": "object"}, {"type": "object"}, id="$schema is dropped"),
        pytest.param({"properties": {}}, EMPTY, id="type added"),
        pytest.param({"type": None, "properties": {}}, EMPTY, id="type null"),
        pytest.param({"type": ["object", "null"]}, {"type": "object"}, id="object or null"),
        pytest.param(
            {"anyOf": [{"required": ["a"]}]}, {"anyOf": [{"required": ["a"]}], "type": "object"}, id="anyOf"
        ),
        pytest.param(
            {"type": "object", "additionalProperties": False, "oneOf": []},
            {"type": "object", "additionalProperties": False, "oneOf": []},
            id="the rest is kept",
        ),
        pytest.param(
            {"type": "string", "$schema": "x"},
            {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]},
            id="another root is wrapped",
        ),
        pytest.param(
            {"type": ["string", "null"]},
            {"type": "object", "properties": {"value": {"type": ["string", "null"]}}, "required": ["value"]},
            id="other roots are wrapped",
        ),
    ],
)
def test_schema_root(schema: dict[str, object], encoded: dict[str, object]) -> None:
    before = dict(schema)
    assert object_schema(schema) == encoded
    assert schema == before, "the client's schema is not ours to change"


def test_a_freeform_tool_takes_one_string() -> None:
    schema = custom_schema(ToolSpec(name="patch", kind=ToolKind.CUSTOM))
    assert (schema["type"], schema["required"]) == ("object", ["input"])
    assert schema["properties"] == {
        "input": {"type": "string", "description": "The whole raw input of patch."}
    }


def test_the_format_of_a_freeform_tool_is_described() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    schema = custom_schema(ToolSpec(name="patch", kind=ToolKind.CUSTOM, extra={"format": form}))
    assert 'Its format: {"type":"grammar","syntax":"lark"' in str(schema["properties"])
