"""Messages <-> turns.

Roles: `developer` and `system` become SYSTEM, `tool` and the legacy `function` become TOOL; tool messages in
a row are one turn. An assistant message's reasoning comes first, then its text, then its calls: Chat has no
other order. Reasoning is read under each name clients send it back with (mimo-api.md 2.4) and written as
`reasoning_content`. Unknown fields of a message are ignored: SDKs give answers back with all they held.
Source: openai-python 3.52 types/chat, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from service.core.conversation import Media, Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn
from service.core.dialects.openai_chat.parts import (
    ALL_PARTS,
    ASSISTANT_PARTS,
    TEXT_PARTS,
    decode_content,
    encode_content,
)
from service.core.errors import InvalidRequest
from service.core.json_body import (
    missing,
    optional_array,
    optional_object,
    optional_string,
    required_object,
    required_string,
    wrong_type,
    wrong_value,
)

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")


# --- server role --------------------------------------------------------------------------------------------


def decode_messages(messages: list[object]) -> tuple[Turn, ...]:
    """All turns, in order. Raises InvalidRequest naming the first field at fault. Linear."""
    if not messages:
        raise InvalidRequest(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
            param="messages",
            code="empty_array",
        )
    turns: list[Turn] = []
    results: list[Part] = []
    legacy_id = ""
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if type(message) is not dict:
            raise wrong_type(message, at, "an object")
        role = message.get("role")
        if role == "tool":
            results.append(_decode_result(message, at))
            continue
        if role == "function":
            results.append(_decode_legacy_result(message, at, legacy_id or f"call_{index}"))
            continue
        if results:
            turns.append(Turn(role=Role.TOOL, parts=tuple(results)))
            results = []
        if role == "assistant":
            legacy_id = f"call_{index}"
            turns.append(_decode_assistant(message, at, legacy_id))
        else:
            turns.append(_decode_said(message, at))
    if results:
        turns.append(Turn(role=Role.TOOL, parts=tuple(results)))
    return tuple(turns)


def _decode_said(message: Mapping[str, object], at: str) -> Turn:
    """A message of the system or the user."""
    match message.get("role"):
        case "user":
            role, known = Role.USER, ALL_PARTS
        case "system" | "developer":
            role, known = Role.SYSTEM, TEXT_PARTS
        case _:
            raise wrong_value(required_string(message, "role", at), f"{at}.role", _ROLES)
    return Turn(
        role=role,
        parts=decode_content(_content(message, at), f"{at}.content", known),
        name=optional_string(message, "name", at),
    )


def _content(message: Mapping[str, object], at: str) -> object:
    """The content of a message that must have one; null is an empty one. OpenAI refuses that; but a tool that
    gave nothing and an answer that was empty come back so, and would break the conversation for good."""
    if "content" not in message:
        raise missing(f"{at}.content")
    return message["content"] or ""


def _decode_assistant(message: Mapping[str, object], at: str, legacy_id: str) -> Turn:
    parts: list[Part] = []
    reasoning = _reasoning(message, at)
    if reasoning:
        parts.append(Reasoning(text=reasoning))
    content = message.get("content")
    if content is not None:
        parts += decode_content(content, f"{at}.content", ASSISTANT_PARTS)
    refusal = optional_string(message, "refusal", at)
    if refusal:
        parts.append(Text(text=refusal))
    calls = optional_array(message, "tool_calls", at) or ()
    parts += [_decode_call(call, f"{at}.tool_calls[{index}]") for index, call in enumerate(calls)]
    legacy = optional_object(message, "function_call", at)
    if legacy is not None and not calls:
        parts.append(_function_call(legacy, f"{at}.function_call", legacy_id))
    audio = optional_object(message, "audio", at)
    if content is None and audio is not None:
        parts.append(_spoken(audio, f"{at}.audio"))
    if "content" not in message and not parts:
        raise missing(f"{at}.content")
    return Turn(role=Role.ASSISTANT, parts=tuple(parts), name=optional_string(message, "name", at))


def _spoken(audio: Mapping[str, object], at: str) -> Text:
    """What an answer in sound said: its transcript. Sound is not kept, so that its id alone tells nothing."""
    transcript = optional_string(audio, "transcript", at)
    if not transcript:
        raise InvalidRequest(
            f"Invalid '{at}': the sound of earlier answers is not kept. Send its transcript as content.",
            param=at,
            code="unsupported_value",
        )
    return Text(text=transcript)


def _reasoning(message: Mapping[str, object], at: str) -> str:
    """The thinking an assistant message carries; "" when it carries none.

    `reasoning_content` is MiMo's own name and is checked; the other names belong to other vendors, and what
    is no text under them is left alone.
    """
    own = optional_string(message, "reasoning_content", at)
    if own:
        return own
    other = message.get("reasoning")
    if type(other) is str and other:
        return other
    details = message.get("reasoning_details")
    if type(details) is not list:
        return ""
    texts = [detail.get("text") for detail in details if type(detail) is dict]
    return "".join(text for text in texts if type(text) is str)


def _decode_call(call: object, at: str) -> ToolCall:
    if type(call) is not dict:
        raise wrong_type(call, at, "an object")
    call_id = required_string(call, "id", at)
    kind = call.get("type", "function")
    if kind == "function":
        return _function_call(required_object(call, "function", at), f"{at}.function", call_id)
    if kind != "custom":
        raise wrong_value(kind, f"{at}.type", ("function", "custom"))
    custom, where = required_object(call, "custom", at), f"{at}.custom"
    return ToolCall(
        call_id=call_id,
        name=required_string(custom, "name", where),
        arguments=required_string(custom, "input", where),
        is_custom=True,
    )


def _function_call(function: Mapping[str, object], at: str, call_id: str) -> ToolCall:
    """`arguments` should be JSON text; an object, as some frameworks rebuild it, is written as text."""
    arguments = function.get("arguments")
    if arguments is None:
        arguments = "{}"
    elif type(arguments) is dict:
        arguments = orjson.dumps(arguments).decode()
    elif type(arguments) is not str:
        raise wrong_type(arguments, f"{at}.arguments", "a string")
    return ToolCall(call_id=call_id, name=required_string(function, "name", at), arguments=arguments)


def _decode_result(message: Mapping[str, object], at: str) -> ToolResult:
    return ToolResult(
        call_id=required_string(message, "tool_call_id", at),
        parts=decode_content(_content(message, at), f"{at}.content", ALL_PARTS),
        name=optional_string(message, "name", at),
    )


def _decode_legacy_result(message: Mapping[str, object], at: str, call_id: str) -> ToolResult:
    """A `function` message answers the assistant message before it; it has no id, and its content may be
    null."""
    return ToolResult(
        call_id=call_id,
        parts=decode_content(message.get("content") or "", f"{at}.content", ALL_PARTS),
        name=required_string(message, "name", at),
    )


# --- client role --------------------------------------------------------------------------------------------


def encode_turns(turns: Iterable[Turn]) -> list[dict[str, object]]:
    """The messages, keys always in the same order. A TOOL turn becomes one message a result."""
    messages: list[dict[str, object]] = []
    for turn in turns:
        messages += _encode_turn(turn)
    return messages


def _encode_turn(turn: Turn) -> list[dict[str, object]]:
    if turn.role is Role.TOOL:
        return [
            {"role": "tool", "tool_call_id": part.call_id, "content": encode_content(part.parts)}
            for part in turn.parts
            if isinstance(part, ToolResult)
        ]
    message: dict[str, object] = {"role": str(turn.role)}
    if turn.name is not None:
        message["name"] = turn.name
    said = [part for part in turn.parts if isinstance(part, Text | Media)]
    message["content"] = encode_content(said)
    if turn.role is Role.ASSISTANT:
        _add_reasoning_and_calls(message, turn, has_text=bool(said))
    return [message]


def _add_reasoning_and_calls(message: dict[str, object], turn: Turn, *, has_text: bool) -> None:
    if reasoning := turn.reasoning:
        message["reasoning_content"] = reasoning
    if calls := turn.tool_calls:
        if not has_text:
            message["content"] = None
        message["tool_calls"] = [_encode_call(call) for call in calls]


def _encode_call(call: ToolCall) -> dict[str, object]:
    if call.is_custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.call_id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}
