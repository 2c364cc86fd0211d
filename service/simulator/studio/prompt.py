"""What a model reads out of the studio's one prompt string: the last user text, tools, results, JSON wishes.

The gateway's form is `<system>`, `<conversation>` with `<user>`, `<assistant>` and `<tool_results>` sections,
and a closing line. Any other prompt is one user text. Tools are found by their JSON Schemas and the name
beside each, so that the exact words of the tool prompt do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from service.simulator.brain import Tool
from service.simulator.jsonfind import json_objects
from service.simulator.wishes import read_wishes

_SECTION = re.compile(r"^<(user|assistant|tool_results|system)>\n(.*?)\n</\1>$", re.DOTALL | re.MULTILINE)
_CONVERSATION = re.compile(r"^<conversation>\n(.*)\n</conversation>$", re.DOTALL | re.MULTILINE)
_SCHEMA_WISH = re.compile(r"JSON Schema:\s*$")
_NAME = r"""["'`*]*([A-Za-z_][\w.-]{0,63})"""
# where a tool's name may stand before its schema, the surest form first
_NAMES_BEFORE = tuple(
    re.compile(form + _NAME, re.IGNORECASE | re.MULTILINE)
    for form in (
        r"\bname\"?\s*[=:]\s*",
        r"\b(?:tool|function)\s*:\s*",
        r"^\s*#+\s*",
        r"^\s*(?:[-*]|\d+\.)\s*",
    )
)
_TAG = re.compile(r"<[^<>\[]*>|<!\[CDATA\[|\]\]>")
_RESULT_NAME = re.compile(r'(?:name|tool)\s*[=:]\s*["`]([A-Za-z_][\w.-]*)["`]')
_NEAR_CHARACTERS = 1_500


@dataclass(slots=True)
class Reading:
    """The prompt taken apart. `text` still holds its directives."""

    text: str
    tools: tuple[Tool, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    wants_json: bool = False
    json_schema: Mapping[str, object] | None = None
    forced: str | None = None
    allows_parallel: bool = True


def read_prompt(query: str) -> Reading:
    """The prompt as the model understands it. Never fails: a prompt of another form is one user text."""
    conversation = _CONVERSATION.search(query)
    if conversation is None:
        return Reading(query)
    system = query[: conversation.start()]
    closing = query[conversation.end() :]
    text = ""
    results: list[tuple[str, str]] = []
    for name, body in _SECTION.findall(conversation[1]):
        if name == "user":
            text = body
        elif name == "assistant":
            results = []
        elif name == "tool_results":
            results.append((_result_name(body), _plain(body)))
    tools, schema = _declared(system)
    wishes = read_wishes(system + closing)
    return Reading(
        text=text,
        tools=tools,
        results=tuple(results),
        wants_json=wishes.wants_json,
        json_schema=schema,
        forced=wishes.forced,
        allows_parallel=wishes.allows_parallel,
    )


@lru_cache(maxsize=64)
def _declared(system: str) -> tuple[tuple[Tool, ...], Mapping[str, object] | None]:
    """The tools that the system text declares, and the JSON Schema that it wants the answer to fit."""
    tools: dict[str, Tool] = {}
    wanted: Mapping[str, object] | None = None
    last_end = 0
    for start, end, value in json_objects(system):
        before = system[max(0, last_end, start - _NEAR_CHARACTERS) : start]
        last_end = end
        if _SCHEMA_WISH.search(before):
            wanted = value
            continue
        tool = _tool_of(value, before)
        if tool is not None:
            tools[tool.name] = tool
    return tuple(tools.values()), wanted


def _tool_of(value: Mapping[str, object], before: str) -> Tool | None:
    inner = value.get("function")
    if isinstance(inner, Mapping):
        value = inner
    name = value.get("name")
    schema = value.get("parameters", value.get("input_schema"))
    if isinstance(name, str) and isinstance(schema, Mapping):
        return Tool(name, schema)
    if value.get("type") != "object" and "properties" not in value:
        return None
    for form in _NAMES_BEFORE:
        if names := form.findall(before):
            return Tool(names[-1], value)
    return None


def _result_name(body: str) -> str:
    found = _RESULT_NAME.search(body)
    return found[1] if found else "tool"


def _plain(body: str) -> str:
    return _TAG.sub("", body).strip()
