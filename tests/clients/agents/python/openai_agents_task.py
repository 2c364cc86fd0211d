"""openai-agents: openai_agents_task.py chat|responses."""

from __future__ import annotations

import asyncio
import sys

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from task import BASE_URL, KEY, MODEL, QUESTION, check, get_weather

set_tracing_disabled(True)
KINDS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=KEY)
    model = KINDS[sys.argv[1]](model=MODEL, openai_client=client)
    agent = Agent(name="weather", model=model, tools=[function_tool(get_weather)])
    result = Runner.run_streamed(agent, QUESTION)
    async for _ in result.stream_events():
        pass
    check(result.final_output)


asyncio.run(main())
