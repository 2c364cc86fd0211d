"""What the official packages send and are answered is what the OpenAPI document says."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import httpx2
import openai
import orjson
import pytest

from service.simulator.speech import wav_of
from service.web import openapi
from tests.web.openapi_schemas import validator
from tests.web.rig import Rig, Start

MODEL = "mimo-v2.6-pro"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


def png() -> str:
    """A picture of one pixel, base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    whole = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + whole).decode()


class Checked:
    """Holds each request that was taken, and each answer, against the document."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.mistakes: list[str] = []

    async def look(self, response: httpx2.Response) -> None:
        request = response.request
        found = _operation(request.method, request.url.path)
        if found is None:
            self.mistakes.append(f"no such operation: {request.method} {request.url.path}")
            return
        where, operation = found
        self.seen.add(operation["operationId"])
        is_taken, sent = response.status_code < 400, request.headers.get("Content-Type")
        if is_taken and sent == "application/json" and request.content:
            body = orjson.loads(request.content)
            self._hold(body, f"{where}/requestBody/content/application~1json/schema", "sent")
        place = f"{where}/responses/{response.status_code}"
        told = operation["responses"].get(str(response.status_code))
        if told is None:
            self.mistakes.append(f"{operation['operationId']}: status {response.status_code}")
            return
        if "$ref" in told:
            place = told["$ref"].removeprefix("#")
            told = openapi.document()["components"]["responses"][place.rpartition("/")[2]]
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if kind not in told["content"]:
            self.mistakes.append(f"{operation['operationId']}: {kind} is not told")
        elif kind == "application/json":
            await response.aread()
            self._hold(response.json(), f"{place}/content/application~1json/schema", "answered")

    def _hold(self, value: object, pointer: str, what: str) -> None:
        for error in validator(pointer).iter_errors(value):
            at = ".".join(map(str, error.absolute_path))
            self.mistakes.append(f"{what} {pointer}: {at}: {error.message[:300]}")


def _operation(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The operation and its place in the document; templates without parameters go first."""
    paths = openapi.document()["paths"]
    for template in sorted(paths, key=lambda one: one.count("{")):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in paths[template]:
            place = template.replace("~", "~0").replace("/", "~1")
            return f"/paths/{place}/{method.lower()}", paths[template][method.lower()]
    return None


@pytest.fixture
async def rig(start: Start) -> AsyncIterator[Rig]:
    async with start("platform", "studio") as rig:
        yield rig


@pytest.fixture
async def checked() -> Checked:
    return Checked()


@pytest.fixture
async def client(rig: Rig, checked: Checked) -> AsyncIterator[openai.AsyncOpenAI]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            openai.DefaultAsyncHttpxClient(event_hooks={"response": [checked.look]})
        )
        yield openai.AsyncOpenAI(
            base_url=f"{rig.gateway.base_url}/v1", api_key="sk-mimo", max_retries=0, http_client=http
        )
    assert checked.mistakes == []


@pytest.fixture
async def claude(rig: Rig, checked: Checked) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [checked.look]})
        )
        yield anthropic.AsyncAnthropic(
            base_url=rig.gateway.base_url, api_key="sk-mimo", max_retries=0, http_client=http
        )
    assert checked.mistakes == []


@pytest.mark.slow
async def test_chat_and_models(client: openai.AsyncOpenAI, checked: Checked) -> None:
    """Slow: a dozen requests of a real client."""
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}"}}
    ask: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]},
    ]
    await client.chat.completions.create(model=MODEL, messages=ask, temperature=0.3, stop=["x"], user="u1")
    weather: Any = [{"role": "user", "content": "The weather of Paris?"}]
    called = await client.chat.completions.create(
        model=MODEL, messages=weather, tools=[tool], tool_choice="auto", parallel_tool_calls=False
    )
    message = called.choices[0].message
    assert message.tool_calls
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
    history: Any = [*weather, message.model_dump(), result]
    await client.chat.completions.create(model=MODEL, messages=history, tools=[tool], reasoning_effort="low")
    form: Any = {"type": "json_schema", "json_schema": {"name": "w", "schema": PARAMETERS, "strict": True}}
    await client.chat.completions.create(model=MODEL, messages=weather, response_format=form)
    stream = await client.chat.completions.create(
        model=MODEL, messages=weather, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk async for chunk in stream]
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="no-such-model", messages=weather)
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model=MODEL, messages=[])
    assert (await client.models.list()).data
    await client.models.retrieve(MODEL)
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("no-such-model")
    assert checked.seen == {"createChatCompletion", "listModels", "getModel"}


