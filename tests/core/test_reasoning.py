"""Which turns must carry reasoning, and putting it back where it was lost."""

from __future__ import annotations

import pytest

from service.core.conversation import (
    Conversation,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.reasoning import Replay, wanted_call_ids, with_reasoning


def call(call_id: str) -> ToolCall:
    return ToolCall(call_id=call_id, name="get_weather", arguments="{}")


def said(*parts: Part) -> Turn:
    return Turn(role=Role.ASSISTANT, parts=parts)


def conversation(*turns: Turn, thinking: Thinking = Thinking.DEFAULT) -> Conversation:
    return Conversation(model="mimo-v2.6-pro", turns=turns, thinking=thinking)


LOST = said(Text(text="Let me look."), call("call_1"), call("call_2"))
REDACTED = said(Reasoning(text="", signature="blob", is_redacted=True), call("call_3"))
SENT = said(Reasoning(text="I know."), call("call_4"))
PLAIN = said(Text(text="It is sunny."))
RESULT = Turn(role=Role.TOOL, parts=(ToolResult(call_id="call_1", parts=(Text(text="21"),)),))


@pytest.mark.parametrize(
    ("turn", "wanted"),
    [
        pytest.param(LOST, ("call_1",), id="calls without reasoning: asked for by the first of them"),
        pytest.param(REDACTED, ("call_3",), id="redacted counts as lost"),
        pytest.param(SENT, (), id="the client sent it"),
        pytest.param(PLAIN, (), id="no calls, no rule"),
        pytest.param(RESULT, (), id="results are no calls"),
    ],
)
def test_what_is_wanted(turn: Turn, wanted: tuple[str, ...]) -> None:
    assert wanted_call_ids(conversation(turn)) == wanted
    assert wanted_call_ids(conversation(turn, thinking=Thinking.DISABLED)) == ()


def test_what_is_known_is_put_in_front_and_the_rest_stays_as_it_was() -> None:
    sent = conversation(LOST, RESULT, REDACTED, SENT, PLAIN)
    filled, replay = with_reasoning(sent, {"call_1": "I should look."})
    assert filled.turns[0].parts == (Reasoning(text="I should look."), *LOST.parts)
    assert filled.turns[1:] == sent.turns[1:]
    assert replay == Replay(client_sent=1, restored=1, missing=1)


@pytest.mark.parametrize("thinking", list(Thinking))
def test_a_conversation_that_needs_nothing_is_itself(thinking: Thinking) -> None:
    sent = conversation(SENT, PLAIN, thinking=thinking)
    filled, replay = with_reasoning(sent, {"call_4": "something else"})
    assert filled is sent
    assert replay.note is None


def test_nothing_is_added_when_thinking_is_off() -> None:
    sent = conversation(LOST, thinking=Thinking.DISABLED)
    assert with_reasoning(sent, {"call_1": "I should look."}) == (sent, Replay())


def test_the_note_tells_what_was_changed() -> None:
    assert Replay(client_sent=3).note is None
    told = Replay(client_sent=1, restored=2, missing=3).note
    assert told == "reasoning of earlier tool calls: 1 client_sent, 2 restored, 3 missing"
