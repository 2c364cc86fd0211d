"""What a client sends -> what the platform gets: a named case for each request rule of mimo-api.md 1.4, 2
and 3.

The strict validator is the simulator's, which was written from the same page by other hands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.dialects.openai_chat.request import decode_request
from service.core.dialects.openai_chat.response import CompletionDecoder
from service.core.dialects.openai_chat.stream import StreamDecoder
from service.core.errors import InvalidRequest, UpstreamProtocolError
from service.core.models import FACTS
from service.core.upstreams import mimo_platform
from service.core.upstreams.mimo_platform import decode_models, decoder_for, encode_request
from service.core.web_search import WEB_SEARCH
from service.simulator.options import SimulatedModel, SimulatorOptions
from service.simulator.platform.chat_request import check_chat
from tests.strategies import Wire, conversations

DOCUMENTED = {
    *("model", "messages", "max_completion_tokens", "temperature", "top_p", "frequency_penalty"),
    *("presence_penalty", "stop", "stream", "thinking", "response_format", "tools", "tool_choice"),
}
HELLO = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LOOK = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}
LOOK_SENT = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
}
IMAGE = {"type": "image_url", "image_url": {"url": "https://h/i.png"}}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def sent(**fields: Any) -> Conversation:
    """What the OpenAI dialect makes of the body."""
    return decode_request(orjson.dumps({"model": "mimo-v2.6-pro", "messages": [HELLO]} | fields))


def wire(**fields: Any) -> dict[str, Any]:
    """The body that the platform gets for it."""
    body: dict[str, Any] = orjson.loads(encode_request(sent(**fields)).body)
    return body


def notes(**fields: Any) -> tuple[str, ...]:
    return encode_request(sent(**fields)).notes


# --- the shape of the whole ---------------------------------------------------------------------------------


def test_the_least_request() -> None:
    request = encode_request(sent())
    assert request.path == "/v1/chat/completions"
    assert request.body == (
        b'{"model":"mimo-v2.6-pro","messages":[{"role":"user","content":"hello"}],"stream":false}'
    )
    assert request.notes == ()


def test_the_whole_request() -> None:
    assert wire(
        stream=True,
        max_completion_tokens=100,
        temperature=0.5,
        top_p=0.9,
        frequency_penalty=1,
        presence_penalty=-1,
        stop=["a", "b"],
        thinking={"type": "enabled"},
        response_format={"type": "json_object"},
        tools=[LOOK],
        tool_choice="auto",
    ) == {
        "model": "mimo-v2.6-pro",
        "messages": [
            HELLO,
            {
                "role": "system",
                "content": "Answer with one JSON object and nothing else: no prose around it, no code fence.",
            },
        ],
        "tools": [LOOK_SENT],
        "tool_choice": "auto",
        "thinking": {"type": "enabled"},
        "response_format": {"type": "json_object"},
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 1,
        "presence_penalty": -1,
        "stop": ["a", "b"],
        "stream": True,
    }


UNDOCUMENTED: dict[str, Any] = {
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 2},
    "user": "u",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "verbosity": "low",
    "context_management": {},
    "anything": "else",
}


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_what_is_not_documented_is_left_out_and_told(name: str) -> None:
    field = {name: UNDOCUMENTED[name]}
    assert wire(**field) == wire()
    assert notes(**field) == (f"{name} is not a parameter of MiMo and was left out",)


@pytest.mark.parametrize("name", ["stream_options", "parallel_tool_calls", "n", "tool_sieve"])
def test_what_the_gateway_does_itself_is_left_out_silently(name: str) -> None:
    field = {name: {"include_usage": True} if name == "stream_options" else 1 if name == "n" else True}
    assert wire(**field) == wire()
    assert notes(**field) == ()


# --- section 3, row by row ----------------------------------------------------------------------------------

RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "seen"}


def messages(*sent_messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = wire(messages=list(sent_messages), **fields)["messages"]
    return out


def test_null_content_beside_calls_becomes_an_empty_string() -> None:
    """400 "`text` is not present" otherwise."""
    assistant = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert messages(HELLO, assistant, RESULT)[1]["content"] == ""


def test_absent_content_beside_calls_becomes_an_empty_string() -> None:
    assert messages(HELLO, {"role": "assistant", "tool_calls": [CALL]}, RESULT)[1]["content"] == ""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([IMAGE], id="an image alone"),
        pytest.param([IMAGE, {"type": "text", "text": ""}], id="an image and an empty text"),
    ],
)
def test_media_gets_a_text_beside_it(content: list[dict[str, Any]]) -> None:
    """400 "`text` is not set" otherwise."""
    assert messages({"role": "user", "content": content})[0]["content"] == [
        IMAGE,
        {"type": "text", "text": " "},
    ]


def test_an_image_in_a_tool_result_moves_to_a_user_message() -> None:
    """400 "`text` is not set" otherwise, and for every later turn."""
    listed = {**RESULT, "content": [{"type": "text", "text": "seen"}, PNG]}
    out = messages(HELLO, {"role": "assistant", "tool_calls": [CALL]}, listed, HELLO)
    assert out[2]["content"] == [
        {"type": "text", "text": "seen"},
        {"type": "text", "text": "[1 media item(s) follow in the next user message]"},
    ]
    assert out[3] == {
        "role": "user",
        "content": [{"type": "text", "text": "Media from the result of tool call call_1:"}, PNG],
    }
    assert out[4] == HELLO


def test_media_in_results_stays_for_a_model_that_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(FACTS["mimo-v2.6-pro"], accepts_media_in_results=True)
    monkeypatch.setattr(mimo_platform, "facts_of", lambda _: facts)
    listed = {**RESULT, "content": [{"type": "text", "text": "seen"}, PNG]}
    out = messages(HELLO, {"role": "assistant", "tool_calls": [CALL]}, listed)
    assert [message["role"] for message in out] == ["user", "assistant", "tool"]
    assert out[2]["content"] == listed["content"]


def test_a_fresh_image_for_a_text_model_is_our_400() -> None:
    with pytest.raises(InvalidRequest, match=r"mimo-v2\.5-pro does not take image input"):
        wire(model="mimo-v2.5-pro", messages=[{"role": "user", "content": [IMAGE]}])


def test_an_old_image_for_a_text_model_is_described() -> None:
    history = [{"role": "user", "content": [IMAGE]}, {"role": "assistant", "content": "a cat"}, HELLO]
    out = messages(*history, model="mimo-v2.5-pro")
    assert out[0]["content"] == "[image left out: this model does not read it]"
    assert notes(model="mimo-v2.5-pro", messages=history) == (
        "media of earlier turns was left out: mimo-v2.5-pro does not read it",
    )


@pytest.mark.parametrize(
    ("field", "thinking"),
    [
        pytest.param({}, None, id="nothing said: the model's default"),
        pytest.param({"thinking": {"type": "enabled"}}, "enabled", id="thinking on"),
        pytest.param({"thinking": {"type": "disabled"}}, "disabled", id="thinking off"),
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": 9}}, "enabled", id="a budget"),
        pytest.param({"thinking": {"type": "adaptive"}}, "enabled", id="adaptive"),
        pytest.param({"reasoning_effort": "none"}, "disabled", id="effort none"),
        pytest.param({"reasoning_effort": "minimal"}, "enabled", id="effort minimal"),
        pytest.param({"reasoning_effort": "xhigh"}, "enabled", id="effort xhigh"),
        pytest.param({"reasoning": {"effort": "low"}}, "enabled", id="reasoning.effort"),
        pytest.param({"enable_thinking": False}, "disabled", id="Alibaba's word"),
    ],
)
def test_thinking_is_on_or_off_and_nothing_else(field: dict[str, Any], thinking: str | None) -> None:
    assert wire(**field) == wire() | ({"thinking": {"type": thinking}} if thinking else {})


@pytest.mark.parametrize(
    ("field", "cap"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 999_999}, 131_072),
        ({"max_tokens": None}, None),
    ],
)
def test_one_cap_under_its_newer_name_and_within_the_models(field: dict[str, Any], cap: int | None) -> None:
    body = wire(**field)
    assert "max_tokens" not in body
    assert body.get("max_completion_tokens") == cap


def test_ranges_are_narrower_than_openais() -> None:
    body = wire(temperature=2, top_p=0)
    assert (body["temperature"], body["top_p"]) == (1.5, 0.01)
    assert notes(temperature=2, top_p=0) == ("temperature 2 became 1.5", "top_p 0 became 0.01")


def test_tool_choice_none_removes_the_tools() -> None:
    """The backend would treat it as auto."""
    assert wire(tools=[LOOK, {"type": "web_search"}], tool_choice="none") == wire()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("required", "You must call at least one of the tools now; do not answer with text alone."),
        (
            {"type": "function", "function": {"name": "look"}},
            "You must call the tool `look` now; do not answer with text alone.",
        ),
    ],
)
def test_a_demanded_call_is_asked_for_in_words_at_the_end(choice: Any, words: str) -> None:
    plain, demanded = wire(tools=[LOOK]), wire(tools=[LOOK], tool_choice=choice)
    assert demanded["tool_choice"] == "auto"
    assert demanded["messages"] == [*plain["messages"], {"role": "system", "content": words}]
    assert {**demanded, "messages": 0} == {**plain, "messages": 0}
    (note,) = notes(tools=[LOOK], tool_choice=choice)
    assert note.endswith("was asked for in the prompt: MiMo has auto only")


def test_parallel_tool_calls_false_is_asked_for_in_words() -> None:
    body = wire(tools=[LOOK], parallel_tool_calls=False)
    assert body["messages"][-1] == {"role": "system", "content": "Call at most one tool in this answer."}
    assert "parallel_tool_calls" not in body


def test_a_json_schema_becomes_json_object_and_words() -> None:
    asked = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
    }
    body = wire(response_format=asked)
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][-1]["content"].endswith('against this JSON Schema:\n{"type":"object"}')
    assert notes(response_format=asked) == (
        "response_format json_schema was asked for in the prompt: MiMo has json_object only",
    )


def test_response_format_text_says_nothing() -> None:
    assert wire(response_format={"type": "text"}) == wire()


def test_developer_is_written_as_system() -> None:
    assert messages({"role": "developer", "content": "be kind"}, HELLO)[0]["role"] == "system"


def test_leading_system_messages_are_merged_and_late_ones_stay() -> None:
    def said(words: str) -> dict[str, str]:
        return {"role": "system", "content": words}

    assert messages(said("a"), said("b"), HELLO, said("c")) == [said("a\n\nb"), HELLO, said("c")]


def test_strict_and_the_keywords_of_a_schema_are_kept_but_dollar_schema() -> None:
    schema = {"type": "object", "additionalProperties": False, "oneOf": [{"required": ["a"]}]}
    tool = {"name": "f", "strict": True, "parameters": {"$schema": "http://x", **schema}}
    (encoded,) = wire(tools=[{"type": "function", "function": tool}])["tools"]
    assert encoded == {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}


def test_a_schema_that_is_no_object_is_wrapped() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}
    (encoded,) = wire(tools=[tool])["tools"]
    assert encoded["function"]["parameters"]["properties"] == {"value": {"type": "string"}}


def test_a_freeform_tool_becomes_a_function_of_one_string() -> None:
    (encoded,) = wire(tools=[{"type": "custom", "custom": {"name": "patch"}}])["tools"]
    assert encoded["type"] == "function"
    assert encoded["function"]["parameters"]["required"] == ["input"]


def test_a_past_freeform_call_becomes_a_call_of_that_function() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "a\nb"}}
    out = messages(HELLO, {"role": "assistant", "tool_calls": [call]}, {**RESULT, "tool_call_id": "c"})
    assert out[1]["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "patch", "arguments": '{"input":"a\\nb"}'}}
    ]


def test_a_past_call_without_arguments_gets_the_empty_object() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": ""}}
    out = messages(HELLO, {"role": "assistant", "tool_calls": [call]}, {**RESULT, "tool_call_id": "c"})
    assert out[1]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("content", ["", None, []])
def test_a_system_message_that_says_nothing_is_left_out(content: object) -> None:
    assert messages({"role": "system", "content": content}, HELLO) == messages(HELLO)
    assert messages(HELLO, {"role": "system", "content": content}) == messages(HELLO)


def test_web_search_passes_with_its_documented_fields() -> None:
    tool = {"type": "web_search", "force_search": True, "limit": 3, "search_context_size": "low"}
    body = wire(tools=[tool])
    assert body["tools"] == [{"type": "web_search", "force_search": True, "limit": 3}]
    assert notes(tools=[tool]) == ()


def test_the_sites_of_a_search_are_asked_for_at_the_end() -> None:
    tool = {"type": "web_search", "blocked_domains": ["a.com"]}
    request = encode_request(replace(sent(), extra={WEB_SEARCH: tool}))
    body = orjson.loads(request.body)
    assert body["tools"] == [{"type": "web_search"}]
    assert "use nothing from these sites: a.com." in str(body["messages"][-1]["content"])
    assert request.notes == ("web search domains were asked for in the prompt",)


def test_more_than_four_stop_sequences_are_found_by_the_gateway() -> None:
    asked = replace(sent(), sampling=Sampling(stop=("a", "b", "c", "d", "e")))
    request = encode_request(asked)
    assert "stop" not in orjson.loads(request.body)
    assert request.notes == ()


def test_stop_sequences_that_must_be_told_are_found_by_the_gateway() -> None:
    asked = replace(sent(), sampling=Sampling(stop=("a",) * 9, reports_stop=True))
    request = encode_request(asked)
    assert "stop" not in orjson.loads(request.body)
    assert request.notes == ()


def test_a_text_file_becomes_text() -> None:
    file = {"type": "file", "file": {"filename": "a.md", "file_data": "aGk="}}
    assert messages({"role": "user", "content": [file]}) == [
        {"role": "user", "content": '<file name="a.md">\nhi\n</file>'}
    ]


# --- section 2: reasoning must be passed back ---------------------------------------------------------------


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "ok", **fields}


@pytest.mark.parametrize(
    ("message", "field", "expected"),
    [
        pytest.param(assistant(tool_calls=[CALL]), {}, "", id="dropped by the client: empty"),
        pytest.param(assistant(tool_calls=[CALL], reasoning_content="r"), {}, "r", id="passed back: kept"),
        pytest.param(assistant(tool_calls=[CALL], reasoning="r"), {}, "r", id="under another name: found"),
        pytest.param(assistant(), {}, None, id="no calls: nothing is added"),
        pytest.param(assistant(reasoning_content="r"), {}, "r", id="no calls: what was sent is kept"),
        pytest.param(
            assistant(tool_calls=[CALL]),
            {"thinking": {"type": "disabled"}},
            None,
            id="thinking off: nothing is added",
        ),
        pytest.param(
            assistant(tool_calls=[CALL]),
            {"reasoning_effort": "none"},
            None,
            id="thinking off by another word",
        ),
        pytest.param(
            assistant(tool_calls=[CALL]), {"thinking": {"type": "enabled"}}, "", id="thinking asked for"
        ),
        pytest.param(
            assistant(tool_calls=[CALL], reasoning_content="r"),
            {"thinking": {"type": "disabled"}},
            "r",
            id="thinking off: what was sent is kept",
        ),
    ],
)
def test_reasoning_content(message: dict[str, Any], field: dict[str, Any], expected: str | None) -> None:
    out = messages(HELLO, message, *([RESULT] if "tool_calls" in message else [HELLO]), **field)
    assert out[1].get("reasoning_content") == expected
    assert ("reasoning_content" in out[1]) is (expected is not None)


def test_redacted_reasoning_counts_as_dropped() -> None:
    call = ToolCall(call_id="c", name="look", arguments="{}")
    turn = Turn(role=Role.ASSISTANT, parts=(Reasoning(text="", signature="x", is_redacted=True), call))
    body = orjson.loads(encode_request(Conversation(model="mimo-v2.6-pro", turns=(turn,))).body)
    assert body["messages"][0]["reasoning_content"] == ""


# --- laws ---------------------------------------------------------------------------------------------------

VALIDATOR = SimulatorOptions(accepts_media_in_tool_results=False)
READS_ALL = SimulatedModel(id="mimo-v2.6-pro")


EVERYTHING = Wire(
    media_kinds=(MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO),
    has_custom_tools=True,
    has_redacted_reasoning=True,
    has_signatures=True,
    has_result_errors=True,
    has_penalties=True,
    extra=("metadata", "user"),
)


@pytest.mark.slow
@settings(max_examples=30)
@given(conversations(EVERYTHING))
def test_the_strict_validator_takes_whatever_we_send(conversation: Conversation) -> None:
    """Slow: random conversations take a while to draw."""
    conversation = replace(conversation, model="mimo-v2.6-pro")
    request = encode_request(conversation)
    body = orjson.loads(request.body)
    assert set(body) <= DOCUMENTED
    check_chat(body, READS_ALL, VALIDATOR, has_web_search=False)


@pytest.mark.slow
@settings(max_examples=30)
@given(conversations(EVERYTHING), st.data())
def test_equal_requests_give_equal_bytes_and_history_is_a_prefix(
    conversation: Conversation, data: st.DataObject
) -> None:
    """Slow, as above. A cached token costs a hundredth of a fresh one: history must not change its bytes."""
    conversation = replace(conversation, model="mimo-v2.6-pro")
    request = encode_request(conversation)
    assert encode_request(conversation) == request
    users = [i for i, turn in enumerate(conversation.turns) if turn.role is Role.USER and i]
    if not users:
        return
    earlier = replace(conversation, turns=conversation.turns[: data.draw(st.sampled_from(users))])
    before = _history(earlier)
    assert _history(conversation)[: len(before)] == before


def _history(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages without the closing words of `tool_choice` and `response_format`."""
    plain = Conversation(model=conversation.model, turns=conversation.turns, thinking=conversation.thinking)
    out: list[dict[str, Any]] = orjson.loads(encode_request(plain).body)["messages"]
    return out


