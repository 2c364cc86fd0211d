"""Tools that are not functions, offered upstream as functions, and the way back.

Upstream every tool is a function with a name of its own. ToolBridge remembers what the client calls it:
its shape (which item type a call comes back as), its bare name and its namespace. Custom tools take one
string, so they are offered as a function with the one parameter `input`; local_shell, shell and apply_patch
are offered with the fields of their action. The hosted web search is mapped to MiMo's (search.py); the other
hosted tools, which only OpenAI can run, are dropped with a note or refused, by policy. Source: openai-python
3.52 types/responses/tool.py, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.conversation import ToolSpec
from service.core.dialects.openai_responses.fields import Fields, object_at, refuse
from service.core.dialects.openai_responses.search import decode_search, is_web_search
from service.core.json_body import (
    optional_array,
    optional_boolean,
    optional_object,
    optional_string,
    wrong_type,
)
from service.core.notes import Note, NoteKind


class Shape(StrEnum):
    """Which item type a call of the tool is, in the client's eyes."""

    FUNCTION = "function"
    CUSTOM = "custom"
    LOCAL_SHELL = "local_shell"
    SHELL = "shell"
    APPLY_PATCH = "apply_patch"


class HostedTools(StrEnum):
    """What to do with a tool that only OpenAI's own servers can run."""

    DROP = "drop"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool as the client knows it."""

    shape: Shape
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBridge:
    """Both directions of the names: upstream's is unique, the client's may repeat across namespaces."""

    tool_by_upstream_name: Mapping[str, ClientTool] = field(default_factory=dict)
    upstream_name_by_tool: Mapping[ClientTool, str] = field(default_factory=dict)

    def client_tool(self, upstream_name: str) -> ClientTool:
        """What to call a tool towards the client; a name nobody declared is a function of that name."""
        return self.tool_by_upstream_name.get(upstream_name) or ClientTool(Shape.FUNCTION, upstream_name)

    def upstream_name(self, tool: ClientTool) -> str:
        """The name that stands for `tool` upstream. A call from history whose namespace is unknown is found
        by its bare name; one whose tool is gone keeps its bare name."""
        found = self.upstream_name_by_tool.get(tool) or self.named(tool.shape, tool.name)
        return found or tool.name

    def named(self, shape: Shape, name: str) -> str | None:
        """The upstream name of the first tool with that shape and bare name, in whatever namespace."""
        for candidate, upstream_name in self.upstream_name_by_tool.items():
            if candidate.name == name and candidate.shape is shape:
                return upstream_name
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedTools:
    """`dropped_types` are the hosted tools left out, for `tool_choice`; `web_search` is what the hosted web
    search asks for, in MiMo's terms."""

    specs: tuple[ToolSpec, ...] = ()
    bridge: ToolBridge = field(default_factory=ToolBridge)
    notes: tuple[str, ...] = ()
    dropped_types: frozenset[str] = frozenset()
    web_search: Mapping[str, object] | None = None


HOSTED_TYPES = frozenset(
    {
        "code_interpreter",
        "computer",
        "computer_use",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "mcp",
        "programmatic_tool_calling",
    }
)

_MAX_NAME_CHARACTERS = 64

_CUSTOM_PARAMETERS: Mapping[str, object] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as raw text."}},
    "required": ["input"],
    "additionalProperties": False,
}

_BUILT_IN: Mapping[Shape, tuple[str, Mapping[str, object]]] = {
    Shape.LOCAL_SHELL: (
        "Runs a command on the user's machine and returns its output.",
        {
            "type": "object",
            "properties": {
                "command": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": 'The command and its arguments, such as ["bash", "-lc", "ls -la"].',
                },
                "working_directory": {"type": "string", "description": "Where to run it."},
                "timeout_ms": {"type": "integer", "description": "Stop it after so many milliseconds."},
                "env": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Environment variables to set.",
                },
            },
            "required": ["command"],
        },
    ),
    Shape.SHELL: (
        "Runs shell commands on the user's machine and returns their output.",
        {
            "type": "object",
            "properties": {
                "commands": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The commands, each one line for the shell.",
                },
                "timeout_ms": {"type": "integer", "description": "Stop after so many milliseconds."},
                "max_output_length": {"type": "integer", "description": "Keep so many characters of output."},
            },
            "required": ["commands"],
        },
    ),
    Shape.APPLY_PATCH: (
        "Creates, updates or deletes one file of the user's workspace.",
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "description": "The file, relative to the workspace."},
                "diff": {
                    "type": "string",
                    "description": "The change as a V4A diff; left out when a file is deleted.",
                },
            },
            "required": ["type", "path"],
        },
    ),
}


