"""Input items -> turns. What one answer gave (reasoning, message, calls) is one assistant turn again.

Grouping: assistant items join the open assistant turn, except that a message right after another message
opens a new one; outputs of tools join the open TOOL turn; every other message is a turn of its own.

Source: openai-python 3.52 response_input_item_param.py, Codex 0.169 and Vercel AI SDK as recorded; read
2026-11-20."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.core.conversation import (
    Media,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.dialects.openai_responses.fields import Fields, object_at, refuse
from service.core.dialects.openai_responses.freeform import freeform_arguments
from service.core.dialects.openai_responses.parts import decode_content
from service.core.dialects.openai_responses.tools import ClientTool, Shape, ToolBridge
from service.core.json_body import (
    missing,
    optional_array,
    optional_object,
    optional_string,
    required_string,
    wrong_type,
    wrong_value,
)
from service.core.notes import Note, NoteKind

Unseal = Callable[[str], str | None]

_ROLES = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}

# History of tools that only OpenAI runs, of its own compaction, and of what has no counterpart upstream.
LEFT_OUT_TYPES = frozenset(
    {
        "code_interpreter_call",
        "compaction",
        "compaction_summary",
        "compaction_trigger",
        "computer_call",
        "computer_call_output",
        "configuration_update",
        "context_compaction",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "tool_search_call",
    }
)
# Items that carry tools: `declared_tools` reads them, they hold nothing to say.
TOOL_CARRIERS = frozenset({"additional_tools", "tool_search_output"})
# What a web search found stands in the answer after it.
_SILENT_TYPES = frozenset({"web_search_call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedItems:
    """`references` are ids of stored items that must be put in their place first (see `request.resolve`)."""

    turns: tuple[Turn, ...]
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def item_type(item: Fields) -> str:
    """The item's type: "message" and "item_reference" may leave it out."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return "item_reference" if "id" in item and "role" not in item else "message"


def declared_tools(items: Sequence[Fields], paths: Sequence[str]) -> list[tuple[str, object]]:
    """Tools that the input itself brings along, each with its path."""
    return [
        (f"{path}.tools[{index}]", tool)
        for item, path in zip(items, paths, strict=True)
        if item_type(item) in TOOL_CARRIERS
        for index, tool in enumerate(optional_array(item, "tools", path) or [])
    ]


def decode_items(
    items: Sequence[Fields],
    paths: Sequence[str],
    *,
    bridge: ToolBridge,
    unseal: Unseal | None = None,
    drops_references: bool = False,
) -> DecodedItems:
    """The items as turns. `paths` names each item in errors. `unseal` opens our own `encrypted_content` and
    gives None for any other.

    `drops_references` True: references that are still left were not found. A reasoning item may be missing
    (its text may be remembered by call id); any other missing item is an InvalidRequest.
    Raises InvalidRequest naming the field at fault; an unknown item type is refused, since skipping it would
    lose what it says."""
    decoder = _ItemDecoder(bridge, unseal, drops_references)
    for item, path in zip(items, paths, strict=True):
        decoder.decode(item, path)
    return decoder.decoded()


