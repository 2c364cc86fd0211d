"""pydantic-ai: pydantic_ai_task.py chat|responses|anthropic."""

from __future__ import annotations

import sys

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from task import BASE_URL, KEY, MODEL, QUESTION, check, get_weather

OPENAI = OpenAIProvider(base_url=f"{BASE_URL}/v1", api_key=KEY)
MAKERS = {
    "chat": lambda: OpenAIChatModel(MODEL, provider=OPENAI),
    "responses": lambda: OpenAIResponsesModel(MODEL, provider=OPENAI),
    "anthropic": lambda: AnthropicModel(MODEL, provider=AnthropicProvider(base_url=BASE_URL, api_key=KEY)),
}
agent = Agent(MAKERS[sys.argv[1]](), tools=[get_weather])
check(agent.run_sync(QUESTION).output)
