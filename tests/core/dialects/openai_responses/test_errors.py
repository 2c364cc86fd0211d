"""Failures in OpenAI's words."""

from __future__ import annotations

import orjson
import pytest
from openai.types.responses import ResponseErrorEvent

from service.core.dialects.openai_responses.errors import (
    STATUS,
    encode_error,
    encode_error_event,
    response_error,
)
from service.core.errors import (
    AnswerUnmet,
    BodyTooLarge,
    Conflict,
    ContentFiltered,
    ContextOverflow,
    GatewayError,
    Internal,
    InvalidRequest,
    Kind,
    MethodNotAllowed,
    ModelNotFound,
    NoAccount,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tests.grammar.openai_responses import check_stream


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(Kind)


_CASES = [
    (InvalidRequest("m", param="input[0]", code="invalid_type"), 400, "invalid_type", "invalid_prompt"),
    (Unauthenticated("m"), 401, "invalid_api_key", "invalid_prompt"),
    (PermissionDenied("m"), 403, "permission_denied", "invalid_prompt"),
    (Conflict("m"), 409, "conflict", "invalid_prompt"),
    (NotFound("m"), 404, "not_found", "invalid_prompt"),
    (MethodNotAllowed("m"), 405, "method_not_allowed", "invalid_prompt"),
    (ModelNotFound("gpt"), 404, "model_not_found", "invalid_prompt"),
    (BodyTooLarge(max_bytes=9), 413, "body_too_large", "invalid_prompt"),
    (ContextOverflow("m"), 400, "context_length_exceeded", "context_length_exceeded"),
    (ContentFiltered("m"), 400, "content_filter", "invalid_prompt"),
    (RateLimited("m"), 429, "rate_limit_exceeded", "rate_limit_exceeded"),
    (RateLimited("m", code="insufficient_quota"), 429, "insufficient_quota", "insufficient_quota"),
    (Overloaded("m"), 503, "overloaded", "server_error"),
    (NoAccount("m"), 503, "no_account_available", "server_error"),
    (UpstreamRateLimited("m"), 429, "upstream_rate_limit_exceeded", "rate_limit_exceeded"),
    (UpstreamRefused("m"), 400, "upstream_refused", "invalid_prompt"),
    (UpstreamAccountError("m"), 502, "upstream_account_error", "server_error"),
    (UpstreamUnavailable("m"), 502, "upstream_unavailable", "server_error"),
    (UpstreamTimeout(waited_s=1, phase="idle"), 504, "upstream_timeout", "server_error"),
    (UpstreamProtocolError("m"), 502, "upstream_protocol_error", "server_error"),
    (AnswerUnmet("m", param="p", code="c", answer="", remedy=""), 502, "c", "server_error"),
    (StoreUnavailable("m"), 503, "store_unavailable", "server_error"),
    (Internal(), 500, "internal_error", "server_error"),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "stream_code"), _CASES, ids=[f"{case[0].kind}-{case[2]}" for case in _CASES]
)
def test_error(error: GatewayError, status: int, code: str, stream_code: str) -> None:
    shown_status, body = encode_error(error)
    shown = orjson.loads(body)["error"]
    assert set(shown) == {"message", "type", "param", "code"}
    assert (shown_status, shown["code"], shown["param"]) == (status, code, error.param)
    assert shown["message"] == error.message
    assert response_error(error) == {"code": stream_code, "message": error.message}


def test_cases_miss_no_kind() -> None:
    assert {case[0].kind for case in _CASES} == set(Kind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("m"), "invalid_request_error"),
        (PermissionDenied("m"), "permission_error"),
        (RateLimited("m"), "rate_limit_error"),
        (RateLimited("m", code="insufficient_quota"), "insufficient_quota"),
        (Internal(), "server_error"),
    ],
)
def test_type(error: GatewayError, kind: str) -> None:
    assert orjson.loads(encode_error(error)[1])["error"]["type"] == kind


def test_known_wait_stands_in_the_message_of_a_failed_response() -> None:
    for message in ("Too many requests.", "Too many requests"):
        shown = response_error(RateLimited(message, retry_after_s=11.0539))
        assert shown["message"] == "Too many requests. Please try again in 11.054s."


def test_error_event_is_a_stream_of_its_own() -> None:
    raw = encode_error_event(StoreUnavailable("Redis is away."), sequence_number=0)
    (event,) = check_stream(raw)
    assert ResponseErrorEvent.model_validate(event).message == "Redis is away."
    assert event["code"] == "server_error"


def test_error_event_carries_the_errors_own_code() -> None:
    raw = encode_error_event(InvalidRequest("m", param="p", code="c"), sequence_number=7)
    (event,) = check_stream(raw, first_number=7)
    assert (event["code"], event["param"]) == ("c", "p")
