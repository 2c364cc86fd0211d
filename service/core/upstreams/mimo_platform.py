"""The official platform's wire: OpenAI Chat's client role plus MiMo's own rules.

The validator there is strict (mimo-api.md 1.4 and 3), so the body is built from an allow-list; what had to
change is
told in `notes`. All three client dialects are sent as Chat: the platform's Responses lacks half of
Responses, and
what users converge on is Chat (mimo-api.md 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import orjson

from service.core.conversation import (
    Conversation,
    ResponseFormatKind,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoiceMode,
    ToolKind,
    ToolSpec,
    Turn,
)
from service.core.dialects.openai_chat.errors import decode_error
from service.core.dialects.openai_chat.request import encode_request as encode_chat
from service.core.dialects.openai_chat.response import CompletionDecoder
from service.core.dialects.openai_chat.stream import StreamDecoder
from service.core.errors import UpstreamProtocolError
from service.core.models import ModelFacts, facts_of, is_chat_model
from service.core.upstreams.instructions import (
    choice_instruction,
    custom_schema,
    format_instruction,
    object_schema,
)
from service.core.upstreams.repair import (
    refuse_unknown_media,
    split_after_calls,
    with_files_as_text,
    with_media_outside_results,
    with_text_beside_media,
)

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
MAX_STOP_SEQUENCES = 4

# The documented top-level parameters, in the order they are sent: the bytes of equal requests are equal.
CHAT_FIELDS = (
    *("model", "messages", "tools", "tool_choice", "thinking", "response_format", "max_completion_tokens"),
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop", "stream"),
)
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 1.5),
    "top_p": (0.01, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRequest:
    """What to POST to `path` under the account's base URL, and what the normaliser changed."""

    path: str
    body: bytes
    notes: tuple[str, ...] = ()


def encode_request(conversation: Conversation) -> PlatformRequest:
    """The conversation (its model already resolved) as a platform Chat request.

    Raises InvalidRequest for what no repair can bring into the wire's form (media for a text model, binary
    files).
    """
    facts = facts_of(conversation.model)
    notes: list[str] = []
    repaired = _with_instructions(_repaired(conversation, facts))
    body = encode_chat(repaired)
    body["tools"] = _tools(conversation)
    body["tool_choice"] = "auto"
    body["thinking"] = _thinking(conversation)
    body["response_format"] = _response_format(conversation)
    body["stream"] = conversation.streams
    if conversation.sampling.reports_stop:
        body["stop"] = None
    thinks = conversation.thinking is not Thinking.DISABLED
    for message in cast("list[dict[str, object]]", body["messages"]):
        _fill_assistant(message, thinks=thinks)
    _clamp(body, facts, notes)
    if not body["tools"]:
        del body["tools"], body["tool_choice"]
    notes.extend(f"{name} is not a parameter of MiMo and was left out" for name in sorted(conversation.extra))
    kept = {name: body[name] for name in CHAT_FIELDS if body.get(name) is not None}
    return PlatformRequest(path=CHAT_PATH, body=orjson.dumps(kept), notes=tuple(notes))


def _repaired(conversation: Conversation, facts: ModelFacts) -> Conversation:
    conversation = with_files_as_text(conversation)
    refuse_unknown_media(conversation, facts)
    if not facts.accepts_media_in_results:
        conversation = with_media_outside_results(conversation)
    turns = tuple(
        part for turn in conversation.turns for part in split_after_calls(with_text_beside_media(turn))
    )
    return replace(conversation, turns=_with_custom_arguments(turns))


def _with_custom_arguments(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Past calls of freeform tools, as calls of the one-string functions they are offered as."""
    if not any(call.is_custom for turn in turns for call in turn.tool_calls):
        return turns
    return tuple(
        replace(turn, parts=tuple(_as_function(p) if isinstance(p, ToolCall) else p for p in turn.parts))
        for turn in turns
    )


def _as_function(call: ToolCall) -> ToolCall:
    if not call.is_custom:
        return call
    return replace(call, arguments=orjson.dumps({"input": call.arguments}).decode(), is_custom=False)


def _with_instructions(conversation: Conversation) -> Conversation:
    """What the wire drops silently (a tool choice other than auto, a JSON schema) is said in words, at the
    end:
    there it leaves the cached prefix alone."""
    words = [format_instruction(conversation.response_format)]
    if conversation.tools and conversation.tool_choice.mode is not ToolChoiceMode.NONE:
        words.append(choice_instruction(conversation.tool_choice))
    text = "\n\n".join(filter(None, words))
    if not text:
        return conversation
    return replace(
        conversation, turns=(*conversation.turns, Turn(role=Role.SYSTEM, parts=(Text(text=text),)))
    )


def _tools(conversation: Conversation) -> list[dict[str, object]]:
    if conversation.tool_choice.mode is ToolChoiceMode.NONE:
        return []
    return [_tool(tool) for tool in conversation.tools]


def _tool(tool: ToolSpec) -> dict[str, object]:
    schema = custom_schema(tool) if tool.kind is ToolKind.CUSTOM else object_schema(tool.parameters)
    function: dict[str, object] = {"name": tool.name, "description": tool.description, "parameters": schema}
    if tool.strict is not None and tool.kind is ToolKind.FUNCTION:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _thinking(conversation: Conversation) -> dict[str, str] | None:
    if conversation.thinking is Thinking.DEFAULT:
        return None
    return {"type": str(conversation.thinking)}


def _response_format(conversation: Conversation) -> dict[str, str] | None:
    if conversation.response_format.kind is ResponseFormatKind.TEXT:
        return None
    return {"type": "json_object"}


def _fill_assistant(message: dict[str, object], *, thinks: bool) -> None:
    """The two 400s that agents meet most: null content, and a turn with calls whose reasoning was dropped."""
    if message.get("role") != "assistant":
        return
    # MiMo refuses an assistant turn with tool_calls whose content is null ("`text` is not present"): send "".
    if message.get("content") is None:
        message["content"] = ""
    if message.get("tool_calls") and thinks:
        message.setdefault("reasoning_content", "")


def _clamp(body: dict[str, object], facts: ModelFacts, notes: list[str]) -> None:
    cap = body.pop("max_completion_tokens", None) or body.pop("max_tokens", None)
    if isinstance(cap, int):
        body["max_completion_tokens"] = min(max(cap, 1), facts.max_output_tokens)
        if body["max_completion_tokens"] != cap:
            notes.append(f"max_completion_tokens {cap} became {body['max_completion_tokens']}")
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            body[name] = min(max(value, low), high)
            notes.append(f"{name} {value} became {body[name]}")
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > MAX_STOP_SEQUENCES:
        body["stop"] = stop[:MAX_STOP_SEQUENCES]
        notes.append(f"stop was cut to {MAX_STOP_SEQUENCES} sequences")


def decoder_for(conversation: Conversation) -> StreamDecoder | CompletionDecoder:
    """What reads the answer's bytes."""
    return StreamDecoder() if conversation.streams else CompletionDecoder()


def decode_models(body: bytes) -> list[str]:
    """The chat models of `GET /v1/models`; speech ids are left out. Raises UpstreamProtocolError."""
    try:
        listing = orjson.loads(body)
        ids = [entry["id"] for entry in listing["data"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise UpstreamProtocolError("The upstream's model list could not be read.") from None
    return [model for model in ids if isinstance(model, str) and is_chat_model(model)]


__all__ = [
    "CHAT_PATH",
    "MODELS_PATH",
    "PlatformRequest",
    "decode_error",
    "decode_models",
    "decoder_for",
    "encode_request",
]
