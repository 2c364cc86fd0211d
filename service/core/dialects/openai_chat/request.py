"""OpenAI Chat Completions requests: body -> Conversation (server role) and back (client role).

Every field is either read here or kept in `extra` under its own name; null means that the client said
nothing. Sources: OpenAI API reference "Create chat completion" as in openai-python 3.52
types/chat/completion_create_params.py, and mimo-api.md 1.4 and 3, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    Sampling,
    Thinking,
)
from service.core.dialects.openai_chat.audio import refuse_sound
from service.core.dialects.openai_chat.messages import decode_messages, encode_turns
from service.core.dialects.openai_chat.tools import (
    decode_choice,
    decode_search_options,
    decode_tools,
    encode_choice,
    encode_tools,
)
from service.core.effort import THINKING_FIELDS, thinking_of
from service.core.errors import InvalidRequest
from service.core.json_body import (
    decode_object,
    missing,
    optional_boolean,
    optional_integer,
    optional_number,
    optional_object,
    optional_string,
    required_array,
    required_object,
    required_string,
    wrong_type,
    wrong_value,
)
from service.core.web_search import WEB_SEARCH

MAX_STOP_SEQUENCES = 64  # OpenAI and MiMo take four; the gateway finds more by itself

_READ = frozenset(
    (
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty"),
        *(
            "web_search_options",
            "presence_penalty",
            "stop",
            "n",
            "stream",
            "stream_options",
            "response_format",
            "tool_sieve",
        ),
        *("modalities", "audio", "web_search_options", *THINKING_FIELDS),
    )
)
_FORMATS = tuple(map(str, ResponseFormatKind))


# --- server role --------------------------------------------------------------------------------------------


def decode_request(body: bytes) -> Conversation:
    """The body of `POST /v1/chat/completions` (one JSON object, UTF-8) as a Conversation.

    Raises InvalidRequest(param), naming the first field at fault, as `messages[2].content`.
    """
    return decode_body(decode_object(body))


def decode_body(body: Mapping[str, object]) -> Conversation:
    """The same for a body that is decoded already (a batch's line), no deeper than `decode_object` allows.

    Unknown fields are kept in `extra`; `max_completion_tokens` wins over the older `max_tokens`.
    """
    model = required_string(body, "model")
    if not model:
        raise missing("model")
    refuse_sound(body)
    turns = decode_messages(required_array(body, "messages"))
    declared, web_search = decode_tools(body)
    web_search = web_search or decode_search_options(body)
    choice, tools = decode_choice(body, declared)
    if optional_integer(body, "n", minimum=1) not in (None, 1):
        raise InvalidRequest(
            "Invalid 'n': only one choice an answer is supported; send the request again for another one.",
            param="n",
            code="unsupported_value",
        )
    thinking, effort = thinking_of(body)
    options = optional_object(body, "stream_options") or {}
    extra = {key: value for key, value in body.items() if key not in _READ and value is not None}
    if web_search is not None:
        extra[WEB_SEARCH] = web_search
    return Conversation(
        model=model,
        turns=turns,
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body),
        thinking=thinking,
        effort=effort,
        response_format=_response_format(body),
        streams=optional_boolean(body, "stream") or False,
        includes_usage=optional_boolean(options, "include_usage", "stream_options") or False,
        uses_sieve=optional_boolean(body, "tool_sieve") is not False,
        extra=extra,
    )


def _sampling(body: Mapping[str, object]) -> Sampling:
    older = optional_integer(body, "max_tokens", minimum=1)
    newer = optional_integer(body, "max_completion_tokens", minimum=1)
    return Sampling(
        max_output_tokens=older if newer is None else newer,
        temperature=optional_number(body, "temperature", minimum=0, maximum=2),
        top_p=optional_number(body, "top_p", minimum=0, maximum=1),
        frequency_penalty=optional_number(body, "frequency_penalty", minimum=-2, maximum=2),
        presence_penalty=optional_number(body, "presence_penalty", minimum=-2, maximum=2),
        stop=_stop(body.get("stop")),
    )


def _stop(value: object) -> tuple[str, ...]:
    """A string or a list of them; empty ones, which would stop at once, are dropped."""
    if value is None:
        return ()
    sequences = [value] if type(value) is str else value
    if type(sequences) is not list:
        raise wrong_type(value, "stop", "one of a string or array of strings")
    if len(sequences) > MAX_STOP_SEQUENCES:
        raise InvalidRequest(
            f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOP_SEQUENCES}, "
            f"but got an array with length {len(sequences)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    for index, sequence in enumerate(sequences):
        if type(sequence) is not str:
            raise wrong_type(sequence, f"stop[{index}]", "a string")
    return tuple(filter(None, sequences))


def _response_format(body: Mapping[str, object]) -> ResponseFormat:
    value = optional_object(body, "response_format")
    if value is None:
        return ResponseFormat()
    match value.get("type"):
        case "text":
            return ResponseFormat()
        case "json_object":
            return ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)
        case "json_schema":
            at = "response_format.json_schema"
            described = required_object(value, "json_schema", "response_format")
            return ResponseFormat(
                kind=ResponseFormatKind.JSON_SCHEMA,
                name=optional_string(described, "name", at),
                schema=required_object(described, "schema", at),
                strict=optional_boolean(described, "strict", at),
            )
        case _:
            raise wrong_value(
                required_string(value, "type", "response_format"), "response_format.type", _FORMATS
            )


# --- client role --------------------------------------------------------------------------------------------


def encode_request(conversation: Conversation) -> dict[str, object]:
    """The Conversation as a plain OpenAI Chat body: only what was said, keys always in the same order.

    An upstream codec applies its own rules to it afterwards. What Chat has no word for is lost: item ids,
    signatures, namespaces, `is_error` and `name` of results, and the order of text, reasoning and calls
    within one assistant turn."""
    body: dict[str, object] = {
        "model": conversation.model,
        "messages": encode_turns(conversation.turns),
        "tools": encode_tools(conversation.tools, conversation.extra.get(WEB_SEARCH)) or None,
        **_encode_choice(conversation),
        **_encode_sampling(conversation.sampling),
        **_encode_thinking(conversation),
        "response_format": _encode_format(conversation.response_format),
        "stream": conversation.streams or None,
        "stream_options": {"include_usage": True} if conversation.includes_usage else None,
        "tool_sieve": None if conversation.uses_sieve else False,
    }
    body.update((key, value) for key, value in conversation.extra.items() if key not in body)
    return {key: value for key, value in body.items() if value is not None and key != WEB_SEARCH}


def _encode_choice(conversation: Conversation) -> dict[str, object]:
    encoded: dict[str, object] = {}
    choice = encode_choice(conversation.tool_choice, conversation.tools)
    if choice != "auto":
        encoded["tool_choice"] = choice
    if not conversation.tool_choice.allows_parallel:
        encoded["parallel_tool_calls"] = False
    return encoded


def _encode_sampling(sampling: Sampling) -> dict[str, object]:
    return {
        "max_completion_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop": list(sampling.stop) or None,
    }


def _encode_thinking(conversation: Conversation) -> dict[str, object]:
    said = conversation.thinking
    return {
        "thinking": None if said is Thinking.DEFAULT else {"type": str(said)},
        "reasoning_effort": conversation.effort,
    }


def _encode_format(response_format: ResponseFormat) -> dict[str, object] | None:
    if response_format.kind is ResponseFormatKind.TEXT:
        return None
    if response_format.kind is ResponseFormatKind.JSON_OBJECT:
        return {"type": "json_object"}
    described: dict[str, object] = {"name": response_format.name, "schema": response_format.schema}
    described["strict"] = response_format.strict
    return {
        "type": "json_schema",
        "json_schema": {key: value for key, value in described.items() if value is not None},
    }
