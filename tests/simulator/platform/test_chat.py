"""The answer of Chat Completions, to the letter of mimo-api.md, section 1.5."""

import re

import orjson

from service.simulator import PlatformAccount, SimulatorOptions

ALL_NULL = {"content": None, "reasoning_content": None, "role": None, "tool_calls": None}


async def test_answer_quotes_the_user_and_thinks_first(call):
    reply = await call.chat("Good morning")
    body = reply.json
    message = body["choices"][0]["message"]
    assert reply.status == 200
    assert body["object"] == "chat.completion"
    assert body["model"] == "mimo-v2.6-pro"
    assert "Good morning" in message["content"]
    assert message["reasoning_content"]
    assert message["tool_calls"] is None
    assert body["choices"][0]["finish_reason"] == "stop"
    assert re.fullmatch(r"[0-9a-f-]{36}_[0-9a-f]{32}", body["id"])


async def test_thinking_off_leaves_the_reasoning_key_out(call):
    message = (await call.chat(thinking={"type": "disabled"})).json["choices"][0]["message"]
    assert "reasoning_content" not in message


async def test_stream_has_the_chunks_of_the_reference_in_order(call):
    reply = await call.chat("Hi", stream=True)
    assert reply.headers["Content-Type"] == "text/event-stream"
    chunks = reply.chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": "", "tool_calls": None, "reasoning_content": None}
    kinds = ["reasoning" if delta["reasoning_content"] else "content" for delta in deltas[1:-1]]
    assert kinds == sorted(kinds, reverse=True)  # reasoning first
    assert set(kinds) == {"reasoning", "content"}
    assert all(delta["role"] is None and delta["tool_calls"] is None for delta in deltas[1:])
    assert deltas[-1] == ALL_NULL
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-2]] == [None] * (len(chunks) - 2)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert reply.events[-1].data == b"[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_stream_and_body_say_the_same(call):
    whole = (await call.chat("Same?")).json["choices"][0]["message"]
    chunks = (await call.chat("Same?", stream=True)).chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert "".join(delta["content"] or "" for delta in deltas) == whole["content"]
    assert "".join(delta["reasoning_content"] or "" for delta in deltas) == whole["reasoning_content"]


async def test_same_request_gives_the_same_bytes_but_for_ids(call):
    first = await call.chat("Twice", stream=True)
    second = await call.chat("Twice", stream=True)
    strip = re.compile(rb'"id":"[^"]*"')
    assert strip.sub(b"", first.body) == strip.sub(b"", second.body)
    assert first.body != second.body


