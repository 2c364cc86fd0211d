"""`POST /v1/chat/completions`: what a body says, field by field, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    MediaKind,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
    Turn,
)
from service.core.dialects.openai_chat.request import decode_body, decode_request, encode_request
from service.core.errors import InvalidRequest
from tests.strategies import Wire, conversations, json_values

HELLO = {"role": "user", "content": "hello"}

# What Chat can say. Left out on purpose: names of results, item ids, signatures, `is_error`, namespaces.
WIRE = Wire(
    media_kinds=tuple(MediaKind),
    has_filenames=True,
    has_image_detail=True,
    has_turn_names=True,
    has_custom_tools=True,
    has_penalties=True,
    has_format_names=True,
    efforts=(),
    extra=("seed", "metadata", "prompt_cache_key"),
)


def decode(**fields: Any) -> Conversation:
    return decode_request(orjson.dumps({"model": "mimo-v2.6-pro", "messages": [HELLO], **fields}))


def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)
    return caught.value


# --- the whole body -----------------------------------------------------------------------------------------


def test_the_smallest_request() -> None:
    assert decode() == Conversation(
        model="mimo-v2.6-pro", turns=(Turn(role=Role.USER, parts=(Text(text="hello"),)),)
    )


def test_a_batch_line_is_decoded_from_its_object() -> None:
    assert decode_body({"model": "m", "messages": [HELLO]}).model == "m"


def test_an_agent_s_request_of_the_reference_page() -> None:
    """The seed's multi-turn example with reasoning, and the answers and results that follow it."""
    conversation = decode(
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "assistant", "content": "Hello!", "reasoning_content": "Introduce myself."},
            {"role": "user", "content": "Weather in Beijing and Paris?"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Two calls.",
                "refusal": None,
                "annotations": [],
                "audio": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get", "arguments": '{"c": "B"}'},
                    },
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "get", "arguments": '{"c":"P"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "rain\n"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "sun"}]},
        ],
        tools=[{"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}}],
        tool_choice="auto",
        max_completion_tokens=1024,
        temperature=1.0,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert [turn.role for turn in conversation.turns] == [
        Role.SYSTEM,
        Role.ASSISTANT,
        Role.USER,
        Role.ASSISTANT,
        Role.TOOL,
    ]
    assert conversation.turns[1].parts == (Reasoning(text="Introduce myself."), Text(text="Hello!"))
    assert conversation.turns[3].parts == (
        Reasoning(text="Two calls."),
        ToolCall(call_id="call_1", name="get", arguments='{"c": "B"}'),
        ToolCall(call_id="call_2", name="get", arguments='{"c":"P"}'),
    )
    assert conversation.turns[4].parts == (
        ToolResult(call_id="call_1", parts=(Text(text="rain\n"),)),
        ToolResult(call_id="call_2", parts=(Text(text="sun"),)),
    )
    assert conversation.streams
    assert conversation.includes_usage
    assert conversation.sampling == Sampling(max_output_tokens=1024, temperature=1.0)
    assert conversation.extra == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"model": None}, "model", id="no model"),
        pytest.param({"model": ""}, "model", id="an empty model"),
        pytest.param({"model": 5}, "model", id="a model that is no string"),
        pytest.param({"messages": None}, "messages", id="messages null"),
        pytest.param({"messages": "hi"}, "messages", id="messages a string"),
        pytest.param({"messages": []}, "messages", id="no messages"),
        pytest.param({"messages": ["hi"]}, "messages[0]", id="a message that is no object"),
        pytest.param({"temperature": "hot"}, "temperature", id="temperature a string"),
        pytest.param({"temperature": 2.1}, "temperature", id="temperature too high"),
        pytest.param({"temperature": -1}, "temperature", id="temperature too low"),
        pytest.param({"top_p": 1.5}, "top_p", id="top_p too high"),
        pytest.param({"frequency_penalty": 3}, "frequency_penalty", id="frequency penalty too high"),
        pytest.param({"presence_penalty": -3}, "presence_penalty", id="presence penalty too low"),
        pytest.param({"max_tokens": 0}, "max_tokens", id="max_tokens zero"),
        pytest.param({"max_tokens": 1.5}, "max_tokens", id="max_tokens no integer"),
        pytest.param({"max_completion_tokens": "9"}, "max_completion_tokens", id="the newer cap a string"),
        pytest.param({"n": 2}, "n", id="several choices"),
        pytest.param({"n": 0}, "n", id="no choice"),
        pytest.param({"stream": "true"}, "stream", id="stream a string"),
        pytest.param({"stream_options": True}, "stream_options", id="stream_options no object"),
        pytest.param(
            {"stream_options": {"include_usage": 1}}, "stream_options.include_usage", id="include_usage"
        ),
        pytest.param({"stop": 5}, "stop", id="stop a number"),
        pytest.param({"stop": ["a", 5]}, "stop[1]", id="a stop sequence that is a number"),
        pytest.param({"stop": ["a"] * 65}, "stop", id="stop sequences without end"),
        pytest.param({"response_format": "json"}, "response_format", id="response_format a string"),
        pytest.param({"response_format": {}}, "response_format.type", id="response_format without a type"),
        pytest.param(
            {"response_format": {"type": "xml"}}, "response_format.type", id="unknown response_format"
        ),
        pytest.param(
            {"response_format": {"type": "json_schema"}}, "response_format.json_schema", id="no json_schema"
        ),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "response_format.json_schema.schema",
            id="no schema",
        ),
        pytest.param({"reasoning_effort": 3}, "reasoning_effort", id="reasoning_effort a number"),
        pytest.param({"reasoning": "high"}, "reasoning", id="reasoning a string"),
        pytest.param({"reasoning": {"enabled": "yes"}}, "reasoning.enabled", id="reasoning.enabled a string"),
        pytest.param({"thinking": "maybe"}, "thinking", id="thinking an unknown word"),
        pytest.param({"thinking": 7}, "thinking", id="thinking a number"),
        pytest.param({"thinking": {}}, "thinking.type", id="thinking without a type"),
        pytest.param({"thinking": {"type": "maybe"}}, "thinking.type", id="unknown thinking"),
        pytest.param({"enable_thinking": "no"}, "enable_thinking", id="enable_thinking a string"),
        pytest.param({"tool_sieve": "no"}, "tool_sieve", id="tool_sieve a string"),
    ],
)
def test_a_mistake_names_its_field(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)
    assert error.param == param
    assert error.code
    assert param.rpartition(".")[2].partition("[")[0] in error.message or "Supported values" in error.message


