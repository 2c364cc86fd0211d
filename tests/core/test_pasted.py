"""Credentials in what users copy out of their own browsers."""

from __future__ import annotations

import pytest

from service.core.errors import InvalidRequest
from service.core.pasted import MAX_CHARS, decode_pasted, pasted_origin

SESSION = {"service_token": "tok/en+1==", "user_id": "10001", "xiaomichatbot_ph": "c2ltd/WxhdG9yLTE+w=="}
COOKIES = 'serviceToken="tok/en+1=="; userId=10001; xiaomichatbot_ph="c2ltd/WxhdG9yLTE+w=="'
POSIX = f"""curl 'https://studio.example/chat?xiaomichatbot_ph=c2ltd%2FWxhdG9yLTE%2Bw%3D%3D' \\
  -H 'accept: */*' \\
  -b '_ga=GA1.1; {COOKIES}' \\
  --data-raw '{{"userId":"99","query":"userId=7"}}'"""
PLAIN = COOKIES.replace('"', "")

TEXTS = [
    pytest.param(COOKIES, id="the header's value"),
    pytest.param(f"Cookie: lang=en; {PLAIN}", id="the header"),
    pytest.param(f"cookie:{PLAIN}", id="the header without a blank"),
    pytest.param("\n".join(PLAIN.split("; ")), id="one cookie a line"),
    pytest.param(PLAIN.replace("serviceToken", "xiaomichatbot_serviceToken"), id="the newer name"),
    pytest.param(POSIX, id="cURL of a POSIX shell"),
    pytest.param(POSIX.replace("-b '_ga", "-H 'Cookie: _ga"), id="cURL of Firefox"),
    pytest.param(POSIX.replace("-b '_ga=", "-b $'_ga=\\u0021"), id="cURL with escapes"),
    pytest.param(
        'curl ^"https://aistudio.example/^" ^\n  -b ^"'
        + COOKIES.replace('"', '\\^"')
        + '^" ^\n  --compressed',
        id="cURL of cmd",
    ),
    pytest.param(
        POSIX.replace('; xiaomichatbot_ph="c2ltd/WxhdG9yLTE+w=="', ""),
        id="the third cookie in the query only",
    ),
]


@pytest.mark.parametrize("text", TEXTS)
def test_session_is_found(text: str) -> None:
    assert decode_pasted(f"\n{text}\n") == SESSION


@pytest.mark.parametrize("key", ["sk-abc", "tp-x_1", "ttp-1"])
def test_key_of_the_official_api_is_one(key: str) -> None:
    assert decode_pasted(f"{key}\n") == {"api_key": key}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", ["serviceToken", "userId", "xiaomichatbot_ph"]),
        ("userId=5; xiaomichatbot_ph=x", ["serviceToken"]),
        ("serviceToken=hidden; myuserId=5; xiaomichatbot_ph=x", ["userId"]),
        ("serviceToken=; userId=5; xiaomichatbot_ph=x", ["serviceToken"]),
        ("curl 'https://aistudio.example/' -H 'x: $'", ["serviceToken"]),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_repeated(text: str, missing: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_pasted(text)
    assert all(f"no {name}" in caught.value.message for name in missing)
    assert "hidden" not in caught.value.message


def test_long_text_is_not_searched() -> None:
    with pytest.raises(InvalidRequest, match="longer"):
        decode_pasted("x" * (MAX_CHARS + 1))


@pytest.mark.parametrize(
    "header",
    ["Authorization: Bearer sk-a1", "authorization: bearer sk-a1", "api-key: sk-a1", "x-api-key:sk-a1"],
)
@pytest.mark.parametrize(
    "form", ["curl https://host.example/v1/models -H '{}'", 'curl ^"https://h^" -H ^"{}^"']
)
def test_key_in_a_copied_request_is_found(header: str, form: str) -> None:
    assert decode_pasted(form.format(header)) == {"api_key": "sk-a1"}


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (
            "curl 'https://token-plan-sgp.example/v1/models?x=1' -H 'api-key: tp-1'",
            "https://token-plan-sgp.example",
        ),
        ('curl ^"http://127.0.0.1:8080/v1^" ^', "http://127.0.0.1:8080"),
        ("curl", ""),
        ("Cookie: a=https://host.example", ""),
    ],
)
def test_host_of_a_copied_request_is_told(text: str, origin: str) -> None:
    assert pasted_origin(text) == origin
