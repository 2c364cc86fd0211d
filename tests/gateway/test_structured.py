"""What is demanded of answers, and JSON held against schemas of every make."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from service.config import AccountKind
from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolSpec,
)
from service.core.demands import CallDemand, FormatDemand
from service.core.errors import InvalidRequest
from service.gateway.structured import call_judge, demands_of, fault_of, refuse_broken_schema

PLAIN = Conversation(model="m", turns=())
TOOLS = replace(PLAIN, tools=(ToolSpec(name="look"),), tool_choice=ToolChoice(mode=ToolChoiceMode.REQUIRED))
JSON = replace(PLAIN, response_format=ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT))


@pytest.mark.parametrize(
    ("conversation", "kind", "offers_tools", "expected"),
    [
        pytest.param(PLAIN, "platform", True, [], id="a plain request"),
        pytest.param(TOOLS, "platform", False, [CallDemand], id="a call, natively"),
        pytest.param(TOOLS, "studio", True, [CallDemand], id="a call, by the sieve"),
        pytest.param(TOOLS, "studio", False, [], id="tools are switched off there"),
        pytest.param(replace(TOOLS, uses_sieve=False), "studio", True, [], id="markup was asked for"),
        pytest.param(replace(TOOLS, tools=()), "platform", True, [], id="no tool to call"),
        pytest.param(replace(TOOLS, tool_choice=ToolChoice()), "platform", True, [], id="auto"),
        pytest.param(JSON, "studio", True, [FormatDemand], id="JSON"),
        pytest.param(
            replace(JSON, tools=TOOLS.tools, tool_choice=TOOLS.tool_choice),
            "platform",
            True,
            [CallDemand],
            id="a call is no JSON text",
        ),
    ],
)
def test_demands(conversation: Conversation, kind: str, offers_tools: bool, expected: list[type]) -> None:
    found = demands_of(conversation, AccountKind(kind), offers_tools=offers_tools)
    assert [type(one) for one in found] == expected


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
LOOK = ToolSpec(name="look", parameters=CITY)
NAMED_CHOICE = ToolChoice(mode=ToolChoiceMode.NAMED, name="look")


@pytest.mark.parametrize(
    ("tool", "choice", "streams", "is_judged"),
    [
        pytest.param(LOOK, NAMED_CHOICE, False, True, id="the tool that was named"),
        pytest.param(LOOK, NAMED_CHOICE, True, False, id="its arguments stream"),
        pytest.param(replace(LOOK, strict=True), NAMED_CHOICE, True, True, id="strict"),
        pytest.param(LOOK, TOOLS.tool_choice, False, False, id="any tool"),
        pytest.param(replace(LOOK, strict=True), TOOLS.tool_choice, True, True, id="any tool, strict"),
        pytest.param(
            replace(LOOK, strict=True, kind=ToolKind.CUSTOM), NAMED_CHOICE, False, False, id="a freeform tool"
        ),
    ],
)
def test_calls_that_stand_in_for_a_schema_are_judged(
    tool: ToolSpec, choice: ToolChoice, streams: bool, is_judged: bool
) -> None:
    judge = call_judge(replace(PLAIN, tools=(tool,), tool_choice=choice, streams=streams))
    assert (judge is not None) is is_judged
    if judge is not None:
        assert judge("look", '{"city": "Oslo"}') is None
        assert judge("look", '{"city": 7}') == "$.city: 7 is not of type 'string'"
        assert judge("look", "") == "$: 'city' is a required property"
        assert "not JSON" in str(judge("look", '{"city": '))
        assert judge("another", "7") is None


def schema(**words: object) -> ResponseFormat:
    return ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema=words)


PERSON = schema(
    type="object",
    properties={"name": {"type": "string"}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
    required=["name"],
    additionalProperties=False,
    **{"$defs": {"tag": {"enum": ["a", "b"]}}},
)


@pytest.mark.parametrize(
    ("response_format", "text", "told"),
    [
        pytest.param(JSON.response_format, "{}", None, id="an object"),
        pytest.param(JSON.response_format, "[]", "$: it is not an object", id="no object"),
        pytest.param(JSON.response_format, '{"a": ', "it is not JSON", id="half an object"),
        pytest.param(JSON.response_format, " ", "it is empty", id="nothing"),
        pytest.param(PERSON, '{"name": "Ada", "tags": ["a", "b"]}', None, id="fits"),
        pytest.param(PERSON, "{}", "$: 'name' is a required property", id="a property is missing"),
        pytest.param(PERSON, '{"name": 7}', "$.name: 7 is not of type 'string'", id="another type"),
        pytest.param(PERSON, '{"name": "", "tags": ["a", "c"]}', "$.tags[1]: 'c' is not one of", id="deep"),
        pytest.param(PERSON, '{"name": "", "x": 1}', "$: Additional properties", id="one too many"),
        pytest.param(
            schema(type="string", maxLength=3), f'"{"x" * 400}"', "$: does not meet `maxLength` 3", id="long"
        ),
        pytest.param(
            schema(**{"$schema": "http://json-schema.org/draft-07/schema#"}, type="object", required=["a"]),
            "{}",
            "'a' is a required property",
            id="draft-07",
        ),
        pytest.param(
            schema(
                **{"$schema": "http://json-schema.org/draft-04/schema#"}, minimum=5, exclusiveMinimum=True
            ),
            "5",
            "$: 5",
            id="draft-04",
        ),
        pytest.param(
            schema(**{"$schema": "https://example.com/mine"}, type="array"), "{}", "$", id="own draft"
        ),
        pytest.param(schema(pattern="^[a-z]+$"), '"A1"', "does not match", id="a pattern"),
        pytest.param(
            schema(properties={"a": {"pattern": r"^\p{L}+$"}, "b": {"type": "string"}}),
            '{"a": "x", "b": 7}',
            "$.b: 7 is not of type 'string'",
            id="a pattern that Python does not know, beside what it does",
        ),
        pytest.param(schema(const={"pattern": "(a+)+"}), '{"pattern": "(a+)+"}', None, id="a constant"),
    ],
)
def test_faults_name_their_place(response_format: ResponseFormat, text: str, told: str | None) -> None:
    fault = fault_of(response_format, text)
    assert (fault is None) if told is None else (fault is not None and told in fault)


BROKEN = {"type": "object", "properties": {"a": {"type": "strng"}}}


@pytest.mark.parametrize(
    ("response_format", "at"),
    [
        (schema(**BROKEN), "response_format.json_schema.schema.properties.a.type"),
        (replace(schema(**BROKEN), schema_at="text.format.schema"), "text.format.schema.properties.a.type"),
        (schema(**{"$ref": "http://127.0.0.1:9/x"}), "response_format.json_schema.schema.$ref"),
        (schema(**{"odd name": 1}, properties=7), "response_format.json_schema.schema.properties"),
        (schema(**BROKEN, description="x" * 300_000), "response_format.json_schema.schema.properties.a.type"),
    ],
)
async def test_a_broken_schema_is_refused_by_its_place(response_format: ResponseFormat, at: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid schema in") as caught:
        await refuse_broken_schema(response_format)
    assert (caught.value.param, caught.value.code) == (at, "invalid_json_schema")


@pytest.mark.parametrize("response_format", [PERSON, JSON.response_format, ResponseFormat()])
async def test_what_is_no_mistake_is_let_through(response_format: ResponseFormat) -> None:
    await refuse_broken_schema(response_format)


@pytest.mark.parametrize(
    ("response_format", "text"),
    [
        pytest.param(schema(pattern="(a+)+$"), f'"{"a" * 40}!"', id="a pattern that takes for ever"),
        pytest.param(
            schema(patternProperties={"(a+)+$": {}}, additionalProperties=False),
            f'{{"{"a" * 40}!": 1}}',
            id="the same for names",
        ),
        pytest.param(schema(**{"$ref": "#"}), "{}", id="a schema that is itself"),
        pytest.param(
            schema(
                **{"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}},
                **{"$ref": "#/$defs/d0"},
            ),
            "{}",
            id="a small schema of 2^40 steps",
        ),
        pytest.param(schema(**{"$ref": "http://127.0.0.1:9/x"}), "{}", id="a reference to the network"),
        pytest.param(schema(type="strng"), "{}", id="no such type"),
        pytest.param(schema(required=7), "{}", id="no schema at all"),
        pytest.param(schema(anyOf=[{"items": []}, 3]), "[]", id="odd parts"),
    ],
)
def test_schemas_that_cannot_be_tried_hold_nothing_up(response_format: ResponseFormat, text: str) -> None:
    began_s = time.process_time()
    assert fault_of(response_format, text) is None
    assert time.process_time() - began_s < 2
