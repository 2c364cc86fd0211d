"""Content blocks of a request: one decoder a block type, and the other way round in `encoded_part`.

What a block becomes:
- `text`, `thinking`, `redacted_thinking`, `tool_use`, `tool_result`: the part of that name;
- `image`, `audio`, `video` (the last two are MiMo's own), `document` with a PDF or a URL: Media;
- `document` with text or content, `search_result`, `tool_reference`, `browser_state`, `compaction`: Text,
  marked with what it is, since no upstream has a word for them;
- results of the web search in an old answer: Text that names the pages;
- results of Anthropic's other server tools: Text with what can be read of them, noted;
- calls of server tools, listings and fall-back marks in an old answer: nothing, noted;
- `tool_addition` and `tool_removal`: no part, but a change of the tools (tools.py).

Any other type is refused by name: dropping what a user said would go unseen. `cache_control`, `citations` and
fields unknown to us are ignored: MiMo caches by itself.

Source: anthropic 2.11.0, types/content_block_param.py and types/beta/beta_content_block_param.py; MiMo's
blocks from its Messages reference (mimo-api.md, section 1.7). Read 2026-11-20."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import orjson

from service.core.conversation import Media, MediaKind, Part, Reasoning, Role, Text, ToolCall, ToolResult
from service.core.dialects.anthropic_messages.fields import (
    Fields,
    fields_at,
    joined,
    optional_fields,
    optional_flag,
    optional_text,
    refuse,
    required_name,
    required_text,
)
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.dialects.anthropic_messages.search import TOOL_NAME, readable_results
from service.core.dialects.anthropic_messages.tools import read_tool_change

Shown = Text | Media

_MEDIA_KIND_BY_TYPE = {
    "image": MediaKind.IMAGE,
    "audio": MediaKind.AUDIO,
    "video": MediaKind.VIDEO,
    "document": MediaKind.FILE,
}
_TYPE_BY_MEDIA_KIND = {kind: name for name, kind in _MEDIA_KIND_BY_TYPE.items()}

# Blocks of an old answer that tell the model nothing it can use.
_SILENT_TYPES = frozenset({"server_tool_use", "mcp_tool_use", "mcp_tool_listing", "fallback"})
_TOOL_CHANGES = frozenset({"tool_addition", "tool_removal"})
_ONLY_ASSISTANT = frozenset({"thinking", "redacted_thinking", "tool_use"})

# What can be read in the result of a server tool, in the order it is shown. Encrypted content cannot.
_READABLE_KEYS = (
    "title",
    "url",
    "error_code",
    "tool_name",
    "source",
    "text",
    "data",
    "stdout",
    "stderr",
    "lines",
    "content",
    "tabs",
    "tool_references",
)
_MAX_READABLE_DEPTH = 8


def decoded_parts(content: object, at: str, role: Role, reading: Reading) -> list[Part]:
    """A message's `content` (a string or a list of blocks) as parts, in order.

    Raises InvalidRequest naming the first field at fault."""
    if isinstance(content, str):
        return [Text(text=content)]
    parts: list[Part] = []
    for number, item in enumerate(_items(content, at)):
        where = f"{at}.{number}"
        block = fields_at(item, where)
        kind = block.get("type")
        if kind == "text":
            parts.append(Text(text=required_text(block, "text", where)))
        else:
            parts += _decoded_block(block, required_name(block, "type", where), where, role, reading)
    return parts


def _items(content: object, at: str) -> list[object]:
    if not isinstance(content, list):
        refuse(at, "Field required" if content is None else "Input should be a string or a list of blocks")
    return content


def _decoded_block(block: Fields, kind: str, at: str, role: Role, reading: Reading) -> Iterable[Part]:
    _check_role(kind, at, role)
    if (shown := _SHOWN.get(kind)) is not None:
        return shown(block, at)
    if kind == "tool_result":
        return [_tool_result(block, at)]
    if (said := _SAID.get(kind)) is not None:
        return [said(block, at)]
    if kind in _TOOL_CHANGES:
        read_tool_change(block, at, reading)
        return []
    if kind == "web_search_tool_result":
        return [Text(text=found)] if (found := readable_results(block, at)) else []
    if kind in _SILENT_TYPES:
        if block.get("name") != TOOL_NAME:  # of a search the result tells all there is
            reading.note("block-dropped", kind)
        return []
    if kind.endswith("_tool_result"):
        reading.note("block-as-text", kind)
        return _readable_block(block, at)
    refuse(joined(at, "type"), f"Input tag '{kind[:64]}' is not supported")


def _check_role(kind: str, at: str, role: Role) -> None:
    if kind in _ONLY_ASSISTANT and role is not Role.ASSISTANT:
        refuse(at, f"{kind} blocks can only be in assistant messages")
    if kind == "tool_result" and role is not Role.USER:
        refuse(at, "tool_result blocks can only be in user messages")


# --- what an assistant said and did -------------------------------------------------------------------------


def _thinking(block: Fields, at: str) -> Reasoning:
    return Reasoning(
        text=required_text(block, "thinking", at), signature=optional_text(block, "signature", at) or None
    )


def _redacted_thinking(block: Fields, at: str) -> Reasoning:
    return Reasoning(text="", signature=required_text(block, "data", at), is_redacted=True)


def _tool_use(block: Fields, at: str) -> ToolCall:
    return ToolCall(
        call_id=required_name(block, "id", at),
        name=required_name(block, "name", at),
        arguments=orjson.dumps(optional_fields(block, "input", at)).decode(),
    )


_SAID: Mapping[str, Callable[[Fields, str], Part]] = {
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
}


# --- what a user or a tool shows ----------------------------------------------------------------------------


def _tool_result(block: Fields, at: str) -> ToolResult:
    content = block.get("content")
    shown: list[Shown] = []
    if isinstance(content, str):
        shown.append(Text(text=content))
    elif content is not None:
        shown = _shown_parts(content, joined(at, "content"))
    return ToolResult(
        call_id=required_name(block, "tool_use_id", at),
        parts=tuple(shown),
        is_error=optional_flag(block, "is_error", at),
    )


def _shown_parts(content: object, at: str) -> list[Shown]:
    """A list of blocks none of which is said or done: what a tool result or a document may hold."""
    parts: list[Shown] = []
    for number, item in enumerate(_items(content, at)):
        where = f"{at}.{number}"
        block = fields_at(item, where)
        kind = required_name(block, "type", where)
        shown = _SHOWN.get(kind)
        if shown is None:
            refuse(joined(where, "type"), f"Input tag '{kind[:64]}' is not supported")
        parts += shown(block, where)
    return parts


def _text(block: Fields, at: str) -> list[Shown]:
    return [Text(text=required_text(block, "text", at))]


def _media(block: Fields, at: str) -> list[Shown]:
    """`image`, `audio` or `video`. MiMo's options for a clip (`fps`, `media_resolution`) stand in its
    source."""
    where = joined(at, "source")
    source = fields_at(block.get("source"), where)
    options = {key: value for key, value in source.items() if key in ("fps", "media_resolution")}
    return [_sourced(block, source, where, filename=None, options=options)]


def _sourced(
    block: Fields, source: Fields, at: str, *, filename: str | None, options: Mapping[str, object]
) -> Media:
    """The Media of a source `base64` or `url`. Raises InvalidRequest for another (a file id, say)."""
    kind = _MEDIA_KIND_BY_TYPE[str(block["type"])]
    how = required_name(source, "type", at)
    if how == "base64":
        data, mime_type = required_name(source, "data", at), required_name(source, "media_type", at)
        where = joined(at, "data")
        return Media(kind=kind, data=data, mime_type=mime_type, filename=filename, options=options, at=where)
    if how == "url":
        url, where = required_name(source, "url", at), joined(at, "url")
        return Media(kind=kind, url=url, filename=filename, options=options, at=where)
    refuse(joined(at, "type"), f"Source type '{how[:64]}' is not supported; send 'base64' or 'url'")


def _document(block: Fields, at: str) -> list[Shown]:
    """A PDF or URL as Media with the title as its file name; text and content as marked Text."""
    where = joined(at, "source")
    source = fields_at(block.get("source"), where)
    title, context = optional_text(block, "title", at), optional_text(block, "context", at)
    if source.get("type") not in ("text", "content"):
        options = {} if context is None else {"context": context}
        return [_sourced(block, source, where, filename=title, options=options)]
    if source["type"] == "text":
        inside: list[Shown] = [Text(text=required_text(source, "data", where))]
    elif isinstance(source.get("content"), str):
        inside = [Text(text=required_text(source, "content", where))]
    else:
        inside = _document_content(source.get("content"), joined(where, "content"))
    return _marked("document", {"title": title, "context": context}, inside)


def _document_content(content: object, at: str) -> list[Shown]:
    """Text and images only, as Anthropic allows: so documents cannot nest without end."""
    for number, item in enumerate(_items(content, at)):
        if fields_at(item, f"{at}.{number}").get("type") not in ("text", "image"):
            refuse(f"{at}.{number}.type", "Input should be 'text' or 'image'")
    return _shown_parts(content, at)


def _search_result(block: Fields, at: str) -> list[Shown]:
    facts = {"title": optional_text(block, "title", at), "source": optional_text(block, "source", at)}
    return _marked("search_result", facts, _document_content(block.get("content"), joined(at, "content")))


def _tool_reference(block: Fields, at: str) -> list[Shown]:
    return [Text(text=f"Tool {required_name(block, 'tool_name', at)} is available.\n")]


def _compaction(block: Fields, at: str) -> list[Shown]:
    """The summary of what came before; null marks a compaction that failed and says nothing."""
    summary = optional_text(block, "content", at)
    return [] if summary is None else _marked("summary", {}, [Text(text=summary)])


def _readable_block(block: Fields, _at: str) -> list[Shown]:
    """What can be read of a block that Anthropic's servers wrote; nothing when all of it is encrypted."""
    lines = _readable(block, 0)
    return _marked(str(block["type"]), {}, [Text(text="\n".join(lines))]) if lines else []


