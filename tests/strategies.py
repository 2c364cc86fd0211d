"""Hypothesis strategies for the values of the core: legal event streams and conversations.

`event_streams()` keeps the laws of service/core/events.py. `conversations(wire)` stays within what a `Wire`
says one dialect can express, so that `decode(encode(conversation))` may be asked to keep every part.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolKind,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.errors import GatewayError, Overloaded, UpstreamProtocolError, UpstreamTimeout
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)

# Text that looks like markup, frames or escapes is where codecs go wrong: offered beside plain random text.
_TRAPS = (
    "<",
    "</think>",
    "<tool_call>",
    "data: x\n\n",
    "\r\n",
    "\n",
    "\u2028",
    "\u0085",
    '"',
    "\\",
    "\\u0000",
    "\x00",
    "é",
    "你好",
    "🙂",
    "[DONE]",
)


@functools.cache
def texts(*, min_size: int = 1) -> st.SearchStrategy[str]:
    """Text without lone surrogates; at least `min_size` characters (0 or 1)."""
    drawn = st.text(min_size=min_size, max_size=12) | st.sampled_from(_TRAPS)
    return drawn | st.lists(st.sampled_from(_TRAPS), min_size=1, max_size=3).map("".join)


@functools.cache
def names() -> st.SearchStrategy[str]:
    """Names as every dialect allows them for tools; `tool_call` among them, since a real client has one."""
    letters = "abcxyzABZ_"
    drawn = st.tuples(st.sampled_from(letters), st.text(letters + "019-", max_size=8)).map("".join)
    return drawn | st.sampled_from(["tool_call", "get_weather"])


@functools.cache
def ids() -> st.SearchStrategy[str]:
    prefix = st.sampled_from(["call_", "toolu_", "msg_", "rs_"])
    return st.tuples(prefix, st.text("abcdef0123456789", min_size=1, max_size=8)).map("".join)


@functools.cache
def json_values() -> st.SearchStrategy[Any]:
    """JSON values that survive a reading and a writing (64-bit integers, finite floats)."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(min_value=-(2**63), max_value=2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts(min_size=0)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=6,
    )


@functools.cache
def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(texts(), json_values(), max_size=3)


@functools.cache
def argument_texts() -> st.SearchStrategy[str]:
    """The JSON text of one object: what the pieces of a complete call concatenate to."""
    return json_objects().map(lambda value: orjson.dumps(value).decode())


# --- events -------------------------------------------------------------------------------------------------


@st.composite
def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    """`text` cut into one to four pieces, none empty."""
    cuts = draw(st.lists(st.integers(min_value=1, max_value=max(1, len(text) - 1)), max_size=3))
    edges = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges) if start < end]


@st.composite
def _calls(draw: st.DrawFn, index: int, *, is_cut: bool) -> list[Event]:
    """One call's events. A cut one ends inside its arguments, without a ToolCallEnd."""
    text = draw(argument_texts())
    if is_cut:
        text = text[: draw(st.integers(min_value=0, max_value=len(text) - 1))]
    events: list[Event] = [ToolCallStart(index, f"{draw(ids())}_{index}", draw(names()))]
    events += [ToolCallDelta(index, piece) for piece in draw(_pieces(text))]
    return events if is_cut else [*events, ToolCallEnd(index)]


@functools.cache
def usages() -> st.SearchStrategy[Usage]:
    """Counts that add up: cached within input, reasoning within output."""

    def build(cached: int, fresh: int, reasoning: int, rest: int) -> Usage:
        return Usage(
            input_tokens=cached + fresh,
            output_tokens=reasoning + rest,
            cached_tokens=cached,
            reasoning_tokens=reasoning,
        )

    count = st.integers(min_value=0, max_value=10**6)
    return st.builds(build, count, count, count, count)


@functools.cache
def failures() -> st.SearchStrategy[GatewayError]:
    return st.sampled_from(
        [
            UpstreamProtocolError("The upstream broke off."),
            UpstreamTimeout(waited_s=30.0, phase="idle"),
            Overloaded("Draining."),
        ]
    )