def test_the_conversation_is_not_changed() -> None:
    turn = Turn(
        role=Role.TOOL,
        parts=(ToolResult(call_id="c", parts=(Text(text=""), Media(kind=MediaKind.IMAGE, url="http://h"))),),
    )
    conversation = Conversation(
        model="mimo-v2.6-pro",
        turns=(turn,),
        tools=(ToolSpec(name="f", parameters={"$schema": "x"}, kind=ToolKind.FUNCTION),),
        thinking=Thinking.ENABLED,
    )
    before = repr(conversation)
    encode_request(conversation)
    assert repr(conversation) == before


# --- answers ------------------------------------------------------------------------------------------------


def test_the_decoder_follows_the_request() -> None:
    assert isinstance(decoder_for(sent(stream=True)), StreamDecoder)
    assert isinstance(decoder_for(sent()), CompletionDecoder)


@pytest.mark.parametrize(
    ("body", "models"),
    [
        pytest.param(b'{"object":"list","data":[]}', [], id="none"),
        pytest.param(
            b'{"data":[{"id":"mimo-v2.6-pro"},{"id":"mimo-v2.5-tts"},{"id":"mimo-v2.5-asr"}]}',
            ["mimo-v2.6-pro"],
            id="speech ids are left out",
        ),
        pytest.param(b'{"data":[null,"x",{},{"id":5},{"id":"m"}]}', ["m"], id="odd entries are skipped"),
    ],
)
def test_model_list(body: bytes, models: list[str]) -> None:
    assert decode_models(body) == models


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data":5}', b'{"data":{"id":"m"}}', b"null"]
)
def test_a_model_list_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="model list"):
        decode_models(body)
