"""MiMo's message rules, applied to the values before any wire is encoded: each function is one row of
mimo-api.md 3.

Nothing is touched where no rule applies: the prompt cache is prefix-based, so a needless change costs money.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from service.core.errors import InvalidRequest
from service.core.models import ModelFacts

_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript", "application/x-")
_MAX_FILE_BYTES = 10 << 20


def file_as_text(media: Media, *, param: str = "messages") -> str:
    """A `file` part as prompt text between markers that name the file.

    `data` is base64 of a text file (UTF-8, an unmarked legacy encoding is read as Latin-1). Raises
    InvalidRequest
    for a file that is no text: the upstreams read text files only.
    """
    if media.data is None:
        raise InvalidRequest("A file must be sent as base64 in file_data.", param=param)
    try:
        raw = base64.b64decode(media.data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("file_data is not valid base64.", param=param) from None
    name = media.filename or "file"
    is_text_type = media.mime_type is None or media.mime_type.startswith(_TEXT_TYPES)
    if b"\0" in raw[:8192] or not is_text_type or raw.startswith(b"%PDF-"):
        raise InvalidRequest(f"Only text files can be read; '{name[:64]}' is not one.", param=param)
    if len(raw) > _MAX_FILE_BYTES:
        raise InvalidRequest(f"The file '{name[:64]}' is larger than {_MAX_FILE_BYTES} bytes.", param=param)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return f"<file name={_quoted(name)}>\n{text}\n</file>"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', "'").replace("\n", " ")[:200] + '"'


def with_files_as_text(conversation: Conversation) -> Conversation:
    """Every file part becomes a text part, in tool results too."""
    if not any(_has_file(part) for turn in conversation.turns for part in turn.parts):
        return conversation
    turns = tuple(
        replace(
            turn,
            parts=tuple(_file_free(part, f"messages[{i}].content[{j}]") for j, part in enumerate(turn.parts)),
        )
        for i, turn in enumerate(conversation.turns)
    )
    return replace(conversation, turns=turns)


def _has_file(part: Part) -> bool:
    if isinstance(part, ToolResult):
        return any(map(_has_file, part.parts))
    return isinstance(part, Media) and part.kind is MediaKind.FILE


def _file_free(part: Part, param: str) -> Part:
    if isinstance(part, ToolResult):
        return replace(part, parts=tuple(_result_part(item, param) for item in part.parts))
    if isinstance(part, Media) and part.kind is MediaKind.FILE:
        return Text(text=file_as_text(part, param=param))
    return part


def _result_part(part: Text | Media, param: str) -> Text | Media:
    if isinstance(part, Media) and part.kind is MediaKind.FILE:
        return Text(text=file_as_text(part, param=param))
    return part


def refuse_unknown_media(conversation: Conversation, facts: ModelFacts) -> None:
    """Raises InvalidRequest for media that the model cannot take.

    MiMo answers such a request with 404, which clients read as "no such model" (mimo-api.md 3).
    """
    for i, turn in enumerate(conversation.turns):
        for part in turn.parts:
            items = part.parts if isinstance(part, ToolResult) else (part,)
            for item in items:
                if (
                    isinstance(item, Media)
                    and item.kind is not MediaKind.FILE
                    and item.kind not in facts.media
                ):
                    raise InvalidRequest(
                        f"The model {facts.model_id} does not take {item.kind} input.",
                        param=f"messages[{i}].content",
                        code="unsupported_media",
                    )


def with_media_outside_results(conversation: Conversation) -> Conversation:
    """Media in tool results is moved to a user turn right after the results, each named by its call.

    MiMo refused a list with an image in a tool message until v2.6 and may still (mimo-api.md 3, open
    question 5).
    """
    turns: list[Turn] = []
    moved: list[Part] = []
    for turn in conversation.turns:
        if moved and turn.role is not Role.TOOL:
            turns.append(Turn(role=Role.USER, parts=tuple(moved)))
            moved = []
        if turn.role is Role.TOOL and any(_holds_media(part) for part in turn.parts):
            turn = replace(turn, parts=tuple(_without_media(part, moved) for part in turn.parts))
        turns.append(turn)
    if moved:
        turns.append(Turn(role=Role.USER, parts=tuple(moved)))
    return (
        replace(conversation, turns=tuple(turns)) if len(turns) != len(conversation.turns) else conversation
    )


def _holds_media(part: Part) -> bool:
    return isinstance(part, ToolResult) and any(isinstance(item, Media) for item in part.parts)


def _without_media(part: Part, moved: list[Part]) -> Part:
    if not isinstance(part, ToolResult) or not _holds_media(part):
        return part
    media = [item for item in part.parts if isinstance(item, Media)]
    moved.append(Text(text=f"Media from the result of tool call {part.call_id}:"))
    moved.extend(media)
    texts = [item for item in part.parts if isinstance(item, Text)]
    return replace(
        part, parts=(*texts, Text(text=f"[{len(media)} media item(s) follow in the next user message]"))
    )


def with_text_beside_media(turn: Turn) -> Turn:
    """A user turn of media alone gets a text part: MiMo answers `text is not set` otherwise."""
    if turn.role is not Role.USER or any(isinstance(part, Text) and part.text for part in turn.parts):
        return turn
    media = tuple(part for part in turn.parts if isinstance(part, Media))
    return replace(turn, parts=(*media, Text(text=" ")))


def split_after_calls(turn: Turn) -> tuple[Turn, ...]:
    """An assistant turn that speaks on after its calls: Chat has no place for that text behind the calls.

    The text is put before the calls; the order of texts among themselves stays. One turn comes back.
    """
    seen_call = False
    for part in turn.parts:
        seen_call = seen_call or isinstance(part, ToolCall)
        if seen_call and not isinstance(part, ToolCall):
            break
    else:
        return (turn,)
    calls = tuple(part for part in turn.parts if isinstance(part, ToolCall))
    others = tuple(part for part in turn.parts if not isinstance(part, ToolCall))
    return (replace(turn, parts=(*others, *calls)),)
