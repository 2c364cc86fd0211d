"""mimo-api.md 4.2: tool calls that leak into the text. The real packages read the answer, streamed and whole:
the call is there once and none of its markup is; what is no call is left as the model wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import orjson

from tests.web.mimo_rows import CHAT, MESSAGES, NAMES, SCHEMA, Case, Json
from tests.web.rig import Rig

MODEL = "mimo-v2.6-pro"
ASKED = "Weather in Paris? [[sim: tool_leak={leak}]]"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client makes of an answer."""

    text: str
    reasoning: str
    calls: list[tuple[str, Json]]
    has_stopped_for_calls: bool


# row, preset of the simulator, and whether the call is to be found; what the text must hold, and must not
LEAKS: list[tuple[str, str, bool, str, str]] = [
    ("4.2.1", "with_native", True, "", "<"),
    ("4.2.2", "text_only", True, "", "<"),
    ("4.2.2", "text_stop", True, "", "<"),
    ("4.2.3", "seam", True, "", "<"),
    ("4.2.4", "none_marker", False, "Hello", "tool_call_none"),
    ("4.2.5", "attribute", True, "", "<"),
    ("4.2.6", "tml", True, "", "<"),
    ("4.2.7", "italic", True, "", "<"),
    ("4.2.8", "escaped", False, "&lt;", "<tool_call>"),
    ("4.2.8", "fenced", False, "```xml", ""),
    ("4.2.8", "orphan_think", False, "Hello", "</thinking>"),
    ("4.2.9", "toolcall_shell", False, "<toolcall><shell>", ""),
    ("4.2.10", "invoke_only", True, "", "<"),
    ("4.2.10", "text_stop", True, "", "<"),
]


def cases() -> Iterator[Case]:
    for row, leak, is_call, holds, lacks in LEAKS:
        for path in NAMES:
            for streams in (False, True):
                yield _case(row, path, leak, is_call, (holds, lacks), streams)


def _case(row: str, path: str, leak: str, is_call: bool, text: tuple[str, str], streams: bool) -> Case:
    async def run(rig: Rig) -> None:
        heard = await _heard(rig, path, ASKED.format(leak=leak), has_tools=row != "4.2.9", streams=streams)
        holds, lacks = text
        assert holds in heard.text, heard
        assert not lacks or lacks not in heard.text + heard.reasoning, heard
        assert [name for name, _ in heard.calls] == (["get_weather"] if is_call else [])
        assert heard.has_stopped_for_calls == is_call
        for _, arguments in heard.calls:
            assert arguments == {"city": "Paris"}

    return Case(row, path, run, f"{leak}, {'streamed' if streams else 'whole'}")


async def _heard(rig: Rig, path: str, text: str, *, has_tools: bool, streams: bool) -> Heard:
    messages: Any = [{"role": "user", "content": text}]
    if path == MESSAGES:
        return await _by_anthropic(rig, messages, has_tools=has_tools, streams=streams)
    url = f"{rig.gateway.base_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-mimo", max_retries=0) as client:
        if path == CHAT:
            return await _by_chat(client, messages, has_tools=has_tools, streams=streams)
        return await _by_responses(client, messages, has_tools=has_tools, streams=streams)


async def _by_chat(client: openai.AsyncOpenAI, messages: Any, *, has_tools: bool, streams: bool) -> Heard:
    function = {"name": "get_weather", "parameters": SCHEMA}
    tools: Any = [{"type": "function", "function": function}] if has_tools else openai.omit
    asked: Any = {"model": MODEL, "messages": messages, "tools": tools}
    if streams:
        async with client.chat.completions.stream(**asked) as stream:
            choice: Any = (await stream.get_final_completion()).choices[0]
    else:
        choice = (await client.chat.completions.create(**asked)).choices[0]
    calls = [
        (call.function.name, _object(call.function.arguments)) for call in choice.message.tool_calls or ()
    ]
    reasoning = getattr(choice.message, "reasoning_content", None) or ""
    return Heard(choice.message.content or "", reasoning, calls, choice.finish_reason == "tool_calls")


async def _by_anthropic(rig: Rig, messages: Any, *, has_tools: bool, streams: bool) -> Heard:
    tools: Any = [{"name": "get_weather", "input_schema": SCHEMA}] if has_tools else anthropic.omit
    asked: Any = {"model": MODEL, "messages": messages, "max_tokens": 2000, "tools": tools}
    url = rig.gateway.base_url
    async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-mimo", max_retries=0) as client:
        if streams:
            async with client.messages.stream(**asked) as stream:
                message: Any = await stream.get_final_message()
        else:
            message = await client.messages.create(**asked)
    texts = [block.text for block in message.content if block.type == "text"]
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return Heard("".join(texts), "".join(thoughts), calls, message.stop_reason == "tool_use")


async def _by_responses(client: openai.AsyncOpenAI, items: Any, *, has_tools: bool, streams: bool) -> Heard:
    tools: Any = (
        [{"type": "function", "name": "get_weather", "parameters": SCHEMA}] if has_tools else openai.omit
    )
    asked: Any = {"model": MODEL, "input": items, "tools": tools}
    if streams:
        async with client.responses.stream(**asked) as stream:
            response: Any = await stream.get_final_response()
    else:
        response = await client.responses.create(**asked)
    assert response.status == "completed"
    thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
    found = [item for item in response.output if item.type == "function_call"]
    calls = [(item.name, _object(item.arguments)) for item in found]
    return Heard(response.output_text, "".join(thoughts), calls, bool(calls))


def _object(arguments: str) -> Json:
    value = orjson.loads(arguments)
    assert isinstance(value, dict)
    return value