def test_four_times_the_request_takes_less_than_eight_times_as_long() -> None:
    """Long histories, many tools and large pictures: the three ways a request grows."""

    def took_s(scale: int) -> float:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 20_000 * scale}}
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        result = {"role": "tool", "tool_call_id": "c", "content": "r"}
        turn = [HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
        messages = [*turn * 10 * scale, {"role": "user", "content": [picture]}]
        tools = [{"type": "function", "function": {"name": f"f{i}"}} for i in range(20 * scale)]
        body = {"model": "m", "messages": messages, "tools": tools}
        took = []
        for _ in range(3):
            start = time.process_time()
            decode_body(body)
            took.append(time.process_time() - start)
        return min(took)

    assert took_s(64) < 8 * took_s(16)


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="line 1, column 2"):
        decode_request(b"{model: 1}")


# --- sampling, format, switches -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, Sampling(), id="nothing said"),
        pytest.param({"max_tokens": 5}, Sampling(max_output_tokens=5), id="the older cap"),
        pytest.param({"max_completion_tokens": 6}, Sampling(max_output_tokens=6), id="the newer cap"),
        pytest.param(
            {"max_tokens": 5, "max_completion_tokens": 6},
            Sampling(max_output_tokens=6),
            id="the newer cap wins",
        ),
        pytest.param(
            {"temperature": 0, "top_p": 0.5}, Sampling(temperature=0, top_p=0.5), id="temperature, top_p"
        ),
        pytest.param(
            {"frequency_penalty": -2, "presence_penalty": 2},
            Sampling(frequency_penalty=-2, presence_penalty=2),
            id="penalties",
        ),
        pytest.param({"stop": "\n"}, Sampling(stop=("\n",)), id="one stop sequence"),
        pytest.param(
            {"stop": ["a", "", "b"]}, Sampling(stop=("a", "b")), id="several, the empty one dropped"
        ),
        pytest.param({"stop": list("abcde")}, Sampling(stop=tuple("abcde")), id="more than OpenAI takes"),
        pytest.param({"stop": None, "temperature": None}, Sampling(), id="null is nothing said"),
    ],
)
def test_sampling(fields: dict[str, Any], expected: Sampling) -> None:
    assert decode(**fields).sampling == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, ResponseFormat(), id="null"),
        pytest.param({"type": "text"}, ResponseFormat(), id="text"),
        pytest.param({"type": "json_object"}, ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT), id="JSON"),
        pytest.param(
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
            },
            ResponseFormat(
                kind=ResponseFormatKind.JSON_SCHEMA, name="n", schema={"type": "object"}, strict=True
            ),
            id="a schema",
        ),
        pytest.param(
            {"type": "json_schema", "json_schema": {"schema": {}}},
            ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema={}),
            id="a schema without a name",
        ),
    ],
)
def test_response_format(value: object, expected: ResponseFormat) -> None:
    assert decode(response_format=value).response_format == expected