@pytest.mark.slow
async def test_responses(client: openai.AsyncOpenAI, checked: Checked) -> None:
    """Slow: a dozen requests of a real client."""
    tool: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}
    first = await client.responses.create(
        model=MODEL, input="The weather of Paris?", instructions="Be brief.", tools=[tool]
    )
    (call,) = [item for item in first.output if item.type == "function_call"]
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}]
    await client.responses.create(
        model=MODEL, input=output, tools=[tool], previous_response_id=first.id, metadata={"a": "b"}
    )
    await client.responses.create(
        model=MODEL,
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        store=False,
        text={"format": {"type": "text"}},
    )
    stream = await client.responses.create(model=MODEL, input="Hello", stream=True)
    assert [event async for event in stream]
    queued = await client.responses.create(model=MODEL, input="Hello", background=True)
    await client.responses.cancel(queued.id)
    await client.responses.retrieve(first.id)
    await client.responses.input_items.list(first.id)
    await client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model=MODEL, input="Hello", background=True, store=False)
    assert checked.seen == {
        *("createResponse", "getResponse", "deleteResponse", "listInputItems", "cancelResponse"),
    }


@pytest.mark.slow
async def test_files_batches_and_sound(client: openai.AsyncOpenAI, checked: Checked) -> None:
    """Slow: a batch is run."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = await client.files.create(file=("in.jsonl", orjson.dumps(line)), purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
    )
    while batch.status not in ("completed", "failed"):
        batch = await client.batches.retrieve(batch.id)
    assert batch.output_file_id
    await client.files.retrieve(batch.output_file_id)
    assert (await client.files.content(batch.output_file_id)).content
    assert (await client.batches.list()).data
    await client.batches.cancel(batch.id)
    assert (await client.files.list()).data
    await client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve("file-none")
    for answer_format in ("mp3", "wav", "pcm"):
        await client.audio.speech.create(
            model="tts-1", voice="alloy", input="Hello", response_format=answer_format
        )
    clip = ("a.wav", wav_of("a clip"))
    await client.audio.transcriptions.create(model="whisper-1", file=clip)
    await client.audio.transcriptions.create(model="whisper-1", file=clip, response_format="verbose_json")
    await client.audio.transcriptions.create(model="whisper-1", file=clip, response_format="text")
    assert checked.seen == {
        *("createFile", "getFile", "getFileContent", "listFiles", "deleteFile"),
        *("createBatch", "getBatch", "listBatches", "cancelBatch"),
        *("createSpeech", "createTranscription"),
    }


@pytest.mark.slow
async def test_messages_and_their_batches(claude: anthropic.AsyncAnthropic, checked: Checked) -> None:
    """Slow: a dozen requests of a real client, and a batch."""
    ask: Any = [{"role": "user", "content": "The weather of Paris?"}]
    tool: Any = {"name": "get_weather", "description": "The weather", "input_schema": PARAMETERS}
    first = await claude.messages.create(
        model=MODEL,
        max_tokens=900,
        messages=ask,
        tools=[tool],
        system=[{"type": "text", "text": "Be brief."}],
    )
    (call,) = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Rain."}]}
    history: Any = [
        *ask,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    await claude.messages.create(
        model=MODEL,
        max_tokens=900,
        messages=history,
        tools=[tool],
        thinking={"type": "enabled", "budget_tokens": 500},
        metadata={"user_id": "u"},
        stop_sequences=["x"],
        extra_body={"temperature": 0.5},
    )
    source = {"type": "base64", "media_type": "image/png", "data": png()}
    seen: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    await claude.messages.create(model=MODEL, max_tokens=900, messages=seen)
    async with claude.messages.stream(model=MODEL, max_tokens=900, messages=ask) as stream:
        await stream.get_final_message()
    await claude.messages.count_tokens(model=MODEL, messages=ask)
    with pytest.raises(anthropic.BadRequestError):
        await claude.messages.create(model=MODEL, max_tokens=900, messages=[])
    with pytest.raises(anthropic.NotFoundError):
        await claude.messages.create(model="no-such-model", max_tokens=900, messages=ask)
    assert (await claude.models.list()).data
    await claude.models.retrieve(MODEL)
    request: Any = {"custom_id": "a", "params": {"model": MODEL, "max_tokens": 99, "messages": ask}}
    batch = await claude.messages.batches.create(requests=[request])
    while batch.processing_status != "ended":
        batch = await claude.messages.batches.retrieve(batch.id)
    assert [row async for row in await claude.messages.batches.results(batch.id)]
    assert (await claude.messages.batches.list()).data
    await claude.messages.batches.cancel(batch.id)
    await claude.messages.batches.delete(batch.id)
    assert checked.seen == {
        *("createMessage", "countTokens", "listModels", "getModel"),
        *("createMessageBatch", "getMessageBatch", "listMessageBatches", "cancelMessageBatch"),
        *("deleteMessageBatch", "getMessageBatchResults"),
    }
