"""The grammar checker itself: a good stream passes, and each kind of damage is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.events import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.core.dialects.openai_responses.samples import HEAD, counter, request_of
from tests.grammar.openai_responses import check_stream

_EVENTS: list[Event] = [
    ReasoningDelta("Hm."),
    TextDelta("He"),
    TextDelta("llo"),
    ToolCallStart(0, "call_1", "get_weather"),
    ToolCallDelta(0, "{}"),
    ToolCallEnd(0),
    ToolCallStart(1, "call_2", "apply_patch"),
    ToolCallDelta(1, '{"input":"a"}'),
    ToolCallEnd(1),
    ToolCallStart(2, "call_3", "shell"),
    ToolCallDelta(2, '{"commands":["ls"]}'),
    ToolCallEnd(2),
    UsageReport(Usage(input_tokens=1, output_tokens=1)),
    Finish(FinishReason.TOOL_CALLS),
]
Damage = Callable[[list[dict[str, Any]]], object]


def _good() -> list[dict[str, Any]]:
    encoder = StreamEncoder(HEAD, request_of(), new_id=counter())
    return check_stream(b"".join(map(encoder.feed, _EVENTS)))


def _raw(events: list[dict[str, Any]]) -> bytes:
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events
    )


def _first(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(event for event in events if event["type"] == f"response.{name}")


def _without(name: str) -> Damage:
    return lambda events: events.remove(_first(events, name))


def test_good_stream_passes() -> None:
    assert check_stream(_raw(_good()))[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        pytest.param(_without("created"), "does not begin", id="no created"),
        pytest.param(_without("in_progress"), "does not begin", id="no in_progress"),
        pytest.param(_without("completed"), "ends with", id="no end"),
        pytest.param(lambda events: events.append(events[-1] | {}), "followed by", id="two ends"),
        pytest.param(_without("output_item.added"), "before any item", id="no added"),
        pytest.param(_without("output_item.done"), "not in order", id="no done"),
        pytest.param(_without("content_part.added"), "not in order", id="no part"),
        pytest.param(_without("output_text.delta"), "differs", id="a lost delta"),
        pytest.param(_without("reasoning_summary_text.done"), "not in order", id="no text done"),
        pytest.param(
            lambda events: _first(events, "output_text.delta").update(delta=""),
            "empty delta",
            id="an empty delta",
        ),
        pytest.param(
            lambda events: _first(events, "output_text.done").update(text="x"),
            "differs",
            id="another done text",
        ),
        pytest.param(
            lambda events: _first(events, "output_text.delta").pop("logprobs"), "fields", id="no logprobs"
        ),
        pytest.param(
            lambda events: _first(events, "output_text.delta").update(item_id="x"),
            "item_id",
            id="another item",
        ),
        pytest.param(
            lambda events: _first(events, "output_text.delta").update(output_index=0),
            "output_index",
            id="index",
        ),
        pytest.param(
            lambda events: _first(events, "output_text.delta").update(type="response.poem"),
            "unknown",
            id="type",
        ),
        pytest.param(
            lambda events: events[-1]["response"]["output"].pop(),
            "final output",
            id="an item missing at the end",
        ),
        pytest.param(
            lambda events: events[-1]["response"].update(id="x"), "id changes", id="another response"
        ),
        pytest.param(
            lambda events: events[-1]["response"].update(status="failed"), "says", id="another status"
        ),
        pytest.param(
            lambda events: events[-1]["response"].update(error={}), "response.completed", id="an error"
        ),
        pytest.param(
            lambda events: events[-1]["response"]["usage"].update(total_tokens=9),
            "usage",
            id="usage that is off",
        ),
    ],
)
def test_damage_is_found(damage: Damage, complaint: str) -> None:
    events = _good()
    damage(events)
    with pytest.raises(AssertionError, match=complaint):
        check_stream(_raw(events))


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        pytest.param(rb'"sequence_number":3,', b'"sequence_number":4,', "not in order", id="a number twice"),
        pytest.param(rb"event: response.created\n", b"", "one event line", id="no event line"),
        pytest.param(rb"event: response.created", b"event: response.x", "another type", id="another name"),
        pytest.param(rb"event: response.created", b"even: response.created", "no event line", id="typo"),
        pytest.param(rb"\ndata: ", b"\ndate: ", "no data line", id="another typo"),
        pytest.param(rb"\n\n\Z", b"\n", "blank line", id="no last blank line"),
        pytest.param(rb"(?s).*", b": ping\n\n", "no event", id="comments only"),
    ],
)
def test_damaged_frames_are_found(pattern: bytes, replacement: bytes, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_stream(re.sub(pattern, replacement, _raw(_good()), count=1))
