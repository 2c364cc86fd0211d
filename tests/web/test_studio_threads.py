"""Studio conversations that go on, over whole gateways and a real Redis: the studio had the right history."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.app import Gateway, running
from service.config import Secret, Studio
from service.config_loader import api_keys
from service.simulator import Simulator, SimulatorOptions
from service.simulator.record import Entry
from service.telemetry.labels import THREAD_RESULTS
from tests.web.agents import Agent, ChatAgent, MessagesAgent, ResponsesAgent
from tests.web.forgetting import without_reasoning
from tests.web.rig import Rig, Start

ON = Studio(reuse_conversations=True)
OFF = Studio(reuse_conversations=False)
NOWHERE = Secret("redis://127.0.0.1:1")
CHAT = "/v1/chat/completions"
Message = dict[str, Any]
AGENTS = [
    pytest.param(ChatAgent, id="chat"),
    pytest.param(MessagesAgent, id="messages"),
    pytest.param(ResponsesAgent, id="responses"),
]


def asked(simulator: Simulator) -> list[Entry]:
    """The chats, oldest first."""
    return simulator.record.of("studio_chat")


def counted(*gateways: Gateway) -> dict[str, int]:
    counts = dict.fromkeys(THREAD_RESULTS, 0)
    for gateway in gateways:
        gateway.services.metrics.render()  # requests are booked when somebody asks
        for result in THREAD_RESULTS:
            counts[result] += int(gateway.services.metrics.studio_conversations[result,]._value.get())
    return counts


def user(text: str) -> Message:
    return {"role": "user", "content": text}


async def chat(rig: Rig, messages: list[Message], *, key: str = "sk-mimo", base_url: str = "") -> Message:
    """The answer's message."""
    async with rig.http.post(
        (base_url or rig.gateway.base_url) + CHAT,
        json={"model": "mimo-v2.6-pro", "messages": messages},
        headers={"Authorization": f"Bearer {key}"},
    ) as response:
        assert response.status == 200, await response.text()
        return (await response.json())["choices"][0]["message"]


def goes_on(entry: Entry) -> bool:
    return bool(entry.history)


# --- the model has the same turns before it, whether they were sent or remembered ---------------------------

_SECTION = re.compile(r"^<(user|tool_results|assistant)>\n(.*?)\n</\1>$", re.DOTALL | re.MULTILINE)


def turns_seen(entry: Entry) -> list[tuple[str, str]]:
    """(role, words) of every turn that the model had before it, in order; of an answer only that it was."""
    said = [*entry.history, entry.body["query"]]
    return [turn for number, text in enumerate(said) for turn in _turns(text, is_answer=number % 2 == 1)]


def _turns(text: str, *, is_answer: bool) -> Iterator[tuple[str, str]]:
    if is_answer:
        yield "assistant", ""
        return
    for role, words in _SECTION.findall(text):
        yield role, "" if role == "assistant" else re.sub(r"call_\w+", "call", words)


async def conversed(rig: Rig, dialect: type[Agent], *workers: str) -> Agent:
    agent = dialect(rig.http, without_reasoning)
    for number in range(4):
        order = workers if number % 2 else workers[::-1]
        await agent.turn(f"Turn {number}: weather in Paris and Rome?", *order)
    return agent


@pytest.mark.parametrize("dialect", AGENTS)
async def test_an_agent_goes_on_over_two_workers(start: Start, tmp_path: Path, dialect: type[Agent]) -> None:
    """Thinking, parallel calls and their results; each step meets the other worker."""
    async with start("studio", studio=OFF) as rig:
        await conversed(rig, dialect, rig.gateway.base_url)
        whole = [turns_seen(entry) for entry in asked(rig.simulator)]
    async with start("studio", studio=ON) as rig, running(rig.gateway.config, data_dir=tmp_path) as second:
        await conversed(rig, dialect, rig.gateway.base_url, second.base_url)
        entries = asked(rig.simulator)
        assert counted(rig.gateway, second) == {"continued": 7, "missed": 0, "lost": 0}
    assert [turns_seen(entry) for entry in entries] == whole
    assert len({entry.body["conversationId"] for entry in entries}) == 1
    assert [len(entry.history) for entry in entries] == list(range(0, 16, 2))
    for entry in entries[1:]:
        assert "# Tools" not in entry.body["query"]
        assert entry.body["query"].count("Turn") <= 1


