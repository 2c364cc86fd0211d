"""Reasoning that clients drop, rename or redact, over whole gateways: the strict upstream never says no.

What clients do wrong is mimo-api.md 2.2, a row a test.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from service.app import Gateway, running
from service.config_loader import api_keys
from service.simulator import SimulatorOptions
from service.store import keys
from service.store.wire import Wire
from service.telemetry.labels import REASONING_SOURCES
from tests.web.agents import Agent, Change, ChatAgent, MessagesAgent, ResponsesAgent
from tests.web.forgetting import (
    called_elsewhere,
    emptied,
    foreign_signature,
    redacted,
    renamed,
    sealed_elsewhere,
    without_reasoning,
)
from tests.web.rig import Rig, Start

DIALECTS = [
    pytest.param(ChatAgent, id="chat"),
    pytest.param(MessagesAgent, id="messages"),
    pytest.param(ResponsesAgent, id="responses"),
]
ENDPOINT = "chat_completions"
STRICT = SimulatorOptions(accepts_empty_reasoning=False)


def forwarded(rig: Rig) -> list[dict[str, Any]]:
    """The bodies the platform was sent, oldest first."""
    return [entry.body for entry in rig.simulator.record.of(ENDPOINT)]


def replayed(gateway: Gateway, source: str) -> float:
    """How many turns the gateway has counted."""
    metrics = gateway.services.metrics
    metrics.render()  # requests are booked when somebody asks
    return metrics.reasoning_replay[source,]._value.get()


def passed_back(body: dict[str, Any]) -> list[str | None]:
    """The reasoning of each turn with calls."""
    turns = [message for message in body["messages"] if message.get("tool_calls")]
    return [turn.get("reasoning_content") for turn in turns]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_ten_turns_of_a_client_that_drops_all_reasoning_over_two_workers(
    start: Start, tmp_path, dialect: type[Agent]
) -> None:
    async with (
        start("platform", options=STRICT) as rig,
        running(rig.gateway.config, data_dir=tmp_path) as second,
    ):
        agent = dialect(rig.http, without_reasoning)
        workers = (rig.gateway.base_url, second.base_url)
        for number in range(10):
            thought = f'"Turn {number}: ask for both cities; 思考 <b>\\n"'
            # The turn's second step meets the other worker, and so does the next turn's first.
            order = workers if number % 2 else workers[::-1]
            await agent.turn(f"Weather in Paris and Rome? [[sim: reasoning={thought}]]", *order)
        entries = rig.simulator.record.of(ENDPOINT)
        assert len(entries) == 20
        assert {entry.status for entry in entries} == {200}
        thoughts = [f"Turn {number}: ask for both cities; 思考 <b>\n" for number in range(10)]
        for number in range(10):
            assert passed_back(entries[2 * number + 1].body) == thoughts[: number + 1]
        last_calls = [m["tool_calls"] for m in entries[-1].body["messages"] if m.get("tool_calls")]
        assert [len(calls) for calls in last_calls] == [2] * 10
        for before, after in pairwise(entries):
            messages = before.raw[: before.raw.index(b'],"tools"')]
            assert after.raw.startswith(messages), "the prompt cache is prefix-based"
        counts = {
            source: replayed(second, source) + replayed(rig.gateway, source) for source in REASONING_SOURCES
        }
        assert counts == {"client_sent": 0, "restored": 100, "missing": 0}


# --- what clients do wrong: mimo-api.md 2.2 -----------------------------------------------------------------


CLIENTS = [
    pytest.param(ChatAgent, without_reasoning, "restored", id="chat: drops the unknown field"),
    pytest.param(ChatAgent, renamed("reasoning", str), "client_sent", id="chat: renames it to reasoning"),
    pytest.param(
        ChatAgent,
        renamed("reasoning_details", lambda text: [{"type": "reasoning.text", "text": text}]),
        "client_sent",
        id="chat: renames it to reasoning_details",
    ),
    pytest.param(ChatAgent, renamed("thinking", str), "restored", id="chat: renames it to thinking"),
    pytest.param(
        ChatAgent, renamed("reasoning_content", lambda text: ""), "restored", id="chat: sends it empty"
    ),
    pytest.param(
        ChatAgent, renamed("reasoning_content", lambda text: None), "restored", id="chat: sends it as null"
    ),
    pytest.param(MessagesAgent, without_reasoning, "restored", id="messages: strips thinking blocks"),
    pytest.param(MessagesAgent, redacted, "restored", id="messages: redacted_thinking"),
    pytest.param(MessagesAgent, foreign_signature, "client_sent", id="messages: another vendor's signature"),
    pytest.param(ResponsesAgent, without_reasoning, "restored", id="responses: drops reasoning items"),
    pytest.param(ResponsesAgent, emptied, "restored", id="responses: reasoning items without text"),
    pytest.param(ResponsesAgent, sealed_elsewhere, "restored", id="responses: another server's sealed blob"),
]


@pytest.mark.parametrize(("dialect", "change", "source"), CLIENTS)
async def test_upstream_gets_the_exact_reasoning(
    start: Start, dialect: type[Agent], change: Change, source: str
) -> None:
    async with start("platform", options=STRICT) as rig:
        agent = dialect(rig.http, change)
        await agent.turn('Weather in Paris and Rome? [[sim: reasoning="Two cities."]]', rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == ["Two cities."]
        assert replayed(rig.gateway, source) == 1
        notes = agent.headers.get("X-Mimo-Gateway-Notes", "")
        assert ("1 restored" in notes) == (source == "restored")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_switching_dialects_keeps_the_reasoning(start: Start, dialect: type[Agent]) -> None:
    """Calls are known by their ids, whatever dialect they are told in: an agent behind another proxy."""
    async with start("platform", options=STRICT) as rig:
        first = ChatAgent(rig.http, without_reasoning)
        first.say('Weather in Paris? [[sim: reasoning="One city."]]')
        (call_id,) = await first.step(rig.gateway.base_url)
        other = dialect(rig.http)
        other.say("Weather in Paris?")
        other.history += called_elsewhere(dialect, call_id)
        other.history += other.results([call_id])
        await other.step(rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == ["One city."]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_session_begun_with_another_model_gets_an_empty_text(
    start: Start, dialect: type[Agent]
) -> None:
    async with start("platform") as rig:
        agent = dialect(rig.http)
        agent.say("Weather in Paris?")
        agent.history += called_elsewhere(dialect, "toolu_of_another_model") + agent.results(
            ["toolu_of_another_model"]
        )
        await agent.step(rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == [""]
        assert "1 missing" in agent.headers["X-Mimo-Gateway-Notes"]
        assert replayed(rig.gateway, "missing") == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_upstream_that_refuses_the_empty_text_is_asked_once_more_without_thinking(
    start: Start, dialect: type[Agent]
) -> None:
    async with start("platform", "platform-2", options=STRICT) as rig:
        agent = dialect(rig.http)
        agent.say("Weather in Paris?")
        agent.history += called_elsewhere(dialect, "toolu_of_another_model") + agent.results(
            ["toolu_of_another_model"]
        )
        await agent.step(rig.gateway.base_url)
        refused, answered = rig.simulator.record.of(ENDPOINT)
        assert (refused.status, answered.status) == (400, 200)
        assert refused.account == answered.account
        assert answered.body["thinking"] == {"type": "disabled"}
        assert passed_back(answered.body) == [None]
        assert "thinking was switched off" in agent.headers["X-Mimo-Gateway-Notes"]
        await rig.nothing_is_held()


async def test_upstream_that_refuses_even_then_is_not_asked_a_third_time(start: Start) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play(
            'status=400 param="The reasoning_content in the thinking mode must be passed back to the API."'
        )
        agent = ChatAgent(rig.http)
        agent.say("Weather in Paris?")
        body = {"model": "mimo-v2.6-pro", **agent.body()}
        async with rig.http.post(rig.url(agent.path), json=body) as response:
            error = (await response.json())["error"]
        assert response.status == 400
        assert error["code"] == "reasoning_not_passed_back"
        assert len(rig.simulator.record.of(ENDPOINT)) == 2


async def test_reasoning_is_asked_for_while_the_key_is_admitted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both commands leave before either is answered: one round trip's time, on two connections, so that no
    long text stands before an admission."""
    asked: dict[str, asyncio.Future[Any]] = {}
    left_together: list[bool] = []
    flush = Wire._flush
    limited = api_keys([{"key": "sk-mimo", "requests_per_minute": 1000}])
    marks = {"recall": b"MGET", "admit": keys.api_key(limited[0].key_id).slots.encode()}

    def noted(self: Wire) -> None:
        replies = list(self._awaited)[-len(self._outgoing) :]
        for command, reply in zip(self._outgoing, replies, strict=True):
            for name, mark in marks.items():
                if name not in asked and mark in command:
                    left_together.append(not any(other.done() for other in asked.values()))
                    asked[name] = reply
        flush(self)

    async with start("platform", options=STRICT, api_keys=limited) as rig:
        agent = ChatAgent(rig.http, without_reasoning)
        agent.say('Weather in Paris? [[sim: reasoning="One city."]]')
        await agent.step(rig.gateway.base_url)
        await rig.nothing_is_held()
        monkeypatch.setattr(Wire, "_flush", noted)
        await agent.step(rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == ["One city."]
    assert (asked.keys(), left_together) == (marks.keys(), [True, True])


# --- what must not change -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nothing_is_added_when_thinking_is_off(start: Start, dialect: type[Agent]) -> None:
    off: dict[type[Agent], dict[str, object]] = {
        ChatAgent: {"thinking": {"type": "disabled"}},
        MessagesAgent: {"thinking": {"type": "disabled"}},
        ResponsesAgent: {"reasoning": {"effort": "none"}},
    }
    async with start("platform", options=STRICT) as rig:
        agent = dialect(rig.http, without_reasoning, **off[dialect])
        await agent.turn('Weather in Paris? [[sim: reasoning="kept all the same"]]', rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == [None]
        assert "reasoning of earlier" not in agent.headers.get("X-Mimo-Gateway-Notes", "")


async def test_studio_gets_no_reasoning_and_redis_is_not_asked(start: Start) -> None:
    async with start("studio") as rig:
        agent = ChatAgent(rig.http, without_reasoning)
        await agent.turn('Weather in Paris? [[sim: reasoning="A private thought."]]', rig.gateway.base_url)
        query = rig.simulator.record.of("studio_chat")[-1].body["query"]
        assert query.count("A private thought.") == 1, "in the directive only"
        assert [replayed(rig.gateway, source) for source in REASONING_SOURCES] == [0, 0, 0]


async def test_reasoning_of_a_streamed_answer_is_kept_too(start: Start) -> None:
    async with start("platform", options=STRICT) as rig:
        agent = ChatAgent(rig.http, without_reasoning)
        agent.say('Weather in Paris? [[sim: reasoning="One city."]]')
        body = {"model": "mimo-v2.6-pro", "stream": True, **agent.body()}
        async with rig.http.post(rig.url(agent.path), json=body) as response:
            raw = (await response.read()).decode()
        call_id = raw.split('"id":"call_', 1)[1].split('"', 1)[0]
        agent.history += called_elsewhere(ChatAgent, "call_" + call_id) + agent.results(["call_" + call_id])
        await agent.step(rig.gateway.base_url)
        assert passed_back(forwarded(rig)[-1]) == ["One city."]
