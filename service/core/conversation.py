"""What a client asked, free of any dialect. Every dialect decodes to these values, every upstream encodes
from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Who speaks in a turn. TOOL turns hold ToolResult parts only, whatever role the dialect gave them."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MediaKind(StrEnum):
    """What a media part shows."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Plain text, any length, any character but NUL is kept as sent."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """Thinking that an assistant turn carried. `signature` is what the dialect sent beside it, opaque to us.

    `is_redacted`: the client only holds an opaque blob (kept in `signature`); the text is empty then.
    """

    text: str
    signature: str | None = None
    is_redacted: bool = False
    item_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An image, a clip or a file: exactly one of `url` (http or https) and `data` (standard base64) is set.

    `mime_type` such as "image/png", None where the client gave none. `detail` is OpenAI's image hint.
    `options` keeps wire-specific extras (video: `fps`, `media_resolution`). `at` is the path of the field
    it stood in, for errors; it is no part of what the client said.
    """

    kind: MediaKind
    url: str | None = None
    data: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    detail: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that an assistant turn made. `arguments` is the JSON text as the client sent it, byte for byte;
    for a tool of kind CUSTOM it is the raw input text instead."""

    call_id: str
    name: str
    arguments: str
    is_custom: bool = False
    namespace: str | None = None
    item_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gave back for `call_id`. `parts` are Text and Media; `name` where the dialect tells it."""

    call_id: str
    parts: tuple[Text | Media, ...]
    is_error: bool | None = None
    name: str | None = None


Part = Text | Reasoning | Media | ToolCall | ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One speaker's parts in order. An assistant turn may hold Reasoning, Text and ToolCall parts,
    interleaved."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        """All Text parts joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def reasoning(self) -> str:
        """All Reasoning text joined without a separator; empty when there is none."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))


class ToolKind(StrEnum):
    """FUNCTION takes a JSON object by schema; CUSTOM takes one raw string (OpenAI's freeform tools)."""

    FUNCTION = "function"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool the client declared. `parameters` is its JSON Schema as sent ({} when it sent none)."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    strict: bool | None = None
    kind: ToolKind = ToolKind.FUNCTION
    namespace: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


class ToolChoiceMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """`name` is set for NAMED only. `allows_parallel` False: the answer holds one call at most."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    name: str | None = None
    allows_parallel: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """None means the client said nothing. `max_output_tokens` counts reasoning and answer together.

    `reports_stop`: the dialect tells which stop sequence ended the answer. MiMo does not say, so the
    gateway then finds it itself instead of sending `stop` on.
    """

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    reports_stop: bool = False


class Thinking(StrEnum):
    """What the client said about thinking; DEFAULT leaves it to the model."""

    DEFAULT = "default"
    ENABLED = "enabled"
    DISABLED = "disabled"


class ResponseFormatKind(StrEnum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """The form of the answer's text. `schema` and `name` are set for JSON_SCHEMA only. `at` and `schema_at`
    are the paths of the fields they stood in, for errors; they are no part of what the client said."""

    kind: ResponseFormatKind = ResponseFormatKind.TEXT
    name: str | None = None
    schema: Mapping[str, object] | None = None
    strict: bool | None = None
    at: str = field(default="response_format", compare=False)
    schema_at: str = field(default="response_format.json_schema.schema", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One request. `model` is the name as the client sent it until the gateway resolves it.

    `tools` is () when none were declared. `effort` is the client's word for how hard to think, for logs and
    upstreams that know one. `uses_sieve` False is the seed's `tool_sieve: false`. `guards_loops` and
    `max_reasoning_tokens` are set by the gateway for requests that the loop guard watches. `extra` keeps
    every field that
    the dialect does not use, under its own name.
    """

    model: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    thinking: Thinking = Thinking.DEFAULT
    effort: str | None = None
    response_format: ResponseFormat = ResponseFormat()
    streams: bool = False
    includes_usage: bool = False
    uses_sieve: bool = True
    guards_loops: bool = False
    max_reasoning_tokens: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
