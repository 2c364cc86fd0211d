"""The real `openai` package against a running process, over each upstream kind."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator

import openai
import orjson
import pytest
from openai import OpenAI

from tests.clients.processes import API_KEY, Running

pytestmark = pytest.mark.slow  # real processes: a request takes tens of milliseconds, their start a second

MODEL = "mimo-v2.6-pro"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client(gateway: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.base_url}/v1", api_key=API_KEY, max_retries=0) as client:
        yield client


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_chat_answers(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=user("Good morning, gateway"))
    choice = answer.choices[0]
    assert choice.message.content
    assert "Good morning, gateway" in choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    messages = user("[[sim: pace_ms=5]] Tell me a story")  # slow enough that no two events arrive as one
    whole = client.chat.completions.create(model=MODEL, messages=messages)
    pieces, reasons, usages = [], [], []
    for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True):
        usages.append(chunk.usage)
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            reasons.append(choice.finish_reason)
    assert "".join(pieces) == whole.choices[0].message.content
    assert [reason for reason in reasons if reason] == ["stop"]
    assert len([piece for piece in pieces if piece]) > 1
    assert not any(usages), "usage was not asked for"


def test_include_usage_gives_a_last_chunk_without_choices(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=user("Hello"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_reasoning_is_visible_as_reasoning_content(client: OpenAI) -> None:
    message = client.chat.completions.create(model=MODEL, messages=user("Why?")).choices[0].message
    assert message.reasoning_content
    assert "<think>" not in message.content
    streamed = "".join(
        choice.delta.reasoning_content
        for chunk in client.chat.completions.create(model=MODEL, messages=user("Why?"), stream=True)
        for choice in chunk.choices
        if getattr(choice.delta, "reasoning_content", None)
    )
    assert streamed == message.reasoning_content


def test_thinking_can_be_switched_off(client: OpenAI) -> None:
    message = (
        client.chat.completions.create(model=MODEL, messages=user("Why?"), reasoning_effort="none")
        .choices[0]
        .message
    )
    assert not getattr(message, "reasoning_content", None)


def test_parallel_tool_calls(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=user("What is the weather in Beijing and Shanghai?"), tools=[WEATHER]
    )
    calls = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [orjson.loads(call.function.arguments)["city"] for call in calls] == ["Beijing", "Shanghai"]
    assert {call.function.name for call in calls} == {"get_weather"}
    assert len({call.id for call in calls}) == 2


def test_parallel_tool_calls_streamed_are_the_same(client: OpenAI) -> None:
    messages = user("What is the weather in Beijing and Shanghai?")
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert [orjson.loads(call.function.arguments)["city"] for call in calls] == ["Beijing", "Shanghai"]
    assert "MiMoML" not in (final.choices[0].message.content or "")


def test_tool_results_turn_is_answered_with_text(client: OpenAI) -> None:
    messages = user("What is the weather in Beijing?")
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER, TIME])
    reply = first.choices[0].message
    (call,) = reply.tool_calls
    # As frameworks rebuild it: content null, the reasoning dropped. MiMo's own wire refuses both.
    rebuilt = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees and sunny"}
    second = client.chat.completions.create(
        model=MODEL, messages=[*messages, rebuilt, result], tools=[WEATHER, TIME]
    )
    assert second.choices[0].finish_reason == "stop"
    assert "21 degrees and sunny" in second.choices[0].message.content


def test_tool_choice_none_calls_nothing(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=user("What is the weather in Beijing?"), tools=[WEATHER], tool_choice="none"
    )
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


def test_named_tool_choice_calls_that_tool(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=user("What is it like in Beijing?"),
        tools=[WEATHER, TIME],
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["get_time"]


def test_one_call_at_most_without_parallel_calls(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=user("What is the weather in Beijing and Shanghai?"),
        tools=[WEATHER],
        parallel_tool_calls=False,
    )
    assert len(answer.choices[0].message.tool_calls) == 1


def png(side: int = 4) -> bytes:
    rows = b"".join(b"\0" + b"\xff\0\0" * side for _ in range(side))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pieces = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + pieces


def test_image_by_data_url_reaches_the_model(client: OpenAI) -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert "image" in answer.choices[0].message.content


def test_text_file_is_read(client: OpenAI) -> None:
    data = base64.b64encode(b"the password is swordfish").decode()
    content = [
        {"type": "text", "text": "Summarize this file"},
        {"type": "file", "file": {"filename": "notes.md", "file_data": data}},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert "mimo-v2.6-pro" in ids
    assert "mimo-v2.6-flash" in ids
    assert not any("tts" in model or "asr" in model for model in ids)
    assert client.models.retrieve("mimo-v2.6-flash").id == "mimo-v2.6-flash"


OTHER_NAMES = ["mimo-v2-pro", "mimo-v2-flash", "mimo-v2-omni", "mimo-v2.5", "MiMo-V2.6-Pro"]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_the_past_and_other_spellings_are_served(client: OpenAI, name: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=name, messages=user("Hello"))
    assert raw.parse().model.startswith("mimo-v2.6-")
    assert "mimo-v2" in raw.headers["x-mimo-gateway-notes"]


def test_wrong_key_is_401(gateway: Running) -> None:
    with (
        OpenAI(base_url=f"{gateway.base_url}/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model=MODEL, messages=user("Hello"))
    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)


def test_unknown_model_is_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=user("Hello"))
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_bad_request_is_400_and_names_the_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "king", "content": "Hello"}])
    assert caught.value.param == "messages[0].role"


def test_upstream_429_reaches_the_client_as_429(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=MODEL, messages=user("[[sim: status=429 retry_after=1]] Hello"))
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_failure_after_the_first_byte_is_an_error_in_the_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=user("[[sim: cut_after=6]] Tell me a long story"), stream=True
    )
    with pytest.raises(openai.APIError):
        for _ in stream:
            pass
