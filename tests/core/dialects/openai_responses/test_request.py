"""The body of `POST /v1/responses`, field by field, and the conversations it continues."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

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
    ToolChoiceMode,
    Turn,
)
from service.core.dialects.openai_responses.request import (
    DecodeOptions,
    ResponsesRequest,
    continued,
    decode_request,
    resolve,
)
from service.core.dialects.openai_responses.tools import HostedTools
from service.core.errors import InvalidRequest
from tests.core.dialects.openai_responses.client_role import encode_request
from tests.strategies import Wire, conversations

_WIRE = Wire(
    has_filenames=True,
    has_image_detail=True,
    has_signatures=True,
    has_redacted_reasoning=True,
    has_item_ids=True,
    has_format_names=True,
    thinking=(Thinking.ENABLED,),
    extra=("user", "prompt_cache_options", "vendor_field"),
)
_SCHEMA = {"type": "object", "properties": {}}


def _decoded(options: DecodeOptions | None = None, **fields: Any) -> ResponsesRequest:
    return decode_request(orjson.dumps({"model": "mimo-v2.6-pro", "input": "hi"} | fields), options)


def _turns(request: ResponsesRequest) -> list[tuple[str, str]]:
    return [(turn.role.value, turn.text) for turn in request.conversation.turns]


def test_smallest_request() -> None:
    request = _decoded()
    assert request.conversation == Conversation(
        model="mimo-v2.6-pro",
        turns=(Turn(role=Role.USER, parts=(Text(text="hi"),)),),
        includes_usage=True,
    )
    assert request.is_stored
    assert not request.is_background
    assert request.notes == ()


def test_the_older_page_is_honoured() -> None:
    """`?stream=true`, `tool_sieve: false` and a top-level `reasoning_effort`, with messages as in Chat."""
    body = orjson.dumps(
        {
            "model": "mimo-v2-pro",
            "input": [{"role": "user", "content": "What time is it?"}],
            "tools": [{"type": "function", "name": "get_time", "parameters": _SCHEMA}],
            "tool_sieve": False,
            "reasoning_effort": "high",
        }
    )
    conversation = decode_request(body, DecodeOptions(streams_by_query=True)).conversation
    assert conversation.streams
    assert not conversation.uses_sieve
    assert (conversation.thinking, conversation.effort) == (Thinking.ENABLED, "high")
    assert [tool.name for tool in conversation.tools] == ["get_time"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"stream": True}, {"streams": True}, id="stream"),
        pytest.param({"tool_sieve": True}, {"uses_sieve": True}, id="tool_sieve"),
        pytest.param({"stream_options": {"include_obfuscation": False}}, {}, id="stream_options"),
        pytest.param(
            {"max_output_tokens": 16.0, "temperature": 0, "top_p": 0.5},
            {"sampling": Sampling(max_output_tokens=16, temperature=0, top_p=0.5)},
            id="sampling",
        ),
        pytest.param({"reasoning": None}, {}, id="null is absent"),
        pytest.param({"reasoning": {"summary": "auto"}}, {}, id="reasoning without effort"),
        pytest.param(
            {"reasoning": {"effort": "none"}},
            {"thinking": Thinking.DISABLED, "effort": "none"},
            id="effort none",
        ),
        pytest.param(
            {"reasoning": {"effort": "minimal"}},
            {"thinking": Thinking.ENABLED, "effort": "minimal"},
            id="effort minimal",
        ),
        pytest.param(
            {"reasoning": {"effort": "low"}, "reasoning_effort": "none"},
            {"thinking": Thinking.ENABLED, "effort": "low"},
            id="reasoning.effort wins",
        ),
        pytest.param({"text": {"verbosity": "low"}}, {}, id="text without format"),
        pytest.param({"text": {"format": {"type": "text"}}}, {}, id="text format"),
        pytest.param(
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)},
            id="json_object",
        ),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA, "strict": True}}},
            {
                "response_format": ResponseFormat(
                    kind=ResponseFormatKind.JSON_SCHEMA, name="n", schema=_SCHEMA, strict=True
                )
            },
            id="json_schema",
        ),
        pytest.param(
            {"client_metadata": {"a": "b"}, "max_tokens": 7},
            {"extra": {"client_metadata": {"a": "b"}, "max_tokens": 7}},
            id="other fields are kept",
        ),
    ],
)
def test_field_of_the_conversation(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert _decoded(**fields).conversation == replace(_decoded().conversation, **expected)


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        pytest.param({"store": False}, "is_stored", False, id="store"),
        pytest.param({"background": True}, "is_background", True, id="background"),
        pytest.param({"previous_response_id": "resp_1"}, "previous_response_id", "resp_1", id="chain"),
        pytest.param({"previous_response_id": ""}, "previous_response_id", None, id="an empty chain"),
        pytest.param({"include": ["a"]}, "include", ("a",), id="include"),
        pytest.param({"include": []}, "wants_sealed_reasoning", False, id="no sealed reasoning"),
        pytest.param(
            {"include": ["reasoning.encrypted_content"]}, "wants_sealed_reasoning", True, id="sealed"
        ),
        pytest.param({"metadata": {"a": "b"}}, "metadata", {"a": "b"}, id="metadata"),
        pytest.param({"metadata": None}, "metadata", {}, id="no metadata"),
        pytest.param({"truncation": "auto"}, "truncation", "auto", id="truncation"),
        pytest.param({"prompt_cache_key": "k"}, "prompt_cache_key", "k", id="prompt_cache_key"),
    ],
)
def test_field_beside_the_conversation(fields: dict[str, Any], name: str, expected: object) -> None:
    assert getattr(_decoded(**fields), name) == expected


def test_streams_in_the_body_wins_over_the_query() -> None:
    assert not _decoded(DecodeOptions(streams_by_query=True), stream=False).conversation.streams


def test_instructions_lead() -> None:
    request = _decoded(instructions="Be brief.")
    assert _turns(request) == [("system", "Be brief."), ("user", "hi")]
    assert request.instructions == "Be brief."


def test_codex_turn() -> None:
    """The shape of a recorded turn: developer prompt first, ids and nulls in history, tools of all kinds."""
    request = _decoded(
        stream=True,
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="thread",
        client_metadata={"x": "y"},
        reasoning={"effort": "high", "summary": "detailed"},
        parallel_tool_calls=True,
        tool_choice="auto",
        input=[
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "You are Codex."}],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it."}]},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Look."}],
                "content": None,
                "encrypted_content": None,
            },
            {
                "type": "function_call",
                "id": "fc_1",
                "status": "completed",
                "name": "spawn_agent",
                "namespace": "multi_agent_v1",
                "arguments": "{}",
                "call_id": "call_1",
            },
            {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "ok"},
            {
                "type": "custom_tool_call",
                "status": "completed",
                "call_id": "call_2",
                "name": "apply_patch",
                "input": "*** Begin Patch\n",
            },
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done"},
        ],
        tools=[
            {"type": "function", "name": "exec_command", "strict": False, "parameters": _SCHEMA},
            {
                "type": "namespace",
                "name": "multi_agent_v1",
                "description": "d",
                "tools": [{"type": "function", "name": "spawn_agent", "parameters": _SCHEMA}],
            },
            {"type": "web_search", "external_web_access": False},
            {
                "type": "custom",
                "name": "apply_patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
            },
            {"type": "tool_search", "execution": "client"},
        ],
    )
    conversation = request.conversation
    assert [tool.name for tool in conversation.tools] == ["exec_command", "spawn_agent", "apply_patch"]
    assert [turn.role.value for turn in conversation.turns] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert conversation.turns[2].parts == (
        Reasoning(text="Look.", item_id="rs_1"),
        ToolCall(
            call_id="call_1", name="spawn_agent", arguments="{}", namespace="multi_agent_v1", item_id="fc_1"
        ),
    )
    assert conversation.turns[4].tool_calls[0].arguments == '{"input":"*** Begin Patch\\n"}'
    assert len(request.notes) == 2


def test_tools_in_the_input_are_offered_too() -> None:
    request = _decoded(
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]},
            {"role": "user", "content": "go"},
        ]
    )
    assert [tool.name for tool in request.conversation.tools] == ["exec"]


def test_tool_choice_and_notes_are_gathered() -> None:
    request = _decoded(tools=[{"type": "mcp"}], tool_choice={"type": "mcp"})
    assert request.conversation.tool_choice.mode is ToolChoiceMode.AUTO
    assert len(request.notes) == 2


def test_hosted_tools_may_be_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded(DecodeOptions(hosted_tools=HostedTools.REFUSE), tools=[{"type": "mcp"}])
    assert refused.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"model": None}, "model", id="no model"),
        pytest.param({"model": ""}, "model", id="empty model"),
        pytest.param({"input": None}, "input", id="no input"),
        pytest.param({"input": 7}, "input", id="input is a number"),
        pytest.param({"input": ["a"]}, "input[0]", id="an item that is no object"),
        pytest.param({"input": []}, "input", id="nothing to answer"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
            id="deep",
        ),
        pytest.param({"instructions": []}, "instructions", id="instructions"),
        pytest.param({"stream": "yes"}, "stream", id="stream"),
        pytest.param({"stream_options": 1}, "stream_options", id="stream_options"),
        pytest.param({"store": "yes"}, "store", id="store"),
        pytest.param({"background": True, "store": False}, "background", id="background without a store"),
        pytest.param({"tool_sieve": 1}, "tool_sieve", id="tool_sieve"),
        pytest.param({"temperature": 3}, "temperature", id="temperature"),
        pytest.param({"top_p": -1}, "top_p", id="top_p"),
        pytest.param({"max_output_tokens": 0}, "max_output_tokens", id="max_output_tokens"),
        pytest.param({"reasoning": {"effort": 1}}, "reasoning.effort", id="effort"),
        pytest.param({"text": {"format": {}}}, "text.format.type", id="format without a type"),
        pytest.param({"text": {"format": {"type": "xml"}}}, "text.format.type", id="unknown format"),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", id="no schema"
        ),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", id="no name"
        ),
        pytest.param({"include": "a"}, "include", id="include"),
        pytest.param({"include": [1]}, "include[0]", id="a word of include"),
        pytest.param({"truncation": "some"}, "truncation", id="truncation"),
        pytest.param({"metadata": {str(n): "" for n in range(17)}}, "metadata", id="17 pairs"),
        pytest.param({"metadata": {"k" * 65: ""}}, "metadata", id="a long key"),
        pytest.param({"metadata": {"k": "v" * 513}}, "metadata.k", id="a long value"),
        pytest.param({"metadata": {"k": 1}}, "metadata.k", id="a number for a value"),
        pytest.param({"conversation": "conv_1"}, "conversation", id="conversation"),
        pytest.param({"prompt": {"id": "p"}}, "prompt", id="prompt"),
        pytest.param({"tools": {}}, "tools", id="tools"),
    ],
)
def test_malformed_request_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _decoded(**fields)
    assert refused.value.param == param


# --- stored items and chains --------------------------------------------------------------------------------

_STORED: dict[str, Any] = {
    "rs_1": {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    "msg_1": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a"}],
    },
}


def _with_references() -> ResponsesRequest:
    """As the Vercel AI SDK sends a tool turn: reasoning and text by reference, calls in full."""
    return _decoded(
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "go"},
            {"type": "item_reference", "id": "rs_1"},
            {"type": "item_reference", "id": "msg_1"},
            {"type": "function_call", "call_id": "c1", "name": "run", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        ],
    )


def test_references_are_filled_in() -> None:
    request = _with_references()
    assert request.references == ("rs_1", "msg_1")
    resolved = resolve(request, _STORED)
    assert resolved.references == ()
    assert _turns(resolved) == [("system", "Be brief."), ("user", "go"), ("assistant", "a"), ("tool", "")]
    assert resolved.conversation.turns[2].reasoning == "hm"
    assert resolved.items[1:3] == (_STORED["rs_1"], _STORED["msg_1"])


def test_reference_to_lost_reasoning_is_left_out() -> None:
    resolved = resolve(_with_references(), {"msg_1": _STORED["msg_1"]})
    assert resolved.conversation.turns[2].reasoning == ""
    assert resolved.notes == ("input[1] dropped: the referenced reasoning is not stored",)


def test_reference_to_a_lost_message_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolve(_with_references(), {})
    assert refused.value.param == "input[2].id"


def test_nothing_but_references_is_a_request() -> None:
    assert _decoded(input=[{"type": "item_reference", "id": "msg_1"}]).references == ("msg_1",)


def test_chain_leads_and_its_instructions_do_not() -> None:
    previous = [{"role": "user", "content": "before"}, _STORED["rs_1"], _STORED["msg_1"]]
    request = continued(previous, _decoded(instructions="Be brief.", previous_response_id="resp_1"))
    assert _turns(request) == [
        ("system", "Be brief."),
        ("user", "before"),
        ("assistant", "a"),
        ("user", "hi"),
    ]
    assert [item["role"] for item in request.items] == ["user"]
    assert request.previous_response_id == "resp_1"


def test_chain_alone_may_be_continued() -> None:
    request = _decoded(input=None, previous_response_id="resp_1")
    assert _turns(continued([{"role": "user", "content": "before"}], request)) == [("user", "before")]


def test_output_of_a_call_in_the_chain() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "run", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
    request = continued([_STORED["rs_1"], call], _decoded(input=[output], previous_response_id="resp_1"))
    assert [turn.role.value for turn in request.conversation.turns] == ["assistant", "tool"]


def test_reference_into_the_chain_is_not_said_twice() -> None:
    request = continued([_STORED["msg_1"]], _with_references(), _STORED)
    assert _turns(request) == [
        ("system", "Be brief."),
        ("assistant", "a"),
        ("user", "go"),
        ("assistant", ""),
        ("tool", ""),
    ]
    assert request.conversation.turns[3].reasoning == "hm"


def test_mistake_after_a_chain_names_the_input() -> None:
    request = _decoded(input=[{"type": "item_reference", "id": "msg_9"}], previous_response_id="resp_1")
    with pytest.raises(InvalidRequest) as refused:
        continued([{"role": "user", "content": "before"}], request)
    assert refused.value.param == "input[0].id"


@settings(max_examples=50)
@given(conversations(_WIRE))
def test_every_part_survives_the_wire(conversation: Conversation) -> None:
    if conversation.effort is None:
        conversation = replace(conversation, thinking=Thinking.DEFAULT)
    expected = replace(conversation, includes_usage=True, sampling=replace(conversation.sampling, stop=()))
    assert decode_request(encode_request(expected)).conversation == expected