def _readable(value: object, depth: int) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if depth == _MAX_READABLE_DEPTH:
        return []
    inside: Iterable[object] = ()
    if isinstance(value, list):
        inside = value
    elif isinstance(value, dict) and value.get("type") != "base64":
        inside = (value[key] for key in _READABLE_KEYS if key in value)
    return [line for item in inside for line in _readable(item, depth + 1)]


def _marked(name: str, facts: Mapping[str, str | None], inside: list[Shown]) -> list[Shown]:
    """`inside` between `<name>` and `</name>`, the known facts first; neighbouring Text is joined."""
    told = "".join(f"<{key}>{value}</{key}>\n" for key, value in facts.items() if value is not None)
    parts: list[Shown] = [Text(text=f"<{name}>\n{told}")]
    for part in [*inside, Text(text=f"\n</{name}>\n")]:
        last = parts[-1]
        if isinstance(part, Text) and isinstance(last, Text):
            parts[-1] = Text(text=last.text + part.text)
        else:
            parts.append(part)
    return parts


_SHOWN: Mapping[str, Callable[[Fields, str], list[Shown]]] = {
    "text": _text,
    "image": _media,
    "audio": _media,
    "video": _media,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
    "browser_state": _readable_block,
    "compaction": _compaction,
}


# --- the client role ----------------------------------------------------------------------------------------


