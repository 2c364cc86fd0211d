"""What clients send and MiMo's strict validator refuses (mimo-api.md 3), over whole gateways: a row a test,
through each dialect that can express it. The simulator is as strict as the wire is known to be.
"""

from __future__ import annotations

from typing import Any

import pytest

from service.simulator import SimulatorOptions
from service.simulator.options import CURRENT_MODELS, V25_MODELS
from tests.web.rig import Rig, Start

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
Json = dict[str, Any]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OLD_MODELS = SimulatorOptions(models=CURRENT_MODELS + V25_MODELS)

# An image, a tool, a call and its result, in the words of each dialect.
IMAGE: dict[str, Json] = {
    CHAT: {"type": "image_url", "image_url": {"url": URL}},
    MESSAGES: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    RESPONSES: {"type": "input_image", "image_url": URL},
}
EMPTY_TEXT: dict[str, Json] = {
    CHAT: {"type": "text", "text": ""},
    MESSAGES: {"type": "text", "text": ""},
    RESPONSES: {"type": "input_text", "text": ""},
}


def tool(path: str, schema: Json = SCHEMA, **more: object) -> Json:
    if path == CHAT:
        return {"type": "function", "function": {"name": "look", "parameters": schema, **more}}
    if path == MESSAGES:
        return {"name": "look", "input_schema": schema, **more}
    return {"type": "function", "name": "look", "parameters": schema, **more}


def called(path: str, result: object) -> list[Json]:
    """A turn with a call and nothing else, and its result."""
    if path == CHAT:
        call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": result},
        ]
    if path == MESSAGES:
        use = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}
        given = {"type": "tool_result", "tool_use_id": "call_1", "content": result}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [given]}]
    return [
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": result},
    ]


def said(content: object = "Weather in Paris?", role: str = "user") -> Json:
    return {"role": role, "content": content}


def request(path: str, *turns: Json, **more: object) -> Json:
    body: Json = {"model": "mimo-v2.6-pro", **more}
    body["input" if path == RESPONSES else "messages"] = list(turns) or [said()]
    if path == MESSAGES:
        body.setdefault("max_tokens", 1000)
    return body


