"""The strict validator of Anthropic Messages: one row a rule (mimo-api.md, sections 1.7, 2.1 and 3)."""

import pytest

from service.simulator import CURRENT_MODELS, V25_MODELS, SimulatorOptions

USER = {"role": "user", "content": "Hello"}
USE = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "x"}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
SCHEMA = {"type": "object", "properties": {}}


def said(*blocks: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


REFUSED = [
    pytest.param({"metadata": {}}, "Unknown parameter: metadata", id="metadata"),
    pytest.param({"top_k": 5}, "Unknown parameter: top_k", id="top_k"),
    pytest.param({"context_management": {}}, "Unknown parameter", id="context_management"),
    pytest.param({"max_tokens": 200_000}, "max_tokens must be between", id="max_tokens"),
    pytest.param({"temperature": 2}, "temperature", id="temperature"),
    pytest.param({"thinking": {"type": "enabled", "budget_tokens": 1}}, "budget_tokens", id="budget"),
    pytest.param({"system": [{"type": "text", "text": ""}]}, "text is not set", id="empty system block"),
    pytest.param({"system": 5}, "system must be an array", id="system number"),
    pytest.param({"messages": []}, "must not be empty", id="no messages"),
    pytest.param({"messages": [{"role": "tool", "content": "x"}]}, "role", id="role"),
    pytest.param({"messages": [{"role": "user"}]}, "text is not present", id="no content"),
    pytest.param(said({"type": "text", "text": ""}), "text is not set", id="empty text"),
    pytest.param(said(IMAGE), "text is not set", id="image only"),
    pytest.param(said({"type": "document"}), "document is not supported", id="document"),
    pytest.param(
        {"messages": [USER, {"role": "assistant", "content": [{"type": "redacted_thinking"}]}]},
        "redacted_thinking is not supported",
        id="redacted thinking",
    ),
    pytest.param(
        {"messages": [USER, {"role": "assistant", "content": [USE]}, RESULT]},
        "must be passed back",
        id="thinking not passed back",
    ),
    pytest.param(
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "thinking", "thinking": ""}, USE]},
                RESULT,
            ]
        },
        "must be passed back",
        id="empty thinking",
    ),
    pytest.param(
        said({"type": "tool_result", "tool_use_id": "c", "content": [IMAGE]}),
        "text is not set",
        id="image in a result",
    ),
    pytest.param(said({"type": "tool_result", "content": "x"}), "tool_use_id", id="result without id"),
    pytest.param({"tools": [{"type": "web_search_20250305"}]}, "must be custom", id="server tool"),
    pytest.param({"tools": [{"name": "f"}]}, "input_schema", id="no schema"),
    pytest.param({"tools": [{"name": "f", "input_schema": {"type": "array"}}]}, "object", id="schema root"),
    pytest.param({"stop_sequences": ["a"] * 5}, "at most 4", id="five stop words"),
    pytest.param({"model": "claude-sonnet-4-6"}, "Not supported model", id="foreign model"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
async def test_refused_with_the_reason_in_param(call, changes, reason):
    reply = await call.messages(**changes)
    assert reply.status == 400
    assert reason in reply.json["error"]["param"]


ACCEPTED = [
    pytest.param({"stop_sequences": None, "thinking": {"type": "disabled"}}, id="the seed's example"),
    pytest.param({"system": [{"type": "text", "text": "Be brief"}]}, id="system blocks"),
    pytest.param({"messages": [{"role": "system", "content": "Be brief"}, USER]}, id="system message"),
    pytest.param(
        {
            "messages": [USER, {"role": "assistant", "content": [USE]}, RESULT],
            "thinking": {"type": "disabled"},
        },
        id="no thinking needed",
    ),
    pytest.param(
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "thinking", "thinking": " "}, USE]},
                RESULT,
            ]
        },
        id="one blank of thinking",
    ),
    pytest.param(said({"type": "text", "text": "See"}, IMAGE), id="image with text"),
    pytest.param(
        said(
            {"type": "text", "text": "See"}, {"type": "image", "source": {"type": "url", "url": "https://x"}}
        ),
        id="image by URL",
    ),
    pytest.param(
        {"tool_choice": {"type": "any"}, "tools": [{"name": "f", "input_schema": SCHEMA}]},
        id="choice ignored",
    ),
]


@pytest.mark.parametrize("changes", ACCEPTED)
async def test_accepted(call, changes):
    reply = await call.messages(**changes)
    assert reply.status == 200, reply.body


async def test_image_for_a_text_only_model_is_404(start):
    async with start(SimulatorOptions(models=CURRENT_MODELS + V25_MODELS)) as call:
        reply = await call.messages(model="mimo-v2.5-pro", **said({"type": "text", "text": "See"}, IMAGE))
    assert reply.status == 404


async def test_path_without_v1_is_404(call):
    assert (await call.post("/anthropic/messages", {}, call.key())).status == 404


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "tool_use", "name": "f", "input": {}}],
        [{"type": "tool_use", "id": "c", "input": {}}],
        [{"type": "tool_use", "id": "c", "name": "f", "input": "{}"}],
        [{"type": "text"}],
        ["text"],
    ],
)
async def test_malformed_block_in_the_history_is_refused(call, blocks):
    messages = [USER, {"role": "assistant", "content": blocks}]
    assert (await call.messages(messages=messages, thinking={"type": "disabled"})).status == 400


async def test_blocks_of_results_and_bad_sources(call, start):
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "x"}]}
    assert (await call.messages(**said(result))).status == 200
    assert (await call.messages(**said({**result, "content": []}))).status == 400
    text = {"type": "text", "text": "See"}
    for source in (None, {"type": "file"}, {"type": "base64", "data": "AAAA"}):
        assert (await call.messages(**said(text, {"type": "image", "source": source}))).status == 400
    assert (await call.messages(system=[{"type": "image"}])).status == 400
    async with start(SimulatorOptions(accepts_media_in_tool_results=True)) as lenient:
        assert (await lenient.messages(**said({**result, "content": [text, IMAGE]}))).status == 200
