"""What the tests of the server role share: a request of every kind of tool, a head, ids from a counter."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import orjson

from service.core.completion import AnswerHead
from service.core.dialects.openai_responses.request import ResponsesRequest, decode_request

HEAD = AnswerHead(answer_id="resp_1", model="mimo-v2.6-pro", created_at_s=1_763_600_000)

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}},
    {
        "type": "namespace",
        "name": "agents",
        "description": "d",
        "tools": [{"type": "function", "name": "spawn"}],
    },
    {"type": "custom", "name": "apply_patch"},
    {"type": "custom", "name": "tool_call"},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
]
# The hosted apply_patch shares its name with the custom tool: this is what it is called upstream.
PATCH_UPSTREAM = "apply_patch_2"


def request_of(**fields: Any) -> ResponsesRequest:
    return decode_request(orjson.dumps({"model": "mimo", "input": "hi", "tools": TOOLS} | fields))


def counter() -> Callable[[str], str]:
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


def seal(text: str) -> str:
    return f"sealed:{text}"


def without_ids(value: Any) -> Any:
    """The same value without any item's `id`."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if key != "id"}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value
