"""tool_choice and structured outputs over whole gateways, on both upstream kinds and in every dialect."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.web.agents import SCHEMA, Agent, ChatAgent, MessagesAgent, ResponsesAgent
from tests.web.rig import Rig, Start

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
DIALECTS = [
    pytest.param(ChatAgent, id="chat"),
    pytest.param(MessagesAgent, id="messages"),
    pytest.param(ResponsesAgent, id="responses"),
]
NAMED: dict[type[Agent], object] = {
    ChatAgent: {"type": "function", "function": {"name": "get_weather"}},
    MessagesAgent: {"type": "tool", "name": "get_weather"},
    ResponsesAgent: {"type": "function", "name": "get_weather"},
}
REQUIRED: dict[type[Agent], object] = {
    ChatAgent: "required",
    MessagesAgent: {"type": "any"},
    ResponsesAgent: "required",
}


def upstream_calls(rig: Rig) -> int:
    record = rig.simulator.record
    return len(record.of("chat_completions")) + len(record.of("studio_chat"))


async def refused(rig: Rig, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with rig.http.post(rig.url(path), json={"model": "mimo-v2.6-pro", **body}) as response:
        assert response.status == 502, await response.text()
        return (await response.json())["error"]


# --- tool_choice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [NAMED, REQUIRED], ids=["named", "required"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_answer_without_the_call_is_asked_for_once_more(
    rig: Rig, dialect: type[Agent], choices: dict[type[Agent], object]
) -> None:
    agent = dialect(rig.http, tool_choice=choices[dialect])
    agent.say("Weather in Paris? [[sim: no_tools times=1]]")
    assert await agent.step(rig.gateway.base_url)
    assert upstream_calls(rig) == 2
    assert "the model was asked once more: tool_choice_unmet" in agent.headers["X-Mimo-Gateway-Notes"]
    await rig.nothing_is_held()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_answer_with_the_call_is_asked_for_once(rig: Rig, dialect: type[Agent]) -> None:
    agent = dialect(rig.http, tool_choice=REQUIRED[dialect])
    agent.say("Weather in Paris?")
    assert await agent.step(rig.gateway.base_url)
    assert upstream_calls(rig) == 1


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_model_that_will_not_call_is_an_error_that_names_tool_choice(
    rig: Rig, dialect: type[Agent], streams: bool
) -> None:
    rig.simulator.play("no_tools")
    agent = dialect(rig.http)
    agent.say("Weather in Paris?")
    body = {**agent.body(), "tool_choice": NAMED[dialect], "stream": streams}
    error = await refused(rig, agent.path, body)
    assert "tool_choice" in error["message"]
    assert "get_weather" in error["message"]
    assert upstream_calls(rig) == 2
    await rig.nothing_is_held()


async def test_streamed_call_comes_with_the_text_before_it(start: Start) -> None:
    async with start("platform") as rig:
        agent = ChatAgent(rig.http)
        agent.say('Weather in Paris? [[sim: no_tools times=1 say="I would rather not."]]')
        body = {"model": "mimo-v2.6-pro", **agent.body(), "tool_choice": "required", "stream": True}
        async with rig.http.post(rig.url(CHAT), json=body) as response:
            raw = (await response.read()).decode()
        assert "rather not" not in raw
        assert '"name":"get_weather"' in raw
        assert '"finish_reason":"tool_calls"' in raw


async def test_both_answers_are_paid_for_and_the_last_one_is_told(start: Start) -> None:
    async with start("platform") as rig:
        agent = ChatAgent(rig.http, tool_choice="required")
        agent.say("Weather in Paris? [[sim: no_tools times=1]]")
        body = {"model": "mimo-v2.6-pro", **agent.body(), "tool_choice": "required"}
        async with rig.http.post(rig.url(CHAT), json=body) as response:
            usage = (await response.json())["usage"]
        first, second = (entry.usage for entry in rig.simulator.record.of("chat_completions"))
        assert usage["prompt_tokens"] == second.input_tokens
        metrics = rig.gateway.services.metrics
        text = metrics.render().decode()
        billed = first.input_tokens + second.input_tokens
        assert 'gen_ai_client_token_usage_sum{gen_ai_request_model="mimo-v2.6-pro",' in text
        assert f'token_type="input"}} {float(billed)}' in text


BAD_CALL = 'call=get_weather args="{\\"city\\": 7}"'


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_named_call_that_does_not_fit_its_schema_is_asked_for_once_more(
    start: Start, dialect: type[Agent]
) -> None:
    """A tool that stands in for a schema, as Anthropic's clients and LangChain's have it."""
    async with start("platform") as rig:
        agent = dialect(rig.http, tool_choice=NAMED[dialect])
        agent.say(f"Weather in Paris? [[sim: {BAD_CALL} times=1]]")
        assert await agent.step(rig.gateway.base_url)
        first, second = rig.simulator.record.of("chat_completions")
        assert "$.city: 7 is not of type 'string'" in str(second.body["messages"][-2:])
        assert "the model was asked once more: tool_choice_unmet" in agent.headers["X-Mimo-Gateway-Notes"]
        assert first.status == second.status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_named_call_that_never_fits_is_an_error_that_names_the_path(
    start: Start, dialect: type[Agent]
) -> None:
    async with start("platform") as rig:
        rig.simulator.play(BAD_CALL)
        agent = dialect(rig.http)
        agent.say("Weather in Paris?")
        error = await refused(rig, agent.path, {**agent.body(), "tool_choice": NAMED[dialect]})
        assert "$.city: 7 is not of type 'string'" in error["message"]
        assert upstream_calls(rig) == 2
        await rig.nothing_is_held()


# --- structured outputs -------------------------------------------------------------------------------------

DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#", **SCHEMA, "additionalProperties": False}


def formatted(path: str, text: str, *, strict: bool = True, **more: object) -> dict[str, Any]:
    """A request for JSON of the schema, in the dialect of the path."""
    ask = [{"role": "user", "content": text}]
    if path == CHAT:
        named = {"name": "place", "schema": DRAFT_7, "strict": strict}
        return {"messages": ask, "response_format": {"type": "json_schema", "json_schema": named}, **more}
    if path == MESSAGES:
        form = {"type": "json_schema", "schema": DRAFT_7}
        return {"messages": ask, "max_tokens": 1000, "output_config": {"format": form}, **more}
    form = {"type": "json_schema", "name": "place", "schema": DRAFT_7, "strict": strict}
    return {"input": ask, "text": {"format": form}, **more}


def text_in(path: str, answer: dict[str, Any]) -> str:
    if path == CHAT:
        return answer["choices"][0]["message"]["content"]
    if path == MESSAGES:
        return "".join(block["text"] for block in answer["content"] if block["type"] == "text")
    messages = [item for item in answer["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def streamed_text(path: str, raw: bytes) -> str:
    pieces = []
    for line in raw.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        event = orjson.loads(line[6:])
        if path == CHAT:
            pieces += [choice["delta"].get("content") or "" for choice in event.get("choices", ())]
        elif path == MESSAGES:
            pieces.append(event.get("delta", {}).get("text", ""))
        elif event["type"] == "response.output_text.delta":
            pieces.append(event["delta"])
    return "".join(pieces)


PATHS = [pytest.param(path, id=path.rsplit("/", 1)[1]) for path in (CHAT, MESSAGES, RESPONSES)]
FENCED = '[[sim: raw="```json\\n{\\"city\\": \\"Oslo\\"}\\n```"]]'


async def asked(rig: Rig, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with rig.http.post(rig.url(path), json={"model": "mimo-v2.6-pro", **body}) as response:
        assert response.status == 200, await response.text()
        return await response.json()


@pytest.mark.parametrize("path", PATHS)
async def test_json_of_the_schema_comes_back(rig: Rig, path: str) -> None:
    answer = await asked(rig, path, formatted(path, "A city in Norway, please"))
    assert list(orjson.loads(text_in(path, answer))) == ["city"]
    assert upstream_calls(rig) == 1


@pytest.mark.parametrize("path", PATHS)
async def test_code_fence_round_the_json_is_taken_off(rig: Rig, path: str) -> None:
    answer = await asked(rig, path, formatted(path, f"A city. {FENCED}"))
    assert text_in(path, answer) == '{"city": "Oslo"}'
    assert upstream_calls(rig) == 1


@pytest.mark.parametrize("path", PATHS)
async def test_json_that_does_not_fit_is_repaired_by_the_model(rig: Rig, path: str) -> None:
    said = '[[sim: raw="{\\"city\\": 7}" times=1]]'
    answer = await asked(rig, path, formatted(path, f"A city in Norway. {said}"))
    assert isinstance(orjson.loads(text_in(path, answer))["city"], str)
    assert upstream_calls(rig) == 2
    endpoint = "chat_completions" if rig.simulator.record.of("chat_completions") else "studio_chat"
    told = orjson.dumps(rig.simulator.record.of(endpoint)[-1].body).decode()
    assert "$.city: 7 is not of type 'string'" in told, "the model is told what is wrong"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("path", PATHS)
async def test_json_that_never_fits_is_an_error_that_names_the_path(
    rig: Rig, path: str, streams: bool
) -> None:
    rig.simulator.play('raw="{\\"city\\": 7}"')
    error = await refused(rig, path, formatted(path, "A city in Norway", stream=streams))
    assert "$.city: 7 is not of type 'string'" in error["message"]
    assert upstream_calls(rig) == 2
    await rig.nothing_is_held()


FIELDS = {CHAT: "response_format", MESSAGES: "output_config.format", RESPONSES: "text.format"}


@pytest.mark.parametrize("path", PATHS)
async def test_the_error_names_the_field_and_is_counted(start: Start, path: str) -> None:
    async with start("platform") as rig:
        rig.simulator.play('raw="{\\"city\\": 7}"')
        error = await refused(rig, path, formatted(path, "A city in Norway"))
        assert path == MESSAGES or error["param"] == FIELDS[path]
        text = rig.gateway.services.metrics.render().decode()
        assert 'mgw_answer_repairs_total{demand="response_format",result="failed"} 1.0' in text


async def test_a_repair_is_counted(start: Start) -> None:
    async with start("platform") as rig:
        said = '[[sim: raw="{\\"city\\": 7}" times=1]]'
        await asked(rig, CHAT, formatted(CHAT, f"A city in Norway. {said}"))
        text = rig.gateway.services.metrics.render().decode()
        assert 'mgw_answer_repairs_total{demand="response_format",result="repaired"} 1.0' in text
        assert 'mgw_answer_repairs_total{demand="tool_choice",result="repaired"} 0.0' in text


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("path", PATHS)
async def test_a_broken_schema_is_told_before_any_upstream_call(rig: Rig, path: str, streams: bool) -> None:
    body = formatted(path, "A city", stream=streams)
    form = body.get("text") or body.get("output_config") or body["response_format"]
    form = form.get("format") or form["json_schema"]
    form["schema"] = {"type": "object", "properties": {"city": {"type": "strng"}}}
    async with rig.http.post(rig.url(path), json={"model": "mimo-v2.6-pro", **body}) as response:
        error = (await response.json())["error"]
        assert response.status == 400, error
    field = FIELDS[path] + (".json_schema" if path == CHAT else "") + ".schema.properties.city.type"
    assert field in error["message"]
    assert path == MESSAGES or error["param"] == field
    assert "'strng' is no type" in error["message"]
    assert upstream_calls(rig) == 0
    await rig.nothing_is_held()


@pytest.mark.parametrize("path", PATHS)
async def test_strict_stream_holds_the_text_until_it_is_good(rig: Rig, path: str) -> None:
    said = '[[sim: raw="{\\"city\\": 7}" times=1]]'
    body = {"model": "mimo-v2.6-pro", **formatted(path, f"A city in Norway. {said}", stream=True)}
    async with rig.http.post(rig.url(path), json=body) as response:
        assert response.status == 200
        text = streamed_text(path, await response.read())
    assert isinstance(orjson.loads(text)["city"], str)
    assert upstream_calls(rig) == 2


@pytest.mark.parametrize("path", [PATHS[0], PATHS[2]])
async def test_stream_that_is_not_strict_is_json_from_its_first_byte(rig: Rig, path: str) -> None:
    body = {"model": "mimo-v2.6-pro", **formatted(path, f"A city. {FENCED}", strict=False, stream=True)}
    async with rig.http.post(rig.url(path), json=body) as response:
        assert streamed_text(path, await response.read()) == '{"city": "Oslo"}'
    assert upstream_calls(rig) == 1


@pytest.mark.parametrize("path", [PATHS[0], PATHS[2]])
async def test_stream_that_turns_out_wrong_ends_as_an_error(rig: Rig, path: str) -> None:
    said = '[[sim: raw="{\\"city\\": 7}"]]'
    body = {"model": "mimo-v2.6-pro", **formatted(path, f"A city. {said}", strict=False, stream=True)}
    async with rig.http.post(rig.url(path), json=body) as response:
        raw = await response.read()
    assert b"$.city: 7 is not of type" in raw
    assert b"[DONE]" not in raw
    assert b"response.completed" not in raw
    await rig.nothing_is_held()


async def test_json_object_must_be_an_object(rig: Rig) -> None:
    body = {"messages": [{"role": "user", "content": 'JSON, please. [[sim: raw="[1, 2]" times=1]]'}]}
    body["response_format"] = {"type": "json_object"}
    answer = await asked(rig, CHAT, body)
    assert isinstance(orjson.loads(text_in(CHAT, answer)), dict)
    assert upstream_calls(rig) == 2


@pytest.mark.parametrize("path", PATHS)
async def test_json_that_was_cut_by_the_limit_says_so(start: Start, path: str) -> None:
    async with start("platform") as rig:
        said = '[[sim: raw="```json\\n{\\"city\\": \\"Os" finish=length]]'
        answer = await asked(rig, path, formatted(path, f"A city. {said}"))
        assert text_in(path, answer) == '{"city": "Os'
        reason = {
            CHAT: lambda: answer["choices"][0]["finish_reason"] == "length",
            MESSAGES: lambda: answer["stop_reason"] == "max_tokens",
            RESPONSES: lambda: answer["status"] == "incomplete",
        }
        assert reason[path]()
        assert upstream_calls(rig) == 1


async def test_tool_call_in_place_of_json_is_left_alone(rig: Rig) -> None:
    agent = ChatAgent(rig.http, response_format={"type": "json_object"})
    agent.say("Weather in Paris?")
    assert await agent.step(rig.gateway.base_url)
    assert upstream_calls(rig) == 1
