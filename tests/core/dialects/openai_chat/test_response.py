"""Whole answers in both roles."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from openai.types.chat import ChatCompletion

from service.core.completion import (
    AnswerHead,
    AnswerPart,
    AnswerReasoning,
    AnswerSearch,
    AnswerText,
    CalledTool,
    Completion,
    collect,
)
from service.core.dialects.openai_chat.response import CompletionDecoder, decode_completion, encode_completion
from service.core.errors import UpstreamProtocolError, UpstreamRateLimited
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.pipeline import AnswerSource
from tests.grammar.events import check_events
from tests.strategies import event_streams

HEAD = AnswerHead(answer_id="chatcmpl-1", model="mimo-v2.6-pro", created_at_s=1_790_000_000)
STOP, LENGTH, TOOL_CALLS = (
    Finish(FinishReason.STOP),
    Finish(FinishReason.LENGTH),
    Finish(FinishReason.TOOL_CALLS),
)
CALL = CalledTool(call_id="c1", name="f", arguments='{"a":1}')


def answer(*parts: AnswerPart, finish: Finish = STOP, **fields: Any) -> Completion:
    return Completion(parts=parts, finish=finish, usage=fields.pop("usage", None), **fields)


def body(completion: Completion, **options: Any) -> dict[str, Any]:
    raw = encode_completion(completion, HEAD, **options)
    ChatCompletion.model_validate_json(raw, strict=True)
    decoded: dict[str, Any] = orjson.loads(raw)
    return decoded


# --- server role --------------------------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2, is_estimated=True)
    assert body(answer(AnswerReasoning(text="hm"), AnswerText(text="hi\n"), usage=usage)) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "mimo-v2.6-pro",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi\n",
                    "reasoning_content": "hm",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


@pytest.mark.parametrize(
    ("completion", "content", "word"),
    [
        pytest.param(answer(AnswerText(text="a")), "a", "stop", id="text"),
        pytest.param(answer(), "", "stop", id="nothing"),
        pytest.param(answer(AnswerReasoning(text="r")), "", "stop", id="reasoning alone"),
        pytest.param(answer(CALL, finish=TOOL_CALLS), None, "tool_calls", id="a call alone"),
        pytest.param(
            answer(AnswerText(text="a"), CALL, finish=TOOL_CALLS), "a", "tool_calls", id="text and a call"
        ),
        pytest.param(answer(CALL, finish=STOP), None, "tool_calls", id="a stop after a call"),
        pytest.param(answer(AnswerText(text="a"), finish=LENGTH), "a", "length", id="cut"),
        pytest.param(
            answer(CalledTool(call_id="c", name="f", arguments="{", is_complete=False), finish=TOOL_CALLS),
            None,
            "length",
            id="cut inside a call",
        ),
    ],
)
def test_content_and_finish_reason(completion: Completion, content: str | None, word: str) -> None:
    choice = body(completion)["choices"][0]
    assert choice["message"]["content"] == content
    assert choice["finish_reason"] == word


def test_calls_and_sources() -> None:
    patch = CalledTool(call_id="c2", name="patch", arguments='{"input":"***\\n"}')
    search = AnswerSearch(sources=(Citation("https://x", "X"),))
    completion = answer(search, CALL, patch, finish=TOOL_CALLS)
    message = body(completion, custom_tools={"patch"})["choices"][0]["message"]
    assert message["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "***\n"}},
    ]
    assert message["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x", "title": "X", "start_index": 0, "end_index": 0},
        }
    ]


def test_an_answer_without_usage_has_none() -> None:
    assert "usage" not in body(answer(AnswerText(text="a")))


# --- client role --------------------------------------------------------------------------------------------


def decoded(message: Any, finish: Any = "stop", **fields: Any) -> list[Event]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return decode_completion(orjson.dumps({"id": "a1", "choices": [choice], **fields}))


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        pytest.param(
            {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": None},
            "stop",
            [ReasoningDelta("r"), TextDelta("a"), STOP],
            id="an answer of MiMo",
        ),
        pytest.param(
            {"content": "a", "reasoning": "r"},
            None,
            [ReasoningDelta("r"), TextDelta("a"), STOP],
            id="no finish",
        ),
        pytest.param({"content": None, "refusal": "No."}, "stop", [TextDelta("No."), STOP], id="a refusal"),
        pytest.param({"content": ""}, "content_filter", [Finish(FinishReason.CONTENT_FILTER)], id="filtered"),
        pytest.param(
            {"content": "a"},
            "repetition_truncation",
            [TextDelta("a"), Notice("repetition_truncated"), LENGTH],
            id="a loop that was cut",
        ),
        pytest.param(
            {
                "content": "",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "stop",
            [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), TOOL_CALLS],
            id="a call, whatever the finish",
        ),
        pytest.param(
            {"tool_calls": [{"function": {"name": "f", "arguments": ""}}, "?", {"function": {"name": "f"}}]},
            "tool_calls",
            [
                ToolCallStart(0, "call_a1_0", "f"),
                ToolCallDelta(0, "{}"),
                ToolCallEnd(0),
                ToolCallStart(1, "call_a1_1", "f"),
                ToolCallDelta(1, "{}"),
                ToolCallEnd(1),
                TOOL_CALLS,
            ],
            id="calls without ids or arguments",
        ),
        pytest.param(
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a'}}]},
            "length",
            [ToolCallStart(0, "c", "f"), ToolCallDelta(0, '{"a'), LENGTH],
            id="a call that was cut",
        ),
        pytest.param(
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            "function_call",
            [ToolCallStart(0, "call_a1_0", "f"), ToolCallDelta(0, "{}"), ToolCallEnd(0), TOOL_CALLS],
            id="the legacy call",
        ),
        pytest.param(
            {"content": "a", "annotations": [{"url": "https://x", "title": "X"}]},
            "stop",
            [Citation("https://x", "X"), TextDelta("a"), STOP],
            id="a source, first as in a stream",
        ),
    ],
)
def test_an_answer_becomes_events(message: Any, finish: Any, expected: list[Event]) -> None:
    events = decoded(message, finish)
    assert events == expected
    check_events(events)


def test_usage_stands_before_the_finish() -> None:
    assert decoded({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 2})[1:] == [
        UsageReport(Usage(input_tokens=3, output_tokens=2)),
        STOP,
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"<html>busy</html>", "not JSON", id="HTML"),
        pytest.param(b'{"choices":[', "not JSON", id="cut off"),
        pytest.param(b"[]", "not a JSON object", id="a list"),
        pytest.param(b"{}", "no message", id="no choices"),
        pytest.param(b'{"choices":[]}', "no message", id="no choice"),
        pytest.param(b'{"choices":{}}', "no message", id="choices no list"),
        pytest.param(b'{"choices":["?"]}', "no message", id="a choice no object"),
        pytest.param(b'{"choices":[{"message":null}]}', "no message", id="a message null"),
    ],
)
def test_what_is_no_answer_fails(raw: bytes, message: str) -> None:
    (failed,) = decode_completion(raw)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UpstreamProtocolError)
    assert message in str(failed.error)


@pytest.mark.parametrize("prefix", [b"", b"\n", b"data:", b"data: "])
def test_an_error_in_place_of_an_answer_fails(prefix: bytes) -> None:
    (failed,) = decode_completion(prefix + b'{"error":{"code":"429","message":"Too many requests"}}')
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UpstreamRateLimited)


@given(event_streams(can_fail=False))
def test_what_is_encoded_decodes_to_the_same_answer(events: list[Event]) -> None:
    """But for what the wire joins: all text, all reasoning, and the calls behind them."""
    sent = collect(events)
    got = collect(decode_completion(encode_completion(sent, HEAD)))
    assert (got.text, got.reasoning, got.usage) == (sent.text, sent.reasoning, sent.usage)
    assert got.citations == sent.citations
    assert got.finish.reason == sent.finish.reason
    # A call that was cut right behind its name comes back without arguments, as it was sent.
    assert [(c.call_id, c.name, c.is_complete) for c in got.tool_calls] == [
        (c.call_id, c.name, c.is_complete) for c in sent.tool_calls
    ]
    assert [c.arguments for c in got.tool_calls] == [c.arguments for c in sent.tool_calls]
    check_events(decode_completion(encode_completion(sent, HEAD)))


def test_the_decoder_collects_until_the_end() -> None:
    decoder = CompletionDecoder()
    assert decoder.feed(b'{"choices":[{"message":') == []
    assert decoder.feed(b'{"content":"a"}}]}') == []
    assert not decoder.is_done
    assert decoder.finish() == [TextDelta("a"), STOP]


def test_the_decoder_is_bounded() -> None:
    source = AnswerSource(CompletionDecoder(max_bytes=3))
    assert source.feed(b"123") == []
    (failed,) = source.feed(b"4")
    assert isinstance(failed, Failed)
    assert "larger than 3 bytes" in str(failed.error)
