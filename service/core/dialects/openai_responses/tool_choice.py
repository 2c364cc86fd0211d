"""`tool_choice` and `parallel_tool_calls`. Source: openai-python 3.52 tool_choice_*.py, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.core.conversation import ToolChoice, ToolChoiceMode, ToolSpec
from service.core.dialects.openai_responses.fields import Fields, object_at, refuse
from service.core.dialects.openai_responses.search import is_web_search
from service.core.dialects.openai_responses.tools import (
    HOSTED_TYPES,
    DecodedTools,
    Shape,
    flat_tool,
    only_allowed,
)
from service.core.json_body import (
    optional_array,
    optional_boolean,
    optional_object,
    optional_string,
    required_string,
    wrong_type,
    wrong_value,
)
from service.core.notes import Note, NoteKind
from service.core.web_search import forced

_MODES = ("none", "auto", "required")
_SHAPES = tuple(shape.value for shape in Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedChoice:
    """The choice, and the tools that remain to choose from, MiMo's web search among them."""

    choice: ToolChoice
    specs: tuple[ToolSpec, ...]
    notes: tuple[str, ...] = ()
    web_search: Mapping[str, object] | None = None


def decode_tool_choice(fields: Fields, tools: DecodedTools) -> DecodedChoice:
    """What the client says about calling tools. `allowed_tools` leaves out all others; a demand for the web
    search is told to it, one for another hosted tool becomes `auto` with a note. Raises InvalidRequest for a
    tool that was not declared."""
    parallel = optional_boolean(fields, "parallel_tool_calls")
    decoded = _decode(fields.get("tool_choice"), tools)
    choice = ToolChoice(
        mode=decoded.choice.mode, name=decoded.choice.name, allows_parallel=parallel is not False
    )
    return replace(decoded, choice=choice)


def _decode(value: object, tools: DecodedTools) -> DecodedChoice:
    if value is None or value == "auto":
        return _auto(tools)
    if isinstance(value, str):
        if value not in _MODES:
            raise wrong_value(value, "tool_choice", _MODES)
        return _mode(value, tools)
    if not isinstance(value, dict):
        raise wrong_type(value, "tool_choice", "one of a string or an object")
    kind = required_string(value, "type", "tool_choice")
    if kind == "allowed_tools":
        return _allowed(value, tools)
    if kind in HOSTED_TYPES:
        return _auto(tools, f"tool_choice {kind} became auto: it is not available here")
    if is_web_search(kind):
        return _searched(tools)
    if kind not in _SHAPES:
        raise wrong_value(kind, "tool_choice.type", ("allowed_tools", *_SHAPES))
    name = _name_upstream(value, "tool_choice", tools)
    if name is None:
        refuse("tool_choice", "Tool choice not found in 'tools' parameter.")
    choice = ToolChoice(mode=ToolChoiceMode.NAMED, name=name)
    return DecodedChoice(choice=choice, specs=tools.specs, web_search=tools.web_search)


def _auto(tools: DecodedTools, *notes: str) -> DecodedChoice:
    return DecodedChoice(
        choice=ToolChoice(),
        specs=tools.specs,
        notes=tuple(Note(text, NoteKind.VALUE_CHANGED) for text in notes),
        web_search=tools.web_search,
    )


def _searched(tools: DecodedTools) -> DecodedChoice:
    """A search must be made."""
    if tools.web_search is None:
        if "web_search" not in tools.dropped_types:
            refuse("tool_choice", "Tool choice not found in 'tools' parameter.")
        return _auto(tools, "tool_choice web_search became auto: it is not available here")
    return replace(_auto(tools), web_search=forced(tools.web_search))


def _mode(word: str, tools: DecodedTools) -> DecodedChoice:
    if word == "required" and not tools.specs:
        if tools.web_search is not None:
            return _searched(tools)
        if not tools.dropped_types:
            refuse("tool_choice", "Tool choice 'required' must be specified with 'tools' parameter.")
        return _auto(tools, "tool_choice required became auto: every declared tool was dropped")
    choice = ToolChoice(mode=ToolChoiceMode(word))
    return DecodedChoice(choice=choice, specs=tools.specs, web_search=tools.web_search)


def _allowed(value: Fields, tools: DecodedTools) -> DecodedChoice:
    inner = optional_object(value, "allowed_tools", "tool_choice")  # Chat nests it
    path = "tool_choice" if inner is None else "tool_choice.allowed_tools"
    allowed = inner or value
    word = optional_string(allowed, "mode", path) or "auto"
    if word not in ("auto", "required"):
        raise wrong_value(word, f"{path}.mode", ("auto", "required"))
    names, web_search = set(), None
    for index, tool in enumerate(optional_array(allowed, "tools", path) or []):
        tool_path = f"{path}.tools[{index}]"
        fields = object_at(tool, tool_path)
        if is_web_search(fields.get("type")):
            web_search = tools.web_search
        elif (name := _name_upstream(fields, tool_path, tools)) is not None:
            names.add(name)
    specs = only_allowed(tools.specs, frozenset(names))
    if not specs and web_search is not None:
        asked = forced(web_search) if word == "required" else web_search
        return DecodedChoice(choice=ToolChoice(), specs=(), web_search=asked)
    if not specs:
        return DecodedChoice(
            choice=ToolChoice(mode=ToolChoiceMode.NONE),
            specs=tools.specs,
            notes=("tool_choice allows no declared tool: none may be called",),
        )
    choice = ToolChoice(mode=ToolChoiceMode(word))
    return DecodedChoice(choice=choice, specs=specs, web_search=web_search)


def _name_upstream(value: Fields, path: str, tools: DecodedTools) -> str | None:
    """The upstream name of the tool that `value` points at; None when it was not declared."""
    flat = flat_tool(value)
    kind = required_string(flat, "type", path)
    if kind not in _SHAPES:
        return None
    shape = Shape(kind)
    takes_name = shape in (Shape.FUNCTION, Shape.CUSTOM)
    return tools.bridge.named(shape, required_string(flat, "name", path) if takes_name else kind)
