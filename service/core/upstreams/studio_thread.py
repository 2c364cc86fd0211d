"""Which conversation of the studio a request goes on from, told by its settings and its exact history.

The studio links turns by a `conversationId` and the `dialogId` of the answer before (mimo-api.md 5.3). Of an
answer that ended well both are kept under the digest of all that led to it and of the answer itself. A later
request whose turns begin just so needs to send what is new, and nothing else may match: one turn edited,
left out or added in between gives another digest, and so does any setting that the studio was told.

The digest is SHA-256 over an encoding that can be read back, so two histories that differ never give the
same bytes: a string is its length and its bytes, a tuple stands between brackets, None is a mark of its own.
Left out is what the studio is never told (the reasoning of earlier turns, how a client split an answer's
text into parts); arguments of calls are compared as JSON values, since clients write them anew; so is the
blank space round an answer's text, which many clients strip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

import orjson

from service.core.conversation import (
    Conversation,
    Media,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.errors import (
    ContextOverflow,
    GatewayError,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.mimoml.jsontext import JSONValue, Number, decode
from service.core.upstreams.studio_prompt import instructions_of
from service.core.web_search import WEB_SEARCH

# A conversation that grew beyond it is not gone on with: peers begin anew there (mimo-api.md 5.3).
MAX_PROMPT_TOKENS = 150_000
# The code of the UpstreamRefused of a conversation that the studio does not go on with.
CONVERSATION_LOST = "studio_conversation_lost"

Canonical: TypeAlias = "str | tuple[Canonical, ...] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation at the studio as its last answer left it. `prompt_tokens`: what the studio read for
    that answer; 0 when it did not say."""

    conversation_id: str
    dialog_id: str
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenThread:
    """A thread whose next turn nobody waits for yet: whoever has it lets it wait, or drops it. `drop` leaves
    it to be deleted."""

    thread: Thread
    drop: Callable[[], None]


def pieces(value: Canonical) -> Iterator[bytes]:
    """The value as bytes that can be read back, piece by piece: nothing long is copied twice."""
    if value is None:
        yield b"-"
    elif isinstance(value, str):
        content = value.encode("utf-8", "surrogatepass")
        yield b"%d:" % len(content)
        yield content
    else:
        yield b"("
        for item in value:
            yield from pieces(item)
        yield b")"


class History:
    """The digest of settings and of turns in order. Linear; `digest` may be asked for at any point."""

    __slots__ = ("_hash",)

    def __init__(self, settings: Canonical) -> None:
        self._hash = sha256()
        self._add(settings)

    def add(self, turns: Iterable[Turn]) -> None:
        for turn in turns:
            self._add(canonical_turn(turn))

    def digest(self) -> str:
        """64 hexadecimal digits."""
        return self._hash.hexdigest()

    def _add(self, value: Canonical) -> None:
        for piece in pieces(value):
            self._hash.update(piece)


def lost() -> UpstreamRefused:
    """The studio does not go on with a conversation that it was asked to go on with."""
    words = "The studio does not go on with this conversation."
    return UpstreamRefused(words, status=200, code=CONVERSATION_LOST)


def as_lost(error: GatewayError) -> GatewayError:
    """A failure before the first text of an answer that should have gone on. How the studio says that it has
    lost a conversation is not known (mimo-api.md 6): whatever concerns neither the account nor the traffic
    may be that, and is worth one try with the whole prompt."""
    if isinstance(error, UpstreamUnavailable) and (error.status is None or error.status >= 400):
        return error
    may_be = UpstreamRefused | ContextOverflow | UpstreamUnavailable | UpstreamProtocolError
    return lost() if isinstance(error, may_be) else error


def turns_known(turns: Sequence[Turn]) -> int:
    """How many turns end with the last answer; 0 where there is none, or where nothing follows it."""
    for place in range(len(turns) - 1, -1, -1):
        if turns[place].role is Role.ASSISTANT:
            return place + 1 if place + 1 < len(turns) else 0
    return 0


def settings_of(conversation: Conversation, *, offers_tools: bool) -> Canonical:
    """All that the studio is told beside the turns, instructions and tools included."""
    sampling, choice = conversation.sampling, conversation.tool_choice
    return (
        "1",  # of this form: another one may not match it
        conversation.model,
        str(conversation.thinking is not Thinking.DISABLED),
        _json(conversation.extra.get(WEB_SEARCH)),
        None if sampling.temperature is None else repr(float(sampling.temperature)),
        None if sampling.top_p is None else repr(float(sampling.top_p)),
        str(choice.mode),
        choice.name,
        str(choice.allows_parallel),
        instructions_of(conversation, offers_tools=offers_tools),
    )


def canonical_turn(turn: Turn) -> Canonical:
    """What of a turn tells it from others."""
    if turn.role is Role.ASSISTANT:
        rest = (part for part in turn.parts if isinstance(part, ToolCall | Media))
        return (str(turn.role), turn.name, turn.text.strip(), *map(_part, rest))
    return (str(turn.role), turn.name, *map(_part, turn.parts))


def _part(part: Part) -> Canonical:
    match part:
        case Text():
            return ("text", part.text)
        case Media():
            return (
                *("media", str(part.kind), part.url, part.data, part.mime_type, part.filename, part.detail),
                _json(part.options),
            )
        case ToolCall():
            return ("call", part.call_id, part.namespace, part.name, _arguments(part))
        case ToolResult():
            is_error = None if part.is_error is None else str(part.is_error)
            return ("result", part.call_id, part.name, is_error, *map(_part, part.parts))
        case _:
            return ("reasoning", part.text)


def _arguments(call: ToolCall) -> Canonical:
    """Arguments by value. A freeform tool's one string is what stands in its `input`."""
    if call.is_custom:
        return _value({"input": call.arguments})
    try:
        return _value(decode(call.arguments or "{}"))
    except ValueError:
        return ("broken", call.arguments)


def _value(value: JSONValue) -> Canonical:
    match value:
        case Number():
            return ("number", str(value))
        case str():
            return ("string", value)
        case list():
            return ("array", *map(_value, value))
        case dict():
            return ("object", *(item for name, held in value.items() for item in (name, _value(held))))
        case _:
            return ("word", str(value))


def _json(value: object) -> str | None:
    if value is None or (isinstance(value, Mapping) and not value):
        return None
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