SPOKEN = """<think>\0Both, then.</think>\0
I will look.

<|MiMoML|tool_calls>
  <|MiMoML|invoke name="get_weather">
    <|MiMoML|parameter name="city"><![CDATA[Zürich <&> "Rom\\"]]></|MiMoML|parameter>
  </|MiMoML|invoke>
</|MiMoML|tool_calls>
"""


@pytest.mark.parametrize("dialect", AGENTS)
async def test_words_before_a_call_are_no_edit(start: Start, dialect: type[Agent]) -> None:
    """Each dialect's clients split them into parts and write arguments anew."""
    raw = base64.b64encode(SPOKEN.encode()).decode()
    async with start("studio", studio=ON) as rig:
        agent = dialect(rig.http, without_reasoning)
        await agent.turn(f"Weather? [[sim: on=call raw_base64={raw}]]", rig.gateway.base_url)
        agent.say("Thank you.")
        await agent.step(rig.gateway.base_url)
        assert counted(rig.gateway) == {"continued": 2, "missed": 0, "lost": 0}


async def test_plain_words_go_on_as_plain_words(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("My name is Ada.")]
        messages += [await chat(rig, messages), user("What is it?")]
        messages += [await chat(rig, messages), user("Sure?")]
        await chat(rig, messages)
        first, second, third = asked(rig.simulator)
    assert [entry.body["query"] for entry in (first, second, third)] == [
        "My name is Ada.",
        "What is it?",
        "Sure?",
    ]
    assert third.history == (
        "My name is Ada.",
        messages[1]["content"],
        "What is it?",
        messages[3]["content"],
    )


async def test_a_stored_response_goes_on(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        body = {"model": "mimo-v2.6-pro", "input": "My name is Ada."}
        async with rig.http.post(rig.url("/v1/responses"), json=body) as response:
            first = await response.json()
        body = {**body, "input": "What is it?", "previous_response_id": first["id"]}
        async with rig.http.post(rig.url("/v1/responses"), json=body) as response:
            assert response.status == 200
        assert asked(rig.simulator)[1].body["query"] == "What is it?"
        assert counted(rig.gateway)["continued"] == 1


# --- nobody goes on from another's --------------------------------------------------------------------------


async def test_two_keys_with_the_same_words_never_share(start: Start) -> None:
    keys = api_keys("sk-mimo,sk-other")
    async with start("studio", studio=ON, api_keys=keys) as rig:
        first = [user("Hello")]
        mine, theirs = [await chat(rig, first, key=key) for key in ("sk-mimo", "sk-other")]
        assert mine["content"] == theirs["content"]
        follow_up = [*first, mine, user("And?")]
        await chat(rig, follow_up, key="sk-other")
        await chat(rig, follow_up, key="sk-mimo")
        await chat(rig, follow_up, key="sk-other")
        entries = asked(rig.simulator)
        ids = [entry.body["conversationId"] for entry in entries]
    assert ids[2] == ids[1] != ids[0] == ids[3]
    assert ids[4] not in ids[:4]  # its own was gone on with; the first key's was never there for it
    assert [goes_on(entry) for entry in entries] == [False, False, True, True, False]


async def test_two_accounts_never_share(start: Start) -> None:
    """The account that holds it rests: the whole prompt goes to the other, and stays apart."""
    async with start("studio", "studio-2", studio=ON) as rig:
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user("And?")]
        holder = asked(rig.simulator)[0].account
        rig.simulator.play(f"[[sim: account={holder} status=429]]")
        await chat(rig, messages)
        first, refused, second = asked(rig.simulator)
    assert refused.account == holder
    assert second.account != holder
    assert not goes_on(second)
    assert len({entry.body["conversationId"] for entry in (first, second)}) == 2
    assert "And?" in second.body["query"]
    assert "Hello" in second.body["query"]


