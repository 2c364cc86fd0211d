"""What the ledger books is what real clients were told: three dialects, both wires, every way to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import anthropic
import openai
import orjson
import pytest

from service.config import Tools, WebSearch
from service.config_loader import api_keys
from service.core.events import Usage
from service.core.prices import SHIPPED, Price, Prices
from service.core.usage import UsageRow
from service.gateway.usage import UsageReport, decode_query
from service.simulator.speech import wav_of
from tests.web.dialects import DIALECTS, MODEL, Dialect
from tests.web.rig import Rig, Start

FLASH = "mimo-v2.6-flash"
LONG = "A long preface that the prompt cache of an account can remember. " * 40


async def report(rig: Rig, **words: str) -> UsageReport:
    reports = rig.gateway.services.usage
    return await reports.report(decode_query(words, today=reports.today()))


async def booked(rig: Rig, requests: int, **words: str) -> UsageRow:
    """The sum of today once so many requests are booked: that happens off the clients' path."""
    for _ in range(2000):
        total = (await report(rig, **words)).total
        if total.requests >= requests:
            break
        await asyncio.sleep(0.01)
    assert total.requests == requests
    return total


@dataclass
class Told:
    """The sums of what clients were told."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    models: list[str] = field(default_factory=list)

    def add(self, sent: int, cached: int, said: int, thought: int) -> None:
        self.requests += 1
        self.input_tokens += sent
        self.cached_tokens += cached
        self.output_tokens += said
        self.reasoning_tokens += thought

    def chat(self, usage: Any) -> None:
        self.add(
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
            usage.completion_tokens_details.reasoning_tokens,
        )

    def responses(self, usage: Any) -> None:
        self.add(
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )

    def messages(self, usage: Any) -> None:
        """Anthropic's input leaves out what came from the cache."""
        details = getattr(usage, "output_tokens_details", None)
        thought = details.thinking_tokens if details is not None else 0
        cached = usage.cache_read_input_tokens
        self.add(usage.input_tokens + cached, cached, usage.output_tokens, thought)

    def agrees(self, row: UsageRow) -> bool:
        names = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
        return all(getattr(self, name) == getattr(row, name) for name in names)


