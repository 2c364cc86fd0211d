"""Trace context as callers send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.trace import NO_TRACE, Trace, continued

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        pytest.param(f"00-{TRACE}-{PARENT}-01", TRACE, id="as the standard shows it"),
        pytest.param(f"00-{TRACE}-{PARENT}-00", TRACE, id="not sampled: still a trace"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01-what-comes-later", TRACE, id="a later version"),
        pytest.param(f"00-{TRACE}-{PARENT}-01-more", "", id="version 0 has no more fields"),
        pytest.param(f"ff-{TRACE}-{PARENT}-01", "", id="no such version"),
        pytest.param(f"00-{'0' * 32}-{PARENT}-01", "", id="a trace of zeros"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", "", id="a parent of zeros"),
        pytest.param(f"00-{TRACE.upper()}-{PARENT}-01", "", id="capitals"),
        pytest.param(f"00-{TRACE}-{PARENT}", "", id="no flags"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_trace_is_taken_over_where_it_can_be_believed(header: str, trace_id: str) -> None:
    assert continued(header).trace_id == trace_id


@given(st.text(max_size=80))
def test_whatever_is_sent_a_trace_is_hexadecimal_or_nothing(header: str) -> None:
    assert continued(header).trace_id in ("", header[3:35].lower())


def test_trace_that_is_only_passed_on_goes_as_it_came() -> None:
    trace = continued(f"00-{TRACE}-{PARENT}-01", "vendor=1,other=2")
    assert trace.new_span_id() == ""
    assert trace.headers("") == {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1,other=2"}
    assert trace.exemplar is None


def test_trace_of_ours_is_told_with_our_span() -> None:
    trace = Trace(trace_id=TRACE, parent_id=PARENT, span_id="a" * 16, flags="01", is_sampled=True)
    span_id = trace.new_span_id()
    assert trace.headers(span_id) == {"traceparent": f"00-{TRACE}-{span_id}-01"}
    assert (len(span_id), span_id in (PARENT, trace.span_id)) == (16, False)
    assert trace.exemplar == {"trace_id": TRACE, "span_id": "a" * 16}


def test_no_trace_has_nothing_to_tell() -> None:
    assert NO_TRACE.headers("") == {}
    assert NO_TRACE.headers("a" * 16) == {}


@pytest.mark.parametrize("state", ["x" * 513, "line\nfeed", "höflich=1"])
def test_state_that_no_header_may_hold_is_left_out(state: str) -> None:
    assert continued(f"00-{TRACE}-{PARENT}-01", state).state == ""