@pytest.mark.parametrize(
    ("fields", "thinking", "effort"),
    [
        pytest.param({}, Thinking.DEFAULT, None, id="nothing said"),
        pytest.param({"reasoning_effort": "low"}, Thinking.ENABLED, "low", id="an effort means thinking"),
        pytest.param({"reasoning_effort": "none"}, Thinking.DISABLED, None, id="no effort means none"),
        pytest.param({"reasoning_effort": "OFF"}, Thinking.DISABLED, None, id="off"),
        pytest.param({"reasoning": {"effort": "high"}}, Thinking.ENABLED, "high", id="reasoning.effort"),
        pytest.param({"reasoning": {"effort": "none"}}, Thinking.DISABLED, None, id="reasoning.effort none"),
        pytest.param({"reasoning": {"enabled": False}}, Thinking.DISABLED, None, id="reasoning.enabled"),
        pytest.param({"reasoning": {"enabled": True}}, Thinking.ENABLED, None, id="reasoning.enabled true"),
        pytest.param({"thinking": {"type": "enabled"}}, Thinking.ENABLED, None, id="MiMo's own switch, on"),
        pytest.param(
            {"thinking": {"type": "disabled"}}, Thinking.DISABLED, None, id="MiMo's own switch, off"
        ),
        pytest.param(
            {"thinking": {"type": "adaptive", "budget_tokens": 9}}, Thinking.ENABLED, None, id="adaptive"
        ),
        pytest.param(
            {"thinking": {"type": "auto"}}, Thinking.DEFAULT, None, id="auto leaves it to the model"
        ),
        pytest.param({"enable_thinking": False}, Thinking.DISABLED, None, id="enable_thinking"),
        pytest.param(
            {"chat_template_kwargs": {"enable_thinking": False}},
            Thinking.DISABLED,
            None,
            id="the template's switch",
        ),
        pytest.param({"chat_template_kwargs": {}}, Thinking.DEFAULT, None, id="the template says nothing"),
        pytest.param(
            {"thinking": {"type": "disabled"}, "reasoning_effort": "high"},
            Thinking.DISABLED,
            "high",
            id="the switch wins over the effort",
        ),
        pytest.param(
            {"thinking": {"type": "enabled"}, "enable_thinking": False},
            Thinking.ENABLED,
            None,
            id="and over others",
        ),
    ],
)
def test_thinking(fields: dict[str, Any], thinking: Thinking, effort: str | None) -> None:
    conversation = decode(**fields)
    assert (conversation.thinking, conversation.effort) == (thinking, effort)


def test_the_sieve_is_switched_off_by_false_alone() -> None:
    assert decode().uses_sieve
    assert decode(tool_sieve=True).uses_sieve
    assert decode(tool_sieve=None).uses_sieve
    assert not decode(tool_sieve=False).uses_sieve


@pytest.mark.parametrize("n", [None, 1, 1.0])
def test_one_choice_is_what_there_is(n: object) -> None:
    assert decode(n=n).extra == {}


