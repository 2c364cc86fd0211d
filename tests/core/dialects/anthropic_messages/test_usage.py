"""Why an answer stopped and what it used, in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from service.core.dialects.anthropic_messages.usage import (
    decoded_finish,
    decoded_usage,
    stop_fields,
    usage_fields,
)
from service.core.events import Finish, FinishReason, Usage
from tests.strategies import usages

STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
TOOL_CALLS, CONTENT_FILTER = FinishReason.TOOL_CALLS, FinishReason.CONTENT_FILTER


@pytest.mark.parametrize(
    ("finish", "has_call", "has_cut_call", "reason", "sequence"),
    [
        pytest.param(Finish(STOP), False, False, "end_turn", None, id="stop"),
        pytest.param(Finish(STOP, "</a>"), False, False, "stop_sequence", "</a>", id="stop sequence"),
        pytest.param(Finish(STOP), True, False, "tool_use", None, id="a call makes it tool_use"),
        pytest.param(Finish(STOP, "</a>"), True, False, "tool_use", None, id="a call before a sequence"),
        pytest.param(Finish(TOOL_CALLS), True, False, "tool_use", None, id="calls"),
        pytest.param(Finish(TOOL_CALLS), False, False, "end_turn", None, id="calls announced, none there"),
        pytest.param(Finish(TOOL_CALLS), True, True, "max_tokens", None, id="one call of two was cut"),
        pytest.param(Finish(STOP), False, True, "max_tokens", None, id="a cut call is no stop"),
        pytest.param(Finish(LENGTH), True, False, "max_tokens", None, id="length"),
        pytest.param(Finish(CONTENT_FILTER), True, True, "refusal", None, id="content filter"),
    ],
)
def test_stop_reason(
    finish: Finish, has_call: bool, has_cut_call: bool, reason: str, sequence: str | None
) -> None:
    fields = stop_fields(finish, has_call=has_call, has_cut_call=has_cut_call)
    assert (fields["stop_reason"], fields["stop_sequence"]) == (reason, sequence)
    assert ("stop_details" in fields) == (reason == "refusal")


@pytest.mark.parametrize(
    ("stop_reason", "stop_sequence", "expected"),
    [
        ("end_turn", None, Finish(STOP)),
        ("stop_sequence", "x", Finish(STOP, "x")),
        ("stop_sequence", None, Finish(STOP)),
        ("end_turn", "x", Finish(STOP)),
        ("pause_turn", None, Finish(STOP)),
        ("tool_use", None, Finish(TOOL_CALLS)),
        ("max_tokens", None, Finish(LENGTH)),
        ("model_context_window_exceeded", None, Finish(LENGTH)),
        ("repetition_truncation", None, Finish(LENGTH)),
        ("refusal", None, Finish(CONTENT_FILTER)),
        ("content_filter", None, Finish(CONTENT_FILTER)),
        ("brand_new", None, Finish(STOP)),
        (None, None, Finish(STOP)),
    ],
)
def test_finish_of_a_stop_reason(stop_reason: object, stop_sequence: object, expected: Finish) -> None:
    assert decoded_finish(stop_reason, stop_sequence) == expected


def test_input_tokens_leave_the_cached_ones_out() -> None:
    usage = Usage(input_tokens=100, cached_tokens=80, output_tokens=20, reasoning_tokens=5)
    assert usage_fields(usage) == {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 80,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_counts_that_do_not_add_up_never_go_below_zero() -> None:
    assert usage_fields(Usage(input_tokens=10, cached_tokens=80))["input_tokens"] == 0


@given(usages())
def test_usage_survives_encoding_and_decoding(usage: Usage) -> None:
    assert decoded_usage(usage_fields(usage)) == usage


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Usage()),
        ({"input_tokens": None, "output_tokens": "7"}, Usage()),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3},
            Usage(input_tokens=6, cached_tokens=3),
        ),
    ],
    ids=["nothing", "no integers", "cache written and read"],
)
def test_usage_of_a_wire(fields: dict[str, Any], expected: Usage) -> None:
    assert decoded_usage(fields) == expected