async def accepted(rig: Rig, path: str, body: Json, **headers: str) -> tuple[Json, Json, str]:
    """The answer, the body that the platform was sent, and the notes."""
    async with rig.http.post(rig.url(path), json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        answer = await response.json()
    (entry,) = rig.simulator.record.of("chat_completions")
    assert entry.status == 200
    return answer, entry.body, response.headers.get("X-Mimo-Gateway-Notes", "")


def dialects(*paths: str) -> pytest.MarkDecorator:
    named = [pytest.param(path, id=path.rsplit("/", 1)[1]) for path in paths or (CHAT, MESSAGES, RESPONSES)]
    return pytest.mark.parametrize("path", named)


@dialects()
async def test_turn_with_calls_and_null_content(start: Start, path: str) -> None:
    async with start("platform") as rig:
        body = request(path, said(), *called(path, "21 C"), tools=[tool(path)])
        _, sent, _ = await accepted(rig, path, body)
        assert sent["messages"][1]["content"] == ""


@dialects()
async def test_image_without_text(start: Start, path: str) -> None:
    async with start("platform") as rig:
        await accepted(rig, path, request(path, said([IMAGE[path]])))


@dialects(CHAT, RESPONSES)
async def test_empty_text_beside_an_image(start: Start, path: str) -> None:
    async with start("platform") as rig:
        await accepted(rig, path, request(path, said([EMPTY_TEXT[path], IMAGE[path]])))


@dialects()
async def test_image_in_a_tool_result(start: Start, path: str) -> None:
    async with start("platform") as rig:
        result = [IMAGE[path]]
        body = request(path, said(), *called(path, result), tools=[tool(path)])
        _, sent, _ = await accepted(rig, path, body)
        kinds = [part["type"] for part in sent["messages"][-1]["content"]]
        assert sent["messages"][-1]["role"] == "user"
        assert "image_url" in kinds


@dialects()
async def test_old_image_for_a_text_model_is_described(start: Start, path: str) -> None:
    async with start("platform", options=OLD_MODELS) as rig:
        history = [said([IMAGE[path]]), {"role": "assistant", "content": "A dot."}, said("And now?")]
        body = request(path, *history) | {"model": "mimo-v2.5-pro"}
        _, sent, notes = await accepted(rig, path, body)
        assert "[image left out" in str(sent["messages"][0])
        assert "media of earlier turns was left out" in notes


@dialects()
async def test_fresh_image_for_a_text_model_is_a_400_and_no_404(start: Start, path: str) -> None:
    async with start("platform", options=OLD_MODELS) as rig:
        body = request(path, said([IMAGE[path]])) | {"model": "mimo-v2.5-pro"}
        async with rig.http.post(rig.url(path), json=body) as response:
            assert response.status == 400
            assert "image" in (await response.json())["error"]["message"]
        assert not rig.simulator.record.of("chat_completions")


THINKING = [
    (CHAT, {"reasoning_effort": "none"}, "disabled"),
    (CHAT, {"reasoning_effort": "high"}, "enabled"),
    (CHAT, {"reasoning": {"effort": "low"}}, "enabled"),
    (CHAT, {"reasoning": {"enabled": False}}, "disabled"),
    (CHAT, {"enable_thinking": False}, "disabled"),
    (CHAT, {"thinking": {"type": "enabled", "budget_tokens": 4000}}, "enabled"),
    (CHAT, {"thinking": {"type": "adaptive"}}, "enabled"),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}, "enabled"),
    (MESSAGES, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "enabled"),
    (MESSAGES, {"thinking": {"type": "disabled"}}, "disabled"),
    (RESPONSES, {"reasoning": {"effort": "none"}}, "disabled"),
    (RESPONSES, {"reasoning": {"effort": "minimal", "summary": "auto"}}, "enabled"),
    (RESPONSES, {"reasoning_effort": "xhigh"}, "enabled"),
]


@pytest.mark.parametrize(
    ("path", "fields", "kind"), THINKING, ids=[f"{p.rsplit('/')[-1]} {f}" for p, f, _ in THINKING]
)
async def test_thinking_is_on_or_off_whatever_it_is_called(
    start: Start, path: str, fields: Json, kind: str
) -> None:
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, request(path, **fields))
        assert sent["thinking"] == {"type": kind}
        assert not {"reasoning", "reasoning_effort", "enable_thinking", "output_config"} & set(sent)


CAPS = [
    (CHAT, {"max_tokens": 50}, 50),
    (CHAT, {"max_completion_tokens": 60, "max_tokens": 50}, 60),
    (CHAT, {"max_tokens": 1_000_000}, 131_072),
    (MESSAGES, {"max_tokens": 200_000}, 131_072),
    (RESPONSES, {"max_output_tokens": 200_000}, 131_072),
]


@pytest.mark.parametrize(("path", "fields", "cap"), CAPS)
async def test_one_cap_within_the_models(start: Start, path: str, fields: Json, cap: int) -> None:
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, request(path, **fields))
        assert sent["max_completion_tokens"] == cap
        assert "max_tokens" not in sent


@dialects(CHAT, RESPONSES)
async def test_numbers_in_openais_ranges_are_brought_into_mimos(start: Start, path: str) -> None:
    async with start("platform") as rig:
        _, sent, notes = await accepted(rig, path, request(path, temperature=2, top_p=0))
        assert (sent["temperature"], sent["top_p"]) == (1.5, 0.01)
        assert "temperature 2" in notes


@dialects()
async def test_tool_choice_none_calls_nothing(start: Start, path: str) -> None:
    none = {"type": "none"} if path == MESSAGES else "none"
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, request(path, tools=[tool(path)], tool_choice=none))
        assert "tools" not in sent


