"""Errors in both roles: the envelope a client gets, and what an upstream's odd bodies mean."""

from __future__ import annotations

import orjson
import pytest

from service.core.dialects.openai_chat.errors import STATUS, decode_error, decode_error_value, encode_error
from service.core.errors import (
    AnswerUnmet,
    BodyTooLarge,
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
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)

# --- server role --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (InvalidRequest("x", param="messages[0]"), 400, "invalid_request_error", None),
        (
            InvalidRequest("x", param="n", code="unsupported_value"),
            400,
            "invalid_request_error",
            "unsupported_value",
        ),
        (Unauthenticated("x"), 401, "invalid_request_error", "invalid_api_key"),
        (PermissionDenied("x"), 403, "permission_error", "permission_denied"),
        (NotFound("x"), 404, "invalid_request_error", "not_found"),
        (MethodNotAllowed("x"), 405, "invalid_request_error", "method_not_allowed"),
        (ModelNotFound("gpt"), 404, "invalid_request_error", "model_not_found"),
        (BodyTooLarge(max_bytes=5), 413, "invalid_request_error", "body_too_large"),
        (ContextOverflow("x"), 400, "invalid_request_error", "context_length_exceeded"),
        (ContentFiltered("x"), 400, "invalid_request_error", "content_filter"),
        (RateLimited("x"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (UpstreamRateLimited("x"), 429, "rate_limit_error", "upstream_rate_limit_exceeded"),
        (UpstreamRefused("x", status=404), 400, "invalid_request_error", "upstream_refused"),
        (Overloaded("x"), 503, "server_error", "overloaded"),
        (NoAccount("x"), 503, "server_error", "no_account_available"),
        (StoreUnavailable("x"), 503, "server_error", "store_unavailable"),
        (UpstreamAccountError("x", status=401), 502, "server_error", "upstream_account_error"),
        (UpstreamUnavailable("x"), 502, "server_error", "upstream_unavailable"),
        (UpstreamProtocolError("x"), 502, "server_error", "upstream_protocol_error"),
        (AnswerUnmet("x", param="p", code="c", answer="", remedy=""), 502, "server_error", "c"),
        (UpstreamTimeout(waited_s=30, phase="idle"), 504, "server_error", "upstream_timeout"),
        (Internal(), 500, "server_error", "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else None,
)
def test_the_envelope(error: GatewayError, status: int, kind: str, code: str | None) -> None:
    got_status, body = encode_error(error)
    assert got_status == status
    assert orjson.loads(body) == {
        "error": {"message": error.message, "type": kind, "param": error.param, "code": code}
    }


def test_every_kind_has_its_row() -> None:
    assert set(STATUS) == set(Kind)


# --- client role --------------------------------------------------------------------------------------------


def mimo(code: str, message: str, param: str = "", kind: str = "") -> bytes:
    """The body as the field reports show it (mimo-api.md 1.9)."""
    return orjson.dumps({"error": {"code": code, "message": message, "param": param, "type": kind}})


@pytest.mark.parametrize(
    ("status", "body", "expected", "code"),
    [
        pytest.param(
            400, mimo("400", "Param Incorrect", "`text` is not set"), UpstreamRefused, None, id="400"
        ),
        pytest.param(
            400,
            mimo(
                "400",
                "Param Incorrect",
                "The reasoning_content in the thinking mode must be passed back to the API.",
            ),
            UpstreamRefused,
            "reasoning_not_passed_back",
            id="400 reasoning dropped",
        ),
        pytest.param(
            400,
            mimo("400", "Param Incorrect", "web search is not enabled for this account"),
            UpstreamRefused,
            "web_search_unavailable",
            id="400 search switched off",
        ),
        pytest.param(
            400,
            mimo("400", "Connection refused: finishConnect(..): inner-host/10.0.0.1:80"),
            UpstreamUnavailable,
            None,
            id="400 that is an outage",
        ),
        pytest.param(
            400, mimo("400", "Upstream request failed"), UpstreamUnavailable, None, id="400 passed on"
        ),
        pytest.param(400, mimo("400", "Read timed out"), UpstreamUnavailable, None, id="400 timed out"),
        pytest.param(
            400,
            mimo("400", "Request blocked by risk control"),
            UpstreamAccountError,
            None,
            id="400 risk control",
        ),
        pytest.param(
            400,
            mimo("400", "Param Incorrect", "This model's maximum context length is 1048576 tokens"),
            ContextOverflow,
            None,
            id="400 too long",
        ),
        pytest.param(
            400, mimo("400", "The prompt is too long"), ContextOverflow, None, id="400 too long, shorter"
        ),
        pytest.param(
            400, mimo("context_length_exceeded", "no"), ContextOverflow, None, id="400 too long, by its code"
        ),
        pytest.param(
            400, mimo("400", "Blocked by content moderation"), ContentFiltered, None, id="400 moderation"
        ),
        pytest.param(
            400, mimo("400", "Param Incorrect", "temperature"), UpstreamRefused, None, id="400 naming a field"
        ),
        pytest.param(401, mimo("401", "Invalid API Key"), UpstreamAccountError, None, id="401"),
        pytest.param(
            402,
            mimo("402", "Upstream request failed: Insufficient account funds"),
            UpstreamAccountError,
            None,
            id="402",
        ),
        pytest.param(
            403, mimo("403", "Illegal access", kind="illegal_access"), UpstreamAccountError, None, id="403"
        ),
        pytest.param(451, b"", UpstreamAccountError, None, id="451"),
        pytest.param(461, b"", UpstreamAccountError, None, id="461"),
        pytest.param(
            404,
            mimo("404", "No endpoints found that support image input"),
            UpstreamRefused,
            "unsupported_media",
            id="404 no pictures",
        ),
        pytest.param(
            404,
            mimo("404", "Unsupported model mimo-v2-pro"),
            UpstreamRefused,
            "model_not_found",
            id="404 model",
        ),
        pytest.param(404, b"404 page not found", UpstreamRefused, None, id="404 endpoint"),
        pytest.param(413, b"", UpstreamRefused, None, id="413"),
        pytest.param(421, mimo("421", "The request was rejected"), ContentFiltered, None, id="421"),
        pytest.param(
            429, mimo("429", "Too many requests", kind="limitation"), UpstreamRateLimited, None, id="429"
        ),
        pytest.param(500, mimo("500", "Internal error"), UpstreamUnavailable, None, id="500"),
        pytest.param(502, b"<html><h1>502</h1></html>", UpstreamUnavailable, None, id="502 HTML"),
        pytest.param(503, b"", UpstreamUnavailable, None, id="503 empty"),
        pytest.param(408, b"", UpstreamUnavailable, None, id="408"),
        pytest.param(302, b"", UpstreamProtocolError, None, id="302"),
    ],
)
def test_a_status_and_its_text(
    status: int, body: bytes, expected: type[GatewayError], code: str | None
) -> None:
    error = decode_error(status, body)
    assert type(error) is expected
    assert error.code == code
    if isinstance(error, UpstreamError):
        assert error.status == status
    assert decode_error(status, b"data:" + body).kind == error.kind


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(
            mimo("400", "Param Incorrect", "`text` is not set"),
            "Param Incorrect: `text` is not set",
            id="param",
        ),
        pytest.param(mimo("400", "", "a b"), "a b", id="param alone"),
        pytest.param(mimo("400", "Bad", "参数错误"), "Bad: 参数错误", id="param in Chinese"),
        pytest.param(b"data: " + mimo("400", "x") + b"\n\ndata: [DONE]\n\n", "x", id="as an event"),
        pytest.param(b'{"error": "plain"}', "plain", id="error a string"),
        pytest.param(b'{"message": "top"}', "top", id="message at the top"),
        pytest.param(b'{"code": 1, "msg": "m"}', "m", id="msg"),
        pytest.param(b'{"detail": "d"}', "d", id="detail"),
        pytest.param(b'"quoted"', "quoted", id="a JSON string"),
        pytest.param(b"two\r\n  lines\x07", "two lines", id="text on one line"),
        pytest.param(b"\xff\xfe", "\ufffd\ufffd", id="not UTF-8"),
        pytest.param(b"x" * 2000, "x" * 500 + "…", id="text without end"),
        pytest.param(b"<!DOCTYPE html>", "", id="HTML"),
        pytest.param(b'{"error": []}', "", id="an empty error"),
        pytest.param(b'{"error": [1]}', "", id="an error that is a list"),
        pytest.param(b"[1]", "", id="a list"),
        pytest.param(b'{"error": {"message": 5}}', "", id="a message that is a number"),
        pytest.param(b"  ", "", id="blanks"),
    ],
)
def test_the_text_is_found_wherever_it_stands(body: bytes, shown: str) -> None:
    message = decode_error(400, body).message
    assert message == (
        f"The upstream refused the request: {shown}" if shown else "The upstream refused the request."
    )


