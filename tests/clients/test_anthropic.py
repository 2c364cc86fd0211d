"""The real `anthropic` package against a running process, over each upstream kind."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import anthropic
import orjson
import pytest
from anthropic import Anthropic, beta_tool

from tests.clients.processes import API_KEY, Running
from tests.clients.test_openai import png

pytestmark = pytest.mark.slow  # real processes: a request takes tens of milliseconds, their start a second

MODEL = "mimo-v2.6-pro"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "cache_control": {"type": "ephemeral"},
}


@pytest.fixture
def client(gateway: Running) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client:
        yield client


def asked(text: str, **more: object) -> dict:
    return {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": text}], **more}


def texts(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_message_answers_and_can_be_read_again(client: Anthropic, gateway: Running) -> None:
    raw = client.messages.with_raw_response.create(**asked("Good morning, gateway"))
    message = raw.parse()
    assert "Good morning, gateway" in texts(message)
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert raw.headers["request-id"] == message._request_id
    again = client.get(f"/v1/messages/{message.id}", cast_to=anthropic.types.Message)
    assert again.content == message.content
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/messages/msg_00000000000000000000", cast_to=anthropic.types.Message)


def test_base_url_of_the_official_kind_works_too(gateway: Running) -> None:
    with Anthropic(base_url=f"{gateway.base_url}/anthropic", auth_token=API_KEY, max_retries=0) as client:
        assert "Hello" in texts(client.messages.create(**asked("Hello")))


def test_stream_helper_gives_what_the_whole_message_is(client: Anthropic) -> None:
    whole = client.messages.create(**asked("Tell me a story"))
    with client.messages.stream(**asked("Tell me a story")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert [block.model_dump() for block in final.content] == [b.model_dump() for b in whole.content]
    assert (final.stop_reason, final.stop_sequence) == (whole.stop_reason, whole.stop_sequence)
    assert {"message_start", "content_block_start", "content_block_stop", "message_stop"} <= kinds
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_message_start_tells_the_input_tokens(client: Anthropic) -> None:
    text = "The gateway reads the request and finds an account that is ready. " * 40
    stream = client.messages.create(**asked(text), stream=True)
    first, *_, delta, _stop = list(stream)
    assert first.type == "message_start"
    real = delta.usage.input_tokens
    assert first.message.usage.input_tokens == pytest.approx(real, rel=0.5)


def test_thinking_is_shown_signed_and_can_be_sent_back(client: Anthropic) -> None:
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    message = client.messages.create(**asked("Why?", **more))
    thought = message.content[0]
    assert thought.type == "thinking"
    assert thought.thinking
    assert thought.signature
    history = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": "And then?"},
    ]
    assert client.messages.create(model=MODEL, messages=history, **more).stop_reason == "end_turn"


def test_thinking_can_be_switched_off(client: Anthropic) -> None:
    message = client.messages.create(**asked("Why?", thinking={"type": "disabled"}))
    assert [block.type for block in message.content] == ["text"]


def test_tools_go_round(client: Anthropic) -> None:
    first = client.messages.create(**asked("What is the weather in Paris and Rome?", tools=[WEATHER]))
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "21 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "is_error": True,
            "content": [{"type": "text", "text": "no such city"}],
        },
    ]
    second = client.messages.create(
        model=MODEL,
        max_tokens=1024,
        tools=[WEATHER],
        messages=[
            {"role": "user", "content": "What is the weather in Paris and Rome?"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [*results, {"type": "text", "text": "Go on"}]},
        ],
    )
    assert second.stop_reason in ("end_turn", "tool_use")


def test_streamed_calls_are_the_whole_message_s(client: Anthropic) -> None:
    with client.messages.stream(**asked("The weather in Paris and Rome?", tools=[WEATHER])) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert snapshots
    assert [b.input for b in final.content if b.type == "tool_use"] == [{"city": "Paris"}, {"city": "Rome"}]
    assert "MiMoML" not in texts(final)


def test_arguments_are_exact_to_the_last_newline(client: Anthropic) -> None:
    """What agents write into files: blanks, tabs, markup, quotes, backslashes, a newline at the end."""
    content = '\t<div class="a">\\n & "q"\r\n  émoji 🎉\n\n'
    write = {
        "name": "write",
        "input_schema": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path", "content"],
        },
    }
    arguments = base64.b64encode(orjson.dumps({"path": "a.html", "content": content})).decode()
    body = asked(f'Go [[sim: call=write args_base64="{arguments}"]]', tools=[write])
    (call,) = [b for b in client.messages.create(**body).content if b.type == "tool_use"]
    assert call.input == {"path": "a.html", "content": content}
    with client.messages.stream(**body) as stream:
        (call,) = [b for b in stream.get_final_message().content if b.type == "tool_use"]
    assert call.input == {"path": "a.html", "content": content}


def test_tool_named_like_our_markup_is_a_tool(client: Anthropic) -> None:
    names = ("tool_call", "tool_search", "function")
    tools = [WEATHER | {"name": name} for name in names]
    for name in names:
        choice = {"type": "tool", "name": name}
        message = client.messages.create(**asked("Weather in Paris?", tools=tools, tool_choice=choice))
        assert [b.name for b in message.content if b.type == "tool_use"] == [name]


def test_deferred_tools_and_references_are_offered(client: Anthropic) -> None:
    deferred = WEATHER | {"name": "web_find", "defer_loading": True}
    history = [
        {"role": "user", "content": "Find a tool"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {"q": "web"}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "tool_reference", "tool_name": "web_find"}],
                }
            ],
        },
        {"role": "assistant", "content": "Found."},
        {"role": "user", "content": "Use it for Paris"},
    ]
    search = WEATHER | {"name": "ToolSearch"}
    message = client.beta.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=history,
        tools=[search, deferred],
        tool_choice={"type": "tool", "name": "web_find"},
        betas=["advanced-tool-use-2025-11-20"],
    )
    assert [b.name for b in message.content if b.type == "tool_use"] == ["web_find"]


def test_tool_runner_runs_on_without_threads(client: Anthropic) -> None:
    asked_for: list[str] = []

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked_for.append(city)
        return f"21 degrees in {city}"

    runner = client.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1024,
        tools=[get_weather],
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
    )
    last = runner.until_done()
    assert asked_for == ["Paris"]
    assert "21 degrees in Paris" in "".join(block.text for block in last.content if block.type == "text")


def test_role_system_inside_messages_is_taken(client: Anthropic, simulator: Running) -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": [{"type": "text", "text": "The user is in Oslo."}]},
    ]
    simulator.forget()
    message = client.beta.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=messages,
        metadata={"user_id": '{"session":"x"}'},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        thinking={"type": "adaptive", "display": "omitted"},
        extra_headers={"x-claude-code-session-id": "s-1"},
        extra_query={"beta": "true"},
    )
    assert message.stop_reason == "end_turn"
    (asked_upstream,) = [one for one in simulator.record()["requests"] if one["method"] == "POST"][-1:]
    assert "Oslo" in orjson.dumps(asked_upstream["body"]).decode()


def test_image_reaches_the_model(client: Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png()).decode()}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = client.messages.create(
        model=MODEL, max_tokens=99, messages=[{"role": "user", "content": content}]
    )
    assert "image" in texts(message)


def test_stop_sequence_is_told(client: Anthropic) -> None:
    body = asked('[[sim: say="<block>no</block> and more"]]', stop_sequences=["</block>"])
    message = client.messages.create(**body)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "</block>")
    assert texts(message) == "<block>no"
    with client.messages.stream(**body) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.stop_sequence, texts(final)) == (
        "stop_sequence",
        "</block>",
        "<block>no",
    )


def test_tokens_are_counted(client: Anthropic) -> None:
    messages = [{"role": "user", "content": "How many tokens are in this sentence?"}]
    small = client.messages.count_tokens(model=MODEL, messages=messages)
    large = client.messages.count_tokens(
        model=MODEL, messages=messages, system="Be brief. " * 50, tools=[WEATHER]
    )
    assert 8 <= small.input_tokens <= 24
    assert large.input_tokens > small.input_tokens + 200
    assert small.model_extra == {"total_tokens": small.input_tokens}


def test_structured_output_is_json(client: Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    message = client.beta.messages.create(
        **asked("A title for this session"),
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    text = "".join(block.text for block in message.content if block.type == "text")
    assert set(orjson.loads(text)) == {"title"}


def test_models_are_listed_in_the_dialect_s_shape(client: Anthropic) -> None:
    models = list(client.models.list())
    assert "mimo-v2.6-pro" in [model.id for model in models]
    assert models[0].type == "model"
    assert client.models.retrieve("claude-opus-5-5").id == "mimo-v2.6-pro"


@pytest.mark.parametrize("name", ["claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5"])
def test_claude_names_are_served(client: Anthropic, name: str) -> None:
    raw = client.messages.with_raw_response.create(**asked("Hello") | {"model": name})
    assert raw.parse().model.startswith("mimo-v2.6-")
    assert name in raw.headers["x-mimo-gateway-notes"]


# --- errors -------------------------------------------------------------------------------------------------


def test_wrong_key_is_401(gateway: Running) -> None:
    with (
        Anthropic(base_url=gateway.base_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        client.messages.create(**asked("Hello"))
    assert caught.value.type == "authentication_error"
    assert caught.value.request_id


def test_unknown_model_is_404(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**asked("Hello") | {"model": "no-such-model"})


def test_bad_request_names_the_field(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.role"):
        client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "king", "content": "x"}])


def test_context_overflow_is_worded_so_that_agents_compact(client: Anthropic) -> None:
    words = "This model's maximum context length is 1048576 tokens, but your request has 2000000."
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(**asked(f'[[sim: status=400 message="{words}"]] Hello'))


def test_upstream_429_is_retried_by_the_sdk_when_it_is_told_to(gateway: Running) -> None:
    with Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client:
        with pytest.raises(anthropic.RateLimitError) as caught:
            client.messages.create(**asked("[[sim: status=429 retry_after=1]] Hello"))
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_failure_after_the_first_byte_is_an_error_in_the_stream(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(**asked("[[sim: cut_after=6]] Tell me a long story")) as stream,
    ):
        stream.until_done()
    assert caught.value.type in ("api_error", "overloaded_error")
