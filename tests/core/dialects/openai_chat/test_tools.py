"""Tools and the choice among them: nested, flat and legacy forms, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import ToolChoice, ToolChoiceMode, ToolKind, ToolSpec
from service.core.dialects.openai_chat.request import decode_body
from service.core.dialects.openai_chat.tools import (
    decode_choice,
    decode_tools,
    encode_choice,
    encode_tools,
)
from service.core.errors import InvalidRequest
from service.core.web_search import WEB_SEARCH

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "$schema": "draft-07"}
F = ToolSpec(name="f")
G = ToolSpec(name="g")
PATCH = ToolSpec(name="patch", kind=ToolKind.CUSTOM)


def nested(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def refusal(body: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_body({"model": "m", "messages": [{"role": "user", "content": "x"}], **body})
    return caught.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"tools": None}, (), id="null"),
        pytest.param({"tools": []}, (), id="an empty list"),
        pytest.param(
            {"tools": [nested("f", description="d", parameters=SCHEMA, strict=True)]},
            (ToolSpec(name="f", description="d", parameters=SCHEMA, strict=True),),
            id="a function",
        ),
        pytest.param(
            {"tools": [nested("f", description=None, parameters=None, strict=None, x=1)]}, (F,), id="nulls"
        ),
        pytest.param({"tools": [{"function": {"name": "f"}}]}, (F,), id="no type"),
        pytest.param(
            {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
            (ToolSpec(name="f", parameters=SCHEMA),),
            id="flat",
        ),
        pytest.param({"tools": [{"name": "f"}]}, (F,), id="flat without a type"),
        pytest.param(
            {"tools": [{"type": "custom", "custom": {"name": "patch", "description": "d"}}]},
            (ToolSpec(name="patch", description="d", kind=ToolKind.CUSTOM),),
            id="a freeform tool",
        ),
        pytest.param(
            {"tools": [{"type": "custom", "name": "patch", "format": {"type": "text"}}]},
            (ToolSpec(name="patch", kind=ToolKind.CUSTOM, extra={"format": {"type": "text"}}),),
            id="a freeform tool, flat, with a format",
        ),
        pytest.param(
            {"tools": [nested("tool_call"), nested("A-b_9")]}, None, id="names that real clients use"
        ),
        pytest.param({"functions": [{"name": "f"}, {"name": "g"}]}, (F, G), id="the legacy form"),
        pytest.param({"tools": [nested("g")], "functions": [{"name": "f"}]}, (G,), id="tools win over it"),
    ],
)
def test_tools(body: dict[str, Any], expected: tuple[ToolSpec, ...] | None) -> None:
    tools, web_search = decode_tools(body)
    assert web_search is None
    if expected is not None:
        assert tools == expected


def test_the_web_search_of_mimo_is_kept_as_it_was_sent() -> None:
    search = {"type": "web_search", "force_search": True, "limit": 3}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [search, nested("f")]}
    conversation = decode_body(body)
    assert conversation.tools == (F,)
    assert conversation.extra == {WEB_SEARCH: search}
    assert encode_tools(conversation.tools, conversation.extra[WEB_SEARCH]) == [nested("f"), search]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        pytest.param({}, {}, id="bare"),
        pytest.param({"search_context_size": "low"}, {"limit": 3}, id="little context"),
        pytest.param(
            {"user_location": {"type": "approximate", "approximate": {"country": "FR", "timezone": "CET"}}},
            {"user_location": {"type": "approximate", "country": "FR"}},
            id="place",
        ),
    ],
)
def test_web_search_options_are_a_search(options: dict[str, Any], asked: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "web_search_options": options}
    assert decode_body(body).extra == {WEB_SEARCH: {"type": "web_search", **asked}}


def test_a_tool_of_mimos_own_wins_over_options() -> None:
    tool = {"type": "web_search", "limit": 9}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    assert decode_body({**body, "web_search_options": {}}).extra == {WEB_SEARCH: tool}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"tools": {}}, "tools", id="no list"),
        pytest.param({"tools": ["f"]}, "tools[0]", id="a string"),
        pytest.param({"tools": [{}]}, "tools[0].type", id="nothing"),
        pytest.param({"tools": [{"type": 5}]}, "tools[0].type", id="a type that is a number"),
        pytest.param({"tools": [{"type": "image_generation"}]}, "tools[0].type", id="a tool of OpenAI's own"),
        pytest.param({"tools": [{"type": "function"}]}, "tools[0].function", id="no function"),
        pytest.param(
            {"tools": [{"type": "function", "function": "f"}]}, "tools[0].function", id="a string inside"
        ),
        pytest.param(
            {"tools": [nested("f"), {"type": "function", "function": {}}]},
            "tools[1].function.name",
            id="no name",
        ),
        pytest.param({"tools": [nested("")]}, "tools[0].function.name", id="an empty name"),
        pytest.param({"tools": [nested("a b")]}, "tools[0].function.name", id="a name with a blank"),
        pytest.param({"tools": [nested("server.tool")]}, "tools[0].function.name", id="a name with a dot"),
        pytest.param({"tools": [nested("x" * 65)]}, "tools[0].function.name", id="a name too long"),
        pytest.param({"tools": [{"name": "a b"}]}, "tools[0].name", id="a flat name with a blank"),
        pytest.param(
            {"tools": [nested("f"), nested("f")]}, "tools[1].function.name", id="twice the same name"
        ),
        pytest.param(
            {"tools": [nested("f"), {"type": "custom", "custom": {"name": "f"}}]},
            "tools[1].custom.name",
            id="twice across kinds",
        ),
        pytest.param(
            {"tools": [nested("f", description=5)]}, "tools[0].function.description", id="description"
        ),
        pytest.param(
            {"tools": [nested("f", parameters="{}")]}, "tools[0].function.parameters", id="parameters"
        ),
        pytest.param({"tools": [nested("f", strict="yes")]}, "tools[0].function.strict", id="strict"),
        pytest.param(
            {"tools": [{"type": "custom", "name": "p", "format": "lark"}]}, "tools[0].format", id="format"
        ),
        pytest.param({"functions": ["f"]}, "functions[0]", id="a legacy string"),
        pytest.param({"functions": [{}]}, "functions[0].name", id="a legacy function without a name"),
    ],
)
def test_a_mistake_in_the_tools(body: dict[str, Any], param: str) -> None:
    assert refusal(body).param == param


def choice(mode: ToolChoiceMode, name: str | None = None) -> ToolChoice:
    return ToolChoice(mode=mode, name=name)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({}, ToolChoice(), id="absent"),
        pytest.param({"tool_choice": None}, ToolChoice(), id="null"),
        pytest.param({"tool_choice": "auto"}, ToolChoice(), id="auto"),
        pytest.param({"tool_choice": "none"}, choice(ToolChoiceMode.NONE), id="none"),
        pytest.param({"tool_choice": "required"}, choice(ToolChoiceMode.REQUIRED), id="required"),
        pytest.param({"tool_choice": {"type": "auto"}}, ToolChoice(), id="auto in an object"),
        pytest.param({"tool_choice": nested("g")}, choice(ToolChoiceMode.NAMED, "g"), id="named"),
        pytest.param(
            {"tool_choice": {"type": "function", "name": "g"}},
            choice(ToolChoiceMode.NAMED, "g"),
            id="named, flat",
        ),
        pytest.param(
            {"tool_choice": {"type": "custom", "custom": {"name": "patch"}}},
            choice(ToolChoiceMode.NAMED, "patch"),
            id="a freeform tool",
        ),
        pytest.param({"function_call": "none"}, choice(ToolChoiceMode.NONE), id="the legacy word"),
        pytest.param(
            {"function_call": {"name": "f"}}, choice(ToolChoiceMode.NAMED, "f"), id="the legacy name"
        ),
        pytest.param({"tool_choice": "auto", "function_call": "none"}, ToolChoice(), id="tool_choice wins"),
        pytest.param({"parallel_tool_calls": True}, ToolChoice(), id="several at once"),
        pytest.param({"parallel_tool_calls": False}, ToolChoice(allows_parallel=False), id="one at a time"),
        pytest.param(
            {"tool_choice": nested("f"), "parallel_tool_calls": False},
            ToolChoice(mode=ToolChoiceMode.NAMED, name="f", allows_parallel=False),
            id="named, one at a time",
        ),
    ],
)
def test_choice(body: dict[str, Any], expected: ToolChoice) -> None:
    assert decode_choice(body, (F, G, PATCH)) == (expected, (F, G, PATCH))


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("mode", [ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED])
def test_allowed_tools_leave_those_tools(mode: ToolChoiceMode, is_flat: bool) -> None:
    allowed = {"mode": str(mode), "tools": [nested("g"), {"type": "custom", "name": "patch"}]}
    value = {"type": "allowed_tools", **(allowed if is_flat else {"allowed_tools": allowed})}
    assert decode_choice({"tool_choice": value}, (F, G, PATCH)) == (choice(mode), (G, PATCH))


@pytest.mark.parametrize(
    ("value", "param"),
    [
        pytest.param("any", "tool_choice", id="another vendor's word"),
        pytest.param("f", "tool_choice", id="a bare name"),
        pytest.param("", "tool_choice", id="an empty word"),
        pytest.param(5, "tool_choice", id="a number"),
        pytest.param(["auto"], "tool_choice", id="a list"),
        pytest.param({"type": "mcp"}, "tool_choice", id="a type of OpenAI's own"),
        pytest.param({"type": ["auto"]}, "tool_choice", id="a type that is a list"),
        pytest.param({"type": "function"}, "tool_choice.function", id="no name"),
        pytest.param(nested("h"), "tool_choice", id="a name nobody declared"),
        pytest.param({"type": "allowed_tools"}, "tool_choice.mode", id="allowed_tools without a mode"),
        pytest.param(
            {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}},
            "tool_choice.allowed_tools.mode",
            id="allowed_tools with another mode",
        ),
        pytest.param(
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
            "tool_choice.allowed_tools.tools",
            id="allowed_tools without tools",
        ),
        pytest.param(
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": ["f"]}},
            "tool_choice.allowed_tools.tools[0]",
            id="allowed_tools with a bare name",
        ),
        pytest.param(
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [nested("h")]}},
            "tool_choice",
            id="allowed_tools with a name nobody declared",
        ),
    ],
)
def test_a_mistake_in_the_choice(value: object, param: str) -> None:
    assert refusal({"tools": [nested("f")], "tool_choice": value}).param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": nested("f")}, "tool_choice"),
        ({"function_call": {"name": "f"}}, "function_call"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_a_demand_without_tools_is_refused(body: dict[str, Any], param: str) -> None:
    assert refusal(body).param == param


@pytest.mark.parametrize("word", ["auto", "none"])
def test_a_choice_that_demands_nothing_needs_no_tools(word: str) -> None:
    assert decode_choice({"tool_choice": word}, ())[1] == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ToolChoice(), "auto"),
        (choice(ToolChoiceMode.NONE), "none"),
        (choice(ToolChoiceMode.REQUIRED), "required"),
        (choice(ToolChoiceMode.NAMED, "f"), {"type": "function", "function": {"name": "f"}}),
        (choice(ToolChoiceMode.NAMED, "patch"), {"type": "custom", "custom": {"name": "patch"}}),
    ],
)
def test_the_choice_is_encoded(value: ToolChoice, expected: object) -> None:
    assert encode_choice(value, (F, PATCH)) == expected


def test_a_schema_is_sent_on_as_it_came() -> None:
    spec = ToolSpec(name="f", description="d", parameters=SCHEMA, strict=False)
    assert encode_tools((spec,)) == [nested("f", description="d", parameters=SCHEMA, strict=False)]
