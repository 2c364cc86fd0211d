"""Tools, and which of them may or must be called: `tools`, `tool_choice` and their legacy forms <-> values.

Shapes: `{"type": "function", "function": {…}}` and `{"type": "custom", "custom": {…}}`, nested as OpenAI has
them or flat as the Responses API does; MiMo's `{"type": "web_search", …}`, which is no function. Legacy:
`functions` and `function_call`. Source: openai-python 3.52 types/chat, mimo-api.md 1.4, read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from service.core.conversation import ToolChoice, ToolChoiceMode, ToolKind, ToolSpec
from service.core.errors import InvalidRequest
from service.core.json_body import (
    optional_array,
    optional_boolean,
    optional_object,
    optional_string,
    required_array,
    required_object,
    required_string,
    wrong_type,
    wrong_value,
)
from service.core.web_search import search_tool

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KINDS = ("function", "custom", "web_search")
_MODE_BY_WORD: Mapping[str, ToolChoiceMode] = {
    "none": ToolChoiceMode.NONE,
    "auto": ToolChoiceMode.AUTO,
    "required": ToolChoiceMode.REQUIRED,
}
_CHOICE_TYPES = ("function", "custom", "allowed_tools")


# --- declared tools -----------------------------------------------------------------------------------------


def decode_tools(body: Mapping[str, object]) -> tuple[tuple[ToolSpec, ...], Mapping[str, object] | None]:
    """The declared tools in their order, and the web search tool if there is one.

    The legacy `functions` count when there is no `tools`. Raises InvalidRequest for unknown kinds, for
    names that are not 1 to 64 of `A-Za-z0-9_-`, and for a name declared twice."""
    specs: list[ToolSpec] = []
    seen: set[str] = set()
    listed = optional_array(body, "tools")
    if listed is None:
        for index, function in enumerate(optional_array(body, "functions") or ()):
            at = f"functions[{index}]"
            specs.append(_decode_function(_object(function, at), at, seen))
        return tuple(specs), None
    web_search: Mapping[str, object] | None = None
    for index, value in enumerate(listed):
        at = f"tools[{index}]"
        tool = _object(value, at)
        kind = tool.get("type")
        if kind == "web_search":
            web_search = tool
        elif kind == "custom":
            specs.append(_decode_custom(*_nested(tool, "custom", at), seen))
        elif kind == "function" or (kind is None and ("function" in tool or "name" in tool)):
            specs.append(_decode_function(*_nested(tool, "function", at), seen))
        else:
            raise wrong_value(required_string(tool, "type", at), f"{at}.type", _KINDS)
    return tuple(specs), web_search


def decode_search_options(body: Mapping[str, object]) -> Mapping[str, object] | None:
    """`web_search_options`, with which OpenAI's own search models are asked, as MiMo's tool; None without."""
    options = optional_object(body, "web_search_options")
    if options is None:
        return None
    at = "web_search_options"
    place = optional_object(options, "user_location", at) or {}
    return search_tool(
        context_size=optional_string(options, "search_context_size", at),
        place=optional_object(place, "approximate", f"{at}.user_location") or place,
    )


def _object(value: object, at: str) -> Mapping[str, object]:
    if type(value) is not dict:
        raise wrong_type(value, at, "an object")
    return value


def _nested(tool: Mapping[str, object], key: str, at: str) -> tuple[Mapping[str, object], str]:
    """What describes the tool: the object under `key`, or the tool itself where it is flat; and its path."""
    if tool.get(key) is None and "name" in tool:
        return tool, at
    return required_object(tool, key, at), f"{at}.{key}"


def _decode_function(function: Mapping[str, object], at: str, seen: set[str]) -> ToolSpec:
    return ToolSpec(
        name=_tool_name(function, at, seen),
        description=optional_string(function, "description", at) or "",
        parameters=optional_object(function, "parameters", at) or {},
        strict=optional_boolean(function, "strict", at),
    )


def _decode_custom(custom: Mapping[str, object], at: str, seen: set[str]) -> ToolSpec:
    """`format` (text, or a grammar) is kept in the tool's `extra`."""
    form = optional_object(custom, "format", at)
    return ToolSpec(
        name=_tool_name(custom, at, seen),
        description=optional_string(custom, "description", at) or "",
        kind=ToolKind.CUSTOM,
        extra={} if form is None else {"format": form},
    )


def _tool_name(source: Mapping[str, object], at: str, seen: set[str]) -> str:
    name = required_string(source, "name", at)
    param = f"{at}.name"
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid '{param}': string does not match pattern. Expected a string of 1 to 64 characters that "
            "matches '^[a-zA-Z0-9_-]+$'.",
            param=param,
            code="invalid_value",
        )
    if name in seen:
        raise InvalidRequest(
            f"Invalid '{param}': the tool name '{name}' is declared twice; names must be unique.",
            param=param,
            code="invalid_value",
        )
    seen.add(name)
    return name