def test_a_field_s_name_is_kept_as_param() -> None:
    assert decode_error(400, mimo("400", "Bad value", "temperature")).param == "temperature"
    assert decode_error(400, mimo("400", "Bad value", "a sentence")).param is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "key sk-abc of account 42 is wrong"),
        (402, "account 42 has no balance"),
        (400, "risk control on account 42"),
        (429, "Token Plan of account 42 is used up"),
    ],
)
def test_what_concerns_the_account_goes_to_the_log_and_not_to_the_client(status: int, text: str) -> None:
    error = decode_error(status, mimo(str(status), text))
    assert "42" not in error.message
    assert "42" not in encode_error(error)[1].decode()
    assert error.__notes__ == [f"the upstream said: {text}"]


def test_a_429_tells_whose_limit_it_is() -> None:
    message = decode_error(429, b"").message
    assert "not a limit of your API key" in message


@pytest.mark.parametrize("status", [400, 402, 429, 503])
def test_the_pause_is_passed_on(status: int) -> None:
    assert decode_error(status, b"", retry_after_s=2.5).retry_after_s == 2.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"code": "429"}, UpstreamRateLimited, id="a status as a string"),
        pytest.param({"code": 401}, UpstreamAccountError, id="a status as a number"),
        pytest.param({"code": "rate_limit_exceeded"}, UpstreamRateLimited, id="OpenAI's code"),
        pytest.param({"type": "limitation"}, UpstreamRateLimited, id="MiMo's type"),
        pytest.param({"code": "insufficient_quota"}, UpstreamAccountError, id="no quota"),
        pytest.param(
            {"code": None, "type": "invalid_request_error"}, UpstreamRefused, id="the request's fault"
        ),
        pytest.param({"code": "context_length_exceeded"}, ContextOverflow, id="too long"),
        pytest.param({"code": "content_filter"}, ContentFiltered, id="moderation"),
        pytest.param({"code": "server_error"}, UpstreamUnavailable, id="the server's fault"),
        pytest.param({"code": "200"}, UpstreamUnavailable, id="a status that is no error"),
        pytest.param({"code": "99999999999999999999"}, UpstreamUnavailable, id="a number that is no status"),
        pytest.param({}, UpstreamUnavailable, id="nothing said"),
        pytest.param(True, UpstreamUnavailable, id="no object"),
    ],
)
def test_an_error_inside_a_200(value: object, expected: type[GatewayError]) -> None:
    assert type(decode_error_value(value)) is expected
