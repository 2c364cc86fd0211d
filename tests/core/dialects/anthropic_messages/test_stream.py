"""The stream that the server role writes: exact frames, the grammar, and what the real package reads."""

from __future__ import annotations

import orjson
import pytest
from anthropic.types import Message
from hypothesis import given, settings

from service.core.completion import collect
from service.core.dialects.anthropic_messages.response import encode_completion
from service.core.dialects.anthropic_messages.signature import signature_of
from service.core.dialects.anthropic_messages.stream import StreamEncoder
from service.core.errors import ContextOverflow, UpstreamProtocolError
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.core.dialects.anthropic_messages.answers import (
    ESTIMATE,
    HEAD,
    accumulated,
    as_json,
    checked,
    encoded,
)
from tests.grammar.anthropic_messages import check_stream
from tests.strategies import event_streams

STOP = Finish(FinishReason.STOP)
CALL = [ToolCallStart(0, "call_1", "Read"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"), ToolCallEnd(0)]


def told(events: list[Event]) -> list[object]:
    """What the blocks of a stream say: `(type, text, text …)` a block, and at last the stop reason."""
    blocks: list[list[object]] = []
    for frame in checked(events):
        match frame["type"]:
            case "content_block_start":
                blocks.append([frame["content_block"]["type"]])
            case "content_block_delta":
                blocks[-1].append(next(value for key, value in frame["delta"].items() if key != "type"))
            case "message_delta":
                blocks.append([frame["delta"]["stop_reason"]])
            case "error":
                blocks.append(["error"])
            case _:
                pass
    return [tuple(block) for block in blocks]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([STOP], [("end_turn",)], id="empty answer"),
        pytest.param(
            [TextDelta("Good "), TextDelta("day"), STOP], [("text", "Good ", "day"), ("end_turn",)], id="text"
        ),
        pytest.param(
            [ReasoningDelta("h"), ReasoningDelta("m"), TextDelta("so"), STOP],
            [("thinking", "h", "m", signature_of("hm")), ("text", "so"), ("end_turn",)],
            id="thinking, signed before its end, then text",
        ),
        pytest.param(
            [ReasoningDelta("hm"), STOP],
            [("thinking", "hm", signature_of("hm")), ("end_turn",)],
            id="reasoning only",
        ),
        pytest.param(
            [ReasoningDelta("a"), TextDelta("x"), ReasoningDelta("b"), STOP],
            [
                ("thinking", "a", signature_of("a")),
                ("text", "x"),
                ("thinking", "b", signature_of("b")),
                ("end_turn",),
            ],
            id="each thinking block is signed for itself",
        ),
        pytest.param(
            [*CALL, Finish(FinishReason.TOOL_CALLS)],
            [("tool_use", '{"a"', ":1}"), ("tool_use",)],
            id="a call",
        ),
        pytest.param(
            [*CALL, STOP],
            [("tool_use", '{"a"', ":1}"), ("tool_use",)],
            id="a call, though the upstream said stop",
        ),
        pytest.param(
            [
                TextDelta("x"),
                *CALL,
                ToolCallStart(1, "call_2", "Read"),
                ToolCallEnd(1),
                TextDelta("y"),
                Finish(FinishReason.TOOL_CALLS),
            ],
            [("text", "x"), ("tool_use", '{"a"', ":1}"), ("tool_use",), ("text", "y"), ("tool_use",)],
            id="text, two calls, one without arguments, text",
        ),
        pytest.param(
            [*CALL[:2], Finish(FinishReason.LENGTH)],
            [("tool_use", '{"a"'), ("max_tokens",)],
            id="a call that was cut off",
        ),
        pytest.param(
            [*CALL[:2], Finish(FinishReason.TOOL_CALLS)],
            [("tool_use", '{"a"'), ("max_tokens",)],
            id="a cut call is never tool_use",
        ),
        pytest.param(
            [TextDelta("x"), Finish(FinishReason.LENGTH)], [("text", "x"), ("max_tokens",)], id="max tokens"
        ),
        pytest.param(
            [TextDelta("x"), Finish(FinishReason.CONTENT_FILTER)], [("text", "x"), ("refusal",)], id="refusal"
        ),
        pytest.param(
            [TextDelta("x"), Finish(FinishReason.STOP, "</block>")],
            [("text", "x"), ("stop_sequence",)],
            id="stop sequence",
        ),
        pytest.param(
            [TextDelta("x"), Notice("leak_removed"), TextDelta("y"), STOP],
            [("text", "x", "y"), ("end_turn",)],
            id="asides are not told and close no block",
        ),
        pytest.param([Failed(UpstreamProtocolError("cut"))], [("error",)], id="failed before the first word"),
        pytest.param(
            [TextDelta("x"), Failed(UpstreamProtocolError("cut"))],
            [("text", "x"), ("error",)],
            id="failed in a block: the error and nothing more",
        ),
    ],
)
def test_events_are_told_as(events: list[Event], expected: list[object]) -> None:
    assert told(events) == expected


