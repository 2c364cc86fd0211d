"""What a model reads out of the studio's one prompt string: the last user text, tools, results, JSON wishes.

The gateway's form is `<system>`, `<conversation>` with `<user>`, `<assistant>` and `<tool_results>`
sections, and a closing line. Any other prompt is one user text. tests/simulator/studio/test_prompt.py reads
what the gateway's own renderer writes, so the two cannot drift apart unseen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.simulator.brain import Tool
from service.simulator.jsonfind import json_objects
from service.simulator.wishes import read_wishes

_SECTION = re.compile(r"^<(user|assistant|tool_results|system)>\n(.*?)\n</\1>$", re.DOTALL | re.MULTILINE)
_CONVERSATION = re.compile(r"^<conversation>\n(.*)\n</conversation>$", re.DOTALL | re.MULTILINE)
_SYSTEM_PART = re.compile(r"<system>\n.*?(?=^<conversation>$)", re.DOTALL | re.MULTILINE)
_SCHEMA_WISH = re.compile(r"JSON Schema:\s*(?=\{)")
_TOOLS_BEGIN, _TOOLS_END = "# Tools\n", "\n## How to call\n"
_HEADING, _SCHEMA = "## ", "Parameters: "
_RESULT = re.compile(r"<\|MiMoML\|result\b([^>]*)>(.*?)</\|MiMoML\|result>", re.DOTALL)
_RESULT_NAME = re.compile(r'\bname="([^"]*)"')
_TAG = re.compile(r"<[^<>\[]*>|<!\[CDATA\[|\]\]>")


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


def read_prompt(query: str, earlier: Sequence[str] = ()) -> Reading:
    """The prompt as the model understands it. Never fails: a prompt of another form is one user text.
    `earlier`: the queries that it goes on from; what they declared still holds."""
    conversation = _CONVERSATION.search(query)
    if conversation is None:
        return Reading(query)
    begun = (found[0] for one in earlier if (found := _SYSTEM_PART.match(one)))
    system = "".join((*begun, query[: conversation.start()]))
    closing = query[conversation.end() :]
    text = ""
    results: list[tuple[str, str]] = []
    for name, body in _SECTION.findall(conversation[1]):
        if name == "user":
            text = body
        elif name == "assistant":
            results = []
        elif name == "tool_results":
            results += _results(body)
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
    begin = system.rfind(_TOOLS_BEGIN)
    end = system.find(_TOOLS_END, begin)
    tools = _listed(system[begin:end]) if 0 <= begin < end else _as_json(system)
    wish = _SCHEMA_WISH.search(system)
    schema = next((value for _, _, value in json_objects(system[wish.end() :])), None) if wish else None
    return tuple(tools.values()), schema


def _listed(section: str) -> dict[str, Tool]:
    """The gateway's list: a heading with the name, a description of any form, a line with the schema.

    A description may hold headings of its own: the name is the first one behind the last schema.
    """
    tools: dict[str, Tool] = {}
    name = ""
    for line in section.split("\n"):
        if line.startswith(_HEADING) and not name:
            name = line.removeprefix(_HEADING).strip()
        elif line.startswith(_SCHEMA + "{") and name:
            for _, _, schema in json_objects(line):
                tools[name] = Tool(name, schema)
            name = ""
    return tools


def _as_json(system: str) -> dict[str, Tool]:
    """Tools that stand in the text as JSON, in OpenAI's form or Anthropic's: other gateways write so."""
    tools: dict[str, Tool] = {}
    for _, _, value in json_objects(system):
        inner = value.get("function")
        tool = inner if isinstance(inner, Mapping) else value
        name, schema = tool.get("name"), tool.get("parameters", tool.get("input_schema"))
        if isinstance(name, str) and isinstance(schema, Mapping):
            tools[name] = Tool(name, schema)
    return tools


def _results(section: str) -> list[tuple[str, str]]:
    """(tool name, text) of each result; the whole section as one where it has another form."""
    found = []
    for head, body in _RESULT.findall(section):
        name = _RESULT_NAME.search(head)
        text = body.removeprefix("<![CDATA[").removesuffix("]]>").replace("]]]]><![CDATA[>", "]]>")
        found.append((name[1] if name else "tool", text))
    return found or [("tool", _TAG.sub("", section).strip())]