async def test_the_lease_prefers_the_account_that_holds_it(start: Start) -> None:
    """Conversations that begin alike and were answered otherwise are told apart."""
    async with start("studio", "studio-2", studio=ON) as rig:
        begun = []
        for number in range(6):
            rig.simulator.play(f'[[sim: say="Answer {number}"]]')
            begun.append([user("Hello"), await chat(rig, [user("Hello")]), user("And?")])
        rig.simulator.play()
        for messages in reversed(begun):
            await chat(rig, messages)
        entries = asked(rig.simulator)
        assert counted(rig.gateway) == {"continued": 6, "missed": 0, "lost": 0}
    for first, second in zip(entries[:6], reversed(entries[6:]), strict=True):
        assert second.body["conversationId"] == first.body["conversationId"]
        assert second.account == first.account
    assert {entry.account for entry in entries} == {"studio-1", "studio-2"}


# --- one conversation, many ways on -------------------------------------------------------------------------


async def test_of_two_follow_ups_at_once_one_goes_on(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("Hello")]
        messages.append(await chat(rig, messages))
        await asyncio.gather(*(chat(rig, [*messages, user(f"Way {number}")]) for number in range(4)))
        entries = asked(rig.simulator)[1:]
        assert counted(rig.gateway) == {"continued": 1, "missed": 3, "lost": 0}
    assert sorted(map(goes_on, entries)) == [False, False, False, True]
    assert len({entry.body["conversationId"] for entry in entries}) == 4
    for entry in entries:
        assert goes_on(entry) or "Hello" in entry.body["query"]


async def test_a_regenerated_answer_begins_anew(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user("And?")]
        await chat(rig, messages)
        await chat(rig, messages)
        first, second, third = asked(rig.simulator)
    assert second.body["conversationId"] == first.body["conversationId"] != third.body["conversationId"]
    assert not goes_on(third)


async def test_an_edited_history_begins_anew(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        answer = await chat(rig, [user("Hello")])
        await chat(rig, [user("Hallo"), answer, user("And?")])
        await chat(rig, [user("Hello"), {**answer, "content": answer["content"] + "!"}, user("And?")])
        assert not any(map(goes_on, asked(rig.simulator)))
        assert counted(rig.gateway) == {"continued": 0, "missed": 2, "lost": 0}


async def test_when_its_time_is_over_it_begins_anew(start: Start, clean_redis: str) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user("And?")]
        with Redis.from_url(clean_redis) as redis:
            (name,) = redis.keys("*:thread:*")
            assert 3500 < redis.ttl(name) <= 3600
            redis.delete(name)
        await chat(rig, messages)
        assert not goes_on(asked(rig.simulator)[1])


# --- the studio has it no more ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["refused", "begun_anew"])
@pytest.mark.parametrize("streams", [False, True])
async def test_what_the_studio_lost_is_sent_anew_unseen_by_the_client(
    start: Start, way: str, streams: bool
) -> None:
    options = SimulatorOptions(lost_studio_conversations=way)
    async with start("studio", studio=ON, options=options) as rig:
        messages = [user("My name is Ada. " * 20)]
        messages += [await chat(rig, messages), user("What is it?")]
        rig.simulator.threads.clear()
        body = {"model": "mimo-v2.6-pro", "messages": messages, "stream": streams}
        async with rig.http.post(rig.url(CHAT), json=body) as response:
            answer = await response.text()
            assert response.status == 200
        assert '"error"' not in answer
        assert "What is it?" in answer
        _, in_vain, whole = asked(rig.simulator)
        assert in_vain.body["query"] == "What is it?"
        assert "My name is Ada." in whole.body["query"]
        assert whole.body["conversationId"] != in_vain.body["conversationId"]
        assert counted(rig.gateway) == {"continued": 0, "missed": 0, "lost": 1}
        await rig.nothing_is_held()