class Clients:
    """The official packages, against one gateway."""

    def __init__(self, rig: Rig, told: Told) -> None:
        url, told_by = rig.gateway.base_url, told
        self.openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-mimo", max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(base_url=url, api_key="sk-mimo", max_retries=0)
        self.told = told_by

    async def chat(self, text: str, model: str = MODEL) -> None:
        messages: Any = [{"role": "user", "content": text}]
        answer = await self.openai.chat.completions.create(model=model, messages=messages)
        self.told.chat(answer.usage)

    async def chat_streamed(self, text: str, model: str = MODEL) -> None:
        messages: Any = [{"role": "user", "content": text}]
        stream = await self.openai.chat.completions.create(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        usages = [chunk.usage async for chunk in stream]
        self.told.chat(usages[-1])

    async def response(self, text: str, model: str = MODEL) -> None:
        answer = await self.openai.responses.create(model=model, input=text)
        self.told.responses(answer.usage)

    async def response_streamed(self, text: str, model: str = MODEL) -> None:
        stream = await self.openai.responses.create(model=model, input=text, stream=True)
        (last,) = [event async for event in stream if event.type == "response.completed"]
        self.told.responses(last.response.usage)

    async def message(self, text: str, model: str = MODEL) -> None:
        messages: Any = [{"role": "user", "content": text}]
        answer = await self.anthropic.messages.create(model=model, max_tokens=500, messages=messages)
        self.told.messages(answer.usage)

    async def message_streamed(self, text: str, model: str = MODEL) -> None:
        messages: Any = [{"role": "user", "content": text}]
        async with self.anthropic.messages.stream(model=model, max_tokens=500, messages=messages) as stream:
            final = await stream.get_final_message()
        self.told.messages(final.usage)

    def ways(self) -> list[Any]:
        return [
            *(self.chat, self.chat_streamed, self.response, self.response_streamed),
            *(self.message, self.message_streamed),
        ]

    async def close(self) -> None:
        await self.openai.close()
        await self.anthropic.close()


@pytest.fixture
async def mixed(start: Start) -> AsyncIterator[tuple[Rig, Clients]]:
    async with start("platform", "studio") as rig, AsyncExitStack() as stack:
        clients = Clients(rig, Told())
        stack.push_async_callback(clients.close)
        yield rig, clients


@pytest.mark.slow
async def test_the_ledger_holds_what_clients_were_told(mixed: tuple[Rig, Clients]) -> None:
    """Slow: thirty-six requests by real clients. Prompts repeat, so that some tokens come from the cache."""
    rig, clients = mixed
    for text, model in [("Hello", MODEL), (LONG, MODEL), (LONG, FLASH)]:
        await asyncio.gather(*(way(text, model) for way in clients.ways() for _ in range(2)))
    row = await booked(rig, 36)
    assert clients.told.agrees(row), (clients.told, row)
    assert row.cached_tokens
    assert row.reasoning_tokens
    assert row.estimated_requests == 0
    wires = {one.endpoint for one in rig.simulator.record.requests if one.method == "POST"}
    assert {"chat_completions", "bot_chat"} & wires, "both wires were asked"
    by_model = (await report(rig, group_by="model")).sums
    assert [one.labels["model"] for one in by_model] == [FLASH, MODEL]
    assert sum(one.row.cost_micro_usd for one in by_model) == row.cost_micro_usd > 0


@pytest.mark.parametrize("kind", ["platform", "studio"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_stream_is_booked_although_nobody_asked_for_usage(
    start: Start, dialect: Dialect, kind: str
) -> None:
    async with start(kind) as rig:
        async with rig.http.post(rig.url(dialect.path), json=dialect.ask("Hello", stream=True)) as response:
            text = await response.text()
        if dialect.name == "chat":
            assert '"usage"' not in text
        row = await booked(rig, 1)
        assert row.input_tokens
        assert row.output_tokens
        assert not row.estimated_requests, "the upstream's count, not ours"
        assert row.cost_micro_usd


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["platform", "studio"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_client_that_leaves_midway_is_charged_what_it_saw(
    start: Start, dialect: Dialect, kind: str
) -> None:
    """Slow: it waits for the first text of an answer that then hangs."""
    body = dialect.ask("[[sim: stall_after=6]] Tell me a long story", stream=True)
    async with start(kind) as rig:
        async with rig.http.post(rig.url(dialect.path), json=body) as response:
            while b"delta" not in await response.content.readany():
                pass
        row = await booked(rig, 1)
        assert row.input_tokens
        assert row.output_tokens
        assert row.estimated_requests == 1
        assert row.cost_micro_usd


@pytest.mark.parametrize("kind", ["platform", "studio"])
async def test_media_are_booked_by_what_they_are(start: Start, kind: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "What is this?"}, picture, picture]
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    async with start(kind) as rig:
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            assert response.status == 200
        row = await booked(rig, 1)
        assert 0 < row.image_tokens < row.input_tokens
        assert (row.audio_tokens, row.video_tokens) == (0, 0)


async def test_searches_are_booked_and_charged_apart(start: Start) -> None:
    tools = Tools(web_search=WebSearch.ALLOWED)
    asked = "[[sim: search]] What is new?"
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": asked}],
        "tools": [{"type": "web_search"}],
    }
    async with start("platform", tools=tools) as rig:
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            usage = (await response.json())["usage"]
        row = await booked(rig, 1)
        assert row.searches == 1
        tokens = SHIPPED.price_of(MODEL).tokens_micro_usd(
            Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"])
        )
        assert row.cost_micro_usd == round(tokens + 5000)


async def test_background_responses_are_booked(start: Start) -> None:
    async with start("platform") as rig:
        body = {"model": MODEL, "input": "Hello", "background": True}
        async with rig.http.post(rig.url("/v1/responses"), json=body) as response:
            answer = await response.json()
        while answer["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.01)
            async with rig.http.get(rig.url(f"/v1/responses/{answer['id']}")) as response:
                answer = await response.json()
        row = await booked(rig, 1)
        assert (row.input_tokens, row.output_tokens) == (
            answer["usage"]["input_tokens"],
            answer["usage"]["output_tokens"],
        )


async def test_items_of_batches_are_booked_for_the_batchs_key(start: Start) -> None:
    params = {"model": MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}
    body = {"requests": [{"custom_id": f"r{n}", "params": params} for n in range(3)]}
    async with start("platform", api_keys=api_keys([{"name": "jobs", "key": "sk-mimo"}])) as rig:
        async with rig.http.post(rig.url("/v1/messages/batches"), json=body) as response:
            batch = await response.json()
        row = await booked(rig, 3, key="jobs")
        while batch["processing_status"] != "ended":
            await asyncio.sleep(0.01)
            async with rig.http.get(rig.url(f"/v1/messages/batches/{batch['id']}")) as response:
                batch = await response.json()
        async with rig.http.get(batch["results_url"]) as response:
            results = [orjson.loads(line) for line in (await response.text()).splitlines()]
        usages = [one["result"]["message"]["usage"] for one in results]
        assert row.output_tokens == sum(usage["output_tokens"] for usage in usages)


async def test_speech_is_booked_and_sound_by_its_length(start: Start) -> None:
    async with start("platform") as rig:
        spoken = {"model": "tts-1", "input": "Good morning", "voice": "alloy"}
        async with rig.http.post(rig.url("/v1/audio/speech"), json=spoken) as response:
            assert response.status == 200
            await response.read()
        row = await booked(rig, 1, model="mimo-v2.5-tts")
        assert row.input_tokens
        assert row.cost_micro_usd == 0, "speech is free for now"
        form = aiohttp.FormData()
        form.add_field("file", wav_of("a clip"), filename="clip.wav", content_type="audio/wav")
        form.add_field("model", "whisper-1")
        form.add_field("response_format", "verbose_json")
        async with rig.http.post(rig.url("/v1/audio/transcriptions"), data=form) as response:
            transcript = await response.json()
        row = await booked(rig, 1, model="mimo-v2.5-asr")
        assert row.audio_ms == round(transcript["duration"] * 1000) > 0
        assert row.cost_micro_usd == round(row.audio_ms * 74_000 / 3_600_000)


async def test_counting_tokens_is_not_charged(start: Start) -> None:
    async with start("platform") as rig:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        async with rig.http.post(rig.url("/v1/messages/count_tokens"), json=body) as response:
            assert response.status == 200
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            assert response.status == 200
        await booked(rig, 1)


async def test_a_refused_request_is_not_booked(start: Start) -> None:
    keys = api_keys([{"name": "one", "key": "sk-mimo", "requests_per_minute": 1}])
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    async with start("platform", api_keys=keys) as rig:
        statuses = []
        for _ in range(3):
            async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
                statuses.append(response.status)
        assert statuses == [200, 429, 429]
        await booked(rig, 1)


async def test_an_operators_prices_are_charged_and_reloaded(start: Start) -> None:
    dear = Prices(
        dated="2026-11-20",
        source="our contract",
        models={MODEL: Price(input_usd=1000, cached_usd=1000, output_usd=1000)},
    )
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    async with start("platform", prices=dear) as rig:
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            usage = (await response.json())["usage"]
        row = await booked(rig, 1)
        assert row.cost_micro_usd == usage["total_tokens"] * 1000
        assert (await report(rig)).prices.source == "our contract"
        rig.gateway.reconfigure(replace(rig.gateway.config, prices=Prices()))
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body):
            pass
        more = await booked(rig, 2)
        assert more.cost_micro_usd - row.cost_micro_usd < 1000
        assert (await report(rig)).prices is SHIPPED
