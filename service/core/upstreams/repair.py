"""MiMo's message rules, applied to the values before any wire is encoded: each function is one row of
mimo-api.md 3.

Nothing is touched where no rule applies: the prompt cache is prefix-based, so a needless change costs
money. What a client might miss is told in notes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.errors import InvalidRequest
from service.core.models import ModelFacts
from service.core.notes import Note, NoteKind
from service.core.web_search import WEB_SEARCH

MAX_FILE_BYTES = 10 << 20

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 1.5),
    "top_p": (0.01, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
# Control characters that no text file holds; tab, line ends and form feed are none of them.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def _with_media(turn: Turn, change: Callable[[Media], Text | Media]) -> Turn:
    """The turn with every media part changed, those within tool results too; itself when it holds none."""
    if not any(isinstance(item, Media) for part in turn.parts for item in _items(part)):
        return turn

    def changed(item: Text | Media) -> Text | Media:
        return change(item) if isinstance(item, Media) else item

    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            parts.append(replace(part, parts=tuple(map(changed, part.parts))))
        else:
            parts.append(change(part) if isinstance(part, Media) else part)
    return replace(turn, parts=tuple(parts))


def _items(part: Part) -> tuple[Part, ...]:
    return part.parts if isinstance(part, ToolResult) else (part,)


def media_of(turn: Turn) -> list[Media]:
    """Every media part in order, those within tool results too."""
    return [item for part in turn.parts for item in _items(part) if isinstance(item, Media)]


def linked_files(conversation: Conversation) -> list[Media]:
    """The file parts that are named by URL, in order: what must be fetched before the files can be read."""
    found = (media for turn in conversation.turns for media in media_of(turn))
    return [media for media in found if media.kind is MediaKind.FILE and media.url is not None]


def with_fetched_files(conversation: Conversation, content_by_url: Mapping[str, bytes]) -> Conversation:
    """The conversation with those file parts as data; a file without a name takes its URL's last word."""

    def fetched(media: Media) -> Text | Media:
        if media.kind is not MediaKind.FILE or media.url is None:
            return media
        data = base64.b64encode(content_by_url[media.url]).decode()
        last = media.url.partition("?")[0].rpartition("/")[2]
        return replace(media, url=None, data=data, filename=media.filename or last[:200] or None)

    return replace(conversation, turns=tuple(_with_media(turn, fetched) for turn in conversation.turns))


# --- files --------------------------------------------------------------------------------------------------


def with_files_as_text(conversation: Conversation) -> Conversation:
    """Every file part becomes a text part: the upstreams read text files only. Raises InvalidRequest."""

    def read(media: Media) -> Text | Media:
        return Text(text=file_as_text(media)) if media.kind is MediaKind.FILE else media

    return replace(conversation, turns=tuple(_with_media(turn, read) for turn in conversation.turns))


