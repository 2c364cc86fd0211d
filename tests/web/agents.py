"""Agents of each dialect, as far as the tests need them: they call tools, and forget what they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
Message = dict[str, Any]
Change = Callable[[list[Message]], list[Message]]


def as_sent(items: list[Message]) -> list[Message]:
    """A client that gives back what it was given."""
    return items


class Agent:
    """One conversation. `change` is what the client does to an answer's items before it keeps them."""

    path = ""

    def __init__(self, http: aiohttp.ClientSession, change: Change = as_sent, **more: object) -> None:
        self._http = http
        self._change = change
        self._more = more
        self.history: list[Message] = []
        self.headers: dict[str, str] = {}

    def body(self) -> Message:
        raise NotImplementedError

    def items(self, answer: Message) -> list[Message]:
        raise NotImplementedError

    def calls(self, item: Message) -> list[str]:
        raise NotImplementedError

    def results(self, call_ids: list[str]) -> list[Message]:
        raise NotImplementedError

    def say(self, text: str) -> None:
        self.history.append({"role": "user", "content": text})

    async def step(self, base_url: str, *, status: int = 200) -> list[str]:
        """One request; the ids of the calls that were made, whose results are in the history then."""
        body = {"model": "mimo-v2.6-pro", **self.body(), **self._more}
        async with self._http.post(base_url + self.path, json=body) as response:
            assert response.status == status, await response.text()
            self.headers = dict(response.headers)
            answer = await response.json()
        items = self.items(answer)
        call_ids = [call_id for item in items for call_id in self.calls(item)]
        self.history += self._change(items)
        if call_ids:
            self.history += self.results(call_ids)
        return call_ids

    async def turn(self, text: str, *base_urls: str) -> None:
        """Say it, run the tools that are called, until the answer calls none. Each step at another URL."""
        self.say(text)
        step = 0
        while await self.step(base_urls[step % len(base_urls)]):
            step += 1
        assert step, "a tool was to be called"


class ChatAgent(Agent):
    path = "/v1/chat/completions"

    def body(self) -> Message:
        function = {"name": "get_weather", "parameters": SCHEMA}
        return {"messages": self.history, "tools": [{"type": "function", "function": function}]}

    def items(self, answer: Message) -> list[Message]:
        return [answer["choices"][0]["message"]]

    def calls(self, item: Message) -> list[str]:
        return [call["id"] for call in item.get("tool_calls") or ()]

    def results(self, call_ids: list[str]) -> list[Message]:
        return [{"role": "tool", "tool_call_id": one, "content": f"21 C ({one})"} for one in call_ids]


class MessagesAgent(Agent):
    path = "/v1/messages"

    def body(self) -> Message:
        tool = {"name": "get_weather", "input_schema": SCHEMA}
        return {"messages": self.history, "tools": [tool], "max_tokens": 4096}

    def items(self, answer: Message) -> list[Message]:
        return [{"role": "assistant", "content": answer["content"]}]

    def calls(self, item: Message) -> list[str]:
        return [block["id"] for block in item["content"] if block["type"] == "tool_use"]

    def results(self, call_ids: list[str]) -> list[Message]:
        blocks = [{"type": "tool_result", "tool_use_id": one, "content": f"21 C ({one})"} for one in call_ids]
        return [{"role": "user", "content": blocks}]


class ResponsesAgent(Agent):
    path = "/v1/responses"

    def body(self) -> Message:
        tool = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
        return {"input": self.history, "tools": [tool], "store": False}

    def items(self, answer: Message) -> list[Message]:
        return answer["output"]

    def calls(self, item: Message) -> list[str]:
        return [item["call_id"]] if item["type"] == "function_call" else []

    def results(self, call_ids: list[str]) -> list[Message]:
        return [
            {"type": "function_call_output", "call_id": one, "output": f"21 C ({one})"} for one in call_ids
        ]