@dialects()
async def test_parallel_calls_are_cut_to_one_where_one_was_asked_for(start: Start, path: str) -> None:
    only_one: Json = {"parallel_tool_calls": False}
    if path == MESSAGES:
        only_one = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    async with start("platform") as rig:
        body = request(path, said("Weather in Paris and Rome?"), tools=[tool(path)], **only_one)
        answer, sent, _ = await accepted(rig, path, body)
        assert "parallel_tool_calls" not in sent
        calls = {
            CHAT: lambda: answer["choices"][0]["message"]["tool_calls"],
            MESSAGES: lambda: [block for block in answer["content"] if block["type"] == "tool_use"],
            RESPONSES: lambda: [item for item in answer["output"] if item["type"] == "function_call"],
        }
        assert len(calls[path]()) == 1


@dialects(CHAT, RESPONSES)
async def test_developer_is_written_as_system(start: Start, path: str) -> None:
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, request(path, said("Be brief.", "developer"), said()))
        assert [message["role"] for message in sent["messages"]] == ["system", "user"]


@dialects()
async def test_leading_system_texts_are_one_and_late_ones_stay(start: Start, path: str) -> None:
    one, two, late = "Be brief.", "Be kind.", "Be quick."
    if path == MESSAGES:
        body = request(path, said(), said(late, "system"), said("Go on."))
        body["system"] = [{"type": "text", "text": one}, {"type": "text", "text": two}]
    else:
        turns = [said(one, "system"), said(two, "system"), said(), said(late, "system"), said("Go on.")]
        body = request(path, *turns)
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, body)
        roles = [message["role"] for message in sent["messages"]]
        assert roles == ["system", "user", "system", "user"]
        assert one in str(sent["messages"][0])
        assert two in str(sent["messages"][0])


@dialects()
async def test_schema_keeps_its_keywords_but_dollar_schema(start: Start, path: str) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **SCHEMA,
        "additionalProperties": False,
        "oneOf": [{"required": ["city"]}],
    }
    async with start("platform") as rig:
        body = request(path, tools=[tool(path, schema, strict=True)])
        _, sent, _ = await accepted(rig, path, body)
        function = sent["tools"][0]["function"]
        assert function["strict"] is True
        assert function["parameters"] == {name: schema[name] for name in schema if name != "$schema"}


@dialects(CHAT, RESPONSES)
async def test_schema_that_is_no_object_is_wrapped(start: Start, path: str) -> None:
    async with start("platform") as rig:
        body = request(path, tools=[tool(path, {"type": "string"})])
        _, sent, _ = await accepted(rig, path, body)
        parameters = sent["tools"][0]["function"]["parameters"]
        assert parameters["type"] == "object"
        assert parameters["properties"]["value"] == {"type": "string"}


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "files", "description": "Files", "tools": [tool(RESPONSES)]},
        {"type": "local_shell"},
        {"type": "web_search"},
    ],
    ids=lambda odd: odd["type"],
)
async def test_tools_that_mimos_responses_refuses(start: Start, odd: Json) -> None:
    async with start("platform") as rig:
        body = request(RESPONSES, said("Hello"), tools=[odd, tool(RESPONSES)], tool_choice="auto")
        _, sent, _ = await accepted(rig, RESPONSES, body)
        assert {one["type"] for one in sent["tools"]} == {"function"}


async def test_state_that_mimos_responses_does_not_keep(start: Start) -> None:
    async with start("platform") as rig:
        first = request(RESPONSES, said("Hello"), store=True, include=["reasoning.encrypted_content"])
        answer, sent, _ = await accepted(rig, RESPONSES, first)
        assert not {"store", "include"} & set(sent)
        rig.simulator.record.clear()
        body = request(RESPONSES, said("And?"), previous_response_id=answer["id"])
        _, sent, _ = await accepted(rig, RESPONSES, body)
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]


