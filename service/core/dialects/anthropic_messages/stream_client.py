"""Streamed answers in the client role: the bytes of an Anthropic (or MiMo) SSE stream -> events.

States: no call's block, one that is open, or one that has closed with arguments that are no JSON object. A
call that closes whole gets its ToolCallEnd at once. Of the others nothing in the block tells whether they
were cut off or are just bad, so their End waits: another block means that the model was done with it, and at
the end of the message it was cut off when the reason is a length or a filter.

Usage of `message_start` and of each `message_delta` is laid over one another, as counts are cumulative; it
comes once, right before the Finish, at `message_stop`. A wire that closes after its `stop_reason` without
`message_stop` has finished, too. Frames of unknown types, `ping` and foreign blocks are skipped; what is no
JSON at all is skipped with a Notice, and a broken JSON object fails the stream, since text may be lost with
it.

Source: anthropic 2.11.0, types/raw_*_event.py and _streaming.py; MiMo's events from mimo-api.md, section
1.7. Read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.core.dialects.anthropic_messages.usage import decoded_finish, decoded_usage
from service.core.errors import (
    UpstreamAccountError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service.core.events import (
    Event,
    Failed,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from service.core.sse import SSEDecoder

Fields = dict[str, object]

_MAX_MESSAGE_CHARACTERS = 500
_CUT_REASONS = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)

_ERROR_BY_TYPE: Mapping[str, type[UpstreamError]] = {
    "invalid_request_error": UpstreamRefused,
    "not_found_error": UpstreamRefused,
    "request_too_large": UpstreamRefused,
    "authentication_error": UpstreamAccountError,
    "permission_error": UpstreamAccountError,
    "billing_error": UpstreamAccountError,
    "rate_limit_error": UpstreamRateLimited,
}


class StreamDecoder:
    """Bytes in, events out: a `pipeline.Decoder`. Any cut of the input gives the same events."""

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._is_done = False
        self._calls = 0
        self._arguments: list[str] | None = None  # of the call whose End has not been given out
        self._stop: tuple[object, object] | None = None
        self._usage: Fields = {}

    @property
    def is_done(self) -> bool:
        """True after `message_stop` or an `error`: nothing of the answer follows."""
        return self._is_done

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for frame in self._sse.feed(chunk):
            if self._is_done:
                break
            events += self._frame(frame.data)
        return events

    def finish(self) -> list[Event]:
        """The end of an answer whose `message_stop` never came; nothing when its `stop_reason` did not
        either."""
        events: list[Event] = []
        for frame in self._sse.finish():
            events += [] if self._is_done else self._frame(frame.data)
        return events if self._is_done or self._stop is None else events + self._ended()

    def _frame(self, data: bytes) -> list[Event]:
        try:
            frame = orjson.loads(data)
        except orjson.JSONDecodeError:
            if not data.lstrip().startswith(b"{"):
                return [Notice("garbage_skipped")]
            return self._failed(UpstreamProtocolError("The upstream sent a frame that is not valid JSON."))
        return self._read(frame) if isinstance(frame, dict) else [Notice("garbage_skipped")]

    def _read(self, frame: Fields) -> list[Event]:
        match frame.get("type"):
            case "content_block_delta":
                return self._delta(_fields(frame, "delta"))
            case "content_block_start":
                return self._call_ended() + self._started(_fields(frame, "content_block"))
            case "content_block_stop" if self._arguments and _is_object("".join(self._arguments)):
                return self._call_ended()
            case "message_start":
                self._usage |= _fields(_fields(frame, "message"), "usage")
            case "message_delta":
                delta = _fields(frame, "delta")
                self._stop = (delta.get("stop_reason"), delta.get("stop_sequence"))
                self._usage |= {
                    key: value for key, value in _fields(frame, "usage").items() if value is not None
                }
            case "message_stop":
                return self._ended()
            case _ if "error" in frame:
                return self._failed(_decoded_failure(_fields(frame, "error")))
            case _:
                pass
        return []

    def _started(self, block: Fields) -> list[Event]:
        """A block that starts; some wires put its first text or all of its input here."""
        match block.get("type"):
            case "text":
                return self._delta({"type": "text_delta", "text": block.get("text")})
            case "thinking":
                return self._delta({"type": "thinking_delta", "thinking": block.get("thinking")})
            case "tool_use":
                call = ToolCallStart(self._calls, _text(block, "id"), _text(block, "name"))
                self._calls += 1
                self._arguments = []
                given = block.get("input")
                rest = orjson.dumps(given).decode() if given else ""
                return [call, *self._delta({"type": "input_json_delta", "partial_json": rest})]
            case _:
                return []

    def _delta(self, delta: Fields) -> list[Event]:
        match delta.get("type"):
            case "text_delta" if text := _text(delta, "text"):
                return [TextDelta(text)]
            case "thinking_delta" if text := _text(delta, "thinking"):
                return [ReasoningDelta(text)]
            case "input_json_delta" if self._arguments is not None and (text := _text(delta, "partial_json")):
                self._arguments.append(text)
                return [ToolCallDelta(self._calls - 1, text)]
            case _:
                return []

    def _call_ended(self) -> list[Event]:
        """The End of the call that still waits for one; a call that had no arguments gets an empty object."""
        arguments, self._arguments = self._arguments, None
        index = self._calls - 1
        if arguments is None:
            return []
        return [ToolCallEnd(index)] if arguments else [ToolCallDelta(index, "{}"), ToolCallEnd(index)]

    def _ended(self) -> list[Event]:
        self._is_done = True
        finish = decoded_finish(*(self._stop or (None, None)))
        if finish.reason in _CUT_REASONS:
            self._arguments = None
        events = self._call_ended()
        if self._usage:
            events.append(UsageReport(decoded_usage(self._usage)))
        return [*events, finish]

    def _failed(self, error: UpstreamError) -> list[Event]:
        self._is_done = True
        return [Failed(error)]


def _decoded_failure(error: Fields) -> UpstreamError:
    """An in-band `error` object. MiMo puts the useful text in `param` and no type; both are read."""
    text = _text(error, "param") or _text(error, "message") or "The upstream reported an error."
    failure = _ERROR_BY_TYPE.get(_text(error, "type"), UpstreamUnavailable)
    return failure(text[:_MAX_MESSAGE_CHARACTERS], code=_text(error, "code") or None)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _fields(fields: Fields, key: str) -> Fields:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _text(fields: Fields, key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
