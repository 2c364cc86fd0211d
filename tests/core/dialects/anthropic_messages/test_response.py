"""Whole answers, both roles."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from service.core.completion import (
    AnswerPart,
    AnswerReasoning,
    AnswerText,
    CalledTool,
    Completion,
    collect,
)
from service.core.dialects.anthropic_messages.response import decode_completion, encode_completion
from service.core.dialects.anthropic_messages.signature import signature_of
from service.core.errors import UpstreamProtocolError
from service.core.events import Event, Finish, FinishReason, Usage
from tests.core.dialects.anthropic_messages.answers import ESTIMATE, HEAD
from tests.strategies import event_streams

STOP = Finish(FinishReason.STOP)


def message(*parts: AnswerPart, finish: Finish = STOP, usage: Usage | None = None) -> dict[str, Any]:
    completion = Completion(parts=parts, finish=finish, usage=usage)
    decoded: dict[str, Any] = orjson.loads(
        encode_completion(completion, HEAD, input_tokens_estimate=ESTIMATE)
    )
    return decoded


def test_message_object() -> None:
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5)
    call = CalledTool(call_id="call_1", name="Read", arguments='{"path": "a"}')
    parts = (AnswerReasoning(text="hm"), AnswerText(text="Looking."), call)
    assert message(*parts, finish=Finish(FinishReason.TOOL_CALLS), usage=usage) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "mimo-v2.6-pro",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": signature_of("hm")},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"path": "a"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
            "output_tokens": 5,
        },
    }


def test_empty_answer_is_legal() -> None:
    empty = message()
    assert (empty["content"], empty["stop_reason"]) == ([], "end_turn")
    assert empty["usage"]["input_tokens"] == ESTIMATE


@pytest.mark.parametrize(
    ("arguments", "is_complete", "call_input", "stop_reason"),
    [
        pytest.param('{"a":1}', True, {"a": 1}, "tool_use", id="complete"),
        pytest.param("", True, {}, "tool_use", id="no arguments at all"),
        pytest.param('{"a":1,"b":"x', False, {"a": 1}, "max_tokens", id="cut: what is whole is shown"),
        pytest.param("", False, {}, "max_tokens", id="cut before the arguments"),
        pytest.param('{"a":1', True, {"INVALID_JSON": '{"a":1'}, "tool_use", id="complete but no JSON"),
    ],
)
def test_call(arguments: str, is_complete: bool, call_input: object, stop_reason: str) -> None:
    call = CalledTool(call_id="c", name="n", arguments=arguments, is_complete=is_complete)
    answer = message(call, finish=Finish(FinishReason.TOOL_CALLS))
    assert (answer["content"][0]["input"], answer["stop_reason"]) == (call_input, stop_reason)


# --- the client role ----------------------------------------------------------------------------------------


def as_a_client_may_know(completion: Completion) -> Completion:
    """A call that stands last in a cut answer counts as cut, its arguments as they could be shown."""
    usage = completion.usage or Usage(input_tokens=ESTIMATE)
    parts = list(completion.parts)
    if parts and isinstance(last := parts[-1], CalledTool) and completion.finish.reason in CUT:
        shown = decode_completion(encode_completion(completion, HEAD)).tool_calls[-1].arguments
        parts[-1] = CalledTool(call_id=last.call_id, name=last.name, arguments=shown, is_complete=False)
    return Completion(parts=tuple(parts), finish=completion.finish, usage=usage)


CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)


@settings(max_examples=50, deadline=None)
@given(event_streams(can_fail=False, has_asides=False))
def test_answer_survives_encoding_and_decoding(events: list[Event]) -> None:
    completion = collect(events)
    body = encode_completion(completion, HEAD, input_tokens_estimate=ESTIMATE)
    assert decode_completion(body) == as_a_client_may_know(completion)


def test_mimos_answer_without_some_fields() -> None:
    """MiMo's own example, whose usage knows no cache and whose blocks no signature; read 2026-11-20."""
    body = {
        "id": "b966",
        "type": "message",
        "role": "assistant",
        "model": "mimo-v2.5-pro",
        "stop_reason": "repetition_truncation",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Hello!"},
            {"type": "tool_use", "id": "c", "name": "n", "input": None},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": ""},
            {"type": "text", "text": None},
        ],
        "usage": {"input_tokens": 57, "output_tokens": 54, "cache_read_input_tokens": None},
    }
    assert decode_completion(orjson.dumps(body)) == Completion(
        parts=(
            AnswerReasoning(text="hm"),
            AnswerText(text="Hello!"),
            CalledTool(call_id="c", name="n", arguments="{}"),
        ),
        finish=Finish(FinishReason.LENGTH),
        usage=Usage(input_tokens=57, output_tokens=54),
    )


def test_no_usage_is_no_usage() -> None:
    assert decode_completion(b'{"content":[7],"stop_reason":null}').usage is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":{}}', b'{"content":"text"}'], ids=repr)
def test_what_is_no_message_is_a_broken_wire(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        decode_completion(body)
