"""The prompt side: tools, earlier calls and their results as text for an upstream without a tool channel.

What is rendered here the sieve reads back: for any calls `collect(sieve(render_calls(calls)))` gives them
again. Strings stand in CDATA ("]]>" split in two sections), everything else as JSON with "<", ">" and "&"
escaped. A call that this form could change (a value beside its declared type, a key that another one's
spelling would catch) is written with its JSON as it is, under `form="json"`.

Everything is a pure function of its input, byte for byte: the upstream's prompt cache is prefix-based.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.core.conversation import (
    Media,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolResult,
    ToolSpec,
)
from service.core.mimoml.arguments import Parameter, Tool, Toolbox
from service.core.mimoml.grammar import STRUCTURE
from service.core.mimoml.jsontext import JSONValue, Number, decode, encode
from service.core.mimoml.tags import Tag
from service.core.mimoml.urls import defuse_urls, restore_urls

__all__ = ["defuse_urls", "render_calls", "render_results", "render_tools", "restore_urls"]

_OPEN = "<|MiMoML|tool_calls>"
_CLOSE = "</|MiMoML|tool_calls>"

_HEAD = """\
# Tools

You can call the tools listed below. They are the only tools you have: do not use, announce or imitate any \
other (no built-in search, browser or code runner). Each is described by its name, what it does, and the \
JSON Schema of its parameters.
"""

_FORM = """\
## How to call

To call, write exactly this, in your answer (not in your thinking), without a code fence round it:

{example}

Rules:
1. Every call is one `<|MiMoML|invoke name="...">` element inside one `<|MiMoML|tool_calls>` element. The \
name is the tool's name, exactly as listed.
2. Every argument is one `<|MiMoML|parameter name="...">` element, named as in the schema. Give every \
required parameter; leave out optional ones you do not need. Never give a placeholder.
3. A string stands in `<![CDATA[` and `]]>`, exactly as it is meant: no escaping, no quotes round it. Should \
the text itself hold `]]>`, write `]]]]><![CDATA[>` in its place.
4. Numbers, `true`, `false` and `null` stand plain. Arrays and objects are written as JSON, plain.
5. {parallel}
6. Close every element. After the closing `</|MiMoML|tool_calls>` write nothing more: the results come in \
the next message.
7. Addresses in this conversation may be written as `https[:]//host/path`: `[:]` stands for a plain colon. \
In an argument write the plain colon.
"""

_PARALLEL = """\
To call several tools at once, put several `<|MiMoML|invoke>` elements into the one `<|MiMoML|tool_calls>`, \
in order. Do so when the calls do not need each other's results."""
_SINGLE = "Make at most one call in an answer."

_AUTO = """\
## When to call

Call a tool when it is needed to do what was asked: to read, look up, change or run something you cannot \
know or do by yourself. Do it in the same answer in which you decide to; do not merely say that you will. If \
you can answer without a tool, or have all results you need, answer in plain text and write no \
`<|MiMoML|` element at all.
"""
_REQUIRED = """\
## When to call

In this answer you must call {which}. Do not answer in plain text instead.
"""


def render_tools(tools: Sequence[ToolSpec], choice: ToolChoice = ToolChoice()) -> str:  # noqa: B008 - frozen
    """The section of a prompt that offers `tools`; "" when there are none or the choice is none.

    A named choice shows all tools (the prefix stays cacheable) and asks for that one."""
    if not tools or choice.mode is ToolChoiceMode.NONE:
        return ""
    sections = [_HEAD, "\n".join(map(_described, tools))]
    parallel = _PARALLEL if choice.allows_parallel else _SINGLE
    sections.append(_FORM.format(example=_example(tools, choice), parallel=parallel))
    if choice.mode is ToolChoiceMode.REQUIRED:
        sections.append(_REQUIRED.format(which="at least one of the tools"))
    elif choice.mode is ToolChoiceMode.NAMED:
        sections.append(_REQUIRED.format(which=f"the tool `{choice.name}`"))
    else:
        sections.append(_AUTO)
    return "\n".join(sections)


def _described(tool: ToolSpec) -> str:
    """One tool: name, description, schema on one line of JSON (keys in the client's order)."""
    lines = [f"## {tool.name}", ""]
    if tool.description.strip():
        lines += [tool.description.strip(), ""]
    if tool.kind is ToolKind.CUSTOM:
        lines.append("Takes one string, the parameter `input`, as free text:")
        schema: Mapping[str, Any] = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        }
        if tool.extra.get("format") is not None:
            lines += [f"Its format: {_json(tool.extra['format'])}"]
    else:
        schema = tool.parameters or {"type": "object", "properties": {}}
    lines += [f"Parameters: {_json(schema)}", ""]
    return "\n".join(lines)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _example(tools: Sequence[ToolSpec], choice: ToolChoice) -> str:
    """A call of a declared tool, with a value of each kind it takes."""
    named = [tool for tool in tools if tool.name == choice.name]
    spec = (named or sorted(tools, key=_example_rank))[0]
    tool = Tool(spec)
    wanted = tool.required or tool.schema.property_names[:2]
    arguments = {name: _example_value(name, tool) for name in wanted}
    call = ToolCall(call_id="", name=spec.name, arguments=encode(arguments))
    return render_calls([call], tools)