def test_other_fields_are_kept_under_their_names() -> None:
    kept = {
        "seed": 1,
        "user": "u",
        "metadata": {"a": "b"},
        "store": False,
        "x": [1],
    }
    assert decode(**kept, logit_bias=None).extra == kept


# --- client role --------------------------------------------------------------------------------------------


def normal(conversation: Conversation) -> Conversation:
    return decode_request(orjson.dumps(encode_request(conversation)))


@given(conversations(WIRE))
def test_what_is_encoded_decodes_to_the_same_conversation(conversation: Conversation) -> None:
    assert normal(conversation) == conversation


@given(conversations(WIRE))
def test_equal_conversations_are_equal_bytes(conversation: Conversation) -> None:
    """MiMo's prompt cache goes by prefix: the bytes may not depend on anything but the values."""
    first = orjson.dumps(encode_request(conversation))
    assert orjson.dumps(encode_request(normal(conversation))) == first


def test_only_what_was_said_is_encoded() -> None:
    assert encode_request(decode()) == {"model": "mimo-v2.6-pro", "messages": [HELLO]}


def test_every_field_has_its_place() -> None:
    body = {
        "model": "m",
        "messages": [HELLO],
        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search", "limit": 3}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 1.0,
        "presence_penalty": -1.0,
        "stop": ["a"],
        "thinking": {"type": "enabled"},
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "stream": True,
        "stream_options": {"include_usage": True},
        "tool_sieve": False,
        "seed": 5,
    }
    encoded = encode_request(decode_body(body))
    assert encoded == body
    assert list(encoded) == list(body)


def test_the_seed_s_file_part_survives() -> None:
    """The seed's upload example sends bare base64 and a name."""
    part = {"type": "file", "file": {"filename": "yourfile.md", "file_data": "IyBIaQo="}}
    conversation = decode(messages=[{"role": "user", "content": [{"type": "text", "text": "Sum up"}, part]}])
    assert encode_request(conversation)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Sum up"}, part]}
    ]


def test_a_freeform_tool_s_history_is_kept_raw() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin\n"}}
    body = {
        "model": "m",
        "messages": [HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}],
        "tools": [{"type": "custom", "custom": {"name": "apply_patch", "format": {"type": "text"}}}],
    }
    conversation = decode_body(body)
    assert conversation.tools[0].kind is ToolKind.CUSTOM
    assert conversation.turns[1].tool_calls == (
        ToolCall(call_id="c1", name="apply_patch", arguments="*** Begin\n", is_custom=True),
    )
    assert encode_request(conversation) == body


# --- anything at all ----------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


EVERYTHING = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}], "name": "n"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "u"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {
                    "type": "video_url",
                    "video_url": {"url": "https://x/y"},
                    "fps": 2,
                    "media_resolution": "max",
                },
                {"type": "file", "file": {"filename": "a", "file_data": "aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "reasoning_content": "r",
            "reasoning_details": [{"text": "x"}],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "d", "type": "custom", "custom": {"name": "p", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}},
        {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"name": "f"}]}},
    "parallel_tool_calls": False,
    "stop": ["a"],
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "thinking": {"type": "enabled"},
    "reasoning": {"effort": "low", "enabled": True},
    "chat_template_kwargs": {"enable_thinking": True},
    "temperature": 1,
    "max_tokens": 1,
    "n": 1,
}


def test_a_request_of_everything_is_decoded() -> None:
    assert len(decode_body(EVERYTHING).turns) == 6


@given(
    path=st.sampled_from(places(EVERYTHING)[1:]),
    new=json_values() | st.sampled_from(["text", "custom", "auto", "function", "tool", "data:,", "http://"]),
)
def test_any_value_anywhere_is_decoded_or_refused_by_its_place(path: tuple[Any, ...], new: Any) -> None:
    """No input makes anything but a Conversation that can be sent on, or a refusal that names a field."""
    body = replaced(EVERYTHING, path, new)
    error = refused(body)
    if error is None:
        assert orjson.dumps(encode_request(decode_body(body)))
        return
    assert error.param
    assert error.param.partition("[")[0].partition(".")[0] in EVERYTHING
    assert len(error.message) < 1000


def refused(body: dict[str, Any]) -> InvalidRequest | None:
    try:
        decode_body(body)
    except InvalidRequest as error:
        return error
    return None