@dataclass(slots=True)
class _Found:
    """What one pass over the declared tools gathers, in order."""

    spec_by_tool: dict[ClientTool, ToolSpec] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dropped_types: set[str] = field(default_factory=set)
    web_search: Mapping[str, object] | None = None


def decode_tools(
    declared: Iterable[tuple[str, object]], *, hosted_tools: HostedTools = HostedTools.DROP
) -> DecodedTools:
    """The declared tools, each given with its path, as functions with unique names.

    A tool without a usable name is dropped with a note; so is a second tool that nothing tells apart from an
    earlier one. Raises InvalidRequest for a tool that is no object or has a field of the wrong type, and,
    under HostedTools.REFUSE, for one that only OpenAI can run."""
    found = _Found()
    for path, tool in declared:
        _decode_tool(object_at(tool, path), path, found, hosted_tools)
    upstream_name_by_tool: dict[ClientTool, str] = {}
    tool_by_upstream_name: dict[str, ClientTool] = {}
    # Tools outside a namespace first: they keep their own name when a namespaced one shares it.
    for tool in sorted(found.spec_by_tool, key=lambda tool: tool.namespace is not None):
        name = _unique_name(tool, tool_by_upstream_name)
        tool_by_upstream_name[name] = tool
        upstream_name_by_tool[tool] = name
    return DecodedTools(
        specs=tuple(_renamed(spec, upstream_name_by_tool[tool]) for tool, spec in found.spec_by_tool.items()),
        bridge=ToolBridge(
            tool_by_upstream_name=tool_by_upstream_name, upstream_name_by_tool=upstream_name_by_tool
        ),
        notes=tuple(Note(text, NoteKind.TOOL_DROPPED) for text in found.notes),
        dropped_types=frozenset(found.dropped_types),
        web_search=found.web_search,
    )


def flat_tool(tool: Fields) -> Fields:
    """A tool in Chat's nested form (`{"type": "function", "function": {…}}`) in Responses' flat one."""
    kind = tool.get("type", "function")
    inner = tool.get(kind) if isinstance(kind, str) else None
    if kind in ("function", "custom") and isinstance(inner, dict):
        return {"type": kind, **inner}
    return tool


def _decode_tool(tool: Fields, path: str, found: _Found, hosted_tools: HostedTools) -> None:
    flat = flat_tool(tool)
    kind = optional_string(flat, "type", path) or "function"
    if kind == "namespace":
        _decode_namespace(flat, path, found)
    elif kind in ("function", "custom"):
        _decode_named(flat, path, found)
    elif kind in _BUILT_IN:
        shape = Shape(kind)
        description, parameters = _BUILT_IN[shape]
        spec = ToolSpec(name=kind, description=description, parameters=parameters)
        _add(ClientTool(shape, kind), spec, path, found)
    elif kind == "tool_search":
        # Every tool is shown at once, so there is nothing to search for.
        found.notes.append(f"{path} dropped: tool_search is not needed")
    elif is_web_search(kind):
        _decode_search(flat, path, found)
    else:
        _leave_out(kind, path, found, hosted_tools)


def _decode_search(tool: Fields, path: str, found: _Found) -> None:
    if optional_boolean(tool, "external_web_access", path) is False:
        found.dropped_types.add("web_search")
        found.notes.append(f"{path} dropped: web search without access to the web is not available here")
        return
    found.web_search = decode_search(tool, path)


