"""`/v1/messages` over a real runner: headers, counts, stored messages, errors in the dialect's words."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from service.config import ApiKey, key_digest
from tests.grammar.anthropic_messages import check_stream
from tests.web.rig import Rig, Start

URL = "/v1/messages"
WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def asked(text: str = "Hello", **more: object) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "mimo-v2.6-pro", "max_tokens": 1024, "messages": messages, **more}


async def post(rig: Rig, body: object, path: str = URL, *, status: int = 200) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with rig.http.post(rig.url(path), data=data) as response:
        assert response.status == status, await response.text()
        return await response.json()


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
async def test_both_prefixes_answer(start: Start, prefix: str) -> None:
    async with start() as rig:
        message = await post(rig, asked(), prefix + URL + "?beta=true")
        assert (message["type"], message["stop_reason"]) == ("message", "end_turn")


@pytest.mark.parametrize("tools", [[], [WEATHER]], ids=["text", "calls"])
async def test_stream_keeps_the_grammar_and_tells_the_prompt_s_size(
    rig: Rig, tools: list[dict[str, Any]]
) -> None:
    body = asked("What is the weather in Paris? " * 20, tools=tools, stream=True)
    async with rig.http.post(rig.url(URL), json=body) as response:
        frames = check_stream(await response.read())
    first = frames[0]["message"]["usage"]["input_tokens"]
    assert 120 < first < 700


async def test_streamed_message_is_kept_for_its_key_only(start: Start) -> None:
    keys = tuple(ApiKey(name=name, key_sha256=key_digest(f"sk-{name}")) for name in ("mimo", "other"))
    async with start(api_keys=keys) as rig:
        async with rig.http.post(rig.url(URL), json=asked(stream=True)) as response:
            message_id = check_stream(await response.read())[0]["message"]["id"]
        path = rig.url(f"{URL}/{message_id}")
        for _ in range(50):  # it is kept off the client's path
            async with rig.http.get(path) as response:
                if response.status == 200:
                    break
            await asyncio.sleep(0.01)
        assert response.status == 200
        async with rig.http.get(path, headers={"Authorization": "Bearer sk-other"}) as response:
            assert response.status == 404
            assert (await response.json())["error"]["type"] == "not_found_error"


async def test_failed_stream_is_not_kept(start: Start) -> None:
    async with start() as rig:
        body = asked("[[sim: cut_after=6]] Tell me a story", stream=True)
        async with rig.http.post(rig.url(URL), json=body) as response:
            frames = check_stream(await response.read())
        assert frames[-1]["type"] == "error"
        await asyncio.sleep(0.02)
        async with rig.http.get(rig.url(f"{URL}/{frames[0]['message']['id']}")) as response:
            assert response.status == 404


async def test_every_answer_carries_the_dialect_s_headers(start: Start) -> None:
    key = ApiKey(name="k", key_sha256=key_digest("sk-mimo"), requests_per_minute=2, tokens_per_minute=90_000)
    async with start(api_keys=(key,)) as rig:
        body = asked(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}])
        for more in ({}, {"stream": True}):
            async with rig.http.post(
                rig.url(URL), json=body | more, headers={"x-request-id": "mine"}
            ) as response:
                assert response.status == 200
                assert (response.headers["request-id"], response.headers["x-request-id"]) == ("mine", "mine")
                assert response.headers["anthropic-ratelimit-requests-limit"] == "2"
                assert response.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
                assert "server-tool-dropped" in response.headers["x-mimo-gateway-notes"]
        async with rig.http.post(rig.url(URL), json=body) as response:
            refused = await response.json()
            assert response.status == 429
            assert refused["error"]["type"] == "rate_limit_error"
            assert refused["request_id"] == response.headers["request-id"]
            assert int(response.headers["retry-after"]) >= 1
            assert "server-tool-dropped" in response.headers["x-mimo-gateway-notes"]
        async with rig.http.post(rig.url(URL + "/count_tokens"), json=body) as response:
            assert response.status == 200, "counting costs nothing"
            assert response.headers["request-id"]
            assert "server-tool-dropped" in response.headers["x-mimo-gateway-notes"]


async def test_count_is_the_same_for_every_shape_of_one_prompt(start: Start) -> None:
    async with start() as rig:
        plain = await post(rig, asked("How many tokens?"), URL + "/count_tokens")
        blocks = asked() | {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "How many tokens?"}]}]
        }
        assert await post(rig, blocks, URL + "/count_tokens") == plain
        assert plain["total_tokens"] == plain["input_tokens"]
        assert 6 <= plain["input_tokens"] <= 16


BAD_BODIES = [
    pytest.param(b'{"model": "mimo', "not valid JSON", id="malformed JSON"),
    pytest.param(b"", "empty", id="no body"),
    pytest.param({"max_tokens": 9}, "model", id="no model"),
    pytest.param(asked() | {"messages": []}, "messages: at least one message", id="no messages"),
    pytest.param(
        asked() | {"messages": [{"role": "king", "content": "x"}]}, "messages.0.role", id="unknown role"
    ),
    pytest.param(asked(max_tokens="many"), "max_tokens", id="max_tokens is a word"),
    pytest.param(asked(tools=[{"name": "f"}]), "tools.0.input_schema", id="a tool without a schema"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES)
async def test_bad_input_is_a_400_that_names_the_field(start: Start, body: object, words: str) -> None:
    async with start() as rig:
        refused = await post(rig, body, status=400)
        assert refused["type"] == "error"
        assert refused["error"]["type"] == "invalid_request_error"
        assert words in refused["error"]["message"]


@pytest.mark.parametrize(
    ("thread", "status", "code"),
    [
        ({"type": "create"}, 400, "thread_unsupported_request"),
        ({"type": "continue", "previous_message_id": "msg_1"}, 404, "thread_not_found"),
    ],
)
async def test_threads_are_refused_in_the_form_that_sdks_go_on_from(
    start: Start, thread: dict[str, str], status: int, code: str
) -> None:
    async with start() as rig:
        refused = await post(rig, asked(thread=thread), status=status)
        assert refused["error"]["details"]["error_code"] == code


async def test_ping_fills_the_silence_before_the_first_event(start: Start) -> None:
    from service.config import Timeouts

    async with start(timeouts=Timeouts(keepalive_s=0.02)) as rig:
        body = asked("[[sim: first_delay_ms=80]] Hello", stream=True)
        async with rig.http.post(rig.url(URL), json=body) as response:
            frames = check_stream(await response.read())
        assert frames[0]["type"] == "ping"
        assert frames[-1]["type"] == "message_stop"


async def test_busy_upstream_is_a_429_with_a_wait(start: Start) -> None:
    async with start() as rig:
        body = orjson.dumps(asked("[[sim: status=429 retry_after=7]] Hello"))
        async with rig.http.post(rig.url(URL), data=body) as response:
            assert response.status == 429
            assert int(response.headers["retry-after"]) >= 1
            assert (await response.json())["error"]["type"] == "rate_limit_error"
