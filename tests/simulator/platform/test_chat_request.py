"""The strict validator of Chat Completions: one row a rule (mimo-api.md, sections 1.4, 2.1 and 3)."""

from typing import Any

import pytest

from service.simulator import CURRENT_MODELS, V25_MODELS, SimulatorOptions

USER = {"role": "user", "content": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"role": "tool", "tool_call_id": "call_1", "content": "done"}


def function(**changes: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, **changes}}


def assistant(**changes: Any) -> list[Any]:
    return [USER, {"role": "assistant", "tool_calls": [CALL], "reasoning_content": "", **changes}, TOOL]


REFUSED = [
    pytest.param({"n": 1}, "Unknown parameter: n", id="n"),
    pytest.param({"seed": 1}, "Unknown parameter: seed", id="seed"),
    pytest.param({"max_tokens": 5}, "Unknown parameter: max_tokens", id="max_tokens"),
    pytest.param({"stream_options": {}}, "Unknown parameter: stream_options", id="stream_options"),
    pytest.param({"reasoning_effort": "low"}, "Unknown parameter: reasoning_effort", id="reasoning_effort"),
    pytest.param({"parallel_tool_calls": True}, "Unknown parameter", id="parallel_tool_calls"),
    pytest.param({"temperature": 1.6}, "temperature must be between 0 and 1.5", id="temperature high"),
    pytest.param({"temperature": "1"}, "temperature must be a number", id="temperature text"),
    pytest.param({"top_p": 0}, "top_p must be between 0.01 and 1", id="top_p zero"),
    pytest.param({"presence_penalty": 3}, "presence_penalty", id="penalty"),
    pytest.param({"max_completion_tokens": 131_073}, "max_completion_tokens", id="output too long"),
    pytest.param({"max_completion_tokens": 0}, "max_completion_tokens", id="output zero"),
    pytest.param({"max_completion_tokens": 1.5}, "must be an integer", id="output fraction"),
    pytest.param({"stop": ["a", "b", "c", "d", "e"]}, "at most 4", id="five stop words"),
    pytest.param({"stop": 5}, "stop must be a string", id="stop number"),
    pytest.param({"stream": "yes"}, "stream must be a boolean", id="stream text"),
    pytest.param({"thinking": {"type": "adaptive"}}, "thinking.type", id="adaptive thinking"),
    pytest.param(
        {"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking.budget_tokens", id="thinking budget"
    ),
    pytest.param({"response_format": {"type": "json_schema"}}, "response_format.type", id="json_schema"),
    pytest.param({"messages": []}, "must not be empty", id="no messages"),
    pytest.param({"messages": "Hello"}, "must be an array", id="messages text"),
    pytest.param({"messages": [{"role": "robot", "content": "x"}]}, "role", id="unknown role"),
    pytest.param({"messages": assistant(content=None)}, "text is not present", id="null beside tool_calls"),
    pytest.param(
        {"messages": [USER, {"role": "assistant", "content": None}]}, "text is not present", id="null content"
    ),
    pytest.param({"messages": [{"role": "user", "content": [IMAGE]}]}, "text is not set", id="image only"),
    pytest.param({"messages": [{"role": "user", "content": []}]}, "text is not set", id="no parts"),
    pytest.param(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}, IMAGE]}]},
        "text is not set",
        id="empty text part",
    ),
    pytest.param(
        {"messages": [*assistant()[:2], {**TOOL, "content": [{"type": "text", "text": "x"}, IMAGE]}]},
        "text is not set",
        id="image in a tool result",
    ),
    pytest.param(
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}, IMAGE]}, USER]},
        "text is not set",
        id="image in the system text",
    ),
    pytest.param({"messages": [USER, {"role": "tool", "content": "x"}]}, "tool_call_id", id="no call id"),
    pytest.param(
        {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, TOOL]},
        "must be passed back",
        id="reasoning not passed back",
    ),
    pytest.param(
        {"messages": [*assistant(reasoning_content=None), USER]},
        "must be passed back",
        id="reasoning null, an old turn",
    ),
    pytest.param(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file"}]}]},
        "not supported",
        id="file part",
    ),
    pytest.param(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "x"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
                    ],
                }
            ]
        },
        "not valid base64",
        id="bad base64",
    ),
    pytest.param({"tools": [function(name="bad name")]}, "must match", id="tool name"),
    pytest.param({"tools": [function(name="x" * 65)]}, "must match", id="tool name too long"),
    pytest.param({"tools": [function(parameters={"type": "string"})]}, "must be object", id="schema root"),
    pytest.param({"tools": [{"type": "custom", "name": "x"}]}, "function or web_search", id="custom tool"),
    pytest.param({"tools": [{"type": "web_search"}]}, "web search is not enabled", id="search switched off"),
    pytest.param({"model": "MiMo-V2.6-Pro"}, "Not supported model", id="title case"),
    pytest.param({"model": "xiaomi/mimo-v2.6-pro"}, "Not supported model", id="vendor prefix"),
    pytest.param({"model": None}, "model is not set", id="no model"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
async def test_refused_with_the_reason_in_param(call, changes, reason):
    reply = await call.chat(**changes)
    error = reply.json["error"]
    assert reply.status == 400
    assert error["code"] == "400"
    assert error["message"] == "Param Incorrect"
    assert error["type"] == ""
    assert reason in error["param"]


ACCEPTED = [
    pytest.param({"temperature": 1.5, "top_p": 0.01, "stop": None}, id="edges"),
    pytest.param({"frequency_penalty": None, "max_completion_tokens": None}, id="nulls where allowed"),
    pytest.param({"messages": assistant(content="")}, id="empty content beside tool_calls"),
    pytest.param({"messages": assistant()}, id="content left out beside tool_calls"),
    pytest.param(
        {
            "messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, TOOL],
            "thinking": {"type": "disabled"},
        },
        id="no reasoning while thinking is off",
    ),
    pytest.param(
        {"messages": [USER, {"role": "assistant", "content": "Hi"}, USER]}, id="no calls, no reasoning"
    ),
    pytest.param({"messages": [{"role": "developer", "content": "Be brief"}, USER]}, id="developer"),
    pytest.param({"tool_choice": "required", "tools": [function()]}, id="choice ignored"),
    pytest.param(
        {"tool_choice": {"type": "function", "function": {"name": "f"}}, "tools": [function()]},
        id="named choice ignored",
    ),
    pytest.param({"tools": [function(strict=True, description="x")]}, id="strict"),
    pytest.param({"model": "mimo-v2.6-flash", "stream": None}, id="another model"),
]


@pytest.mark.parametrize("changes", ACCEPTED)
async def test_accepted(call, changes):
    reply = await call.chat(**changes)
    assert reply.status == 200, reply.body


async def test_retired_model_is_404_unsupported(call):
    reply = await call.chat(model="mimo-v2-pro")
    assert reply.status == 404
    assert reply.json["error"]["message"] == "Unsupported model"


async def test_image_for_a_text_only_model_is_404_even_deep_in_the_history(start):
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]},
        {"role": "assistant", "content": "I see"},
        USER,
    ]
    async with start(SimulatorOptions(models=CURRENT_MODELS + V25_MODELS)) as call:
        reply = await call.chat(model="mimo-v2.5-pro", messages=messages)
        assert reply.status == 404
        assert "support image input" in reply.json["error"]["param"]
        assert (await call.chat(model="mimo-v2.5", messages=messages)).status == 200


