"""Whole answers: Completion -> the message object (server role), and back (client role).

The message equals what a client builds from the stream of the same events: same blocks, signatures, stop
reason and usage.

Source: anthropic 2.11.0, types/message.py and types/*_block.py; read 2026-11-20."""

from __future__ import annotations

import orjson

from service.core.completion import (
    AnswerHead,
    AnswerPart,
    AnswerReasoning,
    AnswerSearch,
    AnswerText,
    CalledTool,
    Completion,
)
from service.core.dialects.anthropic_messages.blocks import input_of
from service.core.dialects.anthropic_messages.json_prefix import started_object
from service.core.dialects.anthropic_messages.search import search_call, search_result, text_citations
from service.core.dialects.anthropic_messages.signature import signature_of
from service.core.dialects.anthropic_messages.usage import (
    decoded_finish,
    decoded_usage,
    stop_fields,
    usage_fields,
)
from service.core.errors import UpstreamProtocolError
from service.core.events import Citation, FinishReason, Usage

_CUT_REASONS = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)


def encode_completion(completion: Completion, head: AnswerHead, *, input_tokens_estimate: int = 0) -> bytes:
    """The message object. A call that was cut off shows the members of its input that are whole, and makes
    the `stop_reason` `max_tokens`; a complete one whose arguments are no JSON object shows them as
    `INVALID_JSON`.

    `input_tokens_estimate` stands in when no usage came.
    """
    calls = completion.tool_calls
    shown_searches = sum(isinstance(part, AnswerSearch) for part in completion.parts)
    usage = completion.usage or Usage(input_tokens=input_tokens_estimate, is_estimated=True)
    message: dict[str, object] = {
        "id": head.answer_id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": _encoded_blocks(completion, head),
        **stop_fields(
            completion.finish,
            has_call=any(call.is_complete for call in calls),
            has_cut_call=any(not call.is_complete for call in calls),
        ),
        "usage": usage_fields(usage, shown_searches=shown_searches),
    }
    return orjson.dumps(message)


def _encoded_blocks(completion: Completion, head: AnswerHead) -> list[dict[str, object]]:
    """A search is two blocks; the first text after it cites its sources."""
    blocks: list[dict[str, object]] = []
    searches, sources = 0, list[Citation]()
    for part in completion.parts:
        if isinstance(part, AnswerSearch):
            call = search_call(head.answer_id, searches)
            blocks += (call, search_result(call, part.sources))
            sources += part.sources
            searches += 1
            continue
        block = _encoded_block(part)
        if sources and isinstance(part, AnswerText):
            block["citations"] = text_citations(sources)
            sources = []
        blocks.append(block)
    return blocks


def _encoded_block(part: AnswerText | AnswerReasoning | CalledTool) -> dict[str, object]:
    if isinstance(part, AnswerText):
        return {"type": "text", "text": part.text}
    if isinstance(part, AnswerReasoning):
        return {"type": "thinking", "thinking": part.text, "signature": signature_of(part.text)}
    call_input = input_of(part.arguments) if part.is_complete else started_object(part.arguments)
    return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": call_input}


def decode_completion(body: bytes) -> Completion:
    """The message object of a 200 that did not stream. Blocks of other types are skipped.

    A tool call that stands last in an answer cut by length or filter counts as cut off: its input may be
    less than the model meant, and nothing in this dialect tells. Raises UpstreamProtocolError for what is
    no message."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise UpstreamProtocolError("The upstream's answer is no message.")
    finish = decoded_finish(message.get("stop_reason"), message.get("stop_sequence"))
    is_cut = finish.reason in _CUT_REASONS
    blocks = [block for block in message["content"] if isinstance(block, dict)]
    parts = (
        _decoded_block(block, is_complete=not (is_cut and number == len(blocks)))
        for number, block in enumerate(blocks, start=1)
    )
    usage = message.get("usage")
    return Completion(
        parts=tuple(part for part in parts if part is not None),
        finish=finish,
        usage=decoded_usage(usage) if isinstance(usage, dict) else None,
    )


def _decoded_block(block: dict[str, object], *, is_complete: bool) -> AnswerPart | None:
    """One block; None for one that says nothing (empty text) or that we have no use for."""
    match block.get("type"):
        case "text" if text := _text(block, "text"):
            return AnswerText(text=text)
        case "thinking" if text := _text(block, "thinking"):
            return AnswerReasoning(text=text)
        case "tool_use":
            return CalledTool(
                call_id=_text(block, "id"),
                name=_text(block, "name"),
                arguments=orjson.dumps(block.get("input") or {}).decode(),
                is_complete=is_complete,
            )
        case _:
            return None


def _text(block: dict[str, object], key: str) -> str:
    value = block.get(key)
    return value if isinstance(value, str) else ""
