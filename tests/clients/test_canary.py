"""Secrets and prompts of a gateway that does everything, searched for in all that it leaves behind."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from service.simulator import PlatformAccount, Simulator, SimulatorOptions, StudioSession
from tests.clients.operated import gateway
from tests.clients.processes import Running
from tests.fakes.collector import collecting, environment
from tests.fakes.collector import told as told_of

CLIENT_KEY = "sk-canary-client-5f1d7a"
ACCOUNT_KEY = "sk-canary-account-93be20"
COOKIE = "canary-cookie-c04e51"
SERVER_SECRET = "canary-server-secret-77d0c2"
PH = "Y2FuYXJ5LXBoLTc3/+A=="
PROMPT = "canary-prompt-1b6a99"
ANSWER = "canary-answer-e8823c"
SECRETS = {
    "platform": {"client key": CLIENT_KEY, "server secret": SERVER_SECRET, "account key": ACCOUNT_KEY},
    "studio": {
        **{"client key": CLIENT_KEY, "server secret": SERVER_SECRET, "cookie": COOKIE},
        **{"ph": PH, "ph in a URL": quote(PH, safe="")},
    },
}
CONTENT = {"prompt": PROMPT, "answer": ANSWER}

OPTIONS = SimulatorOptions(
    platform=(PlatformAccount(name="platform-1", api_key=ACCOUNT_KEY),),
    studio=(StudioSession(name="studio-1", service_token=COOKIE, user_id="10001", ph=PH),),
    studio_hold_s=0,
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chat(text: str, **more: Any) -> tuple[str, dict]:
    said = [{"role": "user", "content": f"{PROMPT} {text}"}]
    return "/v1/chat/completions", {"model": "mimo-v2.6-pro", "messages": said, **more}


def messages(text: str, **more: Any) -> tuple[str, dict]:
    return "/v1/messages", {**chat(text)[1], "max_tokens": 100, **more}


def responses(text: str, **more: Any) -> tuple[str, dict]:
    return "/v1/responses", {"model": "mimo-v2.6-pro", "input": f"{PROMPT} {text}", **more}


SAY = f"[[sim: say={ANSWER}]]"
QUOTED = f"{ACCOUNT_KEY}-{COOKIE}-{PH}"
# Each of them twice: over the platform and over the studio.
REQUESTS = [
    chat(SAY),
    chat(SAY, stream=True),
    messages(SAY, stream=True),
    responses(SAY, stream=True),
    responses(SAY),
    chat("go", tools=[WEATHER]),
    chat("go", tools=[WEATHER], stream=True),
    chat("[[sim: tool_leak=text_only]] go", tools=[WEATHER], stream=True),
    # upstreams that fail, and say why in words that hold what they were sent: by status, and in the stream
    chat(f"[[sim: error_frame={QUOTED} error_after=0]]", stream=True),
    chat(f"[[sim: error_frame={QUOTED} error_after=3]] tell a story", stream=True),
    messages(f"[[sim: error_frame={QUOTED} error_after=3]] a story", stream=True),
    responses(f"[[sim: error_frame={QUOTED} error_after=3]] a story", stream=True),
    chat(f"[[sim: json200 message={QUOTED}]]"),
    chat(f"[[sim: status=500 message={ACCOUNT_KEY}-{COOKIE}]]"),
    chat(f"[[sim: status=400 message={ACCOUNT_KEY}-{COOKIE}]]"),
    messages(f"[[sim: cut_after=2 say={ANSWER}{ANSWER}]]", stream=True),
    responses("[[sim: garbage_after=1 garbage=broken_json]] go", stream=True),
    chat("[[sim: html]]"),
    chat("[[sim: drop rst]]"),
    # mistakes of the client, which errors must not repeat
    ("/v1/chat/completions", {"model": "no-such-model", "messages": [{"role": "user", "content": PROMPT}]}),
    (
        "/v1/chat/completions",
        {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": {PROMPT: PROMPT}}]},
    ),
    ("/v1/messages", {"model": "mimo-v2.6-pro", "messages": PROMPT}),
    (f"/v1/{PROMPT}?key={CLIENT_KEY}", {}),
]


async def left_in(redis_url: str) -> tuple[bytes, bytes]:
    """Every key, and every value, of the whole Redis: as it is kept, read, and inflated."""
    redis = Redis.from_url(redis_url)
    try:
        keys = [key async for key in redis.scan_iter("*", count=1000)]
        values = [await redis.dump(key) or b"" for key in keys]
        contents = [await _content(redis, key) for key in keys]
        plain = [str(content).encode() for content in contents]
        plain += [inflated for content in contents for inflated in _inflated(content)]
    finally:
        await redis.aclose()
    return b"\n".join(keys), b"\n".join(values + plain)


def _inflated(content: object) -> Iterator[bytes]:
    """Every deflated string within."""
    match content:
        case bytes():
            with suppress(zlib.error):
                yield zlib.decompress(content)
        case dict():
            for value in content.values():
                yield from _inflated(value)
        case list() | tuple() | set():
            for value in content:
                yield from _inflated(value)


async def _content(redis: Redis, key: bytes) -> object:
    match await redis.type(key):
        case b"hash":
            return await redis.hgetall(key)
        case b"zset":
            return await redis.zrange(key, 0, -1)
        case b"list":
            return await redis.lrange(key, 0, -1)
        case b"set":
            return await redis.smembers(key)
        case b"stream":
            return await redis.xrange(key)
        case _:
            return await redis.get(key)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["platform", "studio"])
async def test_no_secret_and_no_content_is_left_where_it_does_not_belong(
    tmp_path: Path, clean_redis: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow: a process, and some forty requests with retries, batches and a background response."""
    accounts = {
        "platform": {"name": "one", "api_key": ACCOUNT_KEY},
        "studio": {"name": "one", "service_token": COOKIE, "user_id": "10001", "xiaomichatbot_ph": PH},
    }
    async with Simulator.start(OPTIONS) as simulator, collecting() as collector:
        for name, setting in {**environment(collector), "MIMO_SECRET_KEY": SERVER_SECRET}.items():
            monkeypatch.setenv(name, setting)
        # One credential under many names: what fails sends accounts to rest, and the rest shall not wait.
        named = [{**accounts[kind], "name": f"a{n}", "base_url": simulator.base_url} for n in range(16)]
        sections = {
            "api_keys": [{"name": "canary", "key": CLIENT_KEY, "requests_per_minute": 1000}],
            "mimo_accounts": named,
            "redis_url": clean_redis,
            "log": {"level": "debug"},
        }
        upstream = Running(base_url=simulator.base_url, process=None, log_file=tmp_path / "none")  # type: ignore[arg-type]
        entered = gateway(tmp_path, upstream, **sections)
        process = await asyncio.to_thread(entered.__enter__)
        try:
            # What succeeds comes first: the failures that follow send the account to rest.
            answers = await files_batches_and_the_background(process.url)
            answers += await sound(process.url, is_platform=kind == "platform")
            told, others = await answers_of(process.url)
            answers += others
            metrics = (await asyncio.to_thread(process.metrics)).encode()
            keys, values = await left_in(clean_redis)
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
        log = process.running.log_file.read_bytes()
    assert log.count(b"request_ended") > len(REQUESTS)
    assert log.count(b'"outcome":"succeeded","event":"batch_item"') == 2
    routes = {told_of(span).get("mgw.route") for span in collector.spans}
    assert routes >= {"chat", "batches", "files", "speech"}
    assert b"mgw_log_scrubbed_total 0.0" in metrics, "nothing came as far as the scrubber"
    traces = b"".join(collector.raw)
    places = {"log": log, "metrics": metrics, "traces": traces, "errors": told, "answers": answers}
    places |= {"keys": keys, "values": values}
    for name, secret in SECRETS[kind].items():
        for place, text in places.items():
            at = text.find(secret.encode())
            assert at < 0, f"{name} in the {place}: {text[max(at - 200, 0) : at + 100]!r}"
    for name, content in CONTENT.items():
        for place in ("log", "metrics", "traces", "errors", "keys", "values"):
            at = places[place].find(content.encode())
            assert at < 0, f"{name} in the {place}: {places[place][max(at - 300, 0) : at + 60]!r}"


