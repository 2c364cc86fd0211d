"""Trace context as callers send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.trace import trace_id_of

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
    assert trace_id_of(header) == trace_id


@given(st.text(max_size=80))
def test_whatever_is_sent_a_trace_is_hexadecimal_or_nothing(header: str) -> None:
    assert trace_id_of(header) in ("", header[3:35].lower())
