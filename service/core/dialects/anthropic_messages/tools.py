"""Tools and the choice among them: `tools`, `tool_choice` and tool changes inside messages.

Only tools that the client itself declares with a schema can be offered to MiMo, and Anthropic's web search,
which is mapped to MiMo's (search.py). Its other own tools (`bash_20250124`, `code_execution_…`,
`web_fetch_…`, `mcp_toolset` …) are no error, since an agent lists them beside the others: they are left out
and noted. Deferred tools (`defer_loading`) are offered like all others: MiMo has no search for tools, and a
tool it was never shown cannot be called.

Source: anthropic 2.11.0, types/tool_param.py, types/tool_union_param.py and types/tool_choice_param.py,
types/beta/beta_request_tool_addition_block_param.py; read 2026-11-20."""

from __future__ import annotations

from service.core.conversation import ToolChoice, ToolChoiceMode, ToolSpec
from service.core.dialects.anthropic_messages.fields import (
    Fields,
    fields_at,
    joined,
    optional_flag,
    optional_items,
    optional_text,
    refuse,
    required_name,
)
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.dialects.anthropic_messages.search import (
    TOOL_NAME,
    TOOL_TYPE_PREFIX,
    can_be_called_directly,
    decoded_search,
)
from service.core.web_search import forced

# "function" is OpenAI's word: read as a tool of the client's, so that the missing field is named.
_OWN_TYPES = (None, "custom", "function")
_USED_FIELDS = frozenset({"type", "name", "description", "input_schema", "strict"})

_MODE_BY_TYPE = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.REQUIRED,
    "tool": ToolChoiceMode.NAMED,
    "none": ToolChoiceMode.NONE,
}


def decoded_tools(body: Fields, at: str, reading: Reading) -> tuple[ToolSpec, ...]:
    """The client's own tools of `tools`, in order; of a name that comes twice the first counts.

    Raises InvalidRequest naming `tools.N.…`."""
    by_name: dict[str, ToolSpec] = {}
    where = joined(at, "tools")
    for number, item in enumerate(optional_items(body, "tools", at)):
        spec = _decoded_tool(item, f"{where}.{number}", reading)
        if spec is None:
            continue
        if spec.name in by_name:
            reading.note("duplicate-tool-dropped", spec.name)
        else:
            by_name[spec.name] = spec
    return tuple(by_name.values())


def _decoded_tool(value: object, at: str, reading: Reading) -> ToolSpec | None:
    """One tool; None for one that is not the client's own. Unused fields are kept in `extra`."""
    tool = fields_at(value, at)
    kind = optional_text(tool, "type", at)
    if kind not in _OWN_TYPES:
        if str(kind).startswith(TOOL_TYPE_PREFIX) and can_be_called_directly(tool, at):
            reading.web_search = decoded_search(tool, at)
            return None
        reading.note("server-tool-dropped", str(kind))
        name = tool.get("name")
        if isinstance(name, str):
            reading.foreign_tools.add(name)
        return None
    return ToolSpec(
        name=required_name(tool, "name", at),
        description=optional_text(tool, "description", at) or "",
        parameters=fields_at(tool.get("input_schema"), joined(at, "input_schema")),
        strict=optional_flag(tool, "strict", at),
        extra={key: value for key, value in tool.items() if key not in _USED_FIELDS},
    )


def decoded_choice(body: Fields, at: str, tools: tuple[ToolSpec, ...], reading: Reading) -> ToolChoice:
    """`tool_choice`; AUTO when it is absent, when it demands a tool that was left out (noted), and when it
    demands the web search, which is then told so itself.

    Raises InvalidRequest for a demand that no declared tool can meet."""
    if body.get("tool_choice") is None:
        return ToolChoice()
    where = joined(at, "tool_choice")
    choice = fields_at(body["tool_choice"], where)
    kind = required_name(choice, "type", where)
    if kind not in _MODE_BY_TYPE:
        refuse(joined(where, "type"), "Input should be 'auto', 'any', 'tool' or 'none'")
    mode = _MODE_BY_TYPE[kind]
    name = required_name(choice, "name", where) if mode is ToolChoiceMode.NAMED else None
    allows_parallel = not optional_flag(choice, "disable_parallel_tool_use", where)
    is_met = any(name in (None, spec.name) for spec in tools)
    if mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED) and not is_met:
        if reading.web_search is not None and name in (None, TOOL_NAME):
            reading.web_search = forced(reading.web_search)
            return ToolChoice(allows_parallel=allows_parallel)
        if not (name in reading.foreign_tools if name else reading.foreign_tools):
            refuse(where, f"Tool '{name}' not found in provided tools" if name else "No tools were provided")
        reading.note("tool-choice-loosened", kind)
        mode, name = ToolChoiceMode.AUTO, None
    return ToolChoice(mode=mode, name=name, allows_parallel=allows_parallel)


def read_tool_change(block: Fields, at: str, reading: Reading) -> None:
    """A `tool_addition` or `tool_removal` block. References to MCP servers' tools have no effect."""
    where = joined(at, "tool")
    tool = fields_at(block.get("tool"), where)
    kind = required_name(tool, "type", where)
    if kind == "tool_definition":
        spec = _decoded_tool(tool.get("definition"), joined(where, "definition"), reading)
        if spec is not None:
            reading.add_tool(spec)
    elif kind == "tool_reference":
        name = required_name(tool, "name", where)
        if block.get("type") == "tool_removal":
            reading.remove_tool(name)
        else:
            reading.restore_tool(name)


def encoded_tool(spec: ToolSpec) -> dict[str, object]:
    """One tool for the wire (client role)."""
    tool: dict[str, object] = {"name": spec.name, "input_schema": spec.parameters}
    if spec.description:
        tool["description"] = spec.description
    if spec.strict is not None:
        tool["strict"] = spec.strict
    return {**tool, **spec.extra}


def encoded_choice(choice: ToolChoice) -> dict[str, object] | None:
    """`tool_choice` for the wire (client role); None when there is nothing to say."""
    if choice == ToolChoice():
        return None
    kind = next(kind for kind, mode in _MODE_BY_TYPE.items() if mode is choice.mode)
    fields: dict[str, object] = {"type": kind}
    if choice.name is not None:
        fields["name"] = choice.name
    if not choice.allows_parallel:
        fields["disable_parallel_tool_use"] = True
    return fields
