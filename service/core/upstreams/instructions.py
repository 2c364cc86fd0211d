"""Words put into a prompt where a wire has no field for what the client asked."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.core.conversation import (
    ResponseFormat,
    ResponseFormatKind,
    ToolChoice,
    ToolChoiceMode,
    ToolSpec,
)


def choice_instruction(choice: ToolChoice) -> str:
    """What `tool_choice` and `parallel_tool_calls` ask of the model; "" when they ask nothing."""
    words: list[str] = []
    if choice.mode is ToolChoiceMode.REQUIRED:
        words.append("You must call at least one of the tools now; do not answer with text alone.")
    elif choice.mode is ToolChoiceMode.NAMED:
        words.append(f"You must call the tool `{choice.name}` now; do not answer with text alone.")
    if not choice.allows_parallel:
        words.append("Call at most one tool in this answer.")
    return " ".join(words)


def format_instruction(response_format: ResponseFormat) -> str:
    """What `response_format` asks of the model; "" for plain text."""
    if response_format.kind is ResponseFormatKind.TEXT:
        return ""
    words = "Answer with one JSON object and nothing else: no prose around it, no code fence."
    if response_format.schema is None:
        return words
    return f"{words} It must be valid against this JSON Schema:\n{schema_json(response_format.schema)}"


def schema_json(schema: Mapping[str, object]) -> str:
    """The schema as JSON text, keys in the order the client sent them: the prompt's prefix stays
    byte-stable."""
    return orjson.dumps(schema).decode()


def object_schema(schema: Mapping[str, object]) -> dict[str, object]:
    """A tool's schema as both wires take it: the root is an object, `$schema` is gone (mimo-api.md 3).

    A schema of another type becomes the one property `value`; null, and a list of types that holds
    "object", as some generators write them, are taken for an object."""
    kept = {name: value for name, value in schema.items() if name != "$schema"}
    if not kept:
        return {"type": "object", "properties": {}}
    kind = kept.get("type")
    if kind is None or kind == "object" or (isinstance(kind, list) and "object" in kind):
        return {**kept, "type": "object"}
    return {"type": "object", "properties": {"value": kept}, "required": ["value"]}


def custom_schema(tool: ToolSpec) -> dict[str, object]:
    """A freeform tool as a function of one string: the client gets the raw string back. The format the tool
    was declared with (a grammar, say) can only be described."""
    words = f"The whole raw input of {tool.name}."
    form = tool.extra.get("format")
    if isinstance(form, Mapping):
        words += f" Its format: {schema_json(form)}"
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": words}},
        "required": ["input"],
    }
