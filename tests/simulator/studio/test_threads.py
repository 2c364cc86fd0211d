"""Studio conversations: a turn sees what came before it just when it names the answer before."""

from __future__ import annotations

import orjson
import pytest

from service.simulator import SimulatorOptions
from service.simulator.studio.threads import Dialog, Threads

A, B = "a" * 32, "b" * 32


def dialog_id(reply) -> str:
    return orjson.loads(reply.events[0].data)["content"]


def said(reply) -> str:
    return reply.text.removeprefix("getTimeInfo")


async def test_a_turn_that_names_the_answer_before_has_its_history(call):
    first = await call.studio("My name is Ada", conversationId=A)
    second = await call.studio("And?", conversationId=A, previousDialogueId=dialog_id(first))
    assert call.record.last.history == ("My name is Ada", said(first))
    await call.studio("Go on", conversationId=A, previousDialogueId=dialog_id(second))
    assert call.record.last.history == ("My name is Ada", said(first), "And?", said(second))


async def test_the_history_is_read_and_counted(call):
    first = await call.studio("A long story. " * 50, conversationId=A)
    tokens = call.record.last.usage.input_tokens
    await call.studio("And?", conversationId=A, previousDialogueId=dialog_id(first))
    assert call.record.last.usage.input_tokens > tokens


async def test_without_the_answer_before_a_turn_stands_alone(call):
    await call.studio("My name is Ada", conversationId=A)
    reply = await call.studio("And?", conversationId=A, previousDialogueId=None)
    assert reply.status == 200
    assert call.record.last.history == ()


async def test_thinking_is_no_part_of_the_history(call):
    first = await call.studio("Hi", conversationId=A, config={"enableThinking": True})
    await call.studio("And?", conversationId=A, previousDialogueId=dialog_id(first))
    assert "<think>" not in call.record.last.history[1]


async def refused(call, **fields) -> bool:
    reply = await call.studio("And?", **fields)
    return reply.status == 200 and reply.headers["Content-Type"] == "application/json"


async def test_what_is_not_there_is_refused_inside_a_200(call):
    first = await call.studio("Hi", conversationId=A)
    second = await call.studio("And?", conversationId=A, previousDialogueId=dialog_id(first))
    last = dialog_id(second)
    assert await refused(call, conversationId=A, previousDialogueId=dialog_id(first)), "not the last answer"
    assert await refused(call, conversationId=B, previousDialogueId=last), "another conversation"
    assert await refused(call, conversationId=A, previousDialogueId=last, account=1), "another account"
    session = call.sim.options.studio[0]
    cookie = {"Cookie": f"serviceToken={session.service_token}; userId={session.user_id}"}
    deleted = await call.post(
        "/open-apis/chat/conversation/delete", [A], cookie, {"xiaomichatbot_ph": session.ph}
    )
    assert deleted.status == 200
    assert await refused(call, conversationId=A, previousDialogueId=last), "a deleted one"
    assert (await call.studio("And?", conversationId=A, previousDialogueId=5)).status == 400


async def test_or_begun_anew_without_a_word(start):
    options = SimulatorOptions(studio_hold_s=0, lost_studio_conversations="begun_anew")
    async with start(options) as call:
        reply = await call.studio("And?", conversationId=A, previousDialogueId="1")
        assert "And?" in reply.text
        assert call.record.last.history == ()


@pytest.mark.parametrize("text", ["Weather in Rome?", "Nothing"])
async def test_tools_that_the_first_turn_declared_still_hold(call, text):
    declared = (
        "<system>\n# Tools\n\n## get_weather\n\n"
        'Parameters: {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}\n\n'
        "## How to call\n\nAs MiMoML.\n</system>\n"
    )
    turn = "<conversation>\n<user>\n{}\n</user>\n</conversation>\nWrite."
    first = await call.studio(declared + turn.format("Hi [[sim: no_tools]]"), conversationId=A)
    second = await call.studio(turn.format(text), conversationId=A, previousDialogueId=dialog_id(first))
    assert '<|MiMoML|invoke name="get_weather">' in second.text


def test_conversations_are_bounded():
    threads = Threads()
    for number in range(600):
        threads.add("one", str(number), (), Dialog("1", "q", "a"))
    assert len(threads.ids("one")) == 500
    threads.add("one", "long", (), Dialog("1", "q" * (32 << 20), "a"))
    assert threads.ids("one") == set()
    threads.add("two", "x", (), Dialog("1", "q", "a"))
    threads.clear()
    assert threads.ids("two") == set()
