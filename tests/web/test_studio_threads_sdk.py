"""What the official packages send back of an answer is the answer: a studio conversation goes on from it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from service.config import Studio
from tests.web.rig import Rig, Start

MODEL = "mimo-v2.6-pro"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# Words, a call whose argument JSON writers escape each in their own way, and blank space round all of it.
SPOKEN = """<think>\0I will look.</think>\0
Let me look.

<|MiMoML|tool_calls>
  <|MiMoML|invoke name="get_weather">
    <|MiMoML|parameter name="city"><![CDATA[Zürich\n<&> "Rom\\"]]></|MiMoML|parameter>
  </|MiMoML|invoke>
</|MiMoML|tool_calls>
"""
WEATHER = f"Weather? [[sim: on=call raw_base64={base64.b64encode(SPOKEN.encode()).decode()}]]"


def went_on(rig: Rig) -> list[bool]:
    return [bool(entry.history) for entry in rig.simulator.record.of("studio_chat")]


@pytest.mark.parametrize("streams", [False, True])
async def test_openai_chat(start: Start, streams: bool) -> None:
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
    async with start("studio", studio=Studio(reuse_conversations=True)) as rig:
        async with AsyncOpenAI(base_url=rig.url("/v1"), api_key="sk-mimo", max_retries=0) as client:
            messages: list[Any] = [{"role": "user", "content": WEATHER}]
            for _ in range(2):
                if streams:
                    async with client.chat.completions.stream(
                        model=MODEL, messages=messages, tools=tools
                    ) as stream:
                        answer = await stream.get_final_completion()
                else:
                    answer = await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
                message = answer.choices[0].message
                messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
                for call in message.tool_calls or ():
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": "21 C"})
            messages.append({"role": "user", "content": "Thank you."})
            await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
        assert went_on(rig) == [False, True, True]


async def test_openai_responses(start: Start) -> None:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": False}]
    async with start("studio", studio=Studio(reuse_conversations=True)) as rig:
        async with AsyncOpenAI(base_url=rig.url("/v1"), api_key="sk-mimo", max_retries=0) as client:
            items: list[Any] = [{"role": "user", "content": WEATHER}]
            for _ in range(2):
                answer = await client.responses.create(model=MODEL, input=items, tools=tools, store=False)
                items += [item.model_dump(exclude_none=True) for item in answer.output]
                for item in answer.output:
                    if item.type == "function_call":
                        done = {"type": "function_call_output", "call_id": item.call_id, "output": "21 C"}
                        items.append(done)
            items.append({"role": "user", "content": "Thank you."})
            last = await client.responses.create(model=MODEL, input=items, tools=tools, store=True)
            await client.responses.create(
                model=MODEL, input="Bye.", tools=tools, previous_response_id=last.id
            )
        assert went_on(rig) == [False, True, True, True]


@pytest.mark.parametrize("streams", [False, True])
async def test_anthropic(start: Start, streams: bool) -> None:
    more: Any = {"model": MODEL, "max_tokens": 4096, "tools": [{"name": "get_weather", "input_schema": CITY}]}
    async with start("studio", studio=Studio(reuse_conversations=True)) as rig:
        async with AsyncAnthropic(base_url=rig.gateway.base_url, api_key="sk-mimo", max_retries=0) as client:
            messages: list[Any] = [{"role": "user", "content": WEATHER}]
            for _ in range(2):
                if streams:
                    async with client.messages.stream(messages=messages, **more) as stream:
                        answer = await stream.get_final_message()
                else:
                    answer = await client.messages.create(messages=messages, **more)
                messages.append({"role": "assistant", "content": answer.content})
                results = [
                    {"type": "tool_result", "tool_use_id": block.id, "content": "21 C"}
                    for block in answer.content
                    if block.type == "tool_use"
                ]
                messages.append({"role": "user", "content": results or "Thank you."})
            await client.messages.create(messages=messages, **more)
        assert went_on(rig) == [False, True, True]
