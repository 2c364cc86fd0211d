"""What a request's record concludes from what was filled in."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.errors import (
    GatewayError,
    Internal,
    InvalidRequest,
    NoAccount,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from service.telemetry.record import RequestRecord


def a_record(**fields: Any) -> RequestRecord:
    return RequestRecord(request_id="r", route="chat", started_at_s=10.0, **fields)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (InvalidRequest("x"), "client_error"),
        (RateLimited("x"), "limited"),
        (UpstreamRateLimited("x"), "limited"),
        (UpstreamUnavailable("x"), "upstream_error"),
        (NoAccount("x"), "gateway_error"),
        (Overloaded("x"), "gateway_error"),
        (StoreUnavailable("x"), "gateway_error"),
        (Internal(), "gateway_error"),
    ],
)
def test_outcome_before_anything_was_shown(error: GatewayError | None, outcome: str) -> None:
    assert a_record(error=error).outcome == outcome
    assert a_record(error=error, streams=True).outcome == outcome
    assert a_record(error=error, is_cancelled=True).outcome == "cancelled"


def test_a_stream_that_fails_half_way_is_truncated() -> None:
    record = a_record(error=UpstreamUnavailable("x"), streams=True, first_event_at_s=11.0)
    assert record.outcome == "truncated"


def test_the_gateways_own_time_as_far_as_the_request_got() -> None:
    assert dict(a_record().overheads(ended_at_s=20.0)) == {}
    record = a_record(
        body_at_s=10.5, decoded_at_s=10.75, first_event_at_s=12.0, first_write_at_s=12.25, finished_at_s=19.5
    )
    assert dict(record.overheads(ended_at_s=20.0)) == {
        "translate_request": 0.25,
        "first_byte_out": 0.25,
        "finish": 0.5,
    }
    record.is_cancelled = True
    assert "finish" not in dict(record.overheads(ended_at_s=20.0))
