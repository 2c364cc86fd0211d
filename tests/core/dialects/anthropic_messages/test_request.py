"""Requests as clients send them, and which field is named when one is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service.core.conversation import (
    Conversation,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.dialects.anthropic_messages.errors import ThreadNotFound, ThreadUnsupported
from service.core.dialects.anthropic_messages.request import (
    decode_object,
    decode_request,
)
from service.core.errors import InvalidRequest

HELLO = {"role": "user", "content": "hello"}
HELLO_TURN = Turn(role=Role.USER, parts=(Text(text="hello"),))


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "mimo-v2.6-pro", "max_tokens": 64, "messages": [HELLO], **fields}


def decoded(**fields: Any) -> Conversation:
    return decode_request(orjson.dumps(body(**fields))).conversation


def turn(role: Role, *texts: str) -> Turn:
    return Turn(role=role, parts=tuple(Text(text=text) for text in texts))


# --- turns --------------------------------------------------------------------------------------------------


BILLING = "x-anthropic-billing-header: cc_version=2.1.329; cc_entrypoint=sdk-cli;"


@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        pytest.param({}, [HELLO_TURN], id="one message as a string"),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    }
                ]
            },
            [turn(Role.USER, "a", "b")],
            id="blocks stay apart",
        ),
        pytest.param({"system": "be brief"}, [turn(Role.SYSTEM, "be brief"), HELLO_TURN], id="system string"),
        pytest.param(
            {"system": [{"type": "text", "text": BILLING}, {"type": "text", "text": "be brief"}]},
            [turn(Role.SYSTEM, BILLING, "be brief"), HELLO_TURN],
            id="system blocks, the billing line among them",
        ),
        pytest.param({"system": ""}, [HELLO_TURN], id="empty system"),
        pytest.param({"system": []}, [HELLO_TURN], id="no system blocks"),
        pytest.param({"system": None}, [HELLO_TURN], id="null system"),
        pytest.param(
            {"messages": [HELLO, {"role": "system", "content": "cwd: /src"}]},
            [HELLO_TURN, turn(Role.SYSTEM, "cwd: /src")],
            id="a system message stays in place",
        ),
        pytest.param(
            {"messages": [HELLO, {"role": "system", "content": [{"type": "text", "text": "env"}]}]},
            [HELLO_TURN, turn(Role.SYSTEM, "env")],
            id="a system message of blocks",
        ),
        pytest.param(
            {"messages": [HELLO, {"role": "system", "output_config": {"effort": "low"}}]},
            [HELLO_TURN],
            id="a system message of settings only",
        ),
        pytest.param(
            {
                "messages": [
                    HELLO,
                    {"role": "system", "content": "once", "clear_at": "next_user_message"},
                    HELLO,
                ]
            },
            [HELLO_TURN, HELLO_TURN],
            id="a system message that was cleared",
        ),
        pytest.param(
            {"messages": [HELLO, {"role": "system", "content": "once", "clear_at": "next_user_message"}]},
            [HELLO_TURN, turn(Role.SYSTEM, "once")],
            id="a system message not cleared yet",
        ),
        pytest.param(
            {"messages": [HELLO, HELLO]}, [HELLO_TURN, HELLO_TURN], id="same role twice: no merging"
        ),
        pytest.param(
            {"messages": [{"role": "assistant", "content": "I am"}]},
            [turn(Role.ASSISTANT, "I am")],
            id="an assistant first, as a prefill",
        ),
        pytest.param(
            {"messages": [HELLO, {"role": "assistant", "content": []}, HELLO]},
            [HELLO_TURN, Turn(role=Role.ASSISTANT, parts=()), HELLO_TURN],
            id="an empty answer sent back",
        ),
    ],
)
def test_turns(fields: dict[str, Any], turns: list[Turn]) -> None:
    assert list(decoded(**fields).turns) == turns


def test_tool_round_becomes_assistant_tool_and_user_turns() -> None:
    messages = [
        HELLO,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "t2", "name": "Read", "input": {"path": "b"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "A"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "B", "is_error": True},
                {"type": "text", "text": "go on"},
            ],
        },
    ]
    assert decoded(messages=messages).turns == (
        HELLO_TURN,
        Turn(
            role=Role.ASSISTANT,
            parts=(
                Reasoning(text="hm", signature="sig"),
                Text(text="Looking."),
                ToolCall(call_id="t1", name="Read", arguments='{"path":"a"}'),
                ToolCall(call_id="t2", name="Read", arguments='{"path":"b"}'),
            ),
        ),
        Turn(
            role=Role.TOOL,
            parts=(
                ToolResult(call_id="t1", parts=(Text(text="A"),)),
                ToolResult(call_id="t2", parts=(Text(text="B"),), is_error=True),
            ),
        ),
        turn(Role.USER, "go on"),
    )


def test_text_before_results_keeps_its_place() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1"}
    content = [{"type": "text", "text": "first"}, result, {"type": "text", "text": "last"}]
    turns = decoded(messages=[{"role": "user", "content": content}]).turns
    assert [turn.role for turn in turns] == [Role.USER, Role.TOOL, Role.USER]


def test_tools_changed_inside_messages_change_the_tools_and_leave_no_turn() -> None:
    tool = {"name": "found", "input_schema": {}}
    addition = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
    conversation = decoded(messages=[HELLO, {"role": "system", "content": [addition]}])
    assert (conversation.turns, conversation.tools) == ((HELLO_TURN,), (ToolSpec(name="found"),))


# --- settings -----------------------------------------------------------------------------------------------


SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
JSON_SCHEMA = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        pytest.param({"max_tokens": None}, "sampling", Sampling(), id="max_tokens may be absent"),
        pytest.param(
            {"temperature": 1.5, "top_p": 0.9, "stop_sequences": ["</block>", ""]},
            "sampling",
            Sampling(max_output_tokens=64, temperature=1.5, top_p=0.9, stop=("</block>",)),
            id="sampling in MiMo's ranges, empty stop sequences left out",
        ),
        pytest.param(
            {"stop_sequences": None}, "sampling", Sampling(max_output_tokens=64), id="null sequences"
        ),
        pytest.param({"stream": True}, "streams", True, id="stream"),
        pytest.param({"stream": None}, "streams", False, id="null stream"),
        pytest.param({"tool_sieve": False}, "uses_sieve", False, id="the seed's tool_sieve"),
        pytest.param({}, "includes_usage", True, id="usage is always told"),
        pytest.param({}, "thinking", Thinking.DEFAULT, id="no thinking said"),
        pytest.param({"thinking": {"type": "enabled"}}, "thinking", Thinking.ENABLED, id="enabled"),
        pytest.param({"thinking": {"type": "disabled"}}, "thinking", Thinking.DISABLED, id="disabled"),
        pytest.param({"thinking": {"type": "adaptive"}}, "thinking", Thinking.ENABLED, id="adaptive"),
        pytest.param(
            {"thinking": {"type": "between_tools"}}, "thinking", Thinking.ENABLED, id="between tools"
        ),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 0}},
            "thinking",
            Thinking.DISABLED,
            id="a budget of nothing",
        ),
        pytest.param({"reasoning_effort": "none"}, "thinking", Thinking.DISABLED, id="OpenAI's way"),
        pytest.param({"output_config": {"effort": "high"}}, "effort", "high", id="effort"),
        pytest.param(
            {
                "output_config": {"effort": "high"},
                "messages": [HELLO, {"role": "system", "content": "x", "output_config": {"effort": "low"}}],
            },
            "effort",
            "low",
            id="a system message's effort wins",
        ),
        pytest.param({"output_config": None}, "effort", None, id="null output_config"),
        pytest.param(
            {"output_config": {"format": JSON_SCHEMA}},
            "response_format",
            ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema=SCHEMA),
            id="format",
        ),
        pytest.param(
            {"output_format": JSON_SCHEMA},
            "response_format",
            ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema=SCHEMA),
            id="the older output_format",
        ),
        pytest.param({"tools": []}, "tools", (), id="no tools"),
        pytest.param(
            {"tools": [], "tool_choice": {"type": "auto"}}, "tool_choice", ToolChoice(), id="auto of none"
        ),
        pytest.param({"thread": None}, "extra", {}, id="a null thread"),
        pytest.param(
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
            "extra",
            {},
            id="nothing extra",
        ),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 7168, "display": "summarized"}},
            "extra",
            {"thinking": {"type": "enabled", "budget_tokens": 7168, "display": "summarized"}},
            id="thinking that says more is kept",
        ),
        pytest.param(
            {"output_config": {"effort": "low", "task_budget": {"total": 9}}},
            "extra",
            {"output_config": {"task_budget": {"total": 9}}},
            id="the rest of output_config is kept",
        ),
        pytest.param(
            {
                "top_k": 40,
                "metadata": {"user_id": "{}"},
                "service_tier": "auto",
                "context_management": {"edits": []},
                "cache_control": {"type": "ephemeral"},
                "brand_new": 1,
                "container": None,
            },
            "extra",
            {
                "top_k": 40,
                "metadata": {"user_id": "{}"},
                "service_tier": "auto",
                "context_management": {"edits": []},
                "cache_control": {"type": "ephemeral"},
                "brand_new": 1,
            },
            id="fields we do not use are kept",
        ),
    ],
)
def test_setting(fields: dict[str, Any], attribute: str, expected: object) -> None:
    assert getattr(decoded(**fields), attribute) == expected


def test_what_was_left_out_is_noted() -> None:
    request = body(
        tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}],
        tool_choice={"type": "any"},
        safeguards=[{"type": "dangerous_tool_use"}],
        mcp_servers=[],
        container="c",
    )
    assert decode_object(request).notes == (
        "server-tool-dropped:web_fetch_20250910",
        "field-ignored:container",
        "field-ignored:safeguards",
        "tool-choice-loosened:any",
    )


def test_count_tokens_needs_no_max_tokens() -> None:
    request = {"model": "m", "messages": [HELLO], "system": "s", "tools": []}
    assert decode_request(orjson.dumps(request)).conversation.turns == (turn(Role.SYSTEM, "s"), HELLO_TURN)


def test_request_of_claude_code_decodes_whole() -> None:
    """A turn as Claude Code 2.1.329 sends it, shortened; recorded 2026-11-20."""
    request = body(
        max_tokens=32000,
        system=[
            {"type": "text", "text": BILLING},
            {
                "type": "text",
                "text": "You are an agent.",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
        ],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>…</system-reminder>"},
                    {"type": "text", "text": "fix it", "cache_control": {"type": "ephemeral"}},
                ],
            },
            {"role": "system", "content": "# Environment"},
        ],
        tools=[
            {"name": "Read", "description": "d", "input_schema": SCHEMA, "eager_input_streaming": True},
            {
                "name": "DeferredToolPlaceholder",
                "description": "d",
                "input_schema": SCHEMA,
                "defer_loading": True,
            },
        ],
        metadata={"user_id": '{"session_id":"x"}'},
        thinking={"type": "adaptive", "display": "omitted"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        stream=True,
    )
    result = decode_request(orjson.dumps(request))
    conversation = result.conversation
    assert result.notes == ()
    assert [turn.role for turn in conversation.turns] == [Role.SYSTEM, Role.USER, Role.SYSTEM]
    assert [spec.name for spec in conversation.tools] == ["Read", "DeferredToolPlaceholder"]
    assert (conversation.streams, conversation.effort) == (True, "high")
    assert set(conversation.extra) == {"metadata", "thinking", "context_management"}


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b'{"model":"\xff"}'], ids=repr)
def test_what_is_no_object_is_refused_without_a_name(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode_request(raw)
    assert raised.value.param is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"model": None}, "model", id="no model"),
        pytest.param({"model": ""}, "model", id="empty model"),
        pytest.param({"messages": None}, "messages", id="no messages"),
        pytest.param({"messages": "hi"}, "messages", id="messages as a string"),
        pytest.param({"messages": []}, "messages", id="empty messages"),
        pytest.param({"messages": ["hi"]}, "messages.0", id="a message as a string"),
        pytest.param({"messages": [{"content": "x"}]}, "messages.0.role", id="no role"),
        pytest.param(
            {"messages": [HELLO, {"role": "tool", "content": "x"}]}, "messages.1.role", id="OpenAI's role"
        ),
        pytest.param({"messages": [{"role": "user"}]}, "messages.0.content", id="no content"),
        pytest.param(
            {"messages": [HELLO, {"role": "user", "content": [{"type": "text", "text": None}]}]},
            "messages.1.content.0.text",
            id="no text in a block",
        ),
        pytest.param(
            {"messages": [{"role": "system", "output_config": {"effort": 3}}]},
            "messages.0.output_config.effort",
            id="a message's effort",
        ),
        pytest.param({"system": 7}, "system", id="system as a number"),
        pytest.param({"system": [{"type": "text"}]}, "system.0.text", id="system block without text"),
        pytest.param({"max_tokens": 0}, "max_tokens", id="max_tokens 0"),
        pytest.param({"max_tokens": "64"}, "max_tokens", id="max_tokens as a string"),
        pytest.param({"temperature": 3}, "temperature", id="too hot"),
        pytest.param({"top_p": 1.1}, "top_p", id="top_p above 1"),
        pytest.param({"top_k": 1.5}, "top_k", id="top_k with a point"),
        pytest.param({"stop_sequences": "x"}, "stop_sequences", id="sequences as a string"),
        pytest.param({"stop_sequences": ["x", 1]}, "stop_sequences.1", id="a sequence as a number"),
        pytest.param({"stream": "true"}, "stream", id="stream as a string"),
        pytest.param({"thinking": "on"}, "thinking", id="thinking as a string"),
        pytest.param({"thinking": {}}, "thinking.type", id="thinking without type"),
        pytest.param({"thinking": {"type": "maybe"}}, "thinking.type", id="unknown thinking"),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": "1"}},
            "thinking.budget_tokens",
            id="budget as a string",
        ),
        pytest.param({"output_config": []}, "output_config", id="output_config as a list"),
        pytest.param({"output_config": {"effort": 1}}, "output_config.effort", id="effort as a number"),
        pytest.param(
            {"output_config": {"format": {"type": "json_object"}}},
            "output_config.format.type",
            id="other format",
        ),
        pytest.param(
            {"output_format": {"type": "json_schema"}}, "output_format.schema", id="format without schema"
        ),
        pytest.param({"tools": {}}, "tools", id="tools as an object"),
        pytest.param({"tool_choice": {"type": "any"}}, "tool_choice", id="any tool of none"),
        pytest.param({"tool_sieve": 1}, "tool_sieve", id="tool_sieve as a number"),
        pytest.param({"compaction": {}}, "compaction", id="compaction on the server"),
        pytest.param({"thread": "create"}, "thread", id="thread as a string"),
        pytest.param({"thread": {}}, "thread.type", id="thread without type"),
    ],
)
def test_refused_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode_request(orjson.dumps(body(**fields)))
    assert raised.value.param == param


def test_paths_start_where_the_request_stands() -> None:
    """A batch decodes each request where it stands, so that its mistakes can be found."""
    with pytest.raises(InvalidRequest) as raised:
        decode_object(body(messages=[{"role": "user", "content": [{"type": "x"}]}]), at="requests.3.params")
    assert raised.value.param == "requests.3.params.messages.0.content.0.type"


def test_new_thread_is_refused() -> None:
    with pytest.raises(ThreadUnsupported):
        decoded(thread={"type": "create"})


def test_thread_to_go_on_with_is_not_found() -> None:
    with pytest.raises(ThreadNotFound):
        decoded(thread={"type": "continue", "previous_message_id": "msg_1"})