# --- the choice among them ----------------------------------------------------------------------------------


def decode_choice(
    body: Mapping[str, object], tools: Sequence[ToolSpec]
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """The choice, and the tools that it leaves: `allowed_tools` drops the others.

    The legacy `function_call` counts when there is no `tool_choice`. Raises InvalidRequest(param
    "tool_choice") for a choice we do not know, and for one that demands a tool which was not declared.
    """
    param = "tool_choice" if body.get("tool_choice") is not None else "function_call"
    choice, left = _decode_choice(body.get(param), param, tuple(tools))
    if choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED) and not tools:
        raise InvalidRequest(
            f"'{param}' demands a call, but no tools are declared.", param=param, code="invalid_value"
        )
    if choice.name is not None and all(tool.name != choice.name for tool in tools):
        raise _undeclared(choice.name, param)
    if optional_boolean(body, "parallel_tool_calls") is False:
        choice = ToolChoice(mode=choice.mode, name=choice.name, allows_parallel=False)
    return choice, left


def _decode_choice(
    value: object, param: str, tools: tuple[ToolSpec, ...]
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    if value is None:
        return ToolChoice(), tools
    if type(value) is str:
        return ToolChoice(mode=_mode(value, param)), tools
    if type(value) is not dict:
        raise wrong_type(value, param, "one of a string or object")
    kind = str(value.get("type", "function"))
    if kind == "allowed_tools":
        return _decode_allowed(value, param, tools)
    if kind in _MODE_BY_WORD:  # {"type": "auto"}: some clients wrap the word
        return ToolChoice(mode=_MODE_BY_WORD[kind]), tools
    if kind not in ("function", "custom"):
        raise wrong_value(kind, param, _CHOICE_TYPES)
    return ToolChoice(mode=ToolChoiceMode.NAMED, name=_chosen_name(value, param)), tools


def _mode(word: str, param: str) -> ToolChoiceMode:
    if word not in _MODE_BY_WORD:
        raise wrong_value(word, param, _MODE_BY_WORD)
    return _MODE_BY_WORD[word]


def _chosen_name(value: Mapping[str, object], at: str) -> str:
    source, where = _nested(value, "custom" if value.get("type") == "custom" else "function", at)
    return required_string(source, "name", where)


def _decode_allowed(
    value: Mapping[str, object], param: str, tools: tuple[ToolSpec, ...]
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    at = param
    if value.get("allowed_tools") is not None:
        at = f"{param}.allowed_tools"
        value = _object(value["allowed_tools"], at)
    mode = value.get("mode")
    if mode not in ("auto", "required"):
        raise wrong_value(required_string(value, "mode", at), f"{at}.mode", ("auto", "required"))
    allowed: set[str] = set()
    for index, tool in enumerate(required_array(value, "tools", at)):
        where = f"{at}.tools[{index}]"
        name = _chosen_name(_object(tool, where), where)
        if all(spec.name != name for spec in tools):
            raise _undeclared(name, param)
        allowed.add(name)
    return ToolChoice(mode=_MODE_BY_WORD[str(mode)]), tuple(tool for tool in tools if tool.name in allowed)


def _undeclared(name: str, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{param}': the tool '{name[:64]}' is not declared in 'tools'.",
        param=param,
        code="invalid_value",
    )


# --- client role --------------------------------------------------------------------------------------------


def encode_tools(tools: Sequence[ToolSpec], web_search: object = None) -> list[dict[str, object]]:
    """`tools` as OpenAI nests them, keys in one order; the web search tool, as it was sent, comes last."""
    encoded = [_encode_tool(tool) for tool in tools]
    return [*encoded, dict(web_search)] if isinstance(web_search, Mapping) else encoded


def _encode_tool(tool: ToolSpec) -> dict[str, object]:
    fields: dict[str, object] = {"name": tool.name}
    if tool.description:
        fields["description"] = tool.description
    if tool.kind is ToolKind.CUSTOM:
        if "format" in tool.extra:
            fields["format"] = tool.extra["format"]
        return {"type": "custom", "custom": fields}
    if tool.parameters:
        fields["parameters"] = tool.parameters
    if tool.strict is not None:
        fields["strict"] = tool.strict
    return {"type": "function", "function": fields}


def encode_choice(choice: ToolChoice, tools: Sequence[ToolSpec]) -> str | dict[str, object]:
    """The value of `tool_choice`."""
    if choice.mode is not ToolChoiceMode.NAMED:
        return str(choice.mode)
    custom = any(tool.name == choice.name and tool.kind is ToolKind.CUSTOM for tool in tools)
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": choice.name}}
