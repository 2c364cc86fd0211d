"""Messages: what each role may say, and where the parts of a turn come from."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn
from service.core.dialects.openai_chat.messages import decode_messages, encode_turns
from service.core.errors import InvalidRequest

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = ToolCall(call_id="c1", name="f", arguments="{}")


def parts(message: dict[str, Any]) -> tuple[Part, ...]:
    (turn,) = decode_messages([message])
    return turn.parts


def refusal(*messages: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_messages(list(messages))
    return caught.value


@pytest.mark.parametrize(
    ("wire", "role"),
    [("developer", Role.SYSTEM), ("system", Role.SYSTEM), ("user", Role.USER), ("assistant", Role.ASSISTANT)],
)
def test_roles(wire: str, role: Role) -> None:
    assert decode_messages([{"role": wire, "content": "x", "name": "ann", "cache_control": {}}]) == (
        Turn(role=role, parts=(Text(text="x"),), name="ann"),
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("two\nlines ", (Text(text="two\nlines "),), id="a string, exactly"),
        pytest.param("", (), id="nothing"),
        pytest.param([], (), id="an empty list"),
        pytest.param(
            [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}],
            (Text(text="a"), Text(text="b")),
            id="a list",
        ),
    ],
)
def test_content(content: object, expected: tuple[Part, ...]) -> None:
    assert parts({"role": "user", "content": content}) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"content": "a"}, (Text(text="a"),), id="text"),
        pytest.param({"content": None, "tool_calls": [CALL]}, (CALLED,), id="a call alone"),
        pytest.param({"tool_calls": [CALL]}, (CALLED,), id="a call, content absent"),
        pytest.param({"content": "a", "tool_calls": [CALL]}, (Text(text="a"), CALLED), id="text, then calls"),
        pytest.param({"content": "a", "tool_calls": None}, (Text(text="a"),), id="calls null"),
        pytest.param({"content": "a", "tool_calls": []}, (Text(text="a"),), id="calls empty"),
        pytest.param({"content": None, "refusal": "No."}, (Text(text="No."),), id="a refusal"),
        pytest.param(
            {"content": [{"type": "refusal", "refusal": "No."}]}, (Text(text="No."),), id="a refusal part"
        ),
        pytest.param(
            {"content": None, "audio": {"id": "a1", "data": "AA==", "transcript": "Ahoy."}},
            (Text(text="Ahoy."),),
            id="audio is what it said",
        ),
        pytest.param(
            {"content": "a", "reasoning_content": "r"},
            (Reasoning(text="r"), Text(text="a")),
            id="reasoning first",
        ),
        pytest.param(
            {"content": None, "reasoning_content": "r"}, (Reasoning(text="r"),), id="reasoning alone"
        ),
        pytest.param(
            {"content": "a", "reasoning_content": ""}, (Text(text="a"),), id="empty reasoning is none"
        ),
        pytest.param(
            {"content": "a", "reasoning_content": None, "reasoning": "r"},
            (Reasoning(text="r"), Text(text="a")),
            id="under another name",
        ),
        pytest.param(
            {"content": "a", "reasoning_details": [{"text": "r"}, {"text": "s"}, {"data": "x"}, 5]},
            (Reasoning(text="rs"), Text(text="a")),
            id="in details",
        ),
        pytest.param(
            {"content": "a", "reasoning_content": "r", "reasoning": "r2"},
            (Reasoning(text="r"), Text(text="a")),
            id="MiMo's name wins",
        ),
        pytest.param(
            {"content": "a", "reasoning": {"x": 1}, "reasoning_details": "?"},
            (Text(text="a"),),
            id="another vendor's shape is left alone",
        ),
        pytest.param(
            {"content": None, "tool_calls": [{"id": "c1", "function": {"name": "f"}}]},
            (CALLED,),
            id="no type, no arguments",
        ),
        pytest.param(
            {"content": None, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]},
            (ToolCall(call_id="c1", name="f", arguments='{"a":1}'),),
            id="arguments as an object",
        ),
        pytest.param(
            {
                "content": None,
                "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "p", "input": "<&\n"}}],
            },
            (ToolCall(call_id="c1", name="p", arguments="<&\n", is_custom=True),),
            id="a freeform call",
        ),
        pytest.param(
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            (ToolCall(call_id="call_0", name="f", arguments="{}"),),
            id="the legacy form",
        ),
        pytest.param(
            {"content": None, "tool_calls": [CALL], "function_call": {"name": "f", "arguments": "{}"}},
            (CALLED,),
            id="both forms are one call",
        ),
    ],
)
def test_an_assistant_message(fields: dict[str, Any], expected: tuple[Part, ...]) -> None:
    assert parts({"role": "assistant", **fields}) == expected


def test_results_in_a_row_are_one_turn() -> None:
    turns = decode_messages(
        [
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "a\n"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {"role": "user", "content": "go on"},
            {"role": "tool", "tool_call_id": "c3", "content": [{"type": "text", "text": "b"}]},
        ]
    )
    assert [turn.role for turn in turns] == [Role.ASSISTANT, Role.TOOL, Role.USER, Role.TOOL]
    assert turns[1].parts == (
        ToolResult(call_id="c1", parts=(Text(text="a\n"),), name="f"),
        ToolResult(call_id="c2", parts=()),
    )


def test_the_legacy_result_answers_the_call_before_it() -> None:
    turns = decode_messages(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": None},
        ]
    )
    assert turns[1].tool_calls[0].call_id == "call_1"
    assert turns[2].parts == (ToolResult(call_id="call_1", parts=(), name="f"),)
    (alone,) = decode_messages([{"role": "function", "name": "f", "content": "r"}])
    assert alone.parts == (ToolResult(call_id="call_0", parts=(Text(text="r"),), name="f"),)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        pytest.param("hi", "messages[1]", id="a string"),
        pytest.param({"content": "x"}, "messages[1].role", id="no role"),
        pytest.param({"role": 5, "content": "x"}, "messages[1].role", id="a role that is no string"),
        pytest.param({"role": "bot", "content": "x"}, "messages[1].role", id="an unknown role"),
        pytest.param({"role": "user"}, "messages[1].content", id="a user without content"),
        pytest.param(
            {"role": "assistant", "content": None, "audio": {"id": "a1"}},
            "messages[1].audio",
            id="sound by its id, which is not kept",
        ),
        pytest.param({"role": "system", "content": 7}, "messages[1].content", id="content a number"),
        pytest.param(
            {"role": "user", "content": "x", "name": 5}, "messages[1].name", id="a name that is none"
        ),
        pytest.param(
            {"role": "user", "content": ["x"]}, "messages[1].content[0]", id="a part that is a string"
        ),
        pytest.param(
            {"role": "user", "content": [{}]}, "messages[1].content[0].type", id="a part without a type"
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "pdf"}]},
            "messages[1].content[0].type",
            id="an unknown part",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "text"}]},
            "messages[1].content[0].text",
            id="a text without text",
        ),
        pytest.param(
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]},
            "messages[1].content[0].type",
            id="a picture from the system",
        ),
        pytest.param({"role": "assistant"}, "messages[1].content", id="an assistant that says nothing"),
        pytest.param(
            {"role": "assistant", "content": "x", "reasoning_content": 5},
            "messages[1].reasoning_content",
            id="reasoning that is no text",
        ),
        pytest.param(
            {"role": "assistant", "content": "x", "refusal": 5}, "messages[1].refusal", id="refusal"
        ),
        pytest.param(
            {"role": "assistant", "content": "", "tool_calls": {}},
            "messages[1].tool_calls",
            id="calls no list",
        ),
        pytest.param(
            {"role": "assistant", "content": "", "tool_calls": ["f"]},
            "messages[1].tool_calls[0]",
            id="a call no object",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
            "messages[1].tool_calls[0].id",
            id="a call without an id",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "web"}]},
            "messages[1].tool_calls[0].type",
            id="a call of unknown type",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            "messages[1].tool_calls[0].function",
            id="a call without a function",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"arguments": "{}"}}]},
            "messages[1].tool_calls[0].function.name",
            id="a call without a name",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": [1]}}]},
            "messages[1].tool_calls[0].function.arguments",
            id="arguments that are a list",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p"}}]},
            "messages[1].tool_calls[0].custom.input",
            id="a freeform call without input",
        ),
        pytest.param(
            {"role": "assistant", "function_call": "f"}, "messages[1].function_call", id="legacy call"
        ),
        pytest.param(
            {"role": "tool", "content": "x"}, "messages[1].tool_call_id", id="a result without an id"
        ),
        pytest.param(
            {"role": "tool", "tool_call_id": "c"}, "messages[1].content", id="a result without content"
        ),
        pytest.param(
            {"role": "function", "content": "x"}, "messages[1].name", id="a legacy result without a name"
        ),
    ],
)
def test_a_mistake_names_its_place(message: object, param: str) -> None:
    error = refusal({"role": "user", "content": "ok"}, message)
    assert error.param == param


def test_no_message_at_all() -> None:
    error = refusal()
    assert (error.param, error.code) == ("messages", "empty_array")


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_null_content_is_an_empty_one(role: str) -> None:
    (turn,) = decode_messages([{"role": role, "content": None}])
    assert (turn.role, turn.parts) == (Role(role), ())


def test_a_result_that_is_null_is_an_empty_one() -> None:
    (turn,) = decode_messages([{"role": "tool", "tool_call_id": "c", "content": None}])
    assert turn.parts == (ToolResult(call_id="c", parts=()),)


# --- client role --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "messages"),
    [
        pytest.param(
            Turn(role=Role.SYSTEM, parts=(Text(text="a"), Text(text="b"))),
            [{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
            id="several texts stay apart",
        ),
        pytest.param(
            Turn(role=Role.USER, parts=(), name="ann"),
            [{"role": "user", "name": "ann", "content": ""}],
            id="nothing said",
        ),
        pytest.param(
            Turn(role=Role.ASSISTANT, parts=(CALLED, Text(text="a"), Reasoning(text="r"))),
            [{"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": [CALL]}],
            id="reasoning, text and calls find their fields",
        ),
        pytest.param(
            Turn(role=Role.ASSISTANT, parts=(Reasoning(text="", is_redacted=True), CALLED)),
            [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
            id="redacted reasoning is not sent as text",
        ),
        pytest.param(
            Turn(role=Role.ASSISTANT, parts=()), [{"role": "assistant", "content": ""}], id="an empty answer"
        ),
        pytest.param(
            Turn(
                role=Role.TOOL,
                parts=(
                    ToolResult(call_id="c1", parts=(Text(text="a"),), name="f", is_error=True),
                    ToolResult(call_id="c2", parts=()),
                ),
            ),
            [
                {"role": "tool", "tool_call_id": "c1", "content": "a"},
                {"role": "tool", "tool_call_id": "c2", "content": ""},
            ],
            id="one message a result",
        ),
        pytest.param(
            Turn(role=Role.TOOL, parts=(Text(text="stray"),)), [], id="what is no result is no message"
        ),
    ],
)
def test_turns_become_messages(turn: Turn, messages: list[dict[str, Any]]) -> None:
    encoded = encode_turns([turn])
    assert encoded == messages
    assert [list(message) for message in encoded] == [list(message) for message in messages]
