"""`tool_choice` and `parallel_tool_calls`."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import ToolChoice, ToolChoiceMode
from service.core.dialects.openai_responses.tool_choice import decode_tool_choice
from service.core.dialects.openai_responses.tools import decode_tools
from service.core.errors import InvalidRequest

_TOOLS = [
    {"type": "function", "name": "read"},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "agents", "tools": [{"name": "spawn"}]},
    {"type": "shell"},
    {"type": "mcp"},
]
OFFLINE = {"type": "web_search", "external_web_access": False}
_ALL = ["read", "patch", "spawn", "shell"]
_AUTO, _NONE = ToolChoiceMode.AUTO, ToolChoiceMode.NONE
_REQUIRED, _NAMED = ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED


def _tools(tools: list[dict[str, Any]]) -> Any:
    return decode_tools([(f"tools[{index}]", tool) for index, tool in enumerate(tools)])


@pytest.mark.parametrize(
    ("value", "mode", "name", "names"),
    [
        pytest.param(None, _AUTO, None, _ALL, id="nothing said"),
        pytest.param("auto", _AUTO, None, _ALL, id="auto"),
        pytest.param("none", _NONE, None, _ALL, id="none"),
        pytest.param("required", _REQUIRED, None, _ALL, id="required"),
        pytest.param({"type": "function", "name": "read"}, _NAMED, "read", _ALL, id="a function"),
        pytest.param(
            {"type": "function", "function": {"name": "read"}}, _NAMED, "read", _ALL, id="as in Chat"
        ),
        pytest.param({"type": "function", "name": "spawn"}, _NAMED, "spawn", _ALL, id="in a namespace"),
        pytest.param({"type": "custom", "name": "patch"}, _NAMED, "patch", _ALL, id="a custom tool"),
        pytest.param({"type": "shell"}, _NAMED, "shell", _ALL, id="a built-in tool"),
        pytest.param({"type": "mcp"}, _AUTO, None, _ALL, id="a hosted tool cannot be forced"),
        pytest.param(
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "read"}]},
            _REQUIRED,
            None,
            ["read"],
            id="only some are allowed",
        ),
        pytest.param(
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "tools": [{"type": "shell"}, {"type": "mcp"}, {"type": "custom", "name": "patch"}]
                },
            },
            _AUTO,
            None,
            ["patch", "shell"],
            id="allowed tools nested as in Chat, hosted ones among them",
        ),
        pytest.param(
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
            _NONE,
            None,
            _ALL,
            id="none of the allowed ones is there",
        ),
    ],
)
def test_tool_choice(value: object, mode: ToolChoiceMode, name: str | None, names: list[str]) -> None:
    decoded = decode_tool_choice({"tool_choice": value}, _tools(_TOOLS))
    assert decoded.choice == ToolChoice(mode=mode, name=name)
    assert [spec.name for spec in decoded.specs] == names


_SEARCH = {"type": "web_search"}
_FORCED = {"type": "web_search", "force_search": True}
_READ = {"type": "function", "name": "read"}


@pytest.mark.parametrize(
    ("value", "tools", "search", "names"),
    [
        pytest.param(None, [_SEARCH, _READ], _SEARCH, ["read"], id="nothing said"),
        pytest.param(_READ, [_SEARCH, _READ], _SEARCH, ["read"], id="another tool"),
        pytest.param("required", [_SEARCH, _READ], _SEARCH, ["read"], id="required, of several"),
        pytest.param("required", [_SEARCH], _FORCED, [], id="required, and it is alone"),
        pytest.param({"type": "web_search_preview"}, [_SEARCH, _READ], _FORCED, ["read"], id="itself"),
        pytest.param(
            {"type": "allowed_tools", "mode": "auto", "tools": [_SEARCH]},
            [_SEARCH, _READ],
            _SEARCH,
            [],
            id="it alone is allowed",
        ),
        pytest.param(
            {"type": "allowed_tools", "mode": "required", "tools": [_SEARCH]},
            [_SEARCH, _READ],
            _FORCED,
            [],
            id="it alone is allowed, and required",
        ),
        pytest.param(
            {"type": "allowed_tools", "mode": "auto", "tools": [_SEARCH, _READ]},
            [_SEARCH, _READ],
            _SEARCH,
            ["read"],
            id="it is among the allowed",
        ),
        pytest.param(
            {"type": "allowed_tools", "mode": "auto", "tools": [_READ]},
            [_SEARCH, _READ],
            None,
            ["read"],
            id="it is not among the allowed",
        ),
    ],
)
def test_web_search(value: object, tools: list[dict[str, Any]], search: object, names: list[str]) -> None:
    decoded = decode_tool_choice({"tool_choice": value}, _tools(tools))
    assert (decoded.web_search, [spec.name for spec in decoded.specs]) == (search, names)
    assert decoded.notes == ()


@pytest.mark.parametrize(("value", "allows"), [(True, True), (False, False), (None, True)])
def test_parallel_tool_calls(value: object, allows: bool) -> None:
    decoded = decode_tool_choice({"parallel_tool_calls": value}, _tools(_TOOLS))
    assert decoded.choice.allows_parallel is allows


@pytest.mark.parametrize(
    ("value", "tools"),
    [
        pytest.param({"type": "mcp"}, _TOOLS, id="hosted"),
        pytest.param("required", [{"type": "mcp"}], id="required, and all were dropped"),
        pytest.param({"type": "web_search"}, [OFFLINE], id="a search that was dropped"),
        pytest.param({"type": "allowed_tools", "tools": []}, _TOOLS, id="nothing allowed"),
    ],
)
def test_choice_that_cannot_be_kept_has_a_note(value: object, tools: list[dict[str, Any]]) -> None:
    assert decode_tool_choice({"tool_choice": value}, _tools(tools)).notes


@pytest.mark.parametrize(
    ("value", "param"),
    [
        pytest.param("maybe", "tool_choice", id="unknown word"),
        pytest.param(7, "tool_choice", id="a number"),
        pytest.param({"name": "read"}, "tool_choice.type", id="no type"),
        pytest.param({"type": "friend"}, "tool_choice.type", id="unknown type"),
        pytest.param({"type": "function"}, "tool_choice.name", id="no name"),
        pytest.param({"type": "function", "name": "ghost"}, "tool_choice", id="not declared"),
        pytest.param({"type": "web_search"}, "tool_choice", id="a search that is not declared"),
        pytest.param({"type": "allowed_tools", "mode": "none"}, "tool_choice.mode", id="mode"),
        pytest.param({"type": "allowed_tools", "tools": [7]}, "tool_choice.tools[0]", id="an allowed tool"),
    ],
)
def test_malformed_choice_names_its_field(value: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_tool_choice({"tool_choice": value}, _tools(_TOOLS))
    assert refused.value.param == param


def test_required_without_any_tool_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_tool_choice({"tool_choice": "required"}, _tools([]))
    assert refused.value.param == "tool_choice"
