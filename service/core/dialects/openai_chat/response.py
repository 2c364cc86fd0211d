"""Whole answers: Completion -> `chat.completion` (server role), and a body -> events (client role).

Sources: openai-python 3.52 types/chat/chat_completion.py, mimo-api.md 1.5, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson

from service.core.completion import AnswerHead, CalledTool, Completion
from service.core.dialects.openai_chat.answer import (
    custom_input,
    decode_citations,
    decode_finish,
    decode_text,
    decode_usage,
    encode_citation,
    encode_usage,
    finish_notices,
    finish_word,
    is_cut,
    text_of,
)
from service.core.dialects.openai_chat.calls import CallAssembler
from service.core.dialects.openai_chat.errors import decode_error_value
from service.core.errors import UpstreamProtocolError
from service.core.events import Event, Failed, ReasoningDelta, TextDelta, UsageReport

# --- server role --------------------------------------------------------------------------------------------


def encode_completion(
    completion: Completion, head: AnswerHead, *, custom_tools: Collection[str] = ()
) -> bytes:
    """The `chat.completion` object.

    `content` is null when there are calls and no text. Calls of `custom_tools` (names) come back as custom
    calls with the raw input. An answer that was cut inside a call says `length`, and shows the call as far as
    it came.
    """
    calls = completion.tool_calls
    message: dict[str, object] = {"role": "assistant", "content": completion.text or (None if calls else "")}
    if reasoning := completion.reasoning:
        message["reasoning_content"] = reasoning
    message["refusal"] = None
    message["annotations"] = [encode_citation(citation) for citation in completion.citations]
    if calls:
        message["tool_calls"] = [_encode_call(call, custom_tools) for call in calls]
    word = finish_word(
        completion.finish.reason,
        has_calls=bool(calls),
        has_cut_call=any(not call.is_complete for call in calls),
    )
    body: dict[str, object] = {
        "id": head.answer_id,
        "object": "chat.completion",
        "created": head.created_at_s,
        "model": head.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": word}],
    }
    if completion.usage is not None:
        body["usage"] = encode_usage(completion.usage)
    return orjson.dumps(body)


def _encode_call(call: CalledTool, custom_tools: Collection[str]) -> dict[str, object]:
    if call.name in custom_tools:
        custom = {"name": call.name, "input": custom_input(call.arguments)}
        return {"id": call.call_id, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}


# --- client role --------------------------------------------------------------------------------------------


def decode_completion(body: bytes) -> list[Event]:
    """The body of a 200 that did not stream, as events ending with a Finish or a Failed.

    An error in place of an answer, HTML, an empty body and an answer without a choice are a Failed.
    """
    body = body.strip()
    if body.startswith(b"data:"):
        body = body[5:]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [Failed(UpstreamProtocolError("The upstream's answer is not JSON."))]
    if type(value) is not dict:
        return [Failed(UpstreamProtocolError("The upstream's answer is not a JSON object."))]
    if value.get("error"):
        return [Failed(decode_error_value(value["error"]))]
    choices = value.get("choices")
    choice = choices[0] if type(choices) is list and choices else None
    message = choice.get("message") if type(choice) is dict else None
    if type(choice) is not dict or type(message) is not dict:
        return [Failed(UpstreamProtocolError("The upstream's answer holds no message."))]
    return _events(message, choice.get("finish_reason"), value)


def _events(message: Mapping[str, object], word: object, body: Mapping[str, object]) -> list[Event]:
    events: list[Event] = [*decode_citations(message.get("annotations"))]  # first, as in a stream
    if reasoning := decode_text(message.get("reasoning_content") or message.get("reasoning")):
        events.append(ReasoningDelta(reasoning))
    if text := decode_text(message.get("content") or message.get("refusal")):
        events.append(TextDelta(text))
    assembler = CallAssembler()
    answer_id = text_of(body.get("id"))
    for index, call in enumerate(_calls(message)):
        assembler.delta({**call, "index": index}, events, answer_id=answer_id)
    assembler.flush(events, answer_id=answer_id, is_whole=not is_cut(word))
    events += finish_notices(word)
    usage = decode_usage(body.get("usage"))
    if usage is not None:
        events.append(UsageReport(usage))
    events.append(decode_finish(word, has_calls=assembler.count > 0))
    return events


def _calls(message: Mapping[str, object]) -> list[Mapping[str, object]]:
    calls = message.get("tool_calls")
    if type(calls) is list and calls:
        return [call for call in calls if type(call) is dict]
    legacy = message.get("function_call")
    return [{"function": legacy}] if type(legacy) is dict else []


class CompletionDecoder:
    """`decode_completion` in the shape of a `pipeline.Decoder`: collects, and gives all events at the end."""

    def __init__(self, *, max_bytes: int = 32 << 20) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._length_bytes = 0

    @property
    def is_done(self) -> bool:
        """Never: a whole answer ends where its body ends."""
        return False

    def feed(self, chunk: bytes) -> list[Event]:
        """Nothing yet. Raises UpstreamProtocolError for a body of more than `max_bytes`."""
        self._length_bytes += len(chunk)
        if self._length_bytes > self._max_bytes:
            raise UpstreamProtocolError(f"The upstream's answer is larger than {self._max_bytes} bytes.")
        self._pieces.append(chunk)
        return []

    def finish(self) -> list[Event]:
        """All events of the answer."""
        body, self._pieces = b"".join(self._pieces), []
        return decode_completion(body)
