"""mimo-api.md 3: what clients send and MiMo's strict validator refuses, or drops without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from service.simulator import SimulatorOptions
from service.simulator.options import CURRENT_MODELS, V25_MODELS
from tests.web.mimo_rows import (
    CHAT,
    EMPTY_TEXT,
    IMAGE,
    MESSAGES,
    NAMES,
    RESPONSES,
    SCHEMA,
    Case,
    Json,
    Run,
    called,
    calls_of,
    posted,
    refused,
    request,
    said,
    the_sent,
    tool,
)
from tests.web.rig import Rig

OLD_MODELS = SimulatorOptions(models=CURRENT_MODELS + V25_MODELS)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came, what the platform was sent for it, and what was noted."""

    answer: Json
    sent: Json
    notes: str


def answered(
    row: str,
    path: str,
    body: Json,
    holds: Callable[[Reply], object],
    *,
    name: str = "",
    options: SimulatorOptions | None = None,
    headers: Mapping[str, str] | None = None,
) -> Case:
    """A case with one request, which is answered; `holds` says what must be true of it."""

    async def run(rig: Rig) -> None:
        answer, notes = await posted(rig, path, body, **(headers or {}))
        reply = Reply(answer, the_sent(rig), notes)
        assert holds(reply), reply

    return Case(row, path, run, name, options)


def cases() -> Iterator[Case]:
    for path in NAMES:
        yield from _content(path)
        yield from _tools(path)
        yield from _roles(path)
        yield from _names(path)
    yield from _thinking()
    yield from _numbers()
    yield from _single_dialects()


# --- 3.1 to 3.4 ---------------------------------------------------------------------------------------------


def _content(path: str) -> Iterator[Case]:
    history = [said(), *called(path, "21 C")]
    yield answered(
        "3.1",
        path,
        request(path, *history, tools=[tool(path)]),
        lambda reply: reply.sent["messages"][1]["content"] == "",
    )
    empty = [said(), *called(path, ""), said("", "assistant"), said("Go on.")]
    yield answered(
        "3.1",
        path,
        request(path, *empty, tools=[tool(path)]),
        lambda reply: all(isinstance(message["content"], str) for message in reply.sent["messages"]),
        name="an empty result and an empty answer",
    )
    yield answered("3.2", path, request(path, said([IMAGE[path]])), _has_text, name="an image alone")
    yield answered(
        "3.2", path, request(path, said([EMPTY_TEXT[path], IMAGE[path]])), _has_text, name="an empty text"
    )
    with_image = request(path, said(), *called(path, [IMAGE[path]]), tools=[tool(path)])
    yield answered("3.3", path, with_image, _moves_the_image)
    turns = [said([IMAGE[path]]), {"role": "assistant", "content": "A dot."}, said("And now?")]
    yield answered(
        "3.4",
        path,
        request(path, *turns) | {"model": "mimo-v2.5-pro"},
        lambda reply: (
            "[image left out" in str(reply.sent["messages"][0])
            and "media of earlier turns was left out" in reply.notes
        ),
        options=OLD_MODELS,
    )
    yield Case("3.4", path, _fresh_image(path), "a fresh one is a 400, no 404", OLD_MODELS)


def _has_text(reply: Reply) -> bool:
    parts = reply.sent["messages"][0]["content"]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return bool(texts) and all(texts) and any(part["type"] == "image_url" for part in parts)


def _moves_the_image(reply: Reply) -> bool:
    *_, result, moved = reply.sent["messages"]
    kinds = [part["type"] for part in moved["content"]]
    return result["role"] == "tool" and moved["role"] == "user" and "image_url" in kinds


def _fresh_image(path: str) -> Run:
    async def run(rig: Rig) -> None:
        body = request(path, said([IMAGE[path]])) | {"model": "mimo-v2.5-pro"}
        error = await refused(rig, path, body, 400)
        assert "image" in error["message"]
        assert not rig.simulator.record.of("chat_completions")

    return run


# --- 3.5 and 3.6 --------------------------------------------------------------------------------------------

