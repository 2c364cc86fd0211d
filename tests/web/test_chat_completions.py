"""`POST /v1/chat/completions` over a real runner: bad input, failures, retries, disconnects."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from tests.web.rig import Rig, Start

URL = "/v1/chat/completions"


def ask(text: str = "Hello", **more: object) -> dict:
    return {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], **more}


def bad_message(message: object) -> dict:
    return ask() | {"messages": [message]}


def bad_part(part: object) -> dict:
    return bad_message({"role": "user", "content": [part]})


BAD_BODIES = [
    pytest.param(b'{"model": "mimo', "not valid JSON", None, id="malformed JSON"),
    pytest.param(b"", "empty", None, id="no body"),
    pytest.param(b"[1]", "object", None, id="a list"),
    pytest.param(b'{"model": NaN}', "", None, id="NaN"),
    pytest.param({"messages": [{"role": "user", "content": "x"}]}, "", "model", id="no model"),
    pytest.param(ask() | {"model": 5}, "", "model", id="model is a number"),
    pytest.param(ask() | {"messages": []}, "", "messages", id="empty messages"),
    pytest.param(ask() | {"messages": "hello"}, "", "messages", id="messages is a string"),
    pytest.param(bad_message("hello"), "", "messages[0]", id="a message is a string"),
    pytest.param(bad_message({"role": "king", "content": "x"}), "", "messages[0].role", id="unknown role"),
    pytest.param(
        bad_message({"role": "user", "content": 5}), "", "messages[0].content", id="content is a number"
    ),
    pytest.param(bad_part({"type": "smell"}), "", "messages[0].content[0].type", id="unknown part"),
    pytest.param(
        bad_part({"type": "image_url", "image_url": {"url": "data:image/png;base64,*not base64*"}}),
        "",
        "messages[0].content[0].image_url.url",
        id="bad base64",
    ),
    pytest.param(ask(temperature="hot"), "", "temperature", id="temperature is a string"),
    pytest.param(ask(stream="yes"), "", "stream", id="stream is a string"),
    pytest.param(ask(n=3), "", "n", id="more than one choice"),
    pytest.param(ask(tools={}), "", "tools", id="tools is an object"),
    pytest.param(ask(tool_choice="sometimes"), "", "tool_choice", id="unknown tool_choice"),
    pytest.param(ask(max_tokens=-1), "", "max_tokens", id="negative max_tokens"),
    pytest.param(
        ask(response_format={"type": "poem"}), "", "response_format.type", id="unknown response format"
    ),
]


@pytest.mark.parametrize(("body", "words", "param"), BAD_BODIES)
async def test_bad_input_is_a_400_that_names_the_field(
    start: Start, body: object, words: str, param: str
) -> None:
    async with start("platform") as rig:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        seen = len(rig.simulator.record.of("chat_completions"))
        async with rig.http.post(rig.url(URL), data=data) as response:
            error = (await response.json())["error"]
        assert response.status == 400
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param
        assert words.lower() in error["message"].lower()
        assert len(rig.simulator.record.of("chat_completions")) == seen, "no upstream call"


async def test_deep_nesting_is_refused(start: Start) -> None:
    async with start() as rig:
        deep = b'{"model":"mimo-v2.6-pro","messages":[{"role":"user","content":"x"}],"metadata":' + b"[" * 500
        async with rig.http.post(rig.url(URL), data=deep + b"]" * 500 + b"}") as response:
            assert response.status == 400
            assert "nested too deeply" in (await response.json())["error"]["message"]


@pytest.mark.slow
async def test_body_of_20_mb_is_refused_before_it_is_read(start: Start) -> None:
    """Slow: 20 MB are sent, with and without a Content-Length."""
    async with start() as rig:

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b" " * (1 << 20)

        for data in (io.BytesIO(b" " * (20 << 20)), chunks()):
            try:
                async with rig.http.post(rig.url(URL), data=data) as response:
                    assert response.status == 413
                    assert (await response.json())["error"]["code"] == "body_too_large"
            except aiohttp.ClientConnectionError:
                pytest.fail("the refusal must reach the client")


async def test_unknown_model_is_404(start: Start) -> None:
    async with start() as rig, rig.http.post(rig.url(URL), json=ask(model="gpt-9")) as response:
        error = (await response.json())["error"]
        assert response.status == 404
        assert (error["param"], error["code"]) == ("model", "model_not_found")


@pytest.mark.parametrize("header", ["Authorization", "x-api-key", "api-key"])
async def test_three_headers_carry_the_key(start: Start, header: str) -> None:
    async with start() as rig, aiohttp.ClientSession() as http:
        key = "Bearer sk-mimo" if header == "Authorization" else "sk-mimo"
        async with http.post(rig.url(URL), json=ask(), headers={header: key}) as response:
            assert response.status == 200
        async with http.post(rig.url(URL), json=ask(), headers={header: key + "x"}) as response:
            assert response.status == 401
            assert "sk-mimo" not in await response.text()


async def test_every_route_but_probes_wants_a_key(start: Start) -> None:
    async with start() as rig, aiohttp.ClientSession() as http:
        for path in ("/v1/models", "/v1/models/mimo-v2.6-pro", "/v1/nothing", "/v1/responses"):
            async with http.get(rig.url(path)) as response:
                assert response.status == 401, path
        for path in ("/healthz", "/readyz", "/metrics"):
            async with http.get(rig.url(path)) as response:
                assert response.status == 200, path


async def test_unknown_route_and_method_answer_in_the_envelope(start: Start) -> None:
    async with start() as rig:
        async with rig.http.get(rig.url("/v1/nothing")) as response:
            assert response.status == 404
            assert (await response.json())["error"]["message"]
        async with rig.http.delete(rig.url(URL)) as response:
            assert response.status == 405
            assert (await response.json())["error"]["message"]


async def test_request_id_is_echoed_or_made(start: Start) -> None:
    async with start() as rig:
        async with rig.http.post(rig.url(URL), json=ask(), headers={"x-request-id": "mine-1"}) as response:
            assert response.headers["x-request-id"] == "mine-1"
        async with rig.http.post(
            rig.url(URL), json=ask(), headers={"x-request-id": "bad id\u00e9"}
        ) as response:
            assert response.headers["x-request-id"].startswith("req_")
        async with rig.http.post(rig.url(URL), json=ask(stream=True)) as response:
            assert response.headers["x-request-id"].startswith("req_")


async def test_cors_is_off_unless_configured(start: Start) -> None:
    origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with start() as rig, rig.http.options(rig.url(URL), headers=origin) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_failed_attempt_moves_on_to_another_account(start: Start) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play("status=500 times=1")
        async with rig.http.post(rig.url(URL), json=ask()) as response:
            assert response.status == 200
        assert len(rig.simulator.record.of("chat_completions")) == 2
        assert await until(lambda: rig.leases(), 0)


async def test_request_that_the_upstream_refuses_is_not_retried(start: Start) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play("status=400")
        async with rig.http.post(rig.url(URL), json=ask()) as response:
            assert response.status == 400
        assert len(rig.simulator.record.of("chat_completions")) == 1


async def test_expired_session_is_no_answer_to_the_client(start: Start) -> None:
    async with start("studio", "platform") as rig:
        rig.simulator.play("status=401 account=studio-1")
        for _ in range(4):
            async with rig.http.post(rig.url(URL), json=ask()) as response:
                assert response.status == 200


async def until(read, wanted: object, *, looks: int = 50) -> bool:
    """True when `read` gives `wanted` within a second: what the disconnect rules promise. It is counted in
    looks that are 20 ms apart: when the machine stands still, so do they."""
    for _ in range(looks):
        if await read() == wanted:
            return True
        await asyncio.sleep(0.02)
    return False


PHASES = {
    "before the head": "delay_ms=20000",
    "before the first event": "first_delay_ms=20000",
    "in mid-stream": "stall_after=3",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "stream"),
    [
        ("before the head", True),
        ("before the head", False),
        ("before the first event", True),
        ("in mid-stream", True),
    ],
)
async def test_client_that_leaves_frees_the_upstream_within_a_second(
    rig: Rig, phase: str, stream: bool
) -> None:
    """Slow: it waits until the request hangs at the upstream."""
    body = ask(f"[[sim: {PHASES[phase]}]] Tell me a long story", stream=stream)
    client = asyncio.ensure_future(_read_all(rig, body))
    assert await until(rig.leases, 1, looks=1500)
    await asyncio.sleep(0.2)
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)
    assert await until(rig.leases, 0), "the lease is given back"

    async def closed() -> bool:
        return all(entry.client_closed for entry in rig.simulator.record.requests if "chat" in entry.endpoint)

    assert await until(closed, True), "the upstream sees the connection close"


async def _read_all(rig: Rig, body: dict) -> bytes:
    async with rig.http.post(rig.url(URL), json=body) as response:
        return await response.read()


@pytest.mark.slow
async def test_silence_is_filled_with_comments(start: Start) -> None:
    """Slow: the upstream is silent for a second and a half, and the keep-alive comes after a twentieth."""
    from service.config import Timeouts

    async with start("platform", timeouts=Timeouts(keepalive_s=0.05)) as rig:
        body = ask("[[sim: first_delay_ms=1500]] Hello", stream=True)
        raw = await _read_all(rig, body)
        assert raw.startswith(b": ")
        assert raw.count(b"\n: ") + 1 >= 2
        assert raw.endswith(b"data: [DONE]\n\n")


async def test_stalled_upstream_ends_as_an_error_in_the_stream(start: Start) -> None:
    from service.config import Timeouts

    async with start("platform", timeouts=Timeouts(idle_s=0.2)) as rig:
        raw = await _read_all(rig, ask("[[sim: stall_after=6]] Tell me a long story", stream=True))
        assert b'"error"' in raw
        assert b"[DONE]" not in raw
        assert b'"finish_reason":"' not in raw


async def test_file_and_image_reach_the_studio(start: Start) -> None:
    async with start("studio") as rig:
        text = base64.b64encode(b"the answer is 42").decode()
        content = [
            {"type": "text", "text": "Read this"},
            {"type": "file", "file": {"filename": "a.md", "file_data": text}},
        ]
        async with rig.http.post(
            rig.url(URL), json=bad_message({"role": "user", "content": content})
        ) as response:
            assert response.status == 200
        assert "the answer is 42" in rig.simulator.record.last.body["query"]
