"""Requests of `POST /v1/messages` and `POST /v1/messages/count_tokens`: bytes -> Conversation (server role).

How messages become turns:
- `system` (a string or text blocks, a leading billing line among them) is the first turn; a message of role
  `system` stays where it is, as a SYSTEM turn;
- consecutive messages of one role stay apart, and any role may come first: nothing is merged;
- a user message that holds `tool_result` blocks is cut where results and the rest meet: results become a TOOL
  turn, text and media a USER turn, in the order sent. Results and then text is a TOOL turn and a USER turn;
- a message whose blocks all came to nothing (tool changes, say) gives no turn; one that was sent empty
  gives an empty turn, since clients send back an empty answer.

`extra` keeps every field that no other place holds, under its own name; what is left of `output_config`
without `effort` and `format`, and `thinking` whole when it says more than its type (a budget, `adaptive`, a
display). Thinking is shown whatever `display` says: MiMo wants it back with the next request, and only a
client that has it can send it.

Source: anthropic 2.11.0, types/message_create_params.py, types/beta/message_create_params.py and
types/message_count_tokens_params.py; MiMo's limits from mimo-api.md, section 1.7. Read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from service.core.conversation import (
    Conversation,
    Part,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Thinking,
    ToolResult,
    Turn,
)
from service.core.dialects.anthropic_messages.blocks import decoded_parts
from service.core.dialects.anthropic_messages.errors import ThreadNotFound, ThreadUnsupported
from service.core.dialects.anthropic_messages.fields import (
    Fields,
    fields_at,
    joined,
    optional_count,
    optional_fields,
    optional_flag,
    optional_items,
    optional_number,
    optional_text,
    refuse,
    required_name,
)
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.dialects.anthropic_messages.search import TOOL_NAME
from service.core.dialects.anthropic_messages.tools import decoded_choice, decoded_tools
from service.core.effort import THINKING_FIELDS, thinking_of
from service.core.json_body import decode_object as decode_json_object
from service.core.web_search import WEB_SEARCH

# MiMo takes 0 to 1.5 and Anthropic 0 to 1: what both could mean passes, and the upstream's rules clamp it.
_MAX_TEMPERATURE = 2.0

_USED_FIELDS = frozenset(
    {
        "model",
        "system",
        "messages",
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "stop_sequences",
        "stream",
        "thinking",
        "output_config",
        "output_format",
        "thread",
        "tool_sieve",
        *THINKING_FIELDS,
    }
)
# Features of Anthropic's servers whose absence a client may notice: ignored, but said.
_NOTED_FIELDS = ("container", "mcp_servers", "safeguards", "fallbacks")

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}

_THINKING_BY_TYPE = {
    "enabled": Thinking.ENABLED,
    "adaptive": Thinking.ENABLED,
    "between_tools": Thinking.ENABLED,
    "disabled": Thinking.DISABLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRequest:
    """A request, and what was left out of it or changed: words for the header `x-mimo-gateway-notes`.

    A note is `fact:detail` in header-safe ASCII: server-tool-dropped, duplicate-tool-dropped,
    tool-choice-loosened, block-dropped, block-as-text, field-ignored."""

    conversation: Conversation
    notes: tuple[str, ...] = ()


def decode_request(body: bytes) -> DecodedRequest:
    """The body of `POST /v1/messages` and of `…/count_tokens` (one JSON object, UTF-8). `max_tokens` may be
    absent, as MiMo allows.

    Raises InvalidRequest(param), naming the first field at fault (`messages.2.content.0.text`), its
    subclass ThreadUnsupported for a new message thread, and ThreadNotFound for one to go on with."""
    return decode_object(decode_json_object(body))


def decode_object(body: Fields, *, at: str = "") -> DecodedRequest:
    """A request that is decoded JSON already, such as the `params` of a batch's request.

    `at` is its path in the body it came in (`requests.3.params`); errors name fields by it. Raises as
    decode_request does.
    """
    _refuse_threads(body, at)
    if body.get("compaction") is not None:
        refuse(joined(at, "compaction"), "Compaction on the server is not supported")
    reading = Reading()
    model = required_name(body, "model", at)
    turns = (*_system_turns(body, at, reading), *_turns(body, at, reading))
    tools = reading.tools_in_effect(decoded_tools(body, at, reading))
    config = optional_fields(body, "output_config", at)
    for key in _NOTED_FIELDS:
        if body.get(key):
            reading.note("field-ignored", key)
    conversation = Conversation(
        model=model,
        turns=turns,
        tools=tools,
        tool_choice=decoded_choice(body, at, tools, reading),
        sampling=_sampling(body, at),
        thinking=_thinking(body, at),
        effort=reading.effort or optional_text(config, "effort", joined(at, "output_config")),
        response_format=_response_format(body, config, at),
        streams=bool(optional_flag(body, "stream", at)),
        includes_usage=True,
        uses_sieve=optional_flag(body, "tool_sieve", at) is not False,
        extra=_extra(body, config, reading),
    )
    return DecodedRequest(conversation=conversation, notes=reading.notes)


def _refuse_threads(body: Fields, at: str) -> None:
    """Message threads are not kept here. The answer's form makes the SDKs go on with full histories."""
    if body.get("thread") is None:
        return
    where = joined(at, "thread")
    kind = required_name(fields_at(body["thread"], where), "type", where)
    if kind == "continue":
        raise ThreadNotFound
    raise ThreadUnsupported(param=where)


