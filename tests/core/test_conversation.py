"""The values of a request: what a turn says of itself."""

from __future__ import annotations

import pytest

from service.core.conversation import Conversation, Media, MediaKind, Reasoning, Role, Text, ToolCall, Turn

CALL = ToolCall(call_id="c", name="f", arguments="{}")


def test_a_turn_tells_its_text_reasoning_and_calls() -> None:
    turn = Turn(
        role=Role.ASSISTANT,
        parts=(
            Reasoning(text="a"),
            Text(text="b"),
            CALL,
            Reasoning(text="c"),
            Text(text="d"),
            Media(kind=MediaKind.IMAGE, url="https://x"),
        ),
    )
    assert (turn.text, turn.reasoning, turn.tool_calls) == ("bd", "ac", (CALL,))


def test_an_empty_turn_has_none() -> None:
    turn = Turn(role=Role.ASSISTANT, parts=())
    assert (turn.text, turn.reasoning, turn.tool_calls) == ("", "", ())


def test_a_conversation_is_a_value() -> None:
    one = Conversation(model="m", turns=(Turn(role=Role.USER, parts=(Text(text="a"),)),))
    assert one == Conversation(model="m", turns=(Turn(role=Role.USER, parts=(Text(text="a"),)),))
    with pytest.raises(AttributeError):
        one.model = "n"  # type: ignore[misc]
