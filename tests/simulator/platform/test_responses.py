"""Responses: the object, the events, the refusals (mimo-api.md, section 1.6)."""

import orjson
import pytest

TOOL = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
EVENTS = {
    "response.created",
    "response.in_progress",
    "response.completed",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
}


@pytest.fixture
def respond(call):
    async def post(items="Hello", /, **body):
        return await call.post(
            "/v1/responses", {"model": "mimo-v2.6-pro", "input": items, **body}, call.key()
        )

    return post


async def test_answer_has_reasoning_in_plain_text_then_the_message(respond):
    body = (await respond("Good morning", instructions="Be brief")).json
    assert (body["object"], body["status"], body["error"]) == ("response", "completed", None)
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert body["output"][0]["content"][0]["type"] == "reasoning_text"
    assert "Good morning" in body["output"][1]["content"][0]["text"]
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]


async def test_effort_none_turns_thinking_off(respond):
    body = (await respond(reasoning={"effort": "none"})).json
    assert [item["type"] for item in body["output"]] == ["message"]
    assert (await respond(reasoning={"effort": "ultra"})).json["output"][0]["type"] == "reasoning"


async def test_stream_is_numbered_and_uses_documented_events_only(respond):
    events = (await respond("Hi", stream=True)).events
    bodies = [orjson.loads(event.data) for event in events]
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    assert [event.event for event in events] == [body["type"] for body in bodies]
    assert {event.event for event in events} <= EVENTS
    assert bodies[0]["type"] == "response.created"
    assert bodies[-1]["type"] == "response.completed"
    text = "".join(body["delta"] for body in bodies if body["type"] == "response.output_text.delta")
    assert text == bodies[-1]["response"]["output"][1]["content"][0]["text"]


async def test_calls_stream_their_arguments_and_the_done_event_names_them(respond):
    events = (await respond("Weather in Paris and Rome?", tools=[TOOL], stream=True)).events
    bodies = [orjson.loads(event.data) for event in events]
    done = [body for body in bodies if body["type"] == "response.function_call_arguments.done"]
    assert [orjson.loads(body["arguments"])["city"] for body in done] == ["Paris", "Rome"]
    assert {body["name"] for body in done} == {"get_weather"}
    for end in done:
        deltas = [
            body["delta"]
            for body in bodies
            if body["type"].endswith("arguments.delta") and body["item_id"] == end["item_id"]
        ]
        assert "".join(deltas) == end["arguments"]


async def test_results_are_quoted(respond):
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather in Rome?"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "I ask."}]},
        {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
    ]
    body = (await respond(items, tools=[TOOL])).json
    assert "get_weather says: sunny" in body["output"][-1]["content"][0]["text"]


async def test_images_and_json(respond):
    content = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
    ]
    items = [
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"role": "user", "content": content},
    ]
    body = (await respond(items)).json
    assert "1 image (image/png, 8 bytes)" in body["output"][-1]["content"][0]["text"]
    body = (await respond("Say JSON", text={"format": {"type": "json_object"}})).json
    assert orjson.loads(body["output"][-1]["content"][0]["text"])["answer"] == "Say JSON"


async def test_length_is_incomplete(respond):
    body = (await respond(max_output_tokens=2)).json
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    events = (await respond(max_output_tokens=2, stream=True)).events
    assert events[-1].event == "response.incomplete"


@pytest.mark.parametrize(
    "changes",
    [
        {"previous_response_id": "resp_1"},
        {"store": True},
        {"include": []},
        {"background": True},
        {"max_output_tokens": 0},
        {"input": []},
        {"input": ""},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "robot", "content": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": ""}]}]},
        {"input": [{"type": "function_call", "call_id": "c"}]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"reasoning": {"effort": "huge"}},
        {"text": {"format": {"type": "json_schema"}}},
        {"tools": [{"type": "function", "name": "bad name"}]},
    ],
)
async def test_refused(respond, changes):
    text = changes.pop("input", "Hello")
    assert (await respond(text, **changes)).status == 400


async def test_other_tools_are_refused_with_a_body_of_their_own(respond):
    error = (await respond(tools=[{"type": "custom", "name": "x"}])).json["error"]
    assert error["code"] == "responses_feature_not_supported"
    assert error["type"] == "unsupported_feature"
    assert "'custom'" in error["message"]


async def test_directives_work_here_too(respond):
    assert (await respond("[[sim: status=429]]")).status == 429
    assert (await respond("[[sim: sensitive]]", stream=True)).status == 421
    assert b'"it broke"' in (await respond('[[sim: error_frame="it broke"]]', stream=True)).body


async def test_there_is_no_get(call):
    assert (await call.get("/v1/responses/resp_1", call.key())).status == 404
