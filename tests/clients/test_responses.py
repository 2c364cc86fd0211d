"""The real `openai` package's Responses client against a running process, over each upstream kind."""

from __future__ import annotations

import time
from collections.abc import Iterator

import openai
import orjson
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.clients.processes import API_KEY, Running

pytestmark = pytest.mark.slow  # real processes: a request takes tens of milliseconds, their start a second

MODEL = "mimo-v2.6-pro"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture
def client(gateway: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.base_url}/v1", api_key=API_KEY, max_retries=0) as client:
        yield client


def shape(response: Response) -> list[object]:
    """The output without its ids, and without what the package's own parsing adds."""
    return _without_ids(response.model_dump(mode="json")["output"])


def _without_ids(value: object) -> object:
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    if isinstance(value, dict):
        dropped = ("id", "call_id", "parsed", "parsed_arguments")
        return {key: _without_ids(item) for key, item in value.items() if key not in dropped}
    return value


def test_response_answers_and_is_kept(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Good morning, gateway")
    assert "Good morning, gateway" in response.output_text
    assert response.status == "completed"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert client.responses.retrieve(response.id).output_text == response.output_text
    (item,) = client.responses.input_items.list(response.id)
    assert item.content[0].text == "Good morning, gateway"
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_stream_helper_gives_what_the_whole_response_is(client: OpenAI) -> None:
    whole = client.responses.create(model=MODEL, input="Tell me a story")
    with client.responses.stream(model=MODEL, input="Tell me a story") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert shape(final) == shape(whole)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text


def test_streamed_calls_are_the_whole_response_s(client: OpenAI) -> None:
    question = "What is the weather in Paris and Rome?"
    whole = client.responses.create(model=MODEL, input=question, tools=[WEATHER])
    with client.responses.stream(model=MODEL, input=question, tools=[WEATHER]) as stream:
        stream.until_done()
        final = stream.get_final_response()
    assert shape(final) == shape(whole)
    calls = [item for item in final.output if item.type == "function_call"]
    assert [orjson.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]


@pytest.mark.parametrize("chained", [True, False], ids=["previous_response_id", "whole history"])
def test_tools_go_round(client: OpenAI, chained: bool) -> None:
    question = {"role": "user", "content": "What is the weather in Paris?"}
    first = client.responses.create(model=MODEL, input=[question], tools=[WEATHER])
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    if chained:
        second = client.responses.create(
            model=MODEL, input=[result], tools=[WEATHER], previous_response_id=first.id
        )
    else:
        second = client.responses.create(
            model=MODEL, input=[question, *first.output, result], tools=[WEATHER], store=False
        )
    assert "21 degrees" in second.output_text


def test_sealed_reasoning_goes_round_without_the_store(client: OpenAI, simulator: Running) -> None:
    more = {"tools": [WEATHER], "store": False, "include": ["reasoning.encrypted_content"]}
    question = {"role": "user", "content": "What is the weather in Paris?"}
    first = client.responses.create(model=MODEL, input=[question], **more)
    (reasoning,) = [item for item in first.output if item.type == "reasoning"]
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert reasoning.encrypted_content
    sealed = {"type": "reasoning", "id": reasoning.id, "summary": []}
    history = [
        question,
        sealed | {"encrypted_content": reasoning.encrypted_content},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"},
    ]
    simulator.forget()
    second = client.responses.create(model=MODEL, input=history, **more)
    assert "21 degrees" in second.output_text
    sent = orjson.dumps(simulator.record()["requests"][-1]["body"]).decode()
    assert "mgw1." not in sent
    assert reasoning.summary[0].text in sent or "query" in sent
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


class Person(BaseModel):
    name: str
    age: int


def test_parse_gives_an_object(client: OpenAI) -> None:
    response = client.responses.parse(model=MODEL, input="A person named Ada of 36", text_format=Person)
    assert isinstance(response.output_parsed, Person)


def test_background_response_is_polled(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Hello", background=True)
    assert response.status in ("queued", "in_progress", "completed")
    deadline_s = time.monotonic() + 60
    while response.status in ("queued", "in_progress") and time.monotonic() < deadline_s:
        time.sleep(0.05)
        response = client.responses.retrieve(response.id)
    assert response.status == "completed"
    assert "Hello" in response.output_text


def test_background_stream_is_resumed(client: OpenAI) -> None:
    text = "[[sim: pace_ms=10]] Tell me a story"
    stream = client.responses.create(model=MODEL, input=text, background=True, stream=True)
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    response_id = seen[0].response.id
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number))
    assert [event.sequence_number for event in seen + rest] == list(range(len(seen) + len(rest)))
    assert rest[-1].type == "response.completed"


def test_background_response_is_cancelled(client: OpenAI) -> None:
    text = "[[sim: first_delay_ms=20000]] Hello"
    response = client.responses.create(model=MODEL, input=text, background=True)
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"


def test_custom_tool_takes_raw_text(client: OpenAI) -> None:
    tool = {"type": "custom", "name": "run_code", "description": "Runs Python code"}
    text = 'Go [[sim: call=run_code args="{\\"input\\": \\"print(1)\\\\n\\"}"]]'
    with client.responses.stream(model=MODEL, input=text, tools=[tool]) as stream:
        stream.until_done()
        final = stream.get_final_response()
    (call,) = [item for item in final.output if item.type == "custom_tool_call"]
    assert call.input == "print(1)\n"


# --- errors -------------------------------------------------------------------------------------------------


def test_unknown_previous_response_is_a_400_in_openai_s_words(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="Go on", previous_response_id="resp_unknown")
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


def test_bad_request_names_the_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input=[{"role": "king", "content": "x"}])
    assert caught.value.param == "input[0].role"


def test_synchronous_response_is_not_cancelled(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Hello")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(response.id)


def test_sdk_retries_after_a_429(gateway: Running) -> None:
    with OpenAI(base_url=f"{gateway.base_url}/v1", api_key=API_KEY, max_retries=1) as client:
        kind = gateway.base_url[-5:]
        text = f"[[sim: status=429 retry_after=0.1 times=1 id=retry-{kind}]] Hello"
        response = client.responses.create(model=MODEL, input=text)
    assert response.status == "completed"


def test_failure_after_the_first_byte_is_a_failed_response(client: OpenAI) -> None:
    text = "[[sim: cut_after=6]] Tell me a long story"
    events = list(client.responses.create(model=MODEL, input=text, stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