class _Grouping:
    """Parts in, turns out."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._role: Role | None = None
        self._parts: list[Part] = []

    def message(self, role: Role, parts: tuple[Part, ...], name: str | None = None) -> None:
        if role is Role.ASSISTANT:
            if self._parts and isinstance(self._parts[-1], Text):
                self._close()
            self.join(role, *parts)
            return
        self._close()
        self._turns.append(Turn(role=role, parts=parts, name=name))

    def join(self, role: Role, *parts: Part) -> None:
        """Add to the open turn of `role`, or open one."""
        if self._role is not role:
            self._close()
            self._role = role
        self._parts.extend(parts)

    def turns(self) -> tuple[Turn, ...]:
        self._close()
        return tuple(self._turns)

    def _close(self) -> None:
        if self._role is not None:
            self._turns.append(Turn(role=self._role, parts=tuple(self._parts)))
        self._role, self._parts = None, []


class _ItemDecoder:
    """One pass over the items."""

    def __init__(self, bridge: ToolBridge, unseal: Unseal | None, drops_references: bool) -> None:
        self._bridge = bridge
        self._unseal = unseal
        self._drops_references = drops_references
        self._grouping = _Grouping()
        self._references: list[str] = []
        self._notes: list[str] = []

    def decode(self, item: Fields, path: str) -> None:
        kind = item_type(item)
        decode = _DECODE_BY_TYPE.get(kind)
        if decode is not None:
            decode(self, item, path)
        elif kind in LEFT_OUT_TYPES:
            self._notes.append(f"{path} dropped: {kind} is not available here")
        elif kind not in TOOL_CARRIERS | _SILENT_TYPES:
            raise wrong_value(kind, f"{path}.type", _DECODE_BY_TYPE)

    def decoded(self) -> DecodedItems:
        return DecodedItems(
            turns=self._grouping.turns(),
            references=tuple(self._references),
            notes=tuple(Note(text, NoteKind.ITEM_DROPPED) for text in self._notes),
        )

    def _message(self, item: Fields, path: str) -> None:
        word = required_string(item, "role", path)
        role = _ROLES.get(word)
        if role is None:
            raise wrong_value(word, f"{path}.role", _ROLES)
        if item.get("tool_calls"):
            refuse(
                f"{path}.tool_calls",
                f"Unknown parameter: '{path}.tool_calls'. Send calls as items of type 'function_call'.",
                code="unknown_parameter",
            )
        if item.get("content") is None and role is not Role.ASSISTANT:
            raise missing(f"{path}.content")
        self._grouping.message(role, decode_content(item.get("content"), f"{path}.content"))

    def _agent_message(self, item: Fields, path: str) -> None:
        """A message of another agent to this one. MiMo reads its `encrypted_content` as plain text."""
        parts: list[Part] = []
        for index, part in enumerate(optional_array(item, "content", path) or []):
            part_path = f"{path}.content[{index}]"
            hidden = optional_string(object_at(part, part_path), "encrypted_content", part_path)
            parts.extend(
                decode_content([part], f"{path}.content") if hidden is None else (Text(text=hidden),)
            )
        self._grouping.message(Role.USER, tuple(parts), optional_string(item, "author", path))

    def _reasoning(self, item: Fields, path: str) -> None:
        blob = optional_string(item, "encrypted_content", path)
        text = _joined_text(item, "content", path)
        if not text and blob and self._unseal:
            text = self._unseal(blob) or ""
        text = text or _joined_text(item, "summary", path)
        reasoning = Reasoning(
            text=text, signature=blob, is_redacted=not text, item_id=optional_string(item, "id", path)
        )
        self._grouping.join(Role.ASSISTANT, reasoning)

    def _function_call(self, item: Fields, path: str) -> None:
        self._call(item, path, Shape.FUNCTION, required_string(item, "arguments", path))

    def _custom_call(self, item: Fields, path: str) -> None:
        self._call(item, path, Shape.CUSTOM, freeform_arguments(required_string(item, "input", path)))

    def _local_shell_call(self, item: Fields, path: str) -> None:
        self._action_call(item, path, Shape.LOCAL_SHELL, "action")

    def _shell_call(self, item: Fields, path: str) -> None:
        self._action_call(item, path, Shape.SHELL, "action")

    def _patch_call(self, item: Fields, path: str) -> None:
        self._action_call(item, path, Shape.APPLY_PATCH, "operation")

    def _action_call(self, item: Fields, path: str, shape: Shape, key: str) -> None:
        action = optional_object(item, key, path)
        if action is None:
            raise missing(f"{path}.{key}")
        left_out = "" if shape is Shape.APPLY_PATCH else "type"  # local_shell's is always "exec"
        kept = {name: value for name, value in action.items() if value is not None and name != left_out}
        self._call(item, path, shape, orjson.dumps(kept).decode(), name=shape.value)

    def _call(self, item: Fields, path: str, shape: Shape, arguments: str, name: str | None = None) -> None:
        namespace = optional_string(item, "namespace", path)
        tool = ClientTool(shape, name or required_string(item, "name", path), namespace)
        call = ToolCall(
            call_id=required_string(item, "call_id", path),
            name=self._bridge.upstream_name(tool),
            arguments=arguments,
            namespace=namespace,
            item_id=optional_string(item, "id", path),
        )
        self._grouping.join(Role.ASSISTANT, call)

    def _output(self, item: Fields, path: str) -> None:
        if item.get("output") is None:
            raise missing(f"{path}.output")
        parts = decode_content(item["output"], f"{path}.output")
        self._result(required_string(item, "call_id", path), parts)

    def _local_shell_output(self, item: Fields, path: str) -> None:
        call_id = optional_string(item, "call_id", path) or required_string(item, "id", path)
        self._result(call_id, (Text(text=required_string(item, "output", path)),))

    def _shell_output(self, item: Fields, path: str) -> None:
        parts = []
        for index, chunk in enumerate(optional_array(item, "output", path) or []):
            chunk_path = f"{path}.output[{index}]"
            parts.append(Text(text=_shell_text(object_at(chunk, chunk_path), chunk_path)))
        self._result(required_string(item, "call_id", path), tuple(parts))

    def _patch_output(self, item: Fields, path: str) -> None:
        status = optional_string(item, "status", path) or "completed"
        text = optional_string(item, "output", path) or status
        call_id = required_string(item, "call_id", path)
        self._result(call_id, (Text(text=text),), is_error=status == "failed")

    def _result(self, call_id: str, parts: tuple[Text | Media, ...], *, is_error: bool | None = None) -> None:
        self._grouping.join(Role.TOOL, ToolResult(call_id=call_id, parts=parts, is_error=is_error))

    def _reference(self, item: Fields, path: str) -> None:
        item_id = required_string(item, "id", path)
        if not self._drops_references:
            self._references.append(item_id)
        elif item_id.startswith("rs_"):
            self._notes.append(f"{path} dropped: the referenced reasoning is not stored")
        else:
            refuse(
                f"{path}.id",
                f"Item with id '{item_id[:64]}' not found. Items are not persisted when 'store' is false.",
                code="item_not_found",
            )


# Not in the decoder itself: bound methods there would make it a cycle, and keep all texts until the next
# collection.
_DECODE_BY_TYPE: Mapping[str, Callable[[_ItemDecoder, Fields, str], None]] = {
    "message": _ItemDecoder._message,
    "agent_message": _ItemDecoder._agent_message,
    "reasoning": _ItemDecoder._reasoning,
    "function_call": _ItemDecoder._function_call,
    "function_call_output": _ItemDecoder._output,
    "custom_tool_call": _ItemDecoder._custom_call,
    "custom_tool_call_output": _ItemDecoder._output,
    "local_shell_call": _ItemDecoder._local_shell_call,
    "local_shell_call_output": _ItemDecoder._local_shell_output,
    "shell_call": _ItemDecoder._shell_call,
    "shell_call_output": _ItemDecoder._shell_output,
    "apply_patch_call": _ItemDecoder._patch_call,
    "apply_patch_call_output": _ItemDecoder._patch_output,
    "item_reference": _ItemDecoder._reference,
}


def _joined_text(item: Fields, key: str, path: str) -> str:
    """The `text` of every part of a reasoning item's list, a blank line between two."""
    texts = []
    for index, part in enumerate(optional_array(item, key, path) or []):
        part_path = f"{path}.{key}[{index}]"
        texts.append(required_string(object_at(part, part_path), "text", part_path))
    return "\n\n".join(texts)


def _shell_text(chunk: Fields, path: str) -> str:
    """One command's outcome in words: what it wrote, and how it ended."""
    stdout = optional_string(chunk, "stdout", path) or ""
    stderr = optional_string(chunk, "stderr", path) or ""
    outcome = optional_object(chunk, "outcome", path) or {}
    code = outcome.get("exit_code")
    if code is not None and not isinstance(code, int):
        raise wrong_type(code, f"{path}.outcome.exit_code", "an integer")
    ending = "timed out" if outcome.get("type") == "timeout" else f"exit code: {code or 0}"
    pieces = [f"stdout:\n{stdout}" if stdout else "", f"stderr:\n{stderr}" if stderr else "", ending]
    return "\n".join(piece for piece in pieces if piece)
