"""Conversation -> the body of `POST /v1/messages`: the client role, for an upstream that speaks this dialect.

Says all that the dialect can say, in an order of keys that never changes (a prompt cache goes by the
prefix). What it has no word for is left out: turn names, item ids, namespaces, penalties, `json_object`.
The upstream's own rules (what it refuses, what it clamps) are not here."""

from __future__ import annotations

import orjson

from service.core.conversation import Conversation, ResponseFormatKind, Role, Thinking, Turn
from service.core.dialects.anthropic_messages.blocks import encoded_part
from service.core.dialects.anthropic_messages.tools import encoded_choice, encoded_tool
from service.core.web_search import WEB_SEARCH

_ROLE_NAMES = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.TOOL: "user"}


def encode_request(conversation: Conversation) -> bytes:
    """The body as bytes. `decode_request` of it keeps every part that the dialect has a word for."""
    return orjson.dumps(encode_object(conversation))


def encode_object(conversation: Conversation) -> dict[str, object]:
    """The body as an object, for an upstream that still has rules of its own to apply."""
    body: dict[str, object] = {"model": conversation.model}
    turns = conversation.turns
    if turns and turns[0].role is Role.SYSTEM and turns[0].parts:
        body["system"] = [encoded_part(part) for part in turns[0].parts]
        turns = turns[1:]
    body["messages"] = _messages(turns)
    if conversation.tools:
        body["tools"] = [encoded_tool(spec) for spec in conversation.tools]
    body["tool_choice"] = encoded_choice(conversation.tool_choice)
    sampling = conversation.sampling
    body["max_tokens"] = sampling.max_output_tokens
    body["temperature"] = sampling.temperature
    body["top_p"] = sampling.top_p
    body["stop_sequences"] = list(sampling.stop) or None
    body["thinking"] = _thinking(conversation)
    body["output_config"] = _output_config(conversation)
    body["stream"] = conversation.streams or None
    for key, value in conversation.extra.items():
        if key != WEB_SEARCH:  # MiMo's, which its Messages does not take
            body.setdefault(key, value)
    return {key: value for key, value in body.items() if value is not None}


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, object]]:
    """One message a turn, but results and the user's words after them share one, as Anthropic asks."""
    messages: list[dict[str, object]] = []
    previous: Role | None = None
    for turn in turns:
        blocks = [encoded_part(part) for part in turn.parts]
        if previous is Role.TOOL and turn.role is Role.USER and blocks:
            shared = messages[-1]["content"]
            messages[-1]["content"] = [*shared, *blocks] if isinstance(shared, list) else blocks
        else:
            messages.append({"role": _ROLE_NAMES[turn.role], "content": blocks})
        previous = turn.role
    return messages


def _thinking(conversation: Conversation) -> object:
    """`thinking` as the client sent it where it said more than on or off and nothing changed it since."""
    if conversation.thinking is Thinking.DEFAULT:
        return None
    sent = conversation.extra.get("thinking")
    if isinstance(sent, dict) and (sent.get("type") == "disabled") == (
        conversation.thinking is Thinking.DISABLED
    ):
        return sent
    return {"type": conversation.thinking.value}


def _output_config(conversation: Conversation) -> object:
    sent = conversation.extra.get("output_config")
    config: dict[str, object] = dict(sent) if isinstance(sent, dict) else {}
    if conversation.effort is not None:
        config["effort"] = conversation.effort
    if conversation.response_format.kind is ResponseFormatKind.JSON_SCHEMA:
        config["format"] = {"type": "json_schema", "schema": conversation.response_format.schema}
    return config or None