def encoded_part(part: Part) -> dict[str, object]:
    """One part as a block for the wire. Arguments that are no JSON object go out under `INVALID_JSON`."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Reasoning):
        return _encoded_reasoning(part)
    if isinstance(part, Media):
        return _encoded_media(part)
    if isinstance(part, ToolCall):
        call_input = input_of(part.arguments)
        return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": call_input}
    return _encoded_result(part)


def input_of(arguments: str) -> dict[str, object]:
    """The `input` object of a call with these arguments; {} for none at all.

    What is no JSON object goes under the key `INVALID_JSON`, as Anthropic advises for arguments that a
    model got wrong: the tool refuses it, and the model sees its own text again. Source: Anthropic,
    "Fine-grained tool streaming", read 2026-11-20."""
    if not arguments.strip():
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _encoded_reasoning(part: Reasoning) -> dict[str, object]:
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": part.signature or ""}
    block: dict[str, object] = {"type": "thinking", "thinking": part.text}
    if part.signature is not None:
        block["signature"] = part.signature
    return block


def _encoded_media(part: Media) -> dict[str, object]:
    kind, options = _TYPE_BY_MEDIA_KIND[part.kind], dict(part.options)
    context = options.pop("context", None)
    source: dict[str, object] = {"type": "url", "url": part.url}
    if part.url is None:
        source = {"type": "base64", "media_type": part.mime_type or _DEFAULT_MIME[kind], "data": part.data}
    block: dict[str, object] = {"type": kind, "source": {**source, **options}}
    if part.kind is MediaKind.FILE and part.filename is not None:
        block["title"] = part.filename
    if context is not None:
        block["context"] = context
    return block


_DEFAULT_MIME = {
    "image": "image/png",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}


def _encoded_result(part: ToolResult) -> dict[str, object]:
    block: dict[str, object] = {"type": "tool_result", "tool_use_id": part.call_id}
    if part.parts:
        block["content"] = [encoded_part(shown) for shown in part.parts]
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return block
