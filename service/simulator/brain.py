"""The simulated model: what was asked -> what it answers. Pure and the same on every wire.

Rules, in order: a scripted answer wins; tools declared and no result after the last user text -> calls;
results -> a text that quotes them; otherwise a friendly text that quotes the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from service.core.events import Usage
from service.simulator.directives import Block, Directive, DirectiveError
from service.simulator.jsonfind import json_objects
from service.simulator.leaks import LEAKS
from service.simulator.markup import json_text
from service.simulator.samples import Sampler, proper_names
from service.simulator.usage import TOKEN_BYTES, count_tokens

_QUOTE_CHARACTERS = 2_000
_TWO_PLACES = re.compile(
    r"\b(?i:in|for|of|at)\s+([A-ZÀ-Þ][\w'’-]*(?:\s[A-ZÀ-Þ][\w'’-]*)*)\s+and\s+(?:(?:in|for|of|at)\s+)?"
    r"([A-ZÀ-Þ][\w'’-]*(?:\s[A-ZÀ-Þ][\w'’-]*)*)"
)
_PARALLEL = re.compile(r"\b(?:parallel|both)\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s\"'<>]+")


@dataclass(slots=True)
class Tool:
    """A declared tool, as far as the model sees it."""

    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class SeenMedia:
    """A media part. `size_bytes` is None for one given by URL."""

    kind: str
    mime_type: str
    size_bytes: int | None


@dataclass(slots=True, kw_only=True)
class Ask:
    """What one request asks, free of its wire. `text` is the last user text without its directives.

    `results` are the tool answers since the last assistant turn, as (tool name, text). `forced` names a tool
    that the prompt insists on. `prompt` is the whole of it as bytes, for counting and for the prefix cache.
    """

    model: str
    text: str
    prompt: bytes
    blocks: list[Block] = field(default_factory=list)
    thinks: bool = False
    tools: tuple[Tool, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    media: tuple[SeenMedia, ...] = ()
    wants_json: bool = False
    json_schema: Mapping[str, object] | None = None
    allows_parallel: bool = True
    forced: str | None = None
    fixed_text: str | None = None  # of speech models, which only say this
    searches_web: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is JSON text, whole or scripted to be broken."""

    name: str
    arguments: str

    @property
    def values(self) -> dict[str, object]:
        try:
            value = orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says. `finish` is in Chat Completions' words (with repetition_truncation)."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"

    @property
    def reasoning_tokens(self) -> int:
        return count_tokens(self.reasoning)

    @property
    def output_tokens(self) -> int:
        called = sum(count_tokens(call.name) + count_tokens(call.arguments) for call in self.calls)
        return self.reasoning_tokens + count_tokens(self.text) + called


def answer(ask: Ask, directive: Directive) -> Answer:
    """The model's answer, cut to the request's token limit and stop words."""
    made = _scripted(ask, directive) if directive else None
    made = made or _plain(ask, directive)
    if directive:
        made = _adjusted(made, ask, directive)
    return _limited(made, ask)


_MEDIUM_TOKENS = 64


