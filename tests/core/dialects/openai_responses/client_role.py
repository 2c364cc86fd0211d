"""The client role of the dialect, as far as tests need it: a Conversation as the body of a request."""

from __future__ import annotations

from typing import Any

import orjson

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Reasoning,
    ResponseFormatKind,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoiceMode,
    ToolResult,
)


def encode_request(conversation: Conversation) -> bytes:
    """Every part of the conversation as this dialect writes it."""
    sampling, choice, form = conversation.sampling, conversation.tool_choice, conversation.response_format
    body: dict[str, Any] = {
        "model": conversation.model,
        "stream": conversation.streams,
        "input": [item for turn in conversation.turns for item in _items(turn.role, turn.parts)],
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": tool.strict,
            }
            for tool in conversation.tools
        ],
        "tool_choice": {"type": "function", "name": choice.name}
        if choice.mode is ToolChoiceMode.NAMED
        else choice.mode.value,
        "parallel_tool_calls": choice.allows_parallel,
        "max_output_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "text": {"format": {"type": form.kind.value}},
        **conversation.extra,
    }
    if form.kind is ResponseFormatKind.JSON_SCHEMA:
        body["text"]["format"] |= {"name": form.name, "schema": form.schema, "strict": form.strict}
    if conversation.thinking is not Thinking.DEFAULT:
        body["reasoning"] = {"effort": conversation.effort}
    return orjson.dumps(body)


def _items(role: Role, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    if role in (Role.USER, Role.SYSTEM):
        return [{"role": role.value, "content": [_content(part) for part in parts]}]
    return [_item(part) for part in parts]


def _item(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            content = [{"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}]
            return {"type": "message", "role": "assistant", "status": "completed", "content": content}
        case Reasoning():
            return {
                "type": "reasoning",
                "id": part.item_id,
                "summary": [],
                "content": [{"type": "reasoning_text", "text": part.text}] if part.text else None,
                "encrypted_content": part.signature,
            }
        case ToolCall():
            return {
                "type": "function_call",
                "id": part.item_id,
                "call_id": part.call_id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolResult():
            output = [_content(inner) for inner in part.parts]
            return {"type": "function_call_output", "call_id": part.call_id, "output": output}
        case Media():
            raise AssertionError("an assistant turn holds no media here")


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    assert isinstance(part, Media)
    link = part.url or f"data:{part.mime_type};base64,{part.data}"
    match part.kind:
        case MediaKind.IMAGE:
            return {"type": "input_image", "image_url": link, "detail": part.detail}
        case MediaKind.VIDEO:
            return {"type": "input_video", "video_url": link}
        case MediaKind.AUDIO if part.url:
            return {"type": "input_audio", "audio_url": link}
        case MediaKind.AUDIO:
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": "wav"}}
        case MediaKind.FILE:
            return {
                "type": "input_file",
                "filename": part.filename,
                "file_url" if part.url else "file_data": link,
            }