ON, OFF = "enabled", "disabled"
EFFORTS: list[tuple[str, Json, str]] = [
    *((CHAT, {"reasoning_effort": word}, OFF) for word in ("none", "off", "None")),
    *((CHAT, {"reasoning_effort": word}, ON) for word in ("minimal", "low", "medium", "high", "xhigh")),
    (CHAT, {"reasoning": {"effort": "low"}}, ON),
    (CHAT, {"reasoning": {"effort": "none"}}, OFF),
    (CHAT, {"reasoning": {"enabled": False}}, OFF),
    (CHAT, {"reasoning": {"max_tokens": 2000}}, ON),
    (CHAT, {"reasoning": {"max_tokens": 0}}, OFF),
    (CHAT, {"enable_thinking": False}, OFF),
    (CHAT, {"think": False}, OFF),
    (CHAT, {"thinking_budget": 0}, OFF),
    (CHAT, {"chat_template_kwargs": {"enable_thinking": False}}, OFF),
    (CHAT, {"chat_template_kwargs": {"thinking": True}}, ON),
    (MESSAGES, {"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}}, ON),
    (MESSAGES, {"reasoning_effort": "none"}, OFF),
    (RESPONSES, {"reasoning": {"effort": "none"}}, OFF),
    (RESPONSES, {"reasoning": {"effort": "Off"}}, OFF),
    (RESPONSES, {"reasoning": {"effort": "minimal", "summary": "auto"}}, ON),
    (RESPONSES, {"reasoning_effort": "xhigh"}, ON),
    (RESPONSES, {"enable_thinking": False}, OFF),
    (RESPONSES, {"thinking": {"type": "disabled"}}, OFF),
]
THINKING: list[tuple[str, Json, str]] = [
    (CHAT, {"thinking": {"type": "enabled", "budget_tokens": 4000}}, ON),
    (CHAT, {"thinking": {"type": "adaptive"}}, ON),
    (CHAT, {"thinking": {"type": "disabled"}}, OFF),
    (CHAT, {"thinking": {"type": "enabled", "budget_tokens": 0}}, OFF),
    (CHAT, {"thinking": {"budget_tokens": 4000}}, ON),
    (CHAT, {"thinking": False}, OFF),
    (CHAT, {"thinking": "disabled"}, OFF),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}, ON),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 0}}, OFF),
    (MESSAGES, {"thinking": {"type": "adaptive", "display": "omitted"}}, ON),
    (MESSAGES, {"thinking": {"type": "disabled"}}, OFF),
]
_NOT_MIMOS = {"reasoning", "reasoning_effort", "enable_thinking", "output_config", "thinking_budget", "think"}


def _thinking() -> Iterator[Case]:
    for row, table in (("3.5", EFFORTS), ("3.6", THINKING)):
        for path, fields, kind in table:
            yield answered(row, path, request(path, **fields), _thinks(kind), name=_shown(fields))


def _thinks(kind: str) -> Callable[[Reply], bool]:
    return lambda reply: reply.sent["thinking"] == {"type": kind} and not _NOT_MIMOS & set(reply.sent)


def _shown(fields: Json) -> str:
    return orjson.dumps(fields).decode().replace('"', "")


# --- 3.7 and 3.8 --------------------------------------------------------------------------------------------

CAPS: list[tuple[str, str, Json, int]] = [
    ("3.7", CHAT, {"max_tokens": 50}, 50),
    ("3.7", CHAT, {"max_completion_tokens": 60, "max_tokens": 50}, 60),
    ("3.7", MESSAGES, {"max_tokens": 50}, 50),
    ("3.7", RESPONSES, {"max_output_tokens": 50}, 50),
    ("3.8", CHAT, {"max_tokens": 1_000_000}, 131_072),
    ("3.8", MESSAGES, {"max_tokens": 200_000}, 131_072),
    ("3.8", RESPONSES, {"max_output_tokens": 200_000}, 131_072),
]


def _numbers() -> Iterator[Case]:
    for row, path, fields, cap in CAPS:
        yield answered(row, path, request(path, **fields), _capped(cap), name=_shown(fields))
    for path in NAMES:
        yield answered(
            "3.8",
            path,
            request(path, temperature=2, top_p=0),
            lambda reply: (
                (reply.sent["temperature"], reply.sent["top_p"]) == (1.5, 0.01)
                and "temperature 2" in reply.notes
            ),
            name="temperature 2, top_p 0",
        )


def _capped(cap: int) -> Callable[[Reply], bool]:
    return lambda reply: reply.sent["max_completion_tokens"] == cap and "max_tokens" not in reply.sent


# --- 3.9 to 3.11, 3.14, 3.15 --------------------------------------------------------------------------------

CHOICES: dict[str, dict[str, object]] = {
    CHAT: {
        "none": "none",
        "required": "required",
        "named": {"type": "function", "function": {"name": "look"}},
    },
    MESSAGES: {
        "none": {"type": "none"},
        "required": {"type": "any"},
        "named": {"type": "tool", "name": "look"},
    },
    RESPONSES: {"none": "none", "required": "required", "named": {"type": "function", "name": "look"}},
}
ONLY_ONE: dict[str, Json] = {
    CHAT: {"parallel_tool_calls": False},
    MESSAGES: {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    RESPONSES: {"parallel_tool_calls": False},
}
FORMATS: dict[str, Json] = {
    CHAT: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "w", "schema": SCHEMA, "strict": True},
        }
    },
    MESSAGES: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    RESPONSES: {"text": {"format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True}}},
}
KEYWORDS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **SCHEMA,
    "additionalProperties": False,
    "oneOf": [{"required": ["city"]}],
}


