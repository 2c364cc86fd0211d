"""The grammar checker sees each breach it is there for: every mutation of a good stream is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from service.core.events import (
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tests.core.dialects.anthropic_messages.answers import encoded
from tests.grammar.anthropic_messages import Frame, check_stream

GOOD = check_stream(
    encoded(
        [
            ReasoningDelta("hm"),
            TextDelta("x"),
            ToolCallStart(0, "c", "n"),
            ToolCallDelta(0, "{}"),
            ToolCallEnd(0),
            Finish(FinishReason.TOOL_CALLS),
        ]
    )
)
# 0 message_start; thinking: 1 start 2 delta 3 signature 4 stop; text: 5 start 6 delta 7 stop;
# tool_use: 8 start 9 delta 10 stop; 11 message_delta 12 message_stop
ERROR = {"type": "error", "error": {"type": "api_error", "message": "m"}}


def raw(frames: list[Frame]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (frame["type"].encode(), orjson.dumps(frame)) for frame in frames
    )


def put(path: str, value: object) -> Callable[[list[Frame]], object]:
    """A mutation: the field at `path` ("6.delta.text") gets another value."""

    def mutate(frames: list[Frame]) -> None:
        *keys, last = path.split(".")
        target: Any = frames
        for key in keys:
            target = target[int(key) if isinstance(target, list) else key]
        target[last] = value

    return mutate


def test_good_stream_passes_and_comes_back_whole() -> None:
    assert check_stream(b": keep-alive\n\n" + raw([{"type": "ping"}, *GOOD])) == [{"type": "ping"}, *GOOD]


@pytest.mark.parametrize(
    ("mutate", "breach"),
    [
        pytest.param(lambda f: f.pop(12), "without message_stop", id="no end"),
        pytest.param(lambda f: f.append({"type": "ping"}), "after the end", id="a frame after the end"),
        pytest.param(lambda f: f.insert(0, f.pop(1)), "before message_start", id="a block first"),
        pytest.param(lambda f: f.insert(1, f[0]), "a second message_start", id="two starts"),
        pytest.param(lambda f: f.pop(4), "while another is open", id="two blocks open"),
        pytest.param(lambda f: f.pop(10), "while a block is open", id="end with a block open"),
        pytest.param(lambda f: f.pop(3), "without a signature", id="thinking unsigned"),
        pytest.param(lambda f: f.insert(4, f[2]), "after the signature", id="thinking after its signature"),
        pytest.param(lambda f: f.pop(5), "no block is open", id="a delta of no block"),
        pytest.param(lambda f: f.pop(11), "without message_delta", id="no message_delta"),
        pytest.param(lambda f: f.insert(12, f[11]), "after message_delta", id="two message_deltas"),
        pytest.param(lambda f: f.insert(3, {"type": "new"}), "not of this dialect", id="an unknown event"),
        pytest.param(lambda f: f.insert(3, {"type": "ping", "x": 1}), "a ping with fields", id="a fat ping"),
        pytest.param(lambda f: f.insert(8, {**f[8]}), "while another", id="the call opened twice"),
        pytest.param(put("0.message.content", [1]), "message_start says", id="content at the start"),
        pytest.param(put("0.message.id", ""), "id is empty", id="no id"),
        pytest.param(put("0.message.usage", {}), "usage.input_tokens", id="no usage"),
        pytest.param(put("11.usage", {"input_tokens": -1}), "usage.input_tokens is -1", id="negative usage"),
        pytest.param(put("5.index", 2), "index 2 instead of 1", id="an index left out"),
        pytest.param(put("6.index", 0), "not the open block's", id="a delta of another block"),
        pytest.param(put("6.delta.text", ""), "an empty text_delta", id="an empty delta"),
        pytest.param(
            put("6.delta", {"type": "thinking_delta", "thinking": "x"}), "in a text block", id="a wrong delta"
        ),
        pytest.param(put("6.delta.x", 1), "fields", id="an unknown field in a delta"),
        pytest.param(put("5.content_block.text", "x"), "start empty", id="text in the start"),
        pytest.param(put("8.content_block.input", {"a": 1}), "start empty", id="input in the start"),
        pytest.param(put("8.content_block.x", 1), "fields", id="an unknown field in a block"),
        pytest.param(put("5.content_block.type", "image"), "block type", id="an unknown block"),
        pytest.param(put("9.delta.partial_json", "{"), "not JSON", id="arguments cut in a whole answer"),
        pytest.param(put("9.delta.partial_json", "[]"), "no object", id="arguments that are a list"),
        pytest.param(put("10.x", 1), "fields", id="an unknown field in a stop"),
        pytest.param(
            put("11.delta.stop_reason", "end_turn"), "end_turn with 1 calls", id="calls and end_turn"
        ),
        pytest.param(put("11.delta.stop_reason", "stop"), "stop_reason 'stop'", id="OpenAI's reason"),
        pytest.param(put("11.delta.stop_sequence", "x"), "with sequence", id="a sequence without the reason"),
        pytest.param(lambda f: f.append(ERROR), "after the end", id="an error after the end"),
        pytest.param(
            lambda f: f.insert(3, {**ERROR, "error": {"type": "x", "message": "m"}}),
            "unknown error type",
            id="an unknown error",
        ),
    ],
)
def test_breach_is_seen(mutate: Callable[[list[Frame]], object], breach: str) -> None:
    frames = copy.deepcopy(GOOD)
    mutate(frames)
    with pytest.raises(AssertionError, match=breach):
        check_stream(raw(frames))


@pytest.mark.parametrize("count", range(len(GOOD)))
def test_error_may_cut_the_stream_anywhere(count: int) -> None:
    assert check_stream(raw([*GOOD[:count], ERROR]))[-1] == ERROR


@pytest.mark.parametrize(
    ("text", "breach"),
    [
        pytest.param(b"", "blank line", id="nothing"),
        pytest.param(b"event: ping\ndata: {}", "blank line", id="no blank line"),
        pytest.param(b'data: {"type":"ping"}\n\n', "event line", id="no event line"),
        pytest.param(b'event: ping\ndata: {"type":"error"}\n\n', "event 'ping'", id="names that differ"),
        pytest.param(b"event: ping\ndata: []\n\n", "no object", id="no object"),
    ],
)
def test_framing_is_checked(text: bytes, breach: str) -> None:
    with pytest.raises(AssertionError, match=breach):
        check_stream(text)
