"""What is refused before a handler decides: unknown routes, other methods, bodies that cannot be read."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import orjson
import pytest

from tests.web.rig import Rig, Start

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
HELLO = orjson.dumps({"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]})
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def rig(start: Start) -> AsyncIterator[Rig]:
    async with start("platform") as rig:
        yield rig


async def refused(rig: Rig, method: str, path: str, **more: object) -> tuple[int, dict, dict[str, str]]:
    async with rig.http.request(method, rig.url(path), **more) as response:
        assert response.headers["X-Request-Id"]
        body = await response.read()
        return response.status, orjson.loads(body) if body else {}, dict(response.headers)


@pytest.mark.parametrize(
    ("path", "is_anthropics"),
    [
        ("/v1/nothing", False),
        ("/nothing", False),
        ("/v1/responses/a/b/c", False),
        ("/v1/messages/a/b/c", True),
        ("/anthropic/v1/nothing", True),
    ],
)
async def test_an_unknown_route_is_told_in_the_dialect_of_its_path(
    rig: Rig, path: str, is_anthropics: bool
) -> None:
    status, body, _ = await refused(rig, "GET", path)
    assert status == 404
    assert (body.get("type") == "error") == is_anthropics
    assert "/docs" in body["error"]["message"]


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/responses/x", "/v1/files/x", "/v1/batches/x", "/v1/audio/speech", "/admin/api/keys/x"]
)
async def test_openais_routes_speak_openais_words_to_everybody(rig: Rig, path: str) -> None:
    status, body, _ = await refused(rig, "DELETE", path, headers={"anthropic-version": "2023-06-01"})
    assert status in (403, 404, 405)
    assert body["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("method", "path", "allowed", "is_anthropics"),
    [
        ("PUT", CHAT, "POST", False),
        ("TRACE", CHAT, "POST", False),
        ("HEAD", "/v1/models", "GET", False),
        ("OPTIONS", "/v1/models", "GET", False),
        ("PUT", "/v1/files", "GET, POST", False),
        ("PATCH", "/v1/responses/resp_1", "DELETE, GET", False),
        ("GET", "/v1/responses", "POST", False),
        ("GET", MESSAGES, "POST", True),
        ("DELETE", "/anthropic/v1/messages", "POST", True),
        # Where a route's name stands, an id cannot.
        ("GET", "/v1/messages/count_tokens", "POST", True),
        ("GET", "/v1/models/refresh", "POST", False),
    ],
)
async def test_another_method_is_told_which_there_are(
    rig: Rig, method: str, path: str, allowed: str, is_anthropics: bool
) -> None:
    status, body, headers = await refused(rig, method, path)
    assert (status, headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        assert (body.get("type") == "error") == is_anthropics


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/messages/batches", "/v1/files"])
@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(HELLO)[:-12]], ids=["garbage", "cut off"])
async def test_a_body_that_is_not_packed_as_it_says_is_a_mistake_of_the_client(
    rig: Rig, path: str, body: bytes
) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    if path == "/v1/files":
        headers["Content-Type"] = "multipart/form-data; boundary=x"
    status, told, _ = await refused(rig, "POST", path, data=body, headers=headers)
    assert status == 400
    assert told["error"]["type"] == "invalid_request_error"


async def test_a_packed_body_is_read(rig: Rig) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    async with rig.http.post(rig.url(CHAT), data=gzip.compress(HELLO), headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/v1/files", "/v1/audio/transcriptions"])
@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="\x0e"\r\n\r\n1\r\n',
        b"no head at all\r\n\r\n1\r\n",
        b"Content-Disposition: form-data" + b"; x=1" * 4000 + b"\r\n\r\n1\r\n",
    ],
    ids=["a control character", "no header", "a line too long"],
)
async def test_a_form_that_is_none_is_refused(rig: Rig, path: str, part: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b"--x\r\n" + part + b"--x--\r\n"
    status, told, _ = await refused(rig, "POST", path, data=body, headers=headers)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")