def test_stop_sequence_is_named() -> None:
    frames = checked([Finish(FinishReason.STOP, "</block>")])
    assert frames[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "</block>"}


def test_exact_bytes_of_a_small_stream() -> None:
    """One line that says what a client's parser meets, blank lines and key order included."""
    raw = encoded([TextDelta('a\n"é🙂\u2028'), UsageReport(Usage(input_tokens=3, output_tokens=2)), STOP])
    assert raw.decode() == (
        "event: message_start\n"
        'data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
        '"model":"mimo-v2.6-pro","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,'
        '"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        "event: content_block_start\n"
        'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        "event: content_block_delta\n"
        'data: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"a\\n\\"é🙂\u2028"}}\n\n'
        "event: content_block_stop\n"
        'data: {"type":"content_block_stop","index":0}\n\n'
        "event: message_delta\n"
        'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        '"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}\n\n'
        "event: message_stop\n"
        'data: {"type":"message_stop"}\n\n'
    )


def test_usage_at_the_start_is_the_estimate_and_at_the_end_the_count() -> None:
    usage = Usage(input_tokens=100, cached_tokens=60, output_tokens=7, reasoning_tokens=3)
    frames = checked([TextDelta("x"), UsageReport(usage), STOP])
    assert frames[0]["message"]["usage"]["input_tokens"] == ESTIMATE
    assert frames[-2]["usage"] == {
        "input_tokens": 40,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 60,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }


def test_without_a_count_the_estimate_stands() -> None:
    assert checked([STOP])[-2]["usage"]["input_tokens"] == ESTIMATE


def test_ping_may_come_at_any_point() -> None:
    encoder = StreamEncoder(HEAD)
    pieces = [encoder.ping(), encoder.feed(TextDelta("x")), encoder.ping(), encoder.feed(STOP)]
    assert [frame["type"] for frame in check_stream(b"".join(pieces))].count("ping") == 2


def test_error_in_the_stream_has_the_dialects_words_and_the_request_id() -> None:
    frame = checked([TextDelta("x"), Failed(ContextOverflow("5 tokens > 4 maximum"))])[-1]
    assert frame == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 5 tokens > 4 maximum"},
        "request_id": "req_1",
    }


@settings(max_examples=50, deadline=None)
@given(event_streams())
def test_every_legal_stream_keeps_the_grammar(events: list[Event]) -> None:
    checked(events)


@settings(max_examples=50, deadline=None)
@given(event_streams(can_fail=False))
def test_answer_without_streaming_equals_the_accumulated_stream(events: list[Event]) -> None:
    """The real package's accumulator and its message type are the judges."""
    body = encode_completion(collect(events), HEAD, input_tokens_estimate=ESTIMATE)
    whole = as_json(Message.model_validate_json(body))
    assert accumulated(checked(events)) == whole
    assert whole["id"] == orjson.loads(body)["id"]


def test_what_follows_a_call_that_was_cut_has_a_block_of_its_own() -> None:
    encoder = StreamEncoder(HEAD)
    events: list[Event] = [CALL[0], CALL[1], ToolCallCut(0), TextDelta("a"), Finish(FinishReason.TOOL_CALLS)]
    raw = b"".join(map(encoder.feed, events)).decode()
    assert raw.index('"partial_json"') < raw.index("content_block_stop") < raw.index('"text_delta"')
    assert '"stop_reason":"max_tokens"' in raw