def _example_rank(tool: ToolSpec) -> int:
    """Tools with few required parameters make the plainest example."""
    count = len(Tool(tool).required)
    return abs(count - 2)


def _example_value(name: str, tool: Tool) -> JSONValue:
    schema = tool.schema.member(name)
    enum = schema.node.get("enum")
    if isinstance(enum, list) and enum:
        return decode(_json(enum[0]))
    for kind, value in _EXAMPLES:
        if schema.allows(kind):
            return value
    return f"the {name}"


_EXAMPLES: tuple[tuple[str, JSONValue], ...] = (
    ("string", "text, exactly as meant"),
    ("integer", Number("3")),
    ("number", Number("1.5")),
    ("boolean", True),
    ("array", []),
    ("object", {}),
    ("null", None),
)


# --- calls --------------------------------------------------------------------------------------------------


def render_calls(calls: Sequence[ToolCall], tools: Sequence[ToolSpec] = ()) -> str:
    """Earlier calls in the form that new ones are asked for; "" for none. With `tools` the schema decides
    whether the plain form is safe."""
    if not calls:
        return ""
    toolbox = Toolbox(tools)
    return "\n".join([_OPEN, *(_call(call, toolbox.find(call.name)) for call in calls), _CLOSE])


def _call(call: ToolCall, tool: Tool | None) -> str:
    name = _attribute(call.name)
    if call.is_custom:
        members: dict[str, JSONValue] | None = {"input": call.arguments}
    else:
        members = _members(call.arguments)
    if members is None:
        members = {"arguments": call.arguments}
    if not all(_is_plain_safe(key, value, tool) for key, value in members.items()):
        body = _armoured(encode(members))
        return f'  <|MiMoML|invoke name="{name}" form="json">{body}</|MiMoML|invoke>'
    lines = [f'  <|MiMoML|invoke name="{name}">']
    for key, value in members.items():
        lines.append(f'    <|MiMoML|parameter name="{_attribute(key)}">{_value(value)}</|MiMoML|parameter>')
    return "\n".join([*lines, "  </|MiMoML|invoke>"])


def _members(arguments: str) -> dict[str, JSONValue] | None:
    try:
        value = decode(arguments) if arguments.strip() else {}
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _value(value: JSONValue) -> str:
    if isinstance(value, str) and not isinstance(value, Number):
        return "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"
    return _armoured(encode(value))


def _armoured(text: str) -> str:
    """JSON that holds no markup: the three characters stand in strings only, where an escape means the
    same."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


_SAFE_IN_NAME = frozenset("_-.:/$@ ")
_MAX_KEY = 120


def _attribute(name: str) -> str:
    """A name between double quotes."""
    return "".join(
        character if character.isalnum() or character in _SAFE_IN_NAME else f"&#{ord(character)};"
        for character in name
    )


def _is_plain_safe(key: str, value: JSONValue, tool: Tool | None) -> bool:
    """The sieve would read the plain form back as the same key and value."""
    if len(key) > _MAX_KEY or "\0" in key or any("\ud800" <= character <= "\udfff" for character in key):
        return False
    if tool is None:
        return not isinstance(value, str) or "\0" not in value
    if (tool.names.resolved(key) or key) != key:
        return False
    pieces: list[str] = []
    sink = Parameter(pieces.append, "", tool.schema.member(key), False)
    if isinstance(value, str) and not isinstance(value, Number):
        if value:
            sink.cdata(value)
    else:
        sink.text(_armoured(encode(value)))
    sink.end()
    # As text: Number("3") and "3" compare equal, but are not the same.
    return encode(decode("".join(pieces))) == encode(value)


# --- results ------------------------------------------------------------------------------------------------


def render_results(results: Sequence[ToolResult]) -> str:
    """What tools gave back, as text; media as one line that names it. Content that looks like our own markup
    is broken up with a zero-width space, so that neither a reader nor a model takes it for a call."""
    if not results:
        return ""
    lines = ["<|MiMoML|tool_results>"]
    for result in results:
        head = f'  <|MiMoML|result call_id="{_attribute(result.call_id)}"'
        if result.name:
            head += f' name="{_attribute(result.name)}"'
        if result.is_error:
            head += ' is_error="true"'
        lines.append(f"{head}><![CDATA[{_content(result)}]]></|MiMoML|result>")
    return "\n".join([*lines, "</|MiMoML|tool_results>"])


def _content(result: ToolResult) -> str:
    pieces = [_media_line(part) if isinstance(part, Media) else part.text for part in result.parts]
    return disarmed("\n".join(pieces)).replace("]]>", "]]]]><![CDATA[>")


def _media_line(part: Media) -> str:
    name = f" {part.filename}" if part.filename else ""
    kind = f" ({part.mime_type})" if part.mime_type else ""
    return f"[{part.kind.value}{name}{kind} attached]"


def disarmed(text: str) -> str:
    """`text` with a zero-width space behind each bracket that begins one of our tags."""
    pieces: list[str] = []
    start = position = 0
    while (position := text.find("<", position)) >= 0:
        if isinstance(STRUCTURE.recognise(text, position, is_final=True), Tag) or text.startswith(
            ("<|MiMoML|", "</|MiMoML|"), position
        ):
            pieces.append(text[start : position + 1] + "\u2060")
            start = position + 1
        position += 1
    return "".join([*pieces, text[start:]])
