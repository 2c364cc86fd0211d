"""The answer of Anthropic Messages (mimo-api.md, section 1.7)."""

import orjson

TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def test_answer_has_thinking_then_text(call):
    body = (await call.messages("Good morning", max_tokens=1000)).json
    assert body["type"] == "message"
    assert body["role"] == "assistant"
    assert body["stop_reason"] == "end_turn"
    assert [block["type"] for block in body["content"]] == ["thinking", "text"]
    assert "Good morning" in body["content"][1]["text"]
    assert set(body["usage"]) == {"input_tokens", "output_tokens", "cache_read_input_tokens"}


async def test_stream_follows_the_event_grammar(call):
    events = (await call.messages("Hi", stream=True)).events
    names = [event.event for event in events]
    bodies = [orjson.loads(event.data) for event in events]
    assert names == [body["type"] for body in bodies]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("content_block_start") == names.count("content_block_stop") == 2
    assert {"ping", "error"}.isdisjoint(names)
    assert bodies[0]["message"]["content"] == []
    assert bodies[0]["message"]["stop_reason"] is None
    deltas = {body["delta"]["type"] for body in bodies if body["type"] == "content_block_delta"}
    assert deltas == {"thinking_delta", "text_delta"}
    assert bodies[-2]["delta"]["stop_reason"] == "end_turn"
    assert bodies[-2]["usage"]["output_tokens"] > 0


async def test_tool_use_streams_its_input_as_json_pieces(call):
    events = (await call.messages("Weather in Paris and Rome?", tools=[TOOL], stream=True)).events
    bodies = [orjson.loads(event.data) for event in events]
    starts = [body for body in bodies if body.get("content_block", {}).get("type") == "tool_use"]
    assert [start["content_block"]["input"] for start in starts] == [{}, {}]
    inputs = []
    for start in starts:
        pieces = [
            body["delta"]["partial_json"]
            for body in bodies
            if body["type"] == "content_block_delta" and body["index"] == start["index"]
        ]
        inputs.append(orjson.loads("".join(pieces)))
    assert inputs == [{"city": "Paris"}, {"city": "Rome"}]
    assert bodies[-2]["delta"]["stop_reason"] == "tool_use"


async def test_single_call_flag_is_obeyed(call):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = (await call.messages("Weather in Paris and Rome?", tools=[TOOL], tool_choice=choice)).json
    assert [block["type"] for block in body["content"]] == ["thinking", "tool_use"]


async def test_tool_results_are_quoted(call):
    messages = [
        {"role": "user", "content": "Weather in Rome?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I ask."},
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]
    body = (await call.messages(messages=messages, tools=[TOOL])).json
    assert body["stop_reason"] == "end_turn"
    assert "get_weather says: sunny" in body["content"][-1]["text"]


async def test_cached_tokens_are_apart_from_the_input(call):
    long = "Read this. " * 300
    first = (await call.messages(long)).json["usage"]
    second = (await call.messages(long)).json["usage"]
    assert first["cache_read_input_tokens"] is None
    assert second["input_tokens"] + second["cache_read_input_tokens"] == first["input_tokens"]


async def test_mimo_stop_reasons_come_through(call):
    for finish, reason in (("length", "max_tokens"), ("repetition_truncation", "repetition_truncation")):
        assert (await call.messages(f"[[sim: finish={finish}]]")).json["stop_reason"] == reason