async def answers_of(url: str) -> tuple[bytes, bytes]:
    """The bodies and headers of every answer that is an error; and of every answer."""
    errors: list[bytes] = []
    every: list[bytes] = []
    for headers in ({"Authorization": f"Bearer {CLIENT_KEY}"}, {"x-api-key": CLIENT_KEY + "-wrong"}):
        async with aiohttp.ClientSession(headers=headers) as http:
            for path, body in REQUESTS:
                async with http.post(url + path, json=body) as response:
                    content = await response.read() + str(response.headers).encode()
                    every.append(content)
                    if response.status != 200:
                        errors.append(content)
    return b"\n".join(errors), b"\n".join(every)


async def files_batches_and_the_background(url: str) -> bytes:
    """A file, a batch of each kind and a background response: to their ends."""
    seen: list[bytes] = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {CLIENT_KEY}"}) as http:

        async def call(method: str, path: str, **more: Any) -> Any:
            async with http.request(method, url + path, **more) as response:
                content = await response.read()
                assert response.status == 200, content
                seen.append(content)
                return orjson.loads(content) if response.content_type == "application/json" else content

        async def until(path: str, is_over: Callable[[Any], bool]) -> Any:
            async with asyncio.timeout(60):
                found = await call("GET", path)
                while not is_over(found):
                    await asyncio.sleep(0.05)
                    found = await call("GET", path)
            return found

        path, body = chat(SAY)
        row = {"custom_id": "one", "method": "POST", "url": path, "body": body}
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", orjson.dumps(row), filename="rows.jsonl", content_type="application/jsonl")
        file = await call("POST", "/v1/files", data=form)
        window = {"endpoint": path, "completion_window": "24h"}
        batch = await call("POST", "/v1/batches", json={"input_file_id": file["id"], **window})
        batch = await until(f"/v1/batches/{batch['id']}", lambda found: found["status"] == "completed")
        assert ANSWER.encode() in await call("GET", f"/v1/files/{batch['output_file_id']}/content")
        rows = {"requests": [{"custom_id": "two", "params": messages(SAY)[1]}]}
        batch = await call("POST", "/v1/messages/batches", json=rows)
        path = f"/v1/messages/batches/{batch['id']}"
        await until(path, lambda found: found["processing_status"] == "ended")
        assert ANSWER.encode() in await call("GET", f"{path}/results")
        path, body = responses(SAY, background=True)
        begun = await call("POST", path, json=body)
        path = f"{path}/{begun['id']}"
        done = await until(path, lambda found: found["status"] not in ("queued", "in_progress"))
        assert done["status"] == "completed"
        await call("GET", f"{path}?stream=true")
    return b"\n".join(seen)


async def sound(url: str, *, is_platform: bool) -> bytes:
    """Speech, and where the wire can the other way round; an upstream that fails at it."""
    seen: list[bytes] = []
    asked = {"model": "tts-1", "voice": "alloy", "response_format": "wav"}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {CLIENT_KEY}"}) as http:
        for text in (PROMPT, f"{PROMPT} [[sim: status=400 message={QUOTED}]]"):
            async with http.post(url + "/v1/audio/speech", json={**asked, "input": text}) as response:
                seen.append(await response.read())
                assert response.status == 200 or text != PROMPT
        if is_platform:
            form = aiohttp.FormData({"model": "whisper-1", "language": PROMPT})
            form.add_field("file", b"RIFF", filename=f"{PROMPT}.wav", content_type="audio/wav")
            async with http.post(url + "/v1/audio/transcriptions", data=form) as response:
                seen.append(await response.read())
    return b"\n".join(seen)