# --- turns --------------------------------------------------------------------------------------------------


def _system_turns(body: Fields, at: str, reading: Reading) -> Iterator[Turn]:
    """The turn of top-level `system`; none when it is absent, null, "" or []."""
    if body.get("system"):
        parts = decoded_parts(body["system"], joined(at, "system"), Role.SYSTEM, reading)
        yield Turn(role=Role.SYSTEM, parts=tuple(parts))


def _turns(body: Fields, at: str, reading: Reading) -> Iterator[Turn]:
    """The turns of `messages`, which must hold one message at least."""
    where = joined(at, "messages")
    if body.get("messages") is None:
        refuse(where, "Field required")
    messages = optional_items(body, "messages", at)
    if not messages:
        refuse(where, "at least one message is required")
    last_user = next((n for n in reversed(range(len(messages))) if _is_user(messages[n])), -1)
    for number, item in enumerate(messages):
        message = fields_at(item, f"{where}.{number}")
        yield from _message_turns(message, f"{where}.{number}", reading, has_later_user=number < last_user)


def _is_user(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def _message_turns(message: Fields, at: str, reading: Reading, *, has_later_user: bool) -> list[Turn]:
    """One message's turns. A system message may set `output_config.effort`, with or without content; one to
    be cleared at the next user message is not shown once that has come."""
    role = _ROLES.get(required_name(message, "role", at))
    if role is None:
        refuse(f"{at}.role", "Input should be 'user', 'assistant' or 'system'")
    content = message.get("content")
    if role is Role.SYSTEM:
        config = optional_fields(message, "output_config", at)
        reading.effort = optional_text(config, "effort", f"{at}.output_config") or reading.effort
        if content is None:
            return []
    parts = decoded_parts(content, f"{at}.content", role, reading)
    if role is Role.SYSTEM and has_later_user and message.get("clear_at") == "next_user_message":
        return []
    if not parts:
        return [] if content else [Turn(role=role, parts=())]
    if role is not Role.USER:
        return [Turn(role=role, parts=tuple(parts))]
    return [
        Turn(role=Role.TOOL if has_results else role, parts=tuple(group))
        for has_results, group in groupby(parts, key=_is_result)
    ]


def _is_result(part: Part) -> bool:
    return isinstance(part, ToolResult)


# --- settings -----------------------------------------------------------------------------------------------


def _sampling(body: Fields, at: str) -> Sampling:
    optional_count(body, "top_k", at, minimum=0)
    return Sampling(
        max_output_tokens=optional_count(body, "max_tokens", at, minimum=1),
        temperature=optional_number(body, "temperature", at, maximum=_MAX_TEMPERATURE),
        top_p=optional_number(body, "top_p", at, maximum=1.0),
        stop=_stop_sequences(body, at),
    )


def _stop_sequences(body: Fields, at: str) -> tuple[str, ...]:
    """`stop_sequences` without empty ones, which would end every answer at once."""
    sequences = []
    for number, item in enumerate(optional_items(body, "stop_sequences", at)):
        if not isinstance(item, str):
            refuse(joined(at, f"stop_sequences.{number}"), "Input should be a valid string")
        if item:
            sequences.append(item)
    return tuple(sequences)


def _thinking(body: Fields, at: str) -> Thinking:
    """`thinking`. `adaptive` and `between_tools` leave how much to the model, as MiMo's `enabled` does; a
    budget of 0 is off. Without it, other spellings count (service/core/effort.py)."""
    if body.get("thinking") is None:
        return thinking_of(body)[0]
    where = joined(at, "thinking")
    config = optional_fields(body, "thinking", at)
    kind = required_name(config, "type", where)
    if optional_count(config, "budget_tokens", where, minimum=0) == 0:
        return Thinking.DISABLED
    if kind not in _THINKING_BY_TYPE:
        refuse(joined(where, "type"), "Input should be 'enabled', 'disabled' or 'adaptive'")
    return _THINKING_BY_TYPE[kind]


def _response_format(body: Fields, config: Fields, at: str) -> ResponseFormat:
    """`output_config.format`, or the older `output_format`: a JSON schema or nothing."""
    value, where = config.get("format"), joined(at, "output_config.format")
    if value is None:
        value, where = body.get("output_format"), joined(at, "output_format")
    if value is None:
        return ResponseFormat()
    wanted = fields_at(value, where)
    if required_name(wanted, "type", where) != "json_schema":
        refuse(joined(where, "type"), "Input should be 'json_schema'")
    schema_at = joined(where, "schema")
    schema = fields_at(wanted.get("schema"), schema_at)
    return ResponseFormat(kind=ResponseFormatKind.JSON_SCHEMA, schema=schema, at=where, schema_at=schema_at)


def _extra(body: Fields, config: Fields, reading: Reading) -> dict[str, object]:
    extra = {key: value for key, value in body.items() if key not in _USED_FIELDS and value is not None}
    if rest := {key: value for key, value in config.items() if key not in ("effort", "format")}:
        extra["output_config"] = rest
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking not in ({"type": "enabled"}, {"type": "disabled"}):
        extra["thinking"] = thinking
    if reading.web_search is not None and not reading.takes_away(TOOL_NAME):
        extra[WEB_SEARCH] = reading.web_search
    return extra
