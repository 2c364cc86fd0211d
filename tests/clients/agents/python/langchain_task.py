"""LangChain: langchain_task.py chat|responses|anthropic."""

from __future__ import annotations

import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from task import BASE_URL, KEY, MODEL, QUESTION, check, get_weather

MAKERS = {
    "chat": lambda: ChatOpenAI(model=MODEL, base_url=f"{BASE_URL}/v1", api_key=KEY),
    "responses": lambda: ChatOpenAI(
        model=MODEL, base_url=f"{BASE_URL}/v1", api_key=KEY, use_responses_api=True
    ),
    "anthropic": lambda: ChatAnthropic(model=MODEL, base_url=BASE_URL, api_key=KEY, max_tokens=1024),
}
weather = tool(get_weather)
model = MAKERS[sys.argv[1]]().bind_tools([weather])
messages = [HumanMessage(QUESTION)]
reply = None
for piece in model.stream(messages):  # streamed, then added up as LangChain does
    reply = piece if reply is None else reply + piece
messages.append(reply)
for call in reply.tool_calls:
    messages.append(ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]))
check(model.invoke(messages).text)
