"""MiMo's web search: off unless it is allowed; its sources as the real packages read them in each dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest

from service.config import Tools, WebSearch
from service.simulator import SimulatorOptions
from tests.web.rig import Rig, Start

ALLOWED = Tools(web_search=WebSearch.ALLOWED)
MODEL = "mimo-v2.6-pro"
SOURCE = "https://example.com/page"
ASKED = [{"role": "user", "content": "What is new?"}]
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ASKS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": ASKED, "tools": [{"type": "web_search"}]},
    MESSAGES: {
        "messages": ASKED,
        "max_tokens": 1000,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    RESPONSES: {"input": ASKED, "tools": [{"type": "web_search"}]},
}


@asynccontextmanager
async def searching(start: Start, **more: Any) -> AsyncIterator[Rig]:
    """A gateway that allows searches, over platform accounts that have them switched on."""
    options = SimulatorOptions()
    accounts = tuple(replace(account, has_web_search=True) for account in options.platform)
    async with start(tools=ALLOWED, options=replace(options, platform=accounts), **more) as rig:
        yield rig


async def ask(rig: Rig, path: str, **more: Any) -> tuple[dict[str, Any], str, Any]:
    """The answer, its notes, and what the upstream was sent."""
    async with rig.http.post(rig.url(path), json={"model": MODEL, **ASKS[path], **more}) as response:
        assert response.status == 200, await response.text()
        notes = response.headers.get("x-mimo-gateway-notes", "")
        return await response.json(), notes, rig.simulator.record.requests[-1].body


# --- whether ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ASKS)
async def test_a_search_is_left_out_and_noted_where_it_is_not_allowed(rig: Rig, path: str) -> None:
    _, notes, sent = await ask(rig, path)
    assert "web search is not allowed here" in notes
    assert "tools" not in sent
    assert sent.get("modelConfig", {}).get("webSearchStatus", "disabled") == "disabled"


@pytest.mark.parametrize("path", ASKS)
async def test_an_account_that_has_searches_switched_off_answers_without(start: Start, path: str) -> None:
    async with start("platform", tools=ALLOWED) as rig:
        _, notes, sent = await ask(rig, path)
        assert "web search was left out: the account has it switched off" in notes
        assert "tools" not in sent


@pytest.mark.parametrize("path", ASKS)
async def test_an_allowed_search_is_switched_on_in_the_studio(start: Start, path: str) -> None:
    async with start("studio", tools=ALLOWED) as rig:
        _, notes, sent = await ask(rig, path)
        assert sent["modelConfig"]["webSearchStatus"] == "auto"
        assert "the studio searches by itself" in notes


async def test_a_studio_s_source_with_an_address_is_shown(start: Start) -> None:
    """Its sources come as bare texts or pages; what has an address can be cited."""
    async with start("studio", tools=ALLOWED) as rig:
        asked = [{"role": "user", "content": "What is new? [[sim: search]]"}]
        answer, _, _ = await ask(rig, MESSAGES, messages=asked)
        (found,) = next(b for b in answer["content"] if b["type"] == "web_search_tool_result")["content"]
        assert found["url"] == SOURCE
        assert answer["usage"]["server_tool_use"]["web_search_requests"] == 1


# --- what is sent -------------------------------------------------------------------------------------------


SENT = [
    pytest.param(CHAT, {"type": "web_search", "max_keyword": 99}, {"max_keyword": 50}, id="Chat"),
    pytest.param(
        MESSAGES,
        {
            "type": "web_search_20260209",
            "name": "web_search",
            "max_uses": 3,
            "user_location": {"type": "approximate", "city": "Lyon", "timezone": "Europe/Paris"},
        },
        {"max_keyword": 3, "user_location": {"type": "approximate", "city": "Lyon"}},
        id="Messages",
    ),
    pytest.param(
        RESPONSES,
        {
            "type": "web_search_preview",
            "search_context_size": "high",
            "user_location": {"type": "approximate", "country": "FR"},
        },
        {"limit": 10, "user_location": {"type": "approximate", "country": "FR"}},
        id="Responses",
    ),
]


@pytest.mark.parametrize(("path", "tool", "sent"), SENT)
async def test_the_tool_is_told_in_mimos_words(start: Start, path: str, tool: Any, sent: Any) -> None:
    async with searching(start) as rig:
        _, _, body = await ask(rig, path, tools=[tool])
        assert body["tools"] == [{"type": "web_search", **sent}]


FORCED = [
    pytest.param(MESSAGES, {"type": "tool", "name": "web_search"}, id="Messages"),
    pytest.param(RESPONSES, {"type": "web_search"}, id="Responses"),
]


@pytest.mark.parametrize(("path", "choice"), FORCED)
async def test_a_demand_for_a_search_is_told(start: Start, path: str, choice: Any) -> None:
    async with searching(start) as rig:
        _, _, body = await ask(rig, path, tool_choice=choice)
        assert body["tools"] == [{"type": "web_search", "force_search": True}]


@pytest.mark.parametrize(("path", "choice"), FORCED)
async def test_a_demand_that_the_account_cannot_meet_is_refused(start: Start, path: str, choice: Any) -> None:
    async with start("platform", tools=ALLOWED) as rig:
        body = {"model": MODEL, **ASKS[path], "tool_choice": choice}
        async with rig.http.post(rig.url(path), json=body) as response:
            assert response.status == 400
            assert "web search is not enabled" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
async def test_what_domains_rule_out_is_not_shown(start: Start, path: str) -> None:
    tool = dict(ASKS[path]["tools"][0])
    if path == MESSAGES:
        tool["blocked_domains"] = ["example.com"]
    else:
        tool["filters"] = {"allowed_domains": ["example.org"]}
    async with searching(start) as rig:
        answer, notes, body = await ask(rig, path, tools=[tool])
        assert SOURCE not in str(answer)
        assert "use" in body["messages"][-1]["content"]
        assert "domains were asked for in the prompt" in notes


async def test_codex_s_search_without_the_web_is_no_search(start: Start) -> None:
    async with searching(start) as rig:
        tool = {"type": "web_search", "external_web_access": False}
        _, notes, body = await ask(rig, RESPONSES, tools=[tool])
        assert "tools" not in body
        assert "without access to the web" in notes


# --- what is shown ------------------------------------------------------------------------------------------


def claude(rig: Rig) -> AbstractAsyncContextManager[anthropic.AsyncAnthropic]:
    return anthropic.AsyncAnthropic(base_url=rig.gateway.base_url, api_key="sk-mimo", max_retries=0)


def gpt(rig: Rig) -> AbstractAsyncContextManager[openai.AsyncOpenAI]:
    return openai.AsyncOpenAI(base_url=f"{rig.gateway.base_url}/v1", api_key="sk-mimo", max_retries=0)


async def test_chat_cites(start: Start) -> None:
    async with searching(start) as rig:
        answer, _, _ = await ask(rig, CHAT)
        (cited,) = answer["choices"][0]["message"]["annotations"]
        assert (cited["type"], cited["url_citation"]["url"]) == ("url_citation", SOURCE)
        assert answer["usage"]["web_search_usage"] == {"tool_usage": 1}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_the_anthropic_package_reads_search_and_citations(start: Start, streams: bool) -> None:
    asked: Any = {"model": MODEL, **ASKS[MESSAGES]}
    async with searching(start) as rig, claude(rig) as client:
        if streams:
            async with client.messages.stream(**asked) as stream:
                kinds = [event.type async for event in stream]
                message = await stream.get_final_message()
            assert "citation" in kinds
        else:
            message = await client.messages.create(**asked)
        by_type = {block.type: block for block in message.content}
        assert list(by_type)[:2] == ["server_tool_use", "web_search_tool_result"]
        assert by_type["server_tool_use"].name == "web_search"
        assert by_type["web_search_tool_result"].tool_use_id == by_type["server_tool_use"].id
        (found,) = by_type["web_search_tool_result"].content
        assert (found.url, found.title, found.page_age) == (SOURCE, "A page about it", "2026-09-21")
        (cited,) = by_type["text"].citations
        assert (cited.type, cited.url, cited.cited_text) == (
            "web_search_result_location",
            SOURCE,
            "What the page says.",
        )
        assert message.usage.server_tool_use.web_search_requests == 1

        # The whole answer goes back: the model reads again what it had found.
        answered = [block.model_dump(mode="json", exclude_none=True) for block in message.content]
        history = [*ASKED, {"role": "assistant", "content": answered}, {"role": "user", "content": "And?"}]
        await client.messages.create(**{**asked, "messages": history})
        before = rig.simulator.record.requests[-1].body["messages"][1]
        assert [part["text"] for part in before["content"]] == [
            f"[Found on the web: A page about it ({SOURCE}): What the page says.]\n\n",
            by_type["text"].text,
        ]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_the_openai_package_reads_search_and_citations(start: Start, streams: bool) -> None:
    asked: Any = {"model": MODEL, **ASKS[RESPONSES], "include": ["web_search_call.action.sources"]}
    async with searching(start) as rig, gpt(rig) as client:
        if streams:
            async with client.responses.stream(**asked) as stream:
                kinds = [event.type async for event in stream]
                response = await stream.get_final_response()
            stages = [
                f"response.web_search_call.{stage}" for stage in ("in_progress", "searching", "completed")
            ]
            assert [kind for kind in kinds if "web_search_call" in kind] == stages
            assert "response.output_text.annotation.added" in kinds
        else:
            response = await client.responses.create(**asked)
        by_type = {item.type: item for item in response.output}
        assert next(iter(by_type)) == "web_search_call"
        assert by_type["web_search_call"].status == "completed"
        assert [source.url for source in by_type["web_search_call"].action.sources] == [SOURCE]
        (cited,) = by_type["message"].content[0].annotations
        assert (cited.type, cited.url, cited.title) == ("url_citation", SOURCE, "A page about it")
        assert cited.start_index == len(response.output_text)

        again = await client.responses.create(model=MODEL, input="And?", previous_response_id=response.id)
        sent = rig.simulator.record.requests[-1].body["messages"]
        assert [message["role"] for message in sent] == ["user", "assistant", "user"]
        items = [item.model_dump(mode="json", exclude_none=True) for item in response.output]
        replayed: Any = [*ASKED, *items, {"role": "user", "content": "And?"}]
        await client.responses.create(model=MODEL, input=replayed)
        assert [m["role"] for m in rig.simulator.record.requests[-1].body["messages"]] == [
            "user",
            "assistant",
            "user",
        ]
        kept = await client.responses.retrieve(again.id)
        assert kept.status == "completed"


# --- what it costs ------------------------------------------------------------------------------------------


async def booked(rig: Rig, metric: str) -> float:
    """What the metric says of the model, once it says anything: requests are booked after their last byte."""
    head = f'{metric}{{model="{MODEL}"}} '
    for _ in range(3000):
        for line in rig.gateway.services.metrics.render().decode().splitlines():
            if line.startswith(head):
                return float(line.removeprefix(head))
        await asyncio.sleep(0.01)
    raise AssertionError(f"{metric} was never booked")


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_a_search_is_charged(start: Start, path: str, streams: bool) -> None:
    async with searching(start) as rig:
        body = {"model": MODEL, **ASKS[path], "stream": streams}
        async with rig.http.post(rig.url(path), json=body) as response:
            assert response.status == 200
            await response.read()
        assert await booked(rig, "mgw_web_searches_total") == 1
        assert await booked(rig, "mgw_cost_micro_usd_total") >= 5000


async def test_a_search_whose_client_has_left_is_charged(start: Start) -> None:
    """No count came, but the sources did: one search at least was made."""
    async with searching(start) as rig:
        asked = [{"role": "user", "content": "What is new? [[sim: stall_after=4]]"}]
        body = {"model": MODEL, **ASKS[CHAT], "messages": asked, "stream": True}
        async with rig.http.post(rig.url(CHAT), json=body) as response:
            assert SOURCE.encode() in await response.content.readuntil(SOURCE.encode())
            response.close()
        assert await booked(rig, "mgw_web_searches_total") == 1
