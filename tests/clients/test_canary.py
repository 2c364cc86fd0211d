"""Secrets and prompts of a gateway that does everything, searched for in all that it leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from service.simulator import PlatformAccount, Simulator, SimulatorOptions, StudioSession
from tests.clients.operated import gateway
from tests.clients.processes import Running

CLIENT_KEY = "sk-canary-client-5f1d7a"
ACCOUNT_KEY = "sk-canary-account-93be20"
COOKIE = "canary-cookie-c04e51"
PH = "Y2FuYXJ5LXBoLTc3/+A=="
PROMPT = "canary-prompt-1b6a99"
ANSWER = "canary-answer-e8823c"
SECRETS = {
    "platform": {"client key": CLIENT_KEY, "account key": ACCOUNT_KEY},
    "studio": {"client key": CLIENT_KEY, "cookie": COOKIE, "ph": PH},
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
    # upstreams that fail, and say why in words that hold what they were sent
    chat(f"[[sim: status=500 message={ACCOUNT_KEY}-{COOKIE}]]"),
    chat(f"[[sim: status=400 message={ACCOUNT_KEY}-{COOKIE}]]"),
    messages(f"[[sim: cut_after=2 say={ANSWER}{ANSWER}]]", stream=True),
    responses("[[sim: garbage_after=1 garbage=broken_json]] go", stream=True),
    chat("[[sim: html]]"),
    chat("[[sim: drop rst]]"),
    # mistakes of the client, which errors must not repeat
    ("/v1/chat/completions", {"model": "no-such-model", "messages": [{"role": "user", "content": PROMPT}]}),
    ("/v1/chat/completions", {"model": "mimo-v2.6-pro", "messages": [{"role": PROMPT, "content": 1}]}),
    ("/v1/messages", {"model": "mimo-v2.6-pro", "messages": PROMPT}),
    (f"/v1/{PROMPT}?key={CLIENT_KEY}", {}),
]


async def left_in(redis_url: str) -> tuple[bytes, bytes]:
    """Every key, and every value, of the whole Redis."""
    redis = Redis.from_url(redis_url)
    try:
        keys = [key async for key in redis.scan_iter("*", count=1000)]
        values = [await redis.dump(key) or b"" for key in keys]
        plain = [str(await _content(redis, key)).encode() for key in keys]
    finally:
        await redis.aclose()
    return b"\n".join(keys), b"\n".join(values + plain)


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
    tmp_path: Path, clean_redis: str, kind: str
) -> None:
    """Slow: a process, and some twenty requests with retries."""
    accounts = {
        "platform": {"name": "one", "api_key": ACCOUNT_KEY},
        "studio": {"name": "one", "service_token": COOKIE, "user_id": "10001", "xiaomichatbot_ph": PH},
    }
    async with Simulator.start(OPTIONS) as simulator:
        account = {**accounts[kind], "base_url": simulator.base_url}
        sections = {
            "api_keys": [{"name": "canary", "key": CLIENT_KEY, "requests_per_minute": 1000}],
            "mimo_accounts": [account],
            "redis_url": clean_redis,
            "log": {"level": "debug"},
        }
        upstream = Running(base_url=simulator.base_url, process=None, log_file=tmp_path / "none")  # type: ignore[arg-type]
        entered = gateway(tmp_path, upstream, **sections)
        process = await asyncio.to_thread(entered.__enter__)
        try:
            told = await errors_of(process.url)
            metrics = (await asyncio.to_thread(process.metrics)).encode()
            keys, values = await left_in(clean_redis)
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
        log = process.running.log_file.read_bytes()
    assert log.count(b"request_ended") > len(REQUESTS)
    assert b"mgw_log_scrubbed_total 0.0" in metrics, "nothing came as far as the scrubber"
    places = {"log": log, "metrics": metrics, "errors": told, "keys": keys, "values": values}
    for name, secret in SECRETS[kind].items():
        for place, text in places.items():
            at = text.find(secret.encode())
            assert at < 0, f"{name} in the {place}: {text[max(at - 200, 0) : at + 100]!r}"
    for name, content in CONTENT.items():
        for place in ("log", "metrics", "keys"):
            at = places[place].find(content.encode())
            assert at < 0, f"{name} in the {place}: {places[place][max(at - 300, 0) : at + 60]!r}"


async def errors_of(url: str) -> bytes:
    """The bodies and headers of every answer that is an error."""
    told: list[bytes] = []
    for headers in ({"Authorization": f"Bearer {CLIENT_KEY}"}, {"x-api-key": CLIENT_KEY + "-wrong"}):
        async with aiohttp.ClientSession(headers=headers) as http:
            for path, body in REQUESTS:
                async with http.post(url + path, json=body) as response:
                    content = await response.read()
                    if response.status != 200:
                        told += [content, str(response.headers).encode()]
    return b"\n".join(told)
