"""What clients do to the reasoning of an answer before they keep it (mimo-api.md 2.2)."""

from __future__ import annotations

from typing import Any

from tests.web.agents import Agent, Change, ChatAgent, Message, MessagesAgent


def without_reasoning(items: list[Message]) -> list[Message]:
    """Whatever the dialect: a client that keeps no thinking of any kind."""
    kept = []
    for item in items:
        if item.get("type") == "reasoning":
            continue
        item = {name: value for name, value in item.items() if name != "reasoning_content"}
        if isinstance(item.get("content"), list) and item.get("role") == "assistant":
            blocks = [block for block in item["content"] if block["type"] != "thinking"]
            item = {**item, "content": blocks}
        kept.append(item)
    return kept


def renamed(name: str, value: Any) -> Change:
    def change(items: list[Message]) -> list[Message]:
        (message,) = items
        text = message.pop("reasoning_content", None)
        return [{**message, name: value(text)}] if text else [message]

    return change


def redacted(items: list[Message]) -> list[Message]:
    """Anthropic's way after a switch of models: opaque blocks in place of thinking."""
    (message,) = items
    blocks = [
        {"type": "redacted_thinking", "data": "EoQB"} if block["type"] == "thinking" else block
        for block in message["content"]
    ]
    return [{**message, "content": blocks}]


def foreign_signature(items: list[Message]) -> list[Message]:
    (message,) = items
    blocks = [
        {**block, "signature": "of another vendor"} if block["type"] == "thinking" else block
        for block in message["content"]
    ]
    return [{**message, "content": blocks}]


def emptied(items: list[Message]) -> list[Message]:
    """Codex without `include`: the reasoning item comes back as a shell."""
    return [{**item, "content": [], "summary": []} if item["type"] == "reasoning" else item for item in items]


def sealed_elsewhere(items: list[Message]) -> list[Message]:
    return [
        {**item, "content": [], "summary": [], "encrypted_content": "gAAAAAfromOpenAI"}
        if item["type"] == "reasoning"
        else item
        for item in items
    ]


def compacted(items: list[Message]) -> list[Message]:
    """A transcript that was gone over: text and thinking shortened away, the calls kept."""
    kept = []
    for item in without_reasoning(items):
        if item.get("type") == "message":
            continue
        if isinstance(item.get("content"), list):
            item = {**item, "content": [block for block in item["content"] if block["type"] == "tool_use"]}
        elif item.get("tool_calls"):
            item = {"role": "assistant", "tool_calls": item["tool_calls"]}
        kept.append(item)
    return kept


def called_elsewhere(dialect: type[Agent], call_id: str) -> list[Message]:
    """A turn with one call and no reasoning, as a session has it that this gateway never saw."""
    arguments = '{"city":"Paris"}'
    if dialect is ChatAgent:
        function = {"name": "get_weather", "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]
    if dialect is MessagesAgent:
        block = {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {"city": "Paris"}}
        return [{"role": "assistant", "content": [block]}]
    return [{"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": arguments}]
