"""The validator's rules as data, and the small checks that read them (mimo-api.md, sections 1.4, 1.7 and 3).

`MISSING_TEXT` and its sister are the texts that the field reports; other texts are plausible inventions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.simulator.platform.errors import Wrong

NOT_PRESENT = "text is not present"
NOT_SET = "text is not set"
NO_IMAGE_SUPPORT = "No endpoints found that support image input"
MAX_OUTPUT_TOKENS = 131_072

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two bounds; `whole` refuses fractions, `nullable` takes null."""

    low: float
    high: float
    whole: bool = False
    nullable: bool = False

    def check(self, name: str, value: object) -> None:
        if value is None and self.nullable:
            return
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise Wrong(f"{name} must be {'an integer' if self.whole else 'a number'}")
        if not self.low <= value <= self.high:
            raise Wrong(f"{name} must be between {self.low:g} and {self.high:g}")


CHAT_RANGES: Mapping[str, Range] = {
    "max_completion_tokens": Range(1, MAX_OUTPUT_TOKENS, whole=True, nullable=True),
    "temperature": Range(0, 1.5),
    "top_p": Range(0.01, 1),
    "frequency_penalty": Range(-2, 2, nullable=True),
    "presence_penalty": Range(-2, 2, nullable=True),
}
MESSAGES_RANGES: Mapping[str, Range] = {
    "max_tokens": Range(1, MAX_OUTPUT_TOKENS, whole=True),
    "temperature": Range(0, 1.5),
    "top_p": Range(0.01, 1),
}
RESPONSES_RANGES: Mapping[str, Range] = {
    "max_output_tokens": Range(1, MAX_OUTPUT_TOKENS, whole=True, nullable=True),
    "temperature": Range(0, 1.5, nullable=True),
    "top_p": Range(0.01, 1, nullable=True),
}
CHAT_PARAMETERS = frozenset(CHAT_RANGES) | {
    *("model", "messages", "stop", "stream", "thinking", "response_format", "tools", "tool_choice")
}
MESSAGES_PARAMETERS = frozenset(MESSAGES_RANGES) | {
    *("model", "messages", "system", "stop_sequences", "stream", "thinking", "tools", "tool_choice")
}
RESPONSES_PARAMETERS = frozenset(RESPONSES_RANGES) | {
    *("model", "input", "instructions", "stream", "reasoning", "text", "tools", "tool_choice")
}

Check = Callable[[str, object], None]


def check_parameters(
    body: Mapping[str, object], allowed: frozenset[str], ranges: Mapping[str, Range]
) -> None:
    """No parameter beyond the list, every number in its range. Raises Wrong."""
    for name in body:
        if name not in allowed:
            raise Wrong(f"Unknown parameter: {name}")
    for name, limits in ranges.items():
        if name in body:
            limits.check(name, body[name])
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise Wrong("stream must be a boolean")


def check_thinking(body: Mapping[str, object]) -> bool:
    """Whether thinking is on, which is the default. Raises Wrong for more than `{"type": …}`."""
    if "thinking" not in body:
        return True
    thinking = body["thinking"]
    if not isinstance(thinking, Mapping) or thinking.get("type") not in ("enabled", "disabled"):
        raise Wrong("thinking.type must be enabled or disabled")
    for name in thinking:
        if name != "type":
            raise Wrong(f"Unknown parameter: thinking.{name}")
    return bool(thinking["type"] == "enabled")


def check_stop(name: str, value: object) -> tuple[str, ...]:
    """Up to four stop words. Raises Wrong."""
    if value is None:
        return ()
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Wrong(f"{name} must be a string or an array of strings")
    if len(words) > 4:
        raise Wrong(f"{name} must hold at most 4 items")
    return tuple(words)


def check_tool_name(name: object, where: str) -> str:
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise Wrong(f"{where} must match [A-Za-z0-9_-] and hold 1 to 64 characters")
    return name


def check_schema(schema: object, where: str) -> Mapping[str, object]:
    """A tool's schema: an object whose root type is object."""
    if schema is None:
        return {}
    if not isinstance(schema, Mapping):
        raise Wrong(f"{where} must be an object")
    if schema and schema.get("type", "object") != "object":
        raise Wrong(f"{where}.type must be object")
    return schema


def as_object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Wrong(f"{where} must be an object")
    return value


def as_array(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise Wrong(f"{where} must be an array")
    return value