def _leave_out(kind: str, path: str, found: _Found, hosted_tools: HostedTools) -> None:
    word = kind if kind in HOSTED_TYPES else "unknown tool type"
    if hosted_tools is HostedTools.REFUSE:
        refuse(f"{path}.type", f"Tools of type '{kind[:64]}' are not supported.", code="unsupported_value")
    found.dropped_types.add(kind)
    found.notes.append(f"{path} dropped: {word} is not available here")


def _decode_namespace(tool: Fields, path: str, found: _Found) -> None:
    namespace = optional_string(tool, "name", path)
    if not namespace:
        found.notes.append(f"{path} dropped: a namespace without a name")
        return
    group = optional_string(tool, "description", path)
    for index, inner in enumerate(optional_array(tool, "tools", path) or []):
        inner_path = f"{path}.tools[{index}]"
        flat = flat_tool(object_at(inner, inner_path))
        if flat.get("type", "function") not in ("function", "custom"):
            found.notes.append(f"{inner_path} dropped: only functions and custom tools have a namespace")
            continue
        # What the group is for is told once, with its first tool.
        _decode_named(flat, inner_path, found, namespace=namespace, group=group if index == 0 else None)


def _decode_named(
    tool: Fields, path: str, found: _Found, *, namespace: str | None = None, group: str | None = None
) -> None:
    name = optional_string(tool, "name", path)
    if not name:
        found.notes.append(f"{path} dropped: a tool without a name")
        return
    description = optional_string(tool, "description", path) or ""
    if group:
        description = f"{description}\n\n(One of the `{namespace}` tools: {group})".lstrip()
    if tool.get("type") == "custom":
        shape = Shape.CUSTOM
        description = (description + _format_text(tool, path)).lstrip()
        spec = ToolSpec(
            name=name, description=description, parameters=_CUSTOM_PARAMETERS, namespace=namespace
        )
    else:
        shape = Shape.FUNCTION
        strict = tool.get("strict")
        if strict is not None and not isinstance(strict, bool):
            raise wrong_type(strict, f"{path}.strict", "a boolean")
        spec = ToolSpec(
            name=name,
            description=description,
            parameters=optional_object(tool, "parameters", path) or {},
            strict=strict,
            namespace=namespace,
        )
    _add(ClientTool(shape, name, namespace), spec, path, found)


def _format_text(tool: Fields, path: str) -> str:
    """What the grammar of a custom tool asks for, in words. Empty for free text."""
    form = optional_object(tool, "format", path)
    if form is None or form.get("type") != "grammar":
        return ""
    grammar = optional_object(form, "grammar", f"{path}.format") or form
    syntax = optional_string(grammar, "syntax", f"{path}.format") or "lark"
    definition = optional_string(grammar, "definition", f"{path}.format") or ""
    kind = "regular expression" if syntax == "regex" else f"{syntax} grammar"
    return f"\n\nThe input is raw text that must match this {kind}:\n{definition}"


def _add(tool: ClientTool, spec: ToolSpec, path: str, found: _Found) -> None:
    if tool in found.spec_by_tool:
        found.notes.append(f"{path} dropped: a tool of that name is already declared")
        return
    found.spec_by_tool[tool] = spec


def _renamed(spec: ToolSpec, name: str) -> ToolSpec:
    if spec.name == name:
        return spec
    return ToolSpec(
        name=name,
        description=spec.description,
        parameters=spec.parameters,
        strict=spec.strict,
        namespace=spec.namespace,
    )


def _unique_name(tool: ClientTool, taken: Mapping[str, ClientTool]) -> str:
    return next(name for name in _candidates(tool) if name not in taken)


def _candidates(tool: ClientTool) -> Iterator[str]:
    yield tool.name
    stem = tool.name if tool.namespace is None else f"{tool.namespace}__{tool.name}"
    if tool.namespace is not None and len(stem) <= _MAX_NAME_CHARACTERS:
        yield stem
    number = 2
    while True:
        suffix = f"_{number}"
        yield stem[: _MAX_NAME_CHARACTERS - len(suffix)] + suffix
        number += 1


def only_allowed(specs: Sequence[ToolSpec], names: frozenset[str]) -> tuple[ToolSpec, ...]:
    """The tools whose upstream name is among `names`, in their order."""
    return tuple(spec for spec in specs if spec.name in names)
