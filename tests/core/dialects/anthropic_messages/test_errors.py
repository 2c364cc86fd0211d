"""Every kind of error has its status, its type and words that make clients do the right thing."""

from __future__ import annotations

import anthropic
import httpx2
import orjson
import pytest
from anthropic.types import ErrorResponse

from service.core import errors
from service.core.dialects.anthropic_messages.errors import (
    STATUS,
    ThreadNotFound,
    ThreadUnsupported,
    encode_error,
)
from service.core.errors import GatewayError, Kind

EXAMPLES: dict[Kind, GatewayError] = {
    Kind.INVALID_REQUEST: errors.InvalidRequest("Field required", param="messages.0.content"),
    Kind.UNAUTHENTICATED: errors.Unauthenticated("invalid key"),
    Kind.PERMISSION_DENIED: errors.PermissionDenied("not this model"),
    Kind.NOT_FOUND: errors.NotFound("no such message"),
    Kind.METHOD_NOT_ALLOWED: errors.MethodNotAllowed("use POST"),
    Kind.CONFLICT: errors.Conflict("the name is taken"),
    Kind.MODEL_NOT_FOUND: errors.ModelNotFound("claude-x"),
    Kind.BODY_TOO_LARGE: errors.BodyTooLarge(max_bytes=9),
    Kind.CONTEXT_OVERFLOW: errors.ContextOverflow("210000 tokens > 200000 maximum"),
    Kind.CONTENT_FILTERED: errors.ContentFiltered("moderation"),
    Kind.RATE_LIMITED: errors.RateLimited("too fast", retry_after_s=2.0),
    Kind.OVERLOADED: errors.Overloaded("draining"),
    Kind.NO_ACCOUNT: errors.NoAccount("none ready"),
    Kind.UPSTREAM_RATE_LIMITED: errors.UpstreamRateLimited("upstream too fast", status=429),
    Kind.UPSTREAM_REFUSED: errors.UpstreamRefused("no image input", status=404),
    Kind.UPSTREAM_ACCOUNT: errors.UpstreamAccountError("no balance", status=402),
    Kind.UPSTREAM_UNAVAILABLE: errors.UpstreamUnavailable("reset"),
    Kind.UPSTREAM_TIMEOUT: errors.UpstreamTimeout(waited_s=30, phase="first_byte"),
    Kind.UPSTREAM_PROTOCOL: errors.UpstreamProtocolError("cut"),
    Kind.UPSTREAM_UNMET: errors.AnswerUnmet("no call", param="p", code="c", answer="", remedy=""),
    Kind.STORE_UNAVAILABLE: errors.StoreUnavailable("Redis"),
    Kind.INTERNAL: errors.Internal(),
}

# What the official SDK does is told by its exception class: it tries 429 and 5xx again, nothing else here.
EXPECTED: dict[Kind, tuple[int, str, type[anthropic.APIStatusError]]] = {
    Kind.INVALID_REQUEST: (400, "invalid_request_error", anthropic.BadRequestError),
    Kind.UNAUTHENTICATED: (401, "authentication_error", anthropic.AuthenticationError),
    Kind.PERMISSION_DENIED: (403, "permission_error", anthropic.PermissionDeniedError),
    Kind.NOT_FOUND: (404, "not_found_error", anthropic.NotFoundError),
    Kind.METHOD_NOT_ALLOWED: (405, "invalid_request_error", anthropic.APIStatusError),
    Kind.CONFLICT: (409, "invalid_request_error", anthropic.ConflictError),
    Kind.MODEL_NOT_FOUND: (404, "not_found_error", anthropic.NotFoundError),
    Kind.BODY_TOO_LARGE: (413, "request_too_large", anthropic.ContentTooLargeError),
    Kind.CONTEXT_OVERFLOW: (400, "invalid_request_error", anthropic.BadRequestError),
    Kind.CONTENT_FILTERED: (400, "invalid_request_error", anthropic.BadRequestError),
    Kind.RATE_LIMITED: (429, "rate_limit_error", anthropic.RateLimitError),
    Kind.OVERLOADED: (529, "overloaded_error", anthropic.InternalServerError),
    Kind.NO_ACCOUNT: (529, "overloaded_error", anthropic.InternalServerError),
    Kind.UPSTREAM_RATE_LIMITED: (429, "rate_limit_error", anthropic.RateLimitError),
    Kind.UPSTREAM_REFUSED: (400, "invalid_request_error", anthropic.BadRequestError),
    Kind.UPSTREAM_ACCOUNT: (502, "api_error", anthropic.InternalServerError),
    Kind.UPSTREAM_UNAVAILABLE: (502, "api_error", anthropic.InternalServerError),
    Kind.UPSTREAM_TIMEOUT: (504, "timeout_error", anthropic.InternalServerError),
    Kind.UPSTREAM_PROTOCOL: (502, "api_error", anthropic.InternalServerError),
    Kind.UPSTREAM_UNMET: (502, "api_error", anthropic.InternalServerError),
    Kind.STORE_UNAVAILABLE: (503, "api_error", anthropic.InternalServerError),
    Kind.INTERNAL: (500, "api_error", anthropic.InternalServerError),
}


