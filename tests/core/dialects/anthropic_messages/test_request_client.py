"""The client role keeps what it was given: decode(encode(conversation)) == conversation."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings

from service.core.conversation import (
    Conversation,
    MediaKind,
    ResponseFormatKind,
    Role,
    Text,
    Thinking,
    ToolResult,
    Turn,
)
from service.core.dialects.anthropic_messages.request import decode_request
from service.core.dialects.anthropic_messages.request_client import encode_object, encode_request
from tests.strategies import Wire, conversations

WIRE = Wire(
    media_kinds=tuple(MediaKind),
    has_filenames=True,
    has_signatures=True,
    has_redacted_reasoning=True,
    has_result_errors=True,
    tool_extras=("defer_loading", "eager_input_streaming"),
    formats=(ResponseFormatKind.TEXT, ResponseFormatKind.JSON_SCHEMA),
    extra=("metadata", "context_management"),
)

USER = Turn(role=Role.USER, parts=(Text(text="hi"),))


@settings(max_examples=50, deadline=None)
@given(conversations(WIRE))
def test_conversation_survives_encoding_and_decoding(conversation: Conversation) -> None:
    result = decode_request(encode_request(conversation))
    assert result.conversation == replace(conversation, includes_usage=True)
    assert result.notes == ()


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param((Turn(role=Role.SYSTEM, parts=(Text(text="s"),)), USER), id="system first"),
        pytest.param(
            (
                Turn(role=Role.SYSTEM, parts=(Text(text="s"),)),
                Turn(role=Role.SYSTEM, parts=(Text(text="t"),)),
                USER,
            ),
            id="two system turns",
        ),
        pytest.param((USER, USER, Turn(role=Role.ASSISTANT, parts=())), id="an empty answer"),
        pytest.param(
            (
                Turn(role=Role.TOOL, parts=(ToolResult(call_id="c", parts=()),)),
                Turn(role=Role.USER, parts=()),
                USER,
            ),
            id="an empty user turn after results",
        ),
    ],
)
def test_turns_survive_encoding_and_decoding(turns: tuple[Turn, ...]) -> None:
    conversation = Conversation(model="m", turns=turns)
    assert decode_request(encode_request(conversation)).conversation.turns == turns


def test_results_and_the_words_after_them_share_one_message() -> None:
    results = Turn(role=Role.TOOL, parts=(ToolResult(call_id="c", parts=()),))
    body = encode_object(Conversation(model="m", turns=(results, USER, USER)))
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c"}, {"type": "text", "text": "hi"}],
        },
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]


def test_plain_request_says_nothing_it_was_not_told() -> None:
    body = encode_object(Conversation(model="m", turns=(USER,)))
    assert body == {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}


@pytest.mark.parametrize(
    ("thinking", "sent", "expected"),
    [
        pytest.param(
            Thinking.ENABLED, {"type": "adaptive"}, {"type": "adaptive"}, id="as the client said it"
        ),
        pytest.param(Thinking.DISABLED, {"type": "adaptive"}, {"type": "disabled"}, id="switched off since"),
        pytest.param(
            Thinking.ENABLED, {"type": "disabled", "x": 1}, {"type": "enabled"}, id="switched on since"
        ),
        pytest.param(Thinking.ENABLED, None, {"type": "enabled"}, id="plain"),
        pytest.param(Thinking.DEFAULT, None, None, id="not said"),
    ],
)
def test_thinking(thinking: Thinking, sent: object, expected: object) -> None:
    extra = {} if sent is None else {"thinking": sent}
    body = encode_object(Conversation(model="m", turns=(USER,), thinking=thinking, extra=extra))
    assert body.get("thinking") == expected


def test_request_is_the_same_bytes_each_time() -> None:
    """A prompt cache goes by the prefix: the order of keys must not depend on anything but the request."""
    conversation = Conversation(model="m", turns=(USER,), extra={"top_k": 1})
    assert encode_request(conversation) == orjson.dumps(encode_object(conversation))