async def test_tool_call_is_native_and_its_arguments_come_in_pieces(call, weather):
    chunks = (await call.chat("How is the weather in Beijing?", tools=[weather], stream=True)).chunks
    calls = [
        chunk["choices"][0]["delta"]["tool_calls"][0]
        for chunk in chunks[:-1]
        if chunk["choices"][0]["delta"]["tool_calls"]
    ]
    assert re.fullmatch(r"call_[0-9a-f]{24}", calls[0]["id"])
    assert calls[0]["function"] == {"name": "get_weather", "arguments": ""}
    assert len(calls) > 2
    assert all(later["id"] is None and later["function"]["name"] is None for later in calls[1:])
    arguments = "".join(piece["function"]["arguments"] for piece in calls)
    assert orjson.loads(arguments) == {"city": "Beijing", "unit": "celsius"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_two_places_make_two_calls(call, weather):
    message = (await call.chat("Compare the weather in Paris and Rome", tools=[weather])).json
    calls = message["choices"][0]["message"]["tool_calls"]
    assert [orjson.loads(one["function"]["arguments"])["city"] for one in calls] == ["Paris", "Rome"]
    assert message["choices"][0]["message"]["content"] == ""
    assert len({one["id"] for one in calls}) == 2


async def test_tool_results_are_quoted_in_the_answer(call, weather):
    messages = [
        {"role": "user", "content": "How is the weather in Beijing?"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    choice = (await call.chat(messages=messages, tools=[weather])).json["choices"][0]
    assert "get_weather says: 21 degrees" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


async def test_images_are_counted_with_their_types_and_sizes(call):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
    ]
    text = (await call.chat(messages=[{"role": "user", "content": content}])).json["choices"][0]["message"][
        "content"
    ]
    assert "2 images (image/png, 8 bytes; image/*, by URL)" in text


async def test_usage_counts_reasoning_within_the_output_and_reuse_within_the_input(call):
    system = {"role": "system", "content": "You are helpful. " * 200}
    first = (await call.chat(messages=[system, {"role": "user", "content": "One"}])).json["usage"]
    second = (await call.chat(messages=[system, {"role": "user", "content": "Two"}])).json["usage"]
    other = await call.chat(messages=[system, {"role": "user", "content": "Two"}], headers=call.key(1))
    assert first["prompt_tokens_details"] is None
    assert 0 < second["prompt_tokens_details"]["cached_tokens"] <= second["prompt_tokens"]
    assert other.json["usage"]["prompt_tokens_details"] is None  # another account, another cache
    assert 0 < first["completion_tokens_details"]["reasoning_tokens"] < first["completion_tokens"]
    assert first["total_tokens"] == first["prompt_tokens"] + first["completion_tokens"]


async def test_token_limit_cuts_the_answer_and_says_length(call):
    reply = (await call.chat("Hi", max_completion_tokens=3, thinking={"type": "disabled"})).json
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["choices"][0]["message"]["content"] == "Hello! I am "
    assert reply["usage"]["completion_tokens"] == 3


async def test_stop_words_end_the_answer(call):
    reply = (await call.chat("Hi", stop=["simulated"])).json["choices"][0]
    assert reply["message"]["content"] == "Hello! I am a "
    assert reply["finish_reason"] == "stop"


async def test_json_mode_answers_with_the_schema_that_the_prompt_holds(call):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    messages = [
        {"role": "system", "content": f"Answer as JSON by this schema: {orjson.dumps(schema).decode()}"},
        {"role": "user", "content": "Is it so?"},
    ]
    reply = await call.chat(messages=messages, response_format={"type": "json_object"})
    assert orjson.loads(reply.json["choices"][0]["message"]["content"]) == {"ok": True}


async def test_json_mode_without_a_schema_still_answers_json(call):
    reply = await call.chat("Say it in JSON", response_format={"type": "json_object"})
    assert orjson.loads(reply.json["choices"][0]["message"]["content"])["answer"] == "Say it in JSON"


async def test_forced_choice_is_ignored_as_on_the_real_platform(call, weather):
    reply = await call.chat("Weather in Rome, please", tools=[weather], tool_choice="none")
    assert reply.json["choices"][0]["finish_reason"] == "tool_calls"


async def test_wishes_in_words_are_obeyed(call, weather):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}
    wish = {"role": "system", "content": "You must call the tool `other` now. Call at most one tool."}
    messages = [{"role": "user", "content": "Both, in Paris and Rome"}, wish]
    message = (await call.chat(messages=messages, tools=[weather, other])).json["choices"][0]["message"]
    assert [one["function"]["name"] for one in message["tool_calls"]] == ["other"]


async def test_web_search_brings_all_sources_in_the_first_chunk(start):
    account = PlatformAccount(name="a", api_key="sk-a", has_web_search=True)
    tools = [{"type": "web_search", "max_keyword": 3}]
    async with start(SimulatorOptions(platform=(account,))) as call:
        first, *_, last = (await call.chat("News?", tools=tools, stream=True)).chunks
        message = (await call.chat("News?", tools=tools)).json["choices"][0]["message"]
    assert set(first["choices"][0]["delta"]["annotations"][0]) == {
        *("type", "url", "title", "summary", "site_name", "publish_time", "logo_url")
    }
    assert message["annotations"] == first["choices"][0]["delta"]["annotations"]
    assert message["error_message"] == ""
    assert last["usage"]["web_search_usage"] == {"tool_usage": 1, "page_usage": 1}