def as_the_sdk_sees(error: GatewayError) -> anthropic.APIStatusError:
    status, body = encode_error(error, request_id="req_1")
    response = httpx2.Response(
        status, content=body, request=httpx2.Request("POST", "http://gateway/v1/messages")
    )
    client = anthropic.Anthropic(api_key="k", base_url="http://gateway")
    try:
        return client._make_status_error_from_response(response)
    finally:
        client.close()


def test_no_kind_is_missing() -> None:
    assert set(STATUS) == set(EXAMPLES) == set(EXPECTED) == set(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_error_of_each_kind(kind: Kind) -> None:
    status, error_type, sdk_class = EXPECTED[kind]
    seen = as_the_sdk_sees(EXAMPLES[kind])
    assert (seen.status_code, seen.body["error"]["type"]) == (status, error_type)  # type: ignore[index]
    assert isinstance(seen, sdk_class)
    assert seen.api_message


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.BODY_TOO_LARGE}))
def test_error_body_fits_the_real_types(kind: Kind) -> None:
    """`request_too_large` is documented, but its type is not among the package's."""
    status, body = encode_error(EXAMPLES[kind], request_id="req_1")
    assert ErrorResponse.model_validate_json(body).request_id == "req_1"
    assert status == STATUS[kind]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(
            EXAMPLES[Kind.INVALID_REQUEST], "messages.0.content: Field required", id="the field stands first"
        ),
        pytest.param(errors.InvalidRequest("no JSON"), "no JSON", id="no field"),
        pytest.param(
            EXAMPLES[Kind.MODEL_NOT_FOUND],
            "model: The model 'claude-x' does not exist or no account serves it.",
            id="model",
        ),
        pytest.param(
            EXAMPLES[Kind.CONTEXT_OVERFLOW],
            "prompt is too long: 210000 tokens > 200000 maximum",
            id="agents compact on these words",
        ),
        pytest.param(
            errors.ContextOverflow("Prompt is too long: 5 tokens > 4 maximum"),
            "Prompt is too long: 5 tokens > 4 maximum",
            id="the words come once",
        ),
        pytest.param(
            errors.ContextOverflow("input length and `max_tokens` exceed context limit: 3 + 2 > 4, decrease"),
            "input length and `max_tokens` exceed context limit: 3 + 2 > 4, decrease",
            id="agents ask for fewer tokens on these words",
        ),
        pytest.param(
            errors.UpstreamRefused("text is not set", param="param"),
            "text is not set",
            id="an upstream's param",
        ),
    ],
)
def test_message(error: GatewayError, message: str) -> None:
    assert as_the_sdk_sees(error).api_message == message


def test_spent_budget_stops_a_client_instead_of_making_it_wait() -> None:
    seen = as_the_sdk_sees(errors.RateLimited("The key's budget is spent.", code="insufficient_quota"))
    assert isinstance(seen, anthropic.PaymentRequiredError)
    assert seen.type == "billing_error"


def test_unsupported_thread_has_the_form_that_makes_the_sdks_go_on() -> None:
    status, body = encode_error(ThreadUnsupported(param="thread"))
    error = orjson.loads(body)["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert as_the_sdk_sees(ThreadUnsupported(param="thread")).error_code == "thread_unsupported_request"


def test_missing_thread_makes_the_sdks_replay() -> None:
    seen = as_the_sdk_sees(ThreadNotFound())
    assert (seen.status_code, seen.error_code) == (404, "thread_not_found")
