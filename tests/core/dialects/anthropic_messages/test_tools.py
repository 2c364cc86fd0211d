"""Tools: which are offered, which are left out with a note, and what may be demanded."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import ToolChoice, ToolChoiceMode, ToolSpec
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.dialects.anthropic_messages.tools import (
    decoded_choice,
    decoded_tools,
    encoded_choice,
    encoded_tool,
    read_tool_change,
)
from service.core.errors import InvalidRequest

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {"city": {"type": "string"}},
}
WEATHER = {"name": "get_weather", "input_schema": SCHEMA}
SPEC = ToolSpec(name="get_weather", parameters=SCHEMA)


def tools(*items: object) -> tuple[tuple[ToolSpec, ...], tuple[str, ...]]:
    reading = Reading()
    return decoded_tools({"tools": list(items)}, "", reading), reading.notes


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        pytest.param(WEATHER, SPEC, id="name and schema, $schema kept"),
        pytest.param({**WEATHER, "type": "custom"}, SPEC, id="type custom"),
        pytest.param({**WEATHER, "type": None, "description": None}, SPEC, id="nulls"),
        pytest.param(
            {**WEATHER, "description": "Weather.", "strict": True},
            ToolSpec(name="get_weather", description="Weather.", parameters=SCHEMA, strict=True),
            id="description and strict",
        ),
        pytest.param(
            {
                **WEATHER,
                "defer_loading": True,
                "eager_input_streaming": True,
                "cache_control": {"type": "ephemeral"},
            },
            ToolSpec(
                name="get_weather",
                parameters=SCHEMA,
                extra={
                    "defer_loading": True,
                    "eager_input_streaming": True,
                    "cache_control": {"type": "ephemeral"},
                },
            ),
            id="a deferred tool is offered, unused fields kept",
        ),
        pytest.param(
            {"name": "f", "input_schema": {}}, ToolSpec(name="f"), id="an empty schema is the client's choice"
        ),
    ],
)
def test_own_tool_is_offered(tool: object, expected: ToolSpec) -> None:
    assert tools(tool) == ((expected,), ())


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20260209", "name": "web_search", "allowed_callers": ["code_execution_20260120"]},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
        {"type": "computer_toolset_20260801"},
        {"type": "mcp_toolset", "mcp_server_name": "x"},
    ],
    ids=lambda tool: tool["type"],
)
def test_server_tool_is_left_out_and_noted(tool: dict[str, object]) -> None:
    assert tools(WEATHER, tool) == ((SPEC,), (f"server-tool-dropped:{tool['type']}",))


def test_no_tools_is_no_error() -> None:
    assert tools() == ((), ())
    assert decoded_tools({"tools": None}, "", Reading()) == ()


def test_of_a_name_that_comes_twice_the_first_counts() -> None:
    assert tools(WEATHER, {**WEATHER, "description": "later"}) == (
        (SPEC,),
        ("duplicate-tool-dropped:get_weather",),
    )


@pytest.mark.parametrize(
    ("value", "param"),
    [
        pytest.param({"tools": {}}, "tools", id="no list"),
        pytest.param({"tools": ["x"]}, "tools.0", id="no object"),
        pytest.param({"tools": [{"input_schema": {}}]}, "tools.0.name", id="no name"),
        pytest.param({"tools": [{"name": "", "input_schema": {}}]}, "tools.0.name", id="empty name"),
        pytest.param({"tools": [{"name": "f"}]}, "tools.0.input_schema", id="no schema"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools.0.name", id="OpenAI's form"
        ),
        pytest.param({"tools": [{**WEATHER, "strict": "yes"}]}, "tools.0.strict", id="strict as a string"),
        pytest.param({"tools": [{**WEATHER, "type": 7}]}, "tools.0.type", id="type as a number"),
    ],
)
def test_refused_tool_is_named(value: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decoded_tools(value, "", Reading())
    assert raised.value.param == param


def test_paths_start_where_the_request_stands() -> None:
    with pytest.raises(InvalidRequest) as raised:
        decoded_tools({"tools": [{"name": "f"}]}, "requests.3.params", Reading())
    assert raised.value.param == "requests.3.params.tools.0.input_schema"


# --- tool_choice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param(None, ToolChoice(), id="absent"),
        pytest.param({"type": "auto"}, ToolChoice(), id="auto"),
        pytest.param(
            {"type": "auto", "disable_parallel_tool_use": True},
            ToolChoice(allows_parallel=False),
            id="auto, one at a time",
        ),
        pytest.param({"type": "any"}, ToolChoice(mode=ToolChoiceMode.REQUIRED), id="any"),
        pytest.param({"type": "none"}, ToolChoice(mode=ToolChoiceMode.NONE), id="none"),
        pytest.param(
            {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": False},
            ToolChoice(mode=ToolChoiceMode.NAMED, name="get_weather"),
            id="a tool by name",
        ),
    ],
)
def test_tool_choice(choice: object, expected: ToolChoice) -> None:
    reading = Reading()
    assert decoded_choice({"tool_choice": choice}, "", (SPEC,), reading) == expected
    assert reading.notes == ()


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_fetch"}])
def test_demand_for_a_dropped_server_tool_is_loosened(choice: dict[str, Any]) -> None:
    reading = Reading()
    body = {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}], "tool_choice": choice}
    offered = decoded_tools(body, "", reading)
    assert decoded_choice(body, "", offered, reading) == ToolChoice()
    assert reading.notes[1:] == (f"tool-choice-loosened:{choice['type']}",)


@pytest.mark.parametrize(
    ("choice", "offered", "param"),
    [
        pytest.param("auto", (SPEC,), "tool_choice", id="OpenAI's string"),
        pytest.param({}, (SPEC,), "tool_choice.type", id="no type"),
        pytest.param({"type": "required"}, (SPEC,), "tool_choice.type", id="OpenAI's word"),
        pytest.param({"type": "tool"}, (SPEC,), "tool_choice.name", id="no name"),
        pytest.param({"type": "tool", "name": "other"}, (SPEC,), "tool_choice", id="unknown tool"),
        pytest.param({"type": "any"}, (), "tool_choice", id="any of none"),
        pytest.param(
            {"type": "auto", "disable_parallel_tool_use": 1},
            (),
            "tool_choice.disable_parallel_tool_use",
            id="flag as a number",
        ),
    ],
)
def test_refused_choice_is_named(choice: object, offered: tuple[ToolSpec, ...], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decoded_choice({"tool_choice": choice}, "", offered, Reading())
    assert raised.value.param == param


@pytest.mark.parametrize(
    "choice",
    [
        ToolChoice(),
        ToolChoice(allows_parallel=False),
        ToolChoice(mode=ToolChoiceMode.NONE, allows_parallel=False),
        ToolChoice(mode=ToolChoiceMode.NAMED, name="get_weather"),
    ],
)
def test_choice_survives_encoding_and_decoding(choice: ToolChoice) -> None:
    body = {"tool_choice": encoded_choice(choice)}
    assert decoded_choice(body, "", (SPEC,), Reading()) == choice


def test_tool_survives_encoding_and_decoding() -> None:
    spec = ToolSpec(name="f", description="d", parameters=SCHEMA, strict=False, extra={"defer_loading": True})
    assert tools(encoded_tool(spec)) == ((spec,), ())


# --- tools that change inside messages ----------------------------------------------------------------------


def change(kind: str, **tool: object) -> dict[str, object]:
    return {"type": kind, "tool": tool}


OTHER = {"name": "other", "input_schema": {}}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        pytest.param([], ["get_weather"], id="none"),
        pytest.param(
            [change("tool_addition", type="tool_reference", name="get_weather")],
            ["get_weather"],
            id="a declared tool brought in",
        ),
        pytest.param(
            [change("tool_addition", type="tool_definition", definition=OTHER)],
            ["get_weather", "other"],
            id="a tool defined on the way",
        ),
        pytest.param([change("tool_removal", type="tool_reference", name="get_weather")], [], id="removed"),
        pytest.param(
            [
                change("tool_removal", type="tool_reference", name="get_weather"),
                change("tool_addition", type="tool_reference", name="get_weather"),
            ],
            ["get_weather"],
            id="removed and brought back",
        ),
        pytest.param(
            [
                change("tool_addition", type="tool_definition", definition=OTHER),
                change("tool_removal", type="tool_reference", name="other"),
                change("tool_addition", type="tool_definition", definition=OTHER),
            ],
            ["get_weather", "other"],
            id="defined again",
        ),
        pytest.param(
            [change("tool_addition", type="mcp_toolset_reference", server_name="x")],
            ["get_weather"],
            id="an MCP server's",
        ),
        pytest.param(
            [
                change(
                    "tool_addition",
                    type="tool_definition",
                    definition={"type": "bash_20250124", "name": "bash"},
                )
            ],
            ["get_weather"],
            id="a server tool",
        ),
    ],
)
def test_tools_in_effect_at_the_end(changes: list[dict[str, object]], names: list[str]) -> None:
    reading = Reading()
    for block in changes:
        read_tool_change(block, "at", reading)
    assert [spec.name for spec in reading.tools_in_effect((SPEC,))] == names


def test_tool_change_without_tool_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_tool_change({"type": "tool_addition"}, "messages.1.content.0", Reading())
    assert raised.value.param == "messages.1.content.0.tool"


def test_a_tool_without_description_has_none_on_the_wire() -> None:
    bare = encoded_tool(ToolSpec(name="f"))
    told = encoded_tool(ToolSpec(name="f", description="does f", strict=True))
    assert "description" not in bare
    assert (told["description"], told["strict"]) == ("does f", True)