def _tools(path: str) -> Iterator[Case]:
    for word, choice in CHOICES[path].items():
        body = request(path, tools=[tool(path)], tool_choice=choice)
        yield answered("3.9", path, body, _chosen(path, word), name=word)
    two = said("Weather in Paris and Rome?")
    yield answered(
        "3.10",
        path,
        request(path, two, tools=[tool(path)], **ONLY_ONE[path]),
        lambda reply: "parallel_tool_calls" not in reply.sent and len(calls_of(path, reply.answer)) == 1,
        name="one call asked for",
    )
    if path != MESSAGES:
        yield answered(
            "3.10",
            path,
            request(path, two, tools=[tool(path)], parallel_tool_calls=True),
            lambda reply: "parallel_tool_calls" not in reply.sent and len(calls_of(path, reply.answer)) == 2,
            name="several allowed",
        )
    yield answered(
        "3.11",
        path,
        request(path, **FORMATS[path]),
        lambda reply: (
            reply.sent["response_format"] == {"type": "json_object"}
            and "city" in orjson.loads(_text(path, reply.answer))
        ),
    )
    kept = {name: value for name, value in KEYWORDS.items() if name != "$schema"}
    yield answered(
        "3.14",
        path,
        request(path, tools=[tool(path, KEYWORDS, strict=True)]),
        lambda reply: (
            reply.sent["tools"][0]["function"] == {"name": "look", "parameters": kept, "strict": True}
        ),
    )
    yield answered(
        "3.15",
        path,
        request(path, tools=[tool(path, {"type": "string"})]),
        lambda reply: (
            reply.sent["tools"][0]["function"]["parameters"]["type"] == "object"
            and calls_of(path, reply.answer)
        ),
    )


def _chosen(path: str, word: str) -> Callable[[Reply], bool]:
    def holds(reply: Reply) -> bool:
        if word == "none":
            return "tools" not in reply.sent and not calls_of(path, reply.answer)
        asked = "must call" in reply.sent["messages"][-1]["content"]
        return reply.sent["tool_choice"] == "auto" and asked and bool(calls_of(path, reply.answer))

    return holds


def _text(path: str, answer: Json) -> str:
    if path == CHAT:
        return str(answer["choices"][0]["message"]["content"])
    parts = answer["content"] if path == MESSAGES else answer["output"][-1]["content"]
    return "".join(part.get("text", "") for part in parts)


# --- 3.12, 3.13, 3.19 to 3.22 -------------------------------------------------------------------------------

ONE, TWO, LATE = "Be brief.", "Be kind.", "Be quick."


def _roles(path: str) -> Iterator[Case]:
    if path != MESSAGES:
        yield answered(
            "3.12",
            path,
            request(path, said(ONE, "developer"), said()),
            lambda reply: [message["role"] for message in reply.sent["messages"]] == ["system", "user"],
        )
    if path == MESSAGES:
        system = [{"type": "text", "text": ONE}, {"type": "text", "text": TWO}]
        body = request(path, said(), said(LATE, "system"), said("Go on."), system=system)
    else:
        turns = [said(ONE, "system"), said(TWO, "system"), said(), said(LATE, "system"), said("Go on.")]
        body = request(path, *turns)
    yield answered("3.13", path, body, _merges_the_leading)
    yield Case("3.22", path, _moderated(path))


def _merges_the_leading(reply: Reply) -> bool:
    messages = reply.sent["messages"]
    roles = [message["role"] for message in messages]
    first = str(messages[0]["content"])
    return roles == ["system", "user", "system", "user"] and ONE in first and TWO in first


def _moderated(path: str) -> Run:
    """MiMo's filter looks at words whoever says them: told as what it is, tried on no other account."""

    async def run(rig: Rig) -> None:
        body = request(path, said("Hello [[sim: sensitive]]"))
        error = await refused(rig, path, body, 400)
        assert "moderation" in error["message"]
        assert path == MESSAGES or error["code"] == "content_filter"
        assert len(rig.simulator.record.of("chat_completions")) == 1

    return run


UNKNOWN_TO_MIMO: Json = {
    "seed": 7,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"1": 1},
    "user": "u",
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "n": 1,
    "prompt_cache_key": "k",
    "verbosity": "low",
    "safety_identifier": "s",
}
SPELLINGS = ("MiMo-V2.6-Pro", "xiaomi/mimo-v2.6-pro", "mimo-v2.6-pro[1m]", "mimo-v2-6-pro", "MIMO V2.6 PRO")