def file_as_text(media: Media) -> str:
    """A file as prompt text between marks that name it.

    `data` is base64 of a text file: UTF-8, else an unmarked legacy encoding, which is read as Latin-1. Raises
    InvalidRequest for a file that is no text or too large.
    """
    name = media.filename or "file"
    if media.data is None:
        raise _bad_file(media, "A file must be sent as base64 data.")
    try:
        raw = base64.b64decode(media.data, validate=True)
    except (binascii.Error, ValueError):
        raise _bad_file(media, f"The data of the file '{name[:64]}' is not valid base64.") from None
    if len(raw) > MAX_FILE_BYTES:
        raise _bad_file(media, f"The file '{name[:64]}' is larger than {MAX_FILE_BYTES} bytes.")
    if raw.startswith(b"%PDF-"):
        raise _bad_file(
            media, f"MiMo does not read PDF files; send the text of '{name[:64]}', or its pages as images."
        )
    if _BINARY.search(raw, 0, 8192):
        raise _bad_file(media, f"Only text files can be read; '{name[:64]}' is not one.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    shown = " ".join(name.replace('"', "'").split())[:200]
    return f'<file name="{shown}">\n{text}\n</file>'


def _bad_file(media: Media, message: str) -> InvalidRequest:
    return InvalidRequest(message, param=media.at or "messages", code="unsupported_file")


# --- media --------------------------------------------------------------------------------------------------


def with_media_the_model_reads(
    conversation: Conversation, facts: ModelFacts, notes: list[str]
) -> Conversation:
    """Media that the model does not read: refused where the client has just sent it, described where it is
    history.

    MiMo answers 404 for it, for every later turn too, which agents read as "no such model". Raises
    InvalidRequest."""

    def described(media: Media) -> Text | Media:
        if media.kind in facts.media:
            return media
        return Text(text=f"[{media.kind} left out: this model does not read it]")

    now_from = len(conversation.turns) - len(turns_since_answer(conversation.turns))
    for media in (media for turn in conversation.turns[now_from:] for media in media_of(turn)):
        if media.kind not in facts.media:
            raise InvalidRequest(
                f"The model {facts.model_id} does not take {media.kind} input.",
                param=media.at or "messages",
                code="unsupported_media",
            )
    past = tuple(_with_media(turn, described) for turn in conversation.turns[:now_from])
    if past == conversation.turns[:now_from]:
        return conversation
    notes.append(
        Note(
            f"media of earlier turns was left out: {facts.model_id} does not read it", NoteKind.MEDIA_DROPPED
        )
    )
    return replace(conversation, turns=(*past, *conversation.turns[now_from:]))


def turns_since_answer(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """What the client has just sent: the turns behind the assistant's last one."""
    return turns[max((i + 1 for i, turn in enumerate(turns) if turn.role is Role.ASSISTANT), default=0) :]


def with_media_outside_results(conversation: Conversation) -> Conversation:
    """Media in tool results is moved to a user turn right after the results, each named by its call.

    MiMo refused a list with an image in a tool message until v2.6 and may still (mimo-api.md 3, open
    question 5)."""
    turns: list[Turn] = []
    moved: list[Part] = []
    for turn in conversation.turns:
        if moved and turn.role is not Role.TOOL:  # not earlier: results of one answer must not be parted
            turns.append(Turn(role=Role.USER, parts=tuple(moved)))
            moved = []
        if turn.role is Role.TOOL and media_of(turn):
            turn = replace(turn, parts=tuple(_without_media(part, moved) for part in turn.parts))
        turns.append(turn)
    if moved:
        turns.append(Turn(role=Role.USER, parts=tuple(moved)))
    return replace(conversation, turns=tuple(turns))


def _without_media(part: Part, moved: list[Part]) -> Part:
    media = [item for item in _items(part) if isinstance(item, Media)]
    if not isinstance(part, ToolResult) or not media:
        return part
    moved += [Text(text=f"Media from the result of tool call {part.call_id}:"), *media]
    texts = [item for item in part.parts if isinstance(item, Text)]
    mark = Text(text=f"[{len(media)} media item(s) follow in the next user message]")
    return replace(part, parts=(*texts, mark))


# --- text ---------------------------------------------------------------------------------------------------


def with_leading_system_merged(conversation: Conversation) -> Conversation:
    """One system turn at the head, with the texts of all that stood there; later ones keep their place."""
    turns = conversation.turns
    count = next((i for i, turn in enumerate(turns) if turn.role is not Role.SYSTEM), len(turns))
    if count < 2:
        return conversation
    text = "\n\n".join(filter(None, (turn.text for turn in turns[:count])))
    return replace(conversation, turns=(Turn(role=Role.SYSTEM, parts=(Text(text=text),)), *turns[count:]))


def without_empty_system(conversation: Conversation) -> Conversation:
    """No system turn that says nothing: a text of no length is none."""
    turns = tuple(turn for turn in conversation.turns if turn.role is not Role.SYSTEM or turn.text)
    return conversation if len(turns) == len(conversation.turns) else replace(conversation, turns=turns)


def with_text_set(turn: Turn) -> Turn:
    """No empty text part beside others, and some text beside media: MiMo answers `text` is not set
    otherwise."""
    parts = [_full(part) for part in turn.parts if not (isinstance(part, Text) and not part.text)]
    if turn.role is Role.USER and not any(isinstance(part, Text) for part in parts):
        parts.append(Text(text=" "))
    return turn if tuple(parts) == turn.parts else replace(turn, parts=tuple(parts))


def _full(part: Part) -> Part:
    if not isinstance(part, ToolResult):
        return part
    return replace(part, parts=tuple(item for item in part.parts if isinstance(item, Media) or item.text))


def with_errors_told(turn: Turn) -> Turn:
    """Chat has no field for a result that is an error, and a model should not take one for an answer: a text
    that does not begin by saying so gets "Error: " in front."""
    if turn.role is not Role.TOOL:
        return turn
    return replace(turn, parts=tuple(_error_told(part) for part in turn.parts))


def _error_told(part: Part) -> Part:
    if not isinstance(part, ToolResult) or not part.is_error:
        return part
    first, *rest = part.parts or (Text(text=""),)
    if not isinstance(first, Text):
        return replace(part, parts=(Text(text="Error:"), first, *rest))
    if first.text.lstrip(" [<(").lower().startswith("error"):
        return part
    return replace(part, parts=(Text(text=f"Error: {first.text}"), *rest))


def with_calls_as_functions(turn: Turn) -> Turn:
    """Past calls of freeform tools, as calls of the one-string functions they are offered as; calls without
    arguments get the empty object, since the wire has JSON there."""
    if not any(call.is_custom or not call.arguments.strip() for call in turn.tool_calls):
        return turn
    return replace(turn, parts=tuple(map(_as_function, turn.parts)))


def _as_function(part: Part) -> Part:
    if not isinstance(part, ToolCall):
        return part
    if not part.is_custom:
        return part if part.arguments.strip() else replace(part, arguments="{}")
    return replace(part, arguments=orjson.dumps({"input": part.arguments}).decode(), is_custom=False)


# --- parameters ---------------------------------------------------------------------------------------------


def in_range(sampling: Sampling, facts: ModelFacts, notes: list[str]) -> Sampling:
    """The numbers within what the model takes (mimo-api.md 1.4): OpenAI's ranges are wider."""
    changes: dict[str, float] = {}
    cap = sampling.max_output_tokens
    if cap is not None and not 1 <= cap <= facts.max_output_tokens:
        changes["max_output_tokens"] = min(max(cap, 1), facts.max_output_tokens)
        notes.append(Note(f"max_tokens {cap} became {changes['max_output_tokens']}", NoteKind.VALUE_CHANGED))
    for name, (low, high) in _RANGES.items():
        value = getattr(sampling, name)
        if value is not None and not low <= value <= high:
            changes[name] = min(max(value, low), high)
            notes.append(Note(f"{name} {value} became {changes[name]}", NoteKind.VALUE_CHANGED))
    return replace(sampling, **changes) if changes else sampling  # type: ignore[arg-type]


def left_out(extra: Mapping[str, object]) -> list[str]:
    """A note for each field that no MiMo wire knows. The names are the client's: they are cut."""
    notes: list[str] = [
        Note(f"{name[:64]} is not a parameter of MiMo and was left out", NoteKind.FIELD_DROPPED)
        for name in sorted(extra)
        if name not in (WEB_SEARCH, "thinking")
    ]
    if "thinking" in extra:  # a budget, say: what it says of on and off is kept elsewhere
        notes.append(Note("of thinking only on or off was kept", NoteKind.VALUE_CHANGED))
    return notes