@functools.cache
def _deltas() -> st.SearchStrategy[list[Event]]:
    def of_one_kind(kind: type[TextDelta | ReasoningDelta]) -> st.SearchStrategy[list[Event]]:
        return st.lists(st.builds(kind, texts()), min_size=1, max_size=3)

    return of_one_kind(TextDelta) | of_one_kind(ReasoningDelta)


@functools.cache
def _asides() -> st.SearchStrategy[Event]:
    return st.sampled_from([Notice("leak_removed", "xml"), Citation("https://example.com/a", "A", "a page")])


@st.composite
def event_streams(draw: st.DrawFn, *, can_fail: bool = True, has_asides: bool = True) -> list[Event]:
    """One answer's events by the laws of service/core/events.py, with a finish that fits them.

    TOOL_CALLS only after a complete call, STOP only without one; a cut call is the last thing of its stream
    and ends it with LENGTH, CONTENT_FILTER or a failure. `has_asides` sprinkles Notice and Citation in.
    """
    events: list[Event] = []
    count = 0
    for kind in draw(st.lists(st.sampled_from(["deltas", "deltas", "call"]), max_size=5)):
        if kind == "call":
            events += draw(_calls(count, is_cut=False))
            count += 1
        else:
            events += draw(_deltas())
    is_cut = draw(st.sampled_from([False, False, False, True]))
    if is_cut:
        events += draw(_calls(count, is_cut=True))
    if has_asides:
        for aside in draw(st.lists(_asides(), max_size=2)):
            places = range(len(events) + 1) if isinstance(aside, Notice) else _outside_calls(events)
            events.insert(draw(st.sampled_from(places)), aside)
    if draw(st.booleans()):
        events.append(UsageReport(draw(usages())))
    if can_fail and draw(st.sampled_from([False, False, False, True])):
        return [*events, Failed(draw(failures()))]
    return [*events, draw(_finishes(has_call=count > 0, is_cut=is_cut))]


def _outside_calls(events: list[Event]) -> list[int]:
    """Where an event may be put in without standing inside a call: searches come before or after one."""
    places, is_open = [0], False
    for number, event in enumerate(events, 1):
        is_open = isinstance(event, ToolCallStart) or (is_open and not isinstance(event, ToolCallEnd))
        if not is_open:
            places.append(number)
    return places


@functools.cache
def _finishes(*, has_call: bool, is_cut: bool) -> st.SearchStrategy[Finish]:
    cut = st.sampled_from([Finish(FinishReason.LENGTH), Finish(FinishReason.CONTENT_FILTER)])
    if is_cut:
        return cut
    if has_call:
        return cut | st.just(Finish(FinishReason.TOOL_CALLS))
    return cut | st.just(Finish(FinishReason.STOP)) | st.builds(Finish, st.just(FinishReason.STOP), texts())


