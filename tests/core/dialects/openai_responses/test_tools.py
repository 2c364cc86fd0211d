"""Tools of every kind, offered upstream as functions with names of their own."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import ToolSpec
from service.core.dialects.openai_responses.tools import (
    ClientTool,
    DecodedTools,
    HostedTools,
    Shape,
    ToolBridge,
    decode_tools,
)
from service.core.errors import InvalidRequest

_SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}}


def _decoded(*tools: object, hosted_tools: HostedTools = HostedTools.DROP) -> DecodedTools:
    paths = [(f"tools[{index}]", tool) for index, tool in enumerate(tools)]
    return decode_tools(paths, hosted_tools=hosted_tools)


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(
            {
                "type": "function",
                "name": "run",
                "description": "Runs.",
                "parameters": _SCHEMA,
                "strict": True,
            },
            id="flat",
        ),
        pytest.param(
            {
                "type": "function",
                "function": {"name": "run", "description": "Runs.", "parameters": _SCHEMA, "strict": True},
            },
            id="nested as in Chat",
        ),
        pytest.param(
            {"name": "run", "description": "Runs.", "parameters": _SCHEMA, "strict": True},
            id="without a type",
        ),
    ],
)
def test_function_is_taken_as_it_is(tool: dict[str, Any]) -> None:
    decoded = _decoded(tool)
    assert decoded.specs == (ToolSpec(name="run", description="Runs.", parameters=_SCHEMA, strict=True),)
    assert decoded.bridge.client_tool("run") == ClientTool(Shape.FUNCTION, "run")
    assert decoded.notes == ()


def test_function_without_parameters_has_an_empty_schema() -> None:
    assert _decoded({"type": "function", "name": "now", "parameters": None}).specs == (ToolSpec(name="now"),)


def test_namespaced_functions_keep_their_name_and_know_their_namespace() -> None:
    decoded = _decoded(
        {
            "type": "namespace",
            "name": "multi_agent_v1",
            "description": "Work with other agents.",
            "tools": [
                {
                    "type": "function",
                    "name": "spawn_agent",
                    "description": "Starts one.",
                    "parameters": _SCHEMA,
                },
                {"type": "custom", "name": "script"},
            ],
        }
    )
    spawn, script = decoded.specs
    assert (spawn.name, spawn.namespace, spawn.parameters) == ("spawn_agent", "multi_agent_v1", _SCHEMA)
    assert spawn.description == "Starts one.\n\n(One of the `multi_agent_v1` tools: Work with other agents.)"
    assert (script.name, script.namespace) == ("script", "multi_agent_v1")
    tool = ClientTool(Shape.FUNCTION, "spawn_agent", "multi_agent_v1")
    assert decoded.bridge.client_tool("spawn_agent") == tool
    assert decoded.bridge.upstream_name(tool) == "spawn_agent"
    assert decoded.bridge.client_tool("script") == ClientTool(Shape.CUSTOM, "script", "multi_agent_v1")


def test_same_name_in_two_namespaces_is_told_apart() -> None:
    inner = {"type": "function", "name": "send", "strict": False}
    decoded = _decoded(
        {"type": "namespace", "name": "mail", "tools": [inner]},
        {"type": "namespace", "name": "chat", "tools": [inner]},
        inner,
    )
    assert [spec.name for spec in decoded.specs] == ["mail__send", "chat__send", "send"]
    assert [spec.strict for spec in decoded.specs] == [False, False, False]
    for name, namespace in (("mail__send", "mail"), ("chat__send", "chat"), ("send", None)):
        tool = ClientTool(Shape.FUNCTION, "send", namespace)
        assert decoded.bridge.client_tool(name) == tool
        assert decoded.bridge.upstream_name(tool) == name


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        pytest.param(
            [{"type": "function", "name": "patch"}, {"type": "custom", "name": "patch"}],
            ["patch", "patch_2"],
            id="a function and a custom tool",
        ),
        pytest.param(
            [{"name": "a"}, {"name": "a_2"}, {"type": "custom", "name": "a"}],
            ["a", "a_2", "a_3"],
            id="the next number is free",
        ),
        pytest.param(
            [
                {"type": "function", "name": "a__b"},
                {"type": "function", "name": "b"},
                {"type": "namespace", "name": "a", "tools": [{"name": "b"}]},
            ],
            ["a__b", "b", "a__b_2"],
            id="the joined name is taken too",
        ),
        pytest.param(
            [{"name": "n" * 60}, {"type": "namespace", "name": "long", "tools": [{"name": "n" * 60}]}],
            ["n" * 60, "long__" + "n" * 56 + "_2"],
            id="the joined name is too long",
        ),
    ],
)
def test_names_upstream_are_unique(tools: list[dict[str, Any]], names: list[str]) -> None:
    decoded = _decoded(*tools)
    assert [spec.name for spec in decoded.specs] == names
    assert all(len(name) <= 64 for name in names)


@pytest.mark.parametrize(
    ("tool", "description"),
    [
        pytest.param({"name": "t", "description": "Does."}, "Does.", id="free text"),
        pytest.param({"name": "t", "format": {"type": "text"}}, "", id="text format"),
        pytest.param(
            {
                "name": "t",
                "description": "Does.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
            },
            "Does.\n\nThe input is raw text that must match this lark grammar:\nstart: X",
            id="lark grammar",
        ),
        pytest.param(
            {
                "custom": {
                    "name": "t",
                    "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
                }
            },
            "The input is raw text that must match this regular expression:\na+",
            id="regex, nested as in Chat",
        ),
        pytest.param(
            {"name": "t", "format": {"type": "grammar"}},
            "The input is raw text that must match this lark grammar:\n",
            id="a grammar that says nothing",
        ),
    ],
)
def test_custom_tool_becomes_a_function_of_one_string(tool: dict[str, Any], description: str) -> None:
    decoded = _decoded({"type": "custom", **tool})
    (spec,) = decoded.specs
    assert spec.description == description
    assert spec.parameters["required"] == ["input"]
    assert decoded.bridge.client_tool("t") == ClientTool(Shape.CUSTOM, "t")


@pytest.mark.parametrize("shape", [Shape.LOCAL_SHELL, Shape.SHELL, Shape.APPLY_PATCH])
def test_built_in_tool_that_the_client_runs_becomes_a_function(shape: Shape) -> None:
    decoded = _decoded({"type": shape.value})
    (spec,) = decoded.specs
    assert spec.name == shape.value
    assert spec.parameters["type"] == "object"
    assert decoded.bridge.client_tool(shape.value) == ClientTool(shape, shape.value)


@pytest.mark.parametrize(
    ("tool", "note"),
    [
        pytest.param(
            {"type": "web_search", "external_web_access": False},
            "tools[0] dropped: web search without access to the web is not available here",
            id="a search that may not search",
        ),
        pytest.param({"type": "mcp"}, "tools[0] dropped: mcp is not available here", id="mcp"),
        pytest.param(
            {"type": "né\nw"},
            "tools[0] dropped: unknown tool type is not available here",
            id="a type of tomorrow",
        ),
        pytest.param(
            {"type": "tool_search"}, "tools[0] dropped: tool_search is not needed", id="tool_search"
        ),
        pytest.param({"type": "function"}, "tools[0] dropped: a tool without a name", id="nameless function"),
        pytest.param(
            {"type": "namespace", "tools": []},
            "tools[0] dropped: a namespace without a name",
            id="nameless group",
        ),
        pytest.param(
            {"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]},
            "tools[0].tools[0] dropped: only functions and custom tools have a namespace",
            id="hosted tool in a group",
        ),
    ],
)
def test_tool_that_cannot_be_offered_is_dropped_with_a_note(tool: dict[str, Any], note: str) -> None:
    decoded = _decoded(tool)
    assert decoded.specs == ()
    assert decoded.notes == (note,)


def test_second_tool_that_nothing_tells_apart_is_dropped() -> None:
    decoded = _decoded({"name": "a", "description": "first"}, {"name": "a"})
    assert decoded.specs == (ToolSpec(name="a", description="first"),)
    assert decoded.notes == ("tools[1] dropped: a tool of that name is already declared",)


def test_hosted_tools_are_refused_where_the_operator_says_so() -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded({"name": "a"}, {"type": "mcp"}, hosted_tools=HostedTools.REFUSE)
    assert refused.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        pytest.param(7, "tools[0]", id="no object"),
        pytest.param({"type": 7}, "tools[0].type", id="type"),
        pytest.param({"name": 7}, "tools[0].name", id="name"),
        pytest.param({"name": "a", "parameters": []}, "tools[0].parameters", id="parameters"),
        pytest.param({"name": "a", "strict": "yes"}, "tools[0].strict", id="strict"),
        pytest.param(
            {"type": "namespace", "name": "n", "tools": [1]}, "tools[0].tools[0]", id="inside a group"
        ),
    ],
)
def test_malformed_tool_names_its_field(tool: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded(tool)
    assert refused.value.param == param


def test_call_of_an_undeclared_tool_keeps_its_name() -> None:
    bridge = ToolBridge()
    assert bridge.client_tool("ghost") == ClientTool(Shape.FUNCTION, "ghost")
    assert bridge.upstream_name(ClientTool(Shape.FUNCTION, "ghost", "house")) == "ghost"


def test_call_from_history_without_its_namespace_is_found_by_name() -> None:
    decoded = _decoded({"name": "b"}, {"type": "namespace", "name": "n", "tools": [{"name": "a"}]})
    assert decoded.bridge.upstream_name(ClientTool(Shape.FUNCTION, "a")) == "a"