async def test_error_of_a_stream_has_data_before_the_json(call):
    reply = await call.chat(stream=True, seed=1)
    assert reply.status == 400
    assert reply.body.startswith(b'data:{"error":{"code":"400"')


async def test_malformed_body_is_400(call):
    for body in (b"{", b"[]", b"null"):
        reply = await call.post("/v1/chat/completions", body, call.key())
        assert reply.status == 400
        assert reply.json["error"]["message"] == "Param Incorrect"


async def test_lenient_options_open_the_strict_rules(start):
    options = SimulatorOptions(accepts_max_tokens=True, accepts_media_in_tool_results=True)
    tool = {**TOOL, "content": [{"type": "text", "text": "x"}, IMAGE]}
    async with start(options) as call:
        assert (await call.chat(max_tokens=5)).status == 200
        assert (await call.chat(messages=[*assistant()[:2], tool])).status == 200


async def test_empty_reasoning_may_be_refused_too(start):
    async with start(SimulatorOptions(accepts_empty_reasoning=False)) as call:
        assert (await call.chat(messages=assistant())).status == 400
        assert (await call.chat(messages=assistant(reasoning_content=" "))).status == 200


@pytest.mark.parametrize(
    "call_item",
    [
        {**CALL, "id": ""},
        {**CALL, "type": "custom"},
        {**CALL, "function": {"arguments": "{}"}},
        {**CALL, "function": {"name": "f", "arguments": {}}},
        {"id": "x"},
        "text",
    ],
)
async def test_malformed_call_in_the_history_is_refused(call, call_item):
    messages = [USER, {"role": "assistant", "reasoning_content": "", "tool_calls": [call_item]}, TOOL]
    assert (await call.chat(messages=messages)).status == 400


async def test_audio_and_video_parts_are_seen(call):
    content = [
        {"type": "text", "text": "Hear and see"},
        {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,AAAA"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}, "fps": 2},
    ]
    text = (await call.chat(messages=[{"role": "user", "content": content}])).json["choices"][0]["message"][
        "content"
    ]
    assert "1 audio (audio/wav, 3 bytes)" in text
    assert "1 video (video/*, by URL)" in text
