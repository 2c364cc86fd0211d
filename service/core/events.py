"""What streams back: the one vocabulary between upstream codecs, sieve, completion and dialects.

A stream of events obeys these laws, which `tests/grammar/events.py` states as a checker:
- it ends with exactly one Finish or Failed, and nothing follows;
- a UsageReport, when there is one, stands right before the end; the last one counts;
- tool calls have contiguous indexes from 0, at most one is open at a time: Start, Delta*, and End or Cut
  before text, thinking or another call comes. One that is open at the end was cut by it. An answer with a
  cut call ends neither as STOP nor as TOOL_CALLS;
- a Citation stands inside no call;
- deltas are never empty.

Plain slotted dataclasses, not frozen ones: a frozen one costs three times as much to make, once per token.
Nobody changes an event after making it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import GatewayError


@dataclass(slots=True)
class TextDelta:
    """More of the visible answer."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """More of the thinking."""

    text: str


@dataclass(slots=True)
class ToolCallStart:
    """A call is known by name; its arguments follow as deltas of the same index."""

    index: int
    call_id: str
    name: str


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of the arguments' JSON text. The pieces of one call concatenate to one JSON object."""

    index: int
    fragment: str


@dataclass(slots=True)
class ToolCallEnd:
    """The call is complete: it may be executed."""

    index: int


@dataclass(slots=True)
class ToolCallCut:
    """The call broke off: it must not be executed, and nothing more of it comes."""

    index: int


@dataclass(slots=True)
class Citation:
    """A source that a web search of the upstream used. Empty strings where it told nothing. The sources of
    one search come one right after another. `published` is the page's date in the upstream's words."""

    url: str
    title: str = ""
    summary: str = ""
    published: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one answer took. `input_tokens` includes the cached ones and those of images, sound and video,
    `output_tokens` the reasoning. `audio_ms` is sound that was written down, `searches` are calls of the web
    search: both are billed apart from tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    video_tokens: int = 0
    audio_ms: int = 0
    searches: int = 0
    is_estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def media_tokens(self) -> int:
        """Those of the input that images, sound and video took."""
        return self.image_tokens + self.audio_tokens + self.video_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            image_tokens=self.image_tokens + other.image_tokens,
            audio_tokens=self.audio_tokens + other.audio_tokens,
            video_tokens=self.video_tokens + other.video_tokens,
            audio_ms=self.audio_ms + other.audio_ms,
            searches=self.searches + other.searches,
            is_estimated=self.is_estimated or other.is_estimated,
        )


@dataclass(slots=True)
class UsageReport:
    """The upstream's count (or our estimate, flagged)."""

    usage: Usage


@dataclass(slots=True)
class Notice:
    """A fact for the operator, never shown to the client: what the sieve found, what the upstream hinted.

    `name` is of a closed set (call_found, call_repaired, call_rejected, leak_removed, false_start,
    buffer_cap, duplicate_dropped, native_prefix_dropped, input_truncated, garbage_skipped,
    repetition_truncated, loop_ended); `detail` of one too (the markup's format, or what was skipped).
    """

    name: str
    detail: str = ""


class FinishReason(StrEnum):
    """Why the answer ended, in OpenAI's words; each dialect maps them."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(slots=True)
class Finish:
    """The answer is whole (or honestly cut: LENGTH). `stop_sequence` is the one that ended it, if known."""

    reason: FinishReason
    stop_sequence: str | None = None


@dataclass(slots=True)
class Failed:
    """The stream broke: dialects show it as their in-band error, never as a finish."""

    error: GatewayError


Event = (
    TextDelta
    | ReasoningDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | ToolCallCut
    | Citation
    | UsageReport
    | Notice
    | Finish
    | Failed
)