# --- conversations ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What one dialect's requests can say. A test states its dialect's limits here; the default is everything
    but what only one dialect knows.
    """

    media_kinds: tuple[MediaKind, ...] = tuple(MediaKind)
    has_media_urls: bool = True
    has_file_urls: bool = True
    has_filenames: bool = False
    has_image_detail: bool = False
    has_late_system: bool = True
    has_turn_names: bool = False
    has_reasoning: bool = True
    has_signatures: bool = False
    has_redacted_reasoning: bool = False
    has_item_ids: bool = False
    has_result_media: bool = True
    has_result_errors: bool = False
    has_result_names: bool = False
    has_custom_tools: bool = False
    has_namespaces: bool = False
    tool_extras: tuple[str, ...] = ()
    has_penalties: bool = False
    formats: tuple[ResponseFormatKind, ...] = tuple(ResponseFormatKind)
    has_format_names: bool = False
    thinking: tuple[Thinking, ...] = tuple(Thinking)
    efforts: tuple[str, ...] = ("low", "medium", "high")
    extra: tuple[str, ...] = field(default=())


def _maybe(strategy: st.SearchStrategy[Any], is_possible: bool = True) -> st.SearchStrategy[Any]:
    return st.none() | strategy if is_possible else st.none()


_MIME_BY_KIND = {
    MediaKind.IMAGE: "image/png",
    MediaKind.AUDIO: "audio/wav",
    MediaKind.VIDEO: "video/mp4",
    MediaKind.FILE: "application/pdf",
}


@st.composite
def media(draw: st.DrawFn, wire: Wire) -> Media:
    """A media part: an https URL without a type, or base64 data with one."""
    kind = draw(st.sampled_from(wire.media_kinds))
    has_url = wire.has_file_urls if kind is MediaKind.FILE else wire.has_media_urls
    detail = draw(_maybe(st.sampled_from(["low", "high"]), wire.has_image_detail))
    filename = draw(_maybe(names(), wire.has_filenames)) if kind is MediaKind.FILE else None
    if has_url and draw(st.booleans()):
        where: dict[str, Any] = {"url": "https://example.com/" + draw(ids())}
    else:
        where = {"data": draw(st.sampled_from(["aGk=", "AAAA"])), "mime_type": _MIME_BY_KIND[kind]}
    return Media(kind=kind, filename=filename, detail=detail if kind is MediaKind.IMAGE else None, **where)


@functools.cache
def text_parts() -> st.SearchStrategy[Text]:
    return st.builds(lambda text: Text(text=text), texts())


@st.composite
def _reasoning(draw: st.DrawFn, wire: Wire) -> Reasoning:
    item_id = draw(_maybe(ids(), wire.has_item_ids))
    if wire.has_redacted_reasoning and draw(st.booleans()):
        return Reasoning(text="", signature=draw(ids()), is_redacted=True, item_id=item_id)
    signature = draw(_maybe(ids(), wire.has_signatures))
    return Reasoning(text=draw(texts()), signature=signature, item_id=item_id)


@st.composite
def _call_parts(draw: st.DrawFn, wire: Wire, call_id: str) -> ToolCall:
    is_custom = wire.has_custom_tools and draw(st.booleans())
    return ToolCall(
        call_id=call_id,
        name=draw(names()),
        arguments=draw(texts() if is_custom else argument_texts()),
        is_custom=is_custom,
        namespace=draw(_maybe(names(), wire.has_namespaces)),
        item_id=draw(_maybe(ids(), wire.has_item_ids)),
    )


@st.composite
def _results(draw: st.DrawFn, wire: Wire, call_id: str, name: str) -> ToolResult:
    part = text_parts() | media(wire) if wire.has_result_media and wire.media_kinds else text_parts()
    return ToolResult(
        call_id=call_id,
        parts=tuple(draw(st.lists(part, min_size=1, max_size=2))),
        is_error=draw(_maybe(st.booleans(), wire.has_result_errors)),
        name=name if wire.has_result_names else None,
    )


@st.composite
def _exchanges(draw: st.DrawFn, wire: Wire, number: int) -> list[Turn]:
    """A user's turn and what follows it: an answer, and the results of its calls if it made any."""
    said = text_parts() | media(wire) if wire.media_kinds else text_parts()
    name = draw(_maybe(names(), wire.has_turn_names))
    turns = [Turn(role=Role.USER, parts=tuple(draw(st.lists(said, min_size=1, max_size=3))), name=name)]
    if wire.has_late_system and draw(st.sampled_from([False, False, True])):
        turns.append(Turn(role=Role.SYSTEM, parts=(draw(text_parts()),)))
    calls = [draw(_call_parts(wire, f"call_{number}_{n}")) for n in range(draw(st.integers(0, 2)))]
    parts: list[Part] = []
    if wire.has_reasoning and draw(st.booleans()):
        parts.append(draw(_reasoning(wire)))
    if not calls or draw(st.booleans()):
        parts.append(draw(text_parts()))
    turns.append(Turn(role=Role.ASSISTANT, parts=(*parts, *calls)))
    if calls:
        results = tuple(draw(_results(wire, call.call_id, call.name)) for call in calls)
        turns.append(Turn(role=Role.TOOL, parts=results))
    return turns


