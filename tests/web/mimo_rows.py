"""The rows of mimo-api.md 2.2, 3 and 4.2 as cases: what a client sends, or what MiMo leaks, and what must
come of it. test_mimo_rows.py runs them all; the cases of each table stand in rows_*.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from service.simulator import SimulatorOptions
from tests.web.rig import Rig

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
NAMES = {CHAT: "chat", MESSAGES: "messages", RESPONSES: "responses"}
ALL = frozenset(NAMES)
Json = dict[str, Any]
Run = Callable[[Rig], Awaitable[None]]

# Each row by its place in its table, with its first column, shortened; and the dialects that can express it.
ROWS: dict[str, tuple[str, frozenset[str]]] = {
    "2.2.1": ("drops the unknown field reasoning_content", frozenset({CHAT})),
    "2.2.2": ("renames it and replays it under that name", frozenset({CHAT})),
    "2.2.3": ("strips all thinking blocks", frozenset({MESSAGES})),
    "2.2.4": ("redacted_thinking, or another vendor's signature", frozenset({MESSAGES, RESPONSES})),
    "2.2.5": ("compaction strips reasoning and keeps the calls", ALL),
    "2.2.6": ("a session begun elsewhere has no reasoning", ALL),
    "2.2.7": ("Codex behind a bridge that drops reasoning items", frozenset({RESPONSES})),
    "3.1": ("assistant content null beside tool_calls", ALL),
    "3.2": ("content parts without text, or an empty text part", ALL),
    "3.3": ("tool message with an image in a list", ALL),
    "3.4": ("image for a text-only model, in old history", ALL),
    "3.5": ("reasoning_effort, reasoning", ALL),
    "3.6": ("thinking with a budget, or adaptive", frozenset({CHAT, MESSAGES})),
    "3.7": ("max_tokens", ALL),
    "3.8": ("cap, temperature and top_p out of MiMo's ranges", ALL),
    "3.9": ("tool_choice none, required, named", ALL),
    "3.10": ("parallel_tool_calls", ALL),
    "3.11": ("response_format json_schema", ALL),
    "3.12": ("role developer", frozenset({CHAT, RESPONSES})),
    "3.13": ("several or late system messages", ALL),
    "3.14": ("strict, $schema, additionalProperties, oneOf in tools", ALL),
    "3.15": ("tool schema whose root is no object", ALL),
    "3.16": ("custom, web_search, namespace, local_shell tools", frozenset({RESPONSES})),
    "3.17": ("previous_response_id, store, include, background", frozenset({RESPONSES})),
    "3.18": ("extras of Claude Code", frozenset({MESSAGES})),
    "3.19": ("x-api-key header", ALL),
    "3.20": ("n, seed, logprobs, logit_bias, user, store, metadata", ALL),
    "3.21": ("model name in capitals, with vendor prefix or [1m]", ALL),
    "3.22": ("system prompt with policy keywords", ALL),
    "4.2.1": ("the call in text and a proper one after it", ALL),
    "4.2.2": ("the call in text alone, announced as tool_use", ALL),
    "4.2.3": ("the call's < ends the reasoning", ALL),
    "4.2.4": ("the marker <tool_call_none/>", ALL),
    "4.2.5": ("attribute style", ALL),
    "4.2.6": ("Anthropic-like tags with a foreign prefix, finish stop", ALL),
    "4.2.7": ("tags with a prefix in mathematical italics", ALL),
    "4.2.8": ("escaped markup, code fences, orphan </thinking>", ALL),
    "4.2.9": ("<toolcall><shell> though there are no tools", ALL),
    "4.2.10": ("<invoke> alone, and <tool_call>", ALL),
}
ROWS_PER_TABLE = {"2.2": 7, "3": 22, "4.2": 10}


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent for a row through one dialect, and what is held against what comes. `name` tells the
    cases of one row and dialect apart."""

    row: str
    path: str
    run: Run
    name: str = ""
    options: SimulatorOptions | None = None

    @property
    def id(self) -> str:
        told = ": ".join(filter(None, (ROWS[self.row][0], self.name)))
        return f"{self.row} {NAMES[self.path]}: {told}"


async def posted(rig: Rig, path: str, body: Json, **headers: str) -> tuple[Json, str]:
    """A good answer, and the notes."""
    async with rig.http.post(rig.url(path), json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json(), response.headers.get("X-Mimo-Gateway-Notes", "")


async def refused(rig: Rig, path: str, body: Json, status: int) -> Json:
    """The error of an answer that is refused."""
    async with rig.http.post(rig.url(path), json=body) as response:
        assert response.status == status, await response.text()
        error: Json = (await response.json())["error"]
        return error


def the_sent(rig: Rig) -> Json:
    """The one body that the platform was sent, which its validator took."""
    (entry,) = rig.simulator.record.of("chat_completions")
    assert entry.status == 200
    body: Json = entry.body
    return body


# --- what is said in the words of each dialect --------------------------------------------------------------

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
IMAGE: dict[str, Json] = {
    CHAT: {"type": "image_url", "image_url": {"url": URL}},
    MESSAGES: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    RESPONSES: {"type": "input_image", "image_url": URL},
}
EMPTY_TEXT: dict[str, Json] = {
    CHAT: {"type": "text", "text": ""},
    MESSAGES: {"type": "text", "text": ""},
    RESPONSES: {"type": "input_text", "text": ""},
}


def tool(path: str, schema: Json = SCHEMA, **more: object) -> Json:
    if path == CHAT:
        return {"type": "function", "function": {"name": "look", "parameters": schema, **more}}
    if path == MESSAGES:
        return {"name": "look", "input_schema": schema, **more}
    return {"type": "function", "name": "look", "parameters": schema, **more}


def called(path: str, result: object) -> list[Json]:
    """A turn with a call and nothing else, and its result."""
    if path == CHAT:
        call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": result},
        ]
    if path == MESSAGES:
        use = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}
        given = {"type": "tool_result", "tool_use_id": "call_1", "content": result}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [given]}]
    return [
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": result},
    ]


def said(content: object = "Weather in Paris?", role: str = "user") -> Json:
    return {"role": role, "content": content}


def request(path: str, *turns: Json, **more: object) -> Json:
    body: Json = {"model": "mimo-v2.6-pro", **more}
    body["input" if path == RESPONSES else "messages"] = list(turns) or [said()]
    if path == MESSAGES:
        body.setdefault("max_tokens", 1000)
    return body


def calls_of(path: str, answer: Json) -> list[Json]:
    if path == CHAT:
        return answer["choices"][0]["message"].get("tool_calls") or []
    parts, kind = (answer["content"], "tool_use") if path == MESSAGES else (answer["output"], "function_call")
    return [part for part in parts if part["type"] == kind]