def _names(path: str) -> Iterator[Case]:
    for name in SPELLINGS:
        yield answered(
            "3.21",
            path,
            request(path) | {"model": name},
            lambda reply: reply.sent["model"] == "mimo-v2.6-pro",
            name=name,
        )
    yield answered(
        "3.21",
        path,
        request(path) | {"model": "mimo-v2.5-pro"},
        lambda reply: reply.sent["model"] == "mimo-v2.6-pro" and "ended on 2026-10-21" in reply.notes,
        name="retired",
    )
    for name, value in UNKNOWN_TO_MIMO.items():
        yield answered("3.20", path, request(path, **{name: value}), _left_out(name), name=name)
    if path == CHAT:
        yield Case("3.20", path, _several_answers, "n above 1 is refused")
    yield Case("3.19", path, _key_in_the_documented_header(path))


def _left_out(name: str) -> Callable[[Reply], bool]:
    return lambda reply: name not in reply.sent


async def _several_answers(rig: Rig) -> None:
    error = await refused(rig, CHAT, request(CHAT, n=2), 400)
    assert error["param"] == "n"


def _key_in_the_documented_header(path: str) -> Run:
    async def run(rig: Rig) -> None:
        await posted(rig, path, request(path), **{"x-api-key": "sk-mimo"})
        (entry,) = rig.simulator.record.of("chat_completions")
        names = {name.lower() for name in entry.headers}
        assert "api-key" in names
        assert "x-api-key" not in names

    return run


# --- 3.16 to 3.18 -------------------------------------------------------------------------------------------

ODD_TOOLS = (
    {"type": "custom", "name": "apply_patch"},
    {"type": "namespace", "name": "files", "description": "Files", "tools": [tool(RESPONSES)]},
    {"type": "local_shell"},
    {"type": "web_search"},
)
CACHED = {"cache_control": {"type": "ephemeral"}}
EXTRAS: Json = {
    "metadata": {"user_id": "u"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "output_config": {"effort": "high"},
    "service_tier": "auto",
    "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}],
    "safeguards": [{"type": "dangerous_tool_use"}],
}
BETA = {"anthropic-beta": "context-management-2025-06-27", "anthropic-version": "2023-06-01"}


def _single_dialects() -> Iterator[Case]:
    for odd in ODD_TOOLS:
        body = request(RESPONSES, said("Hello"), tools=[odd, tool(RESPONSES)], tool_choice="auto")
        yield answered(
            "3.16",
            RESPONSES,
            body,
            lambda reply: {one["type"] for one in reply.sent["tools"]} == {"function"},
            name=str(odd["type"]),
        )
    yield answered(
        "3.17",
        RESPONSES,
        request(RESPONSES, said("Hello"), store=True, include=["reasoning.encrypted_content"]),
        lambda reply: not {"store", "include"} & set(reply.sent),
        name="store, include",
    )
    yield Case("3.17", RESPONSES, _goes_on, "previous_response_id")
    yield Case("3.17", RESPONSES, _in_the_background, "background")
    server_tool = {"type": "web_fetch_20250910", "name": "web_fetch"}
    yield answered(
        "3.18",
        MESSAGES,
        request(
            MESSAGES,
            said([{"type": "text", "text": "Weather in Paris?", **CACHED}]),
            **EXTRAS,
            system=[{"type": "text", "text": ONE, **CACHED}],
            tools=[tool(MESSAGES) | CACHED, server_tool],
        ),
        lambda reply: (
            "cache_control" not in str(reply.sent)
            and not set(EXTRAS) & set(reply.sent)
            and len(reply.sent["tools"]) == 1
            and "server-tool-dropped" in reply.notes
        ),
        headers=BETA,
    )


async def _goes_on(rig: Rig) -> None:
    first, _ = await posted(rig, RESPONSES, request(RESPONSES, said("Hello"), store=True))
    rig.simulator.record.clear()
    await posted(rig, RESPONSES, request(RESPONSES, said("And?"), previous_response_id=first["id"]))
    assert [message["role"] for message in the_sent(rig)["messages"]] == ["user", "assistant", "user"]


async def _in_the_background(rig: Rig) -> None:
    begun, _ = await posted(rig, RESPONSES, request(RESPONSES, said("Hello"), background=True))
    url = rig.url(f"{RESPONSES}/{begun['id']}?stream=true")
    async with rig.http.get(url) as response:
        assert b"response.completed" in await response.read()
    assert "background" not in the_sent(rig)