@pytest.mark.parametrize("script", ["status=404", "status=400", "error_frame=gone error_after=1"])
async def test_however_it_says_so(start: Start, script: str) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user(f"And? [[sim: times=1 {script}]]")]
        await chat(rig, messages)
        _, in_vain, whole = asked(rig.simulator)
    assert in_vain.account == whole.account
    assert "Hello" in whole.body["query"]


# --- what stays at the studio, and what stands in Redis -----------------------------------------------------


def deleted(simulator: Simulator) -> set[str]:
    return {one for entry in simulator.record.of("studio_delete") for one in entry.body}


async def test_what_waits_stays_and_what_does_not_is_deleted(start: Start) -> None:
    async with start("studio", studio=ON) as rig:
        simulator = rig.simulator
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user("And?")]
        await chat(rig, messages)
        async with rig.http.post(
            rig.url(CHAT),
            json={"model": "mimo-v2.6-pro", "messages": [user("x [[sim: stall_after=8]]")], "stream": True},
        ) as response:
            await response.content.readany()
        await rig.nothing_is_held()
    waiting, left = asked(simulator)[0].body["conversationId"], asked(simulator)[2].body["conversationId"]
    assert deleted(simulator) == {left}
    assert waiting in simulator.threads.ids("studio-1")


async def test_what_was_left_behind_is_not_deleted_again(start: Start, clean_redis: str) -> None:
    """It waited, was gone on with, and the client left: its note goes with it."""
    async with start("studio", studio=ON) as rig:
        messages = [user("Hello")]
        messages += [await chat(rig, messages), user("And? [[sim: cut_after=8]]")]
        async with rig.http.post(
            rig.url(CHAT), json={"model": "mimo-v2.6-pro", "messages": messages, "stream": True}
        ) as response:
            await response.read()
        await rig.nothing_is_held()
        left = asked(rig.simulator)[1].body["conversationId"]
        with Redis.from_url(clean_redis) as redis:
            assert redis.zscore("mgw:{t:studio}:due", left) is not None
    assert deleted(rig.simulator) == {left}
    with Redis.from_url(clean_redis) as redis:
        assert redis.zscore("mgw:{t:studio}:due", left) is None


async def test_redis_holds_no_word_and_every_key_ends(start: Start, clean_redis: str) -> None:
    async with start("studio", studio=ON) as rig:
        messages = [user("Canary words of a prompt")]
        messages += [await chat(rig, messages), user("And a second canary")]
        await chat(rig, messages)
        conversation_id = asked(rig.simulator)[0].body["conversationId"]
        with Redis.from_url(clean_redis) as redis:
            for name in redis.keys("*"):
                dump = redis.dump(name) or b""
                assert b"anary" not in name + dump
                assert b"Hello! I am a simulated" not in dump
                if b":thread:" in name:
                    assert conversation_id.encode() not in dump
                if b"{t:" in name:
                    assert redis.ttl(name) > 0


async def test_without_redis_conversations_are_sent_whole(start: Start, tmp_path: Path) -> None:
    async with start("studio", studio=ON) as rig:
        simulator, config = rig.simulator, replace(rig.gateway.config, redis_url=NOWHERE)
        async with running(config, data_dir=tmp_path) as alone:
            messages = [user("Hello")]
            messages += [await chat(rig, messages, base_url=alone.base_url), user("And?")]
            await chat(rig, messages, base_url=alone.base_url)
        assert not any(map(goes_on, asked(simulator)))
        assert deleted(simulator) == {entry.body["conversationId"] for entry in asked(simulator)}