@st.composite
def tool_specs(draw: st.DrawFn, wire: Wire) -> tuple[ToolSpec, ...]:
    """Up to three tools with names of their own."""
    specs = []
    for name in draw(st.lists(names(), max_size=3, unique=True)):
        is_custom = wire.has_custom_tools and draw(st.booleans())
        specs.append(
            ToolSpec(
                name=name,
                description=draw(texts(min_size=0)),
                parameters={}
                if is_custom
                else {"type": "object", "properties": {key: {"type": "string"} for key in draw(_keys())}},
                strict=None if is_custom else draw(_maybe(st.booleans())),
                kind=ToolKind.CUSTOM if is_custom else ToolKind.FUNCTION,
                namespace=draw(_maybe(ids(), wire.has_namespaces)),
                extra={key: True for key in wire.tool_extras if draw(st.booleans())},
            )
        )
    return tuple(specs)


@functools.cache
def _keys() -> st.SearchStrategy[list[str]]:
    return st.lists(names(), max_size=2, unique=True)


@st.composite
def _choices(draw: st.DrawFn, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    if not tools:
        return ToolChoice()
    mode = draw(st.sampled_from(ToolChoiceMode))
    name = draw(st.sampled_from(tools)).name if mode is ToolChoiceMode.NAMED else None
    return ToolChoice(mode=mode, name=name, allows_parallel=draw(st.booleans()))


@st.composite
def _samplings(draw: st.DrawFn, wire: Wire) -> Sampling:
    penalty = st.sampled_from([-1.0, 0.5])
    return Sampling(
        max_output_tokens=draw(_maybe(st.integers(min_value=1, max_value=131_072))),
        temperature=draw(_maybe(st.sampled_from([0.0, 0.5, 1.0]))),
        top_p=draw(_maybe(st.sampled_from([0.1, 0.95, 1.0]))),
        frequency_penalty=draw(_maybe(penalty, wire.has_penalties)),
        presence_penalty=draw(_maybe(penalty, wire.has_penalties)),
        stop=tuple(draw(st.lists(texts(), max_size=2))),
    )


@st.composite
def _formats(draw: st.DrawFn, wire: Wire) -> ResponseFormat:
    kind = draw(st.sampled_from(wire.formats))
    if kind is not ResponseFormatKind.JSON_SCHEMA:
        return ResponseFormat(kind=kind)
    return ResponseFormat(
        kind=kind,
        name=draw(names()) if wire.has_format_names else None,
        schema={"type": "object", "properties": {key: {"type": "string"} for key in draw(_keys())}},
        strict=draw(st.booleans()) if wire.has_format_names else None,
    )


@st.composite
def conversations(draw: st.DrawFn, wire: Wire = Wire()) -> Conversation:
    """A conversation in the usual order: system, then exchanges, the last of which may still be open."""
    turns: list[Turn] = []
    if draw(st.booleans()):
        turns.append(
            Turn(role=Role.SYSTEM, parts=tuple(draw(st.lists(text_parts(), min_size=1, max_size=2))))
        )
    for number in range(draw(st.integers(min_value=1, max_value=3))):
        turns += draw(_exchanges(wire, number))
    if draw(st.booleans()):
        turns.append(Turn(role=Role.USER, parts=(draw(text_parts()),)))
    tools = draw(tool_specs(wire))
    return Conversation(
        model=draw(names()),
        turns=tuple(turns),
        tools=tools,
        tool_choice=draw(_choices(tools)),
        sampling=draw(_samplings(wire)),
        thinking=draw(st.sampled_from(wire.thinking)),
        effort=draw(_maybe(st.sampled_from(wire.efforts), bool(wire.efforts))),
        response_format=draw(_formats(wire)),
        streams=draw(st.booleans()),
        extra={
            key: draw(json_values().filter(lambda v: v is not None))
            for key in wire.extra
            if draw(st.booleans())
        },
    )
