"""The client role reads what the server role writes, and what other servers write."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.dialects.anthropic_messages.stream_client import StreamDecoder
from service.core.errors import (
    GatewayError,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.events import (
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
from tests.core.dialects.anthropic_messages.answers import as_heard, encoded
from tests.grammar.events import check_events
from tests.strategies import event_streams


def heard(*chunks: bytes) -> list[Event]:
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.finish()


@settings(max_examples=50, deadline=None)
@given(event_streams())
def test_stream_survives_encoding_and_decoding(events: list[Event]) -> None:
    decoded = heard(encoded(events))
    check_events(decoded)
    assert as_heard(decoded) == as_heard(events)


@settings(max_examples=50, deadline=None)
@given(event_streams(), st.data())
def test_any_cut_of_the_input_gives_the_same_events(events: list[Event], data: st.DataObject) -> None:
    raw = encoded(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert as_heard(heard(*pieces)) == as_heard(heard(raw))


def test_byte_by_byte_gives_the_same_events() -> None:
    raw = encoded([TextDelta("é🙂\u2028"), ReasoningDelta("x"), Finish(FinishReason.STOP)])
    assert heard(*(raw[n : n + 1] for n in range(len(raw)))) == heard(raw)


# --- other servers ------------------------------------------------------------------------------------------


def frames(*items: dict[str, Any] | bytes) -> bytes:
    """Data lines without event lines: some servers send none."""
    lines = (item if isinstance(item, bytes) else orjson.dumps(item) for item in items)
    return b"".join(b"data: %b\n\n" % line for line in lines)


START = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
STOP = {"type": "message_stop"}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TOOL: dict[str, Any] = {
    "type": "content_block_start",
    "index": 1,
    "content_block": {"type": "tool_use", "id": "c", "name": "n", "input": {}},
}
END_BLOCK = {"type": "content_block_stop", "index": 0}


def delta(kind: str, **fields: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


def ending(reason: str | None, **usage: int | None) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


END, LENGTH = Finish(FinishReason.STOP), Finish(FinishReason.LENGTH)
CALL = ToolCallStart(0, "c", "n")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            frames(START, ending("end_turn", output_tokens=7, input_tokens=None), STOP),
            [UsageReport(Usage(input_tokens=5, output_tokens=7)), END],
            id="counts are laid over those of the start",
        ),
        pytest.param(
            frames(ending("end_turn"), STOP, delta("text_delta", text="late")),
            [END],
            id="nothing after the end",
        ),
        pytest.param(frames(ending("end_turn")), [END], id="no message_stop, but a reason"),
        pytest.param(frames(ending("end_turn"), STOP)[:-1], [END], id="no blank line at the end"),
        pytest.param(
            frames(TEXT, delta("text_delta", text="x")), [TextDelta("x")], id="cut off: no end is made up"
        ),
        pytest.param(frames(STOP), [END], id="message_stop alone"),
        pytest.param(
            frames({**TEXT, "content_block": {"type": "text", "text": "Hi"}}, STOP),
            [TextDelta("Hi"), END],
            id="text in the start of its block",
        ),
        pytest.param(
            frames({**TEXT, "content_block": {"type": "thinking", "thinking": "hm"}}, STOP),
            [ReasoningDelta("hm"), END],
            id="thinking in the start of its block",
        ),
        pytest.param(
            frames(
                {**TOOL, "content_block": {**TOOL["content_block"], "input": {"a": 1}}},
                END_BLOCK,
                ending("tool_use"),
                STOP,
            ),
            [CALL, ToolCallDelta(0, '{"a":1}'), ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS)],
            id="all of the input in the start of its block",
        ),
        pytest.param(
            frames(TOOL, delta("input_json_delta", partial_json=""), END_BLOCK, ending("tool_use"), STOP),
            [CALL, ToolCallDelta(0, "{}"), ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS)],
            id="a call without arguments",
        ),
        pytest.param(
            frames(
                TOOL, delta("input_json_delta", partial_json='{"a'), END_BLOCK, ending("max_tokens"), STOP
            ),
            [CALL, ToolCallDelta(0, '{"a'), LENGTH],
            id="a call that was cut off has no end",
        ),
        pytest.param(
            frames(TOOL, delta("input_json_delta", partial_json="{}"), END_BLOCK, ending("max_tokens"), STOP),
            [CALL, ToolCallDelta(0, "{}"), ToolCallEnd(0), LENGTH],
            id="a call that was whole before the cut",
        ),
        pytest.param(
            frames(TOOL, delta("input_json_delta", partial_json="[]"), END_BLOCK, ending("max_tokens"), STOP),
            [CALL, ToolCallDelta(0, "[]"), LENGTH],
            id="arguments that are no object are not whole",
        ),
        pytest.param(
            frames(
                TOOL,
                delta("input_json_delta", partial_json="{bad}"),
                END_BLOCK,
                TEXT,
                ending("max_tokens"),
                STOP,
            ),
            [CALL, ToolCallDelta(0, "{bad}"), ToolCallEnd(0), LENGTH],
            id="another block after it: the call is complete, however bad",
        ),
        pytest.param(
            frames(TOOL, TOOL, ending("tool_use"), STOP),
            [
                CALL,
                ToolCallDelta(0, "{}"),
                ToolCallEnd(0),
                ToolCallStart(1, "c", "n"),
                ToolCallDelta(1, "{}"),
                ToolCallEnd(1),
                Finish(FinishReason.TOOL_CALLS),
            ],
            id="blocks that are not closed",
        ),
        pytest.param(
            frames(
                delta("input_json_delta", partial_json="{}"),
                delta("citations_delta"),
                {"type": "new"},
                {"type": "ping"},
                STOP,
            ),
            [END],
            id="arguments of no call, unknown deltas and events",
        ),
        pytest.param(
            frames(
                {**TEXT, "content_block": {"type": "server_tool_use"}}, {"type": "content_block_delta"}, STOP
            ),
            [END],
            id="foreign blocks and frames without fields",
        ),
        pytest.param(
            frames(b"[DONE]", b"7", b"keep-alive", STOP),
            [Notice("garbage_skipped")] * 3 + [END],
            id="what is no JSON object is skipped and told",
        ),
    ],
)
def test_wire_of_another_server(raw: bytes, expected: list[Event]) -> None:
    assert heard(raw) == expected


@pytest.mark.parametrize(
    ("frame", "expected", "message"),
    [
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            UpstreamUnavailable,
            "Overloaded",
            id="overloaded",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
            UpstreamRateLimited,
            "slow",
            id="rate limit",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "authentication_error", "message": "key"}},
            UpstreamAccountError,
            "key",
            id="account",
        ),
        pytest.param(
            {"error": {"code": "400", "message": "Param Incorrect", "param": "text is not set", "type": ""}},
            UpstreamUnavailable,
            "text is not set",
            id="MiMo's form",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "invalid_request_error", "message": "x" * 900}},
            UpstreamRefused,
            "x" * 500,
            id="a long text is cut",
        ),
        pytest.param(
            {"error": "bad"}, UpstreamUnavailable, "The upstream reported an error.", id="no object"
        ),
        pytest.param(
            b'{"type":"content_block_de',
            UpstreamProtocolError,
            "The upstream sent a frame that is not valid JSON.",
            id="broken JSON",
        ),
    ],
)
def test_failure_of_the_wire(
    frame: dict[str, Any] | bytes, expected: type[GatewayError], message: str
) -> None:
    first, last = heard(frames(TEXT, delta("text_delta", text="x"), frame, STOP))
    assert first == TextDelta("x")
    assert isinstance(last, Failed)
    assert type(last.error) is expected
    assert last.error.message == message


def test_done_at_the_end_marker_and_not_before() -> None:
    decoder = StreamDecoder()
    decoder.feed(frames(ending("end_turn")))
    assert not decoder.is_done
    decoder.feed(frames(STOP))
    assert decoder.is_done
    assert decoder.finish() == []


def test_frame_left_over_after_the_end_is_not_read() -> None:
    assert heard(frames(STOP) + b"data: {}") == [END]
