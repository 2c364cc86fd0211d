"""What a request's record concludes from what was filled in."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.errors import (
    AnswerUnmet,
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


UNMET = AnswerUnmet("m", param="text.format", code="response_format_unmet", answer="", remedy="")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, None, id="met"),
        pytest.param({"error": Internal()}, None, id="another failure"),
        pytest.param({"error": UNMET}, ("response_format", "not_asked"), id="shown before it was wrong"),
        pytest.param({"asked_again": "tool_choice"}, ("tool_choice", "repaired"), id="repaired"),
        pytest.param(
            {"asked_again": "response_format", "error": UNMET}, ("response_format", "failed"), id="failed"
        ),
        pytest.param(
            {"asked_again": "tool_choice", "is_cancelled": True}, ("tool_choice", "cancelled"), id="left"
        ),
    ],
)
def test_what_asking_once_more_gave(fields: dict[str, Any], expected: tuple[str, str] | None) -> None:
    assert a_record(**fields).repair == expected


def test_own_time_is_admission_and_phases_without_the_waiting() -> None:
    record = a_record(body_at_s=10.5, decoded_at_s=10.75, admit_s=0.125, queued_s=3.0)
    assert record.own_s(ended_at_s=20.0) == 0.375


def test_attempt_is_recorded_when_it_ends_and_only_then() -> None:
    record = a_record(account="one", wire="studio")
    record.end_attempt(at_s=11.0, result="ok")
    assert record.attempts == []
    assert record.begin_attempt(at_s=12.0, queued_s=0.5) == {}, "nobody sent a trace"
    record.end_attempt(at_s=14.0, result="upstream_timeout")
    record.end_attempt(at_s=15.0, result="ok")
    (attempt,) = record.attempts
    assert (attempt.account, attempt.result, attempt.duration_s) == ("one", "upstream_timeout", 2.0)
    assert record.open_attempt is None