def count_usage(ask: Ask, made: Answer, cached_tokens: int) -> Usage:
    """Both sides counted; the cached tokens are part of the input, the reasoning part of the output."""
    input_tokens = max(1, -(-len(ask.prompt) // TOKEN_BYTES))
    sent = [seen.kind for seen in ask.media if seen.size_bytes is not None]
    return Usage(
        input_tokens=input_tokens + _MEDIUM_TOKENS * len(sent),
        output_tokens=made.output_tokens,
        cached_tokens=min(cached_tokens, input_tokens),
        reasoning_tokens=made.reasoning_tokens,
        image_tokens=_MEDIUM_TOKENS * sent.count("image"),
        audio_tokens=_MEDIUM_TOKENS * sent.count("audio"),
        video_tokens=_MEDIUM_TOKENS * sent.count("video"),
    )


def sent_details(usage: Usage) -> dict[str, object] | None:
    """`prompt_tokens_details`, null when there is nothing to tell."""
    media = {
        "audio_tokens": usage.audio_tokens,
        "image_tokens": usage.image_tokens,
        "video_tokens": usage.video_tokens,
    }
    told: dict[str, object] = {"cached_tokens": usage.cached_tokens} if usage.cached_tokens else {}
    return {**told, **{name: count for name, count in media.items() if count}} or None


# --- scripted -----------------------------------------------------------------------------------------------


def _scripted(ask: Ask, directive: Directive) -> Answer | None:
    if "empty" in directive:
        return Answer()
    if "tool_leak" in directive:
        return _leaked(ask, directive)
    for word in ("raw", "say"):
        text = directive.text(word)
        if text is not None:
            return Answer(text=text, reasoning=_default_reasoning(ask, ()))
    tokens = directive.number("tokens")
    if tokens is not None:
        return Answer(text="tok " * tokens, reasoning=_default_reasoning(ask, ()))
    name = directive.text("call")
    if name is not None:
        calls = (Call(name, directive.text("args") or "{}"),) * (directive.number("calls") or 1)
        return Answer(calls=calls, reasoning=_default_reasoning(ask, calls), finish="tool_calls")
    return None


def _leaked(ask: Ask, directive: Directive) -> Answer:
    name = directive.text("tool_leak") or ""
    if name not in LEAKS:
        raise DirectiveError(f"unknown tool_leak {name!r}; known: {', '.join(LEAKS)}")
    tool = _chosen_tools(ask)[0] if ask.tools else Tool("shell")
    leak = LEAKS[name](tool.name, Sampler(tool.parameters, ask.text).arguments() or {"value": "sample"})
    reasoning = leak.reasoning if leak.reasoning is not None else _default_reasoning(ask, ())
    return Answer(
        text=leak.text + (_friendly(ask) if leak.keeps_text else ""),
        reasoning=reasoning,
        calls=tuple(Call(*native) for native in leak.native),
        finish=leak.finish,
    )


def _adjusted(made: Answer, ask: Ask, directive: Directive) -> Answer:
    reasoning = directive.text("reasoning")
    thinking_tokens = directive.number("reasoning_tokens")
    if thinking_tokens is not None:
        reasoning = "hmm " * thinking_tokens
    return Answer(
        text=made.text * (directive.number("repeat") or 1),
        reasoning=made.reasoning if reasoning is None else reasoning,
        calls=made.calls,
        finish=directive.text("finish") or made.finish,
    )


# --- plain --------------------------------------------------------------------------------------------------


def _plain(ask: Ask, directive: Directive) -> Answer:
    if ask.fixed_text is not None:
        return Answer(text=ask.fixed_text)
    if ask.tools and not ask.results and "no_tools" not in directive:
        calls = _calls(ask, directive)
        return Answer(calls=calls, reasoning=_default_reasoning(ask, calls), finish="tool_calls")
    if ask.wants_json:
        return Answer(text=_json_answer(ask), reasoning=_default_reasoning(ask, ()))
    return Answer(text=_friendly(ask), reasoning=_default_reasoning(ask, ()))


def _default_reasoning(ask: Ask, calls: tuple[Call, ...]) -> str:
    if not ask.thinks:
        return ""
    if calls:
        names = ", ".join(dict.fromkeys(call.name for call in calls))
        return f"The user wants something that a tool can tell. I will call {names}."
    if ask.results:
        return "The tools have answered. I will tell the user what they said."
    return "The user wrote a message. I will answer it in a friendly way."


def _calls(ask: Ask, directive: Directive) -> tuple[Call, ...]:
    tools = _chosen_tools(ask)
    places = _TWO_PLACES.search(ask.text)
    count = directive.number("calls")
    if count is not None:
        return tuple(_call(tools[index % len(tools)], ask.text) for index in range(count))
    if places and ask.allows_parallel:
        return tuple(_call(tools[0], ask.text, names=[place]) for place in places.groups())
    if _PARALLEL.search(ask.text) and len(tools) > 1 and ask.allows_parallel:
        return tuple(_call(tool, ask.text) for tool in tools[:2])
    return (_call(tools[0], ask.text),)


def _chosen_tools(ask: Ask) -> list[Tool]:
    """The declared tools, the best first: one that the prompt forces, those the text names, then the rest."""
    lowered = ask.text.lower()

    def rank(tool: Tool) -> int:
        if tool.name == ask.forced:
            return 0
        spoken = tool.name.lower()
        return 1 if spoken in lowered or spoken.replace("_", " ") in lowered else 2

    return sorted(ask.tools, key=rank)


def _call(tool: Tool, text: str, names: list[str] | None = None) -> Call:
    return Call(tool.name, json_text(Sampler(tool.parameters, text, names).arguments()))


def _friendly(ask: Ask) -> str:
    if ask.results:
        said = "; ".join(f"{name} says: {text[:_QUOTE_CHARACTERS]}" for name, text in ask.results)
        return f"Here is what the tools told me. {said}"
    quoted = ask.text[:_QUOTE_CHARACTERS]
    seen = _seen(ask.media)
    return f'Hello! I am a simulated MiMo model ({ask.model}). You said: "{quoted}".{seen} How can I help?'


def _seen(media: tuple[SeenMedia, ...]) -> str:
    """How many pictures and clips came along: ` I see 2 images (image/png, 68 bytes; image/jpeg, by URL).`"""
    told = []
    for kind in dict.fromkeys(seen.kind for seen in media):
        same = [seen for seen in media if seen.kind == kind]
        plural = "s" if len(same) > 1 else ""
        sizes = (
            f"{seen.mime_type}, " + ("by URL" if seen.size_bytes is None else f"{seen.size_bytes} bytes")
            for seen in same
        )
        told.append(f" I see {len(same)} {kind}{plural} ({'; '.join(sizes)}).")
    return "".join(told)


def _json_answer(ask: Ask) -> str:
    if ask.json_schema:
        return json_text(Sampler(ask.json_schema, ask.text, proper_names(ask.text)).arguments())
    return json_text({"answer": ask.text[:_QUOTE_CHARACTERS], "model": ask.model})


def found_json_schema(prompt: str) -> Mapping[str, object] | None:
    """The last JSON Schema of an object that stands in the prompt: how JSON mode learns its form."""
    if '"properties"' not in prompt:
        return None
    found: Mapping[str, object] | None = None
    for _, _, value in json_objects(prompt):
        inner = value.get("schema")
        schema = inner if isinstance(inner, Mapping) else value
        if "properties" in schema:
            found = schema
    return found


# --- limits -------------------------------------------------------------------------------------------------


def _limited(made: Answer, ask: Ask) -> Answer:
    text = made.text
    for word in ask.stop:
        if word and word in text:
            text = text[: text.index(word)]
    if text is not made.text:
        made = Answer(text=text, reasoning=made.reasoning, calls=made.calls, finish=made.finish)
    if ask.max_tokens is None or made.output_tokens <= ask.max_tokens:
        return made
    budget = ask.max_tokens
    reasoning, budget = _cut(made.reasoning, budget)
    text, budget = _cut(made.text, budget)
    calls = []
    for call in made.calls:
        budget -= count_tokens(call.name)
        if budget <= 0:
            break
        arguments, budget = _cut(call.arguments, budget)
        calls.append(Call(call.name, arguments))
    return Answer(text=text, reasoning=reasoning, calls=tuple(calls), finish="length")


def _cut(text: str, budget: int) -> tuple[str, int]:
    if budget <= 0:
        return "", 0
    kept = text.encode("utf-8", "replace")[: budget * TOKEN_BYTES].decode("utf-8", "ignore")
    return kept, budget - count_tokens(kept)


def literal_url(prompt: str) -> str | None:
    """The first URL that stands unbroken in the prompt: the studio would fetch it."""
    found = _URL.search(prompt)
    return found[0] if found else None