async def test_extras_of_claude_code_are_left_out(start: Start) -> None:
    extras = {
        "metadata": {"user_id": "u"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "output_config": {"effort": "high"},
        "service_tier": "auto",
    }
    cached = {"cache_control": {"type": "ephemeral"}}
    async with start("platform") as rig:
        body = request(MESSAGES, said([{"type": "text", "text": "Weather in Paris?", **cached}]), **extras)
        body |= {
            "system": [{"type": "text", "text": "Be brief.", **cached}],
            "tools": [tool(MESSAGES) | cached],
        }
        beta = {"anthropic-beta": "context-management-2025-06-27", "anthropic-version": "2023-06-01"}
        _, sent, _ = await accepted(rig, MESSAGES, body, **beta)
        assert "cache_control" not in str(sent)
        assert not set(extras) & set(sent)


async def test_accounts_key_goes_in_the_documented_header(start: Start) -> None:
    async with start("platform") as rig:
        await accepted(rig, CHAT, request(CHAT), **{"x-api-key": "sk-mimo"})
        (entry,) = rig.simulator.record.of("chat_completions")
        names = {name.lower() for name in entry.headers}
        assert "api-key" in names
        assert "x-api-key" not in names


UNKNOWN_TO_MIMO = {
    "seed": 7,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"1": 1},
    "user": "u",
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "n": 1,
    "prompt_cache_key": "k",
    "verbosity": "low",
    "safety_identifier": "s",
}


@pytest.mark.parametrize("name", UNKNOWN_TO_MIMO)
async def test_parameter_that_mimo_does_not_know_is_left_out(start: Start, name: str) -> None:
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, CHAT, request(CHAT, **{name: UNKNOWN_TO_MIMO[name]}))
        assert name not in sent


@pytest.mark.parametrize(
    "name", ["MiMo-V2.6-Pro", "xiaomi/mimo-v2.6-pro", "mimo-v2.6-pro[1m]", "mimo-v2-6-pro", "MIMO V2.6 PRO"]
)
@dialects()
async def test_model_is_known_by_its_other_spellings(start: Start, path: str, name: str) -> None:
    async with start("platform") as rig:
        _, sent, _ = await accepted(rig, path, request(path) | {"model": name})
        assert sent["model"] == "mimo-v2.6-pro"


@dialects()
async def test_retired_model_is_answered_with_the_day_it_ended(start: Start, path: str) -> None:
    async with start("platform") as rig:
        _, sent, notes = await accepted(rig, path, request(path) | {"model": "mimo-v2.5-pro"})
        assert sent["model"] == "mimo-v2.6-pro"
        assert "ended on 2026-10-21" in notes


@pytest.mark.parametrize(
    "fault",
    [
        'status=400 param="finishConnect: Connection refused: 10.0.0.1"',
        'status=402 message="Upstream request failed: Insufficient account funds"',
        "status=429",
        "status=503",
    ],
)
async def test_fault_of_the_account_or_its_host_is_not_the_clients(start: Start, fault: str) -> None:
    async with start("platform", "platform-2") as rig:
        body = request(CHAT, said(f"Hello [[sim: {fault} times=1]]"))
        async with rig.http.post(rig.url(CHAT), json=body) as response:
            assert response.status == 200, await response.text()
        first, second = rig.simulator.record.of("chat_completions")
        assert first.account != second.account


@dialects()
async def test_upstreams_own_words_reach_the_client(start: Start, path: str) -> None:
    """MiMo tells the cause in `param`; `message` is always the same two words."""
    async with start("platform") as rig:
        words = "temperature is not what it seems"
        body = request(path, said(f'Hello [[sim: status=400 param="{words}"]]'))
        async with rig.http.post(rig.url(path), json=body) as response:
            assert response.status == 400
            assert words in (await response.json())["error"]["message"]
