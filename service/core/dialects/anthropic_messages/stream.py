"""Streamed answers in the server role: events -> the SSE bytes of `POST /v1/messages` with `stream`.

States: before `message_start` (which the first event brings), no block open, one block open (text, thinking
or tool_use), ended. A web search is shown whole, by two blocks, before whatever comes after its sources; the
first text after it cites them. An event of another kind than the open block closes it and opens the next;
`signature_delta` comes right before a thinking block's end. A call whose end never came is closed like any
block, and then the answer's `stop_reason` says `max_tokens`. The finish brings `message_delta` with the
whole usage, and `message_stop`; a failure brings `error` and nothing after it, as Anthropic's own streams
do, whatever is open.

Bytes of a delta are put together from a head made when its block opened and the text as JSON: this is the one
place that costs per token.

Source: anthropic 2.11.0, types/raw_*_event.py and lib/streaming; Anthropic, "Streaming Messages". Read
2026-11-20.
"""

from __future__ import annotations

import orjson

from service.core.completion import AnswerHead
from service.core.dialects.anthropic_messages.errors import encode_error
from service.core.dialects.anthropic_messages.search import search_call, search_result, text_citations
from service.core.dialects.anthropic_messages.signature import Signer
from service.core.dialects.anthropic_messages.usage import stop_fields, usage_fields
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_BLOCK_START = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
)
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_DELTA_HEAD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
_DELTA_TAIL = b"}}\n\n"


class StreamEncoder:
    """One answer's events in, SSE bytes out. Fed events keep the laws of service/core/events.py.

    `input_tokens_estimate` stands in `message_start`, where the real count is not known yet, and in the end
    when no usage came. `request_id` stands in an in-band error.
    """

    def __init__(
        self, head: AnswerHead, *, input_tokens_estimate: int = 0, request_id: str | None = None
    ) -> None:
        self._head = head
        self._usage = Usage(input_tokens=input_tokens_estimate, is_estimated=True)
        self._request_id = request_id
        self._has_started = False
        self._index = -1
        self._open: type[TextDelta | ReasoningDelta | ToolCallStart] | None = None
        self._delta_head = b""
        self._signer = Signer()
        self._has_call = False
        self._has_cut_call = False
        self._searches = 0
        self._found: list[Citation] = []  # by a search that is not shown yet
        self._uncited: list[Citation] = []

    def feed(self, event: Event) -> bytes:
        """The bytes that tell the event; b"" for one that this dialect does not show."""
        if isinstance(event, TextDelta):
            if self._open is TextDelta:
                return self._delta_head + orjson.dumps(event.text) + _DELTA_TAIL
            return self._opened(TextDelta, _EMPTY_TEXT) + self._delta(event.text)
        if isinstance(event, ReasoningDelta):
            opening = b"" if self._open is ReasoningDelta else self._opened(ReasoningDelta, _EMPTY_THINKING)
            self._signer.feed(event.text)
            return opening + self._delta(event.text)
        if isinstance(event, ToolCallDelta):
            return self._delta(event.fragment)
        return self._feed_rare(event)

    def ping(self) -> bytes:
        """A `ping` event: legal at any point, also before `message_start`."""
        return _PING

    def _feed_rare(self, event: Event) -> bytes:
        match event:
            case ToolCallStart():
                block = {"type": "tool_use", "id": event.call_id, "name": event.name, "input": {}}
                return self._opened(ToolCallStart, orjson.dumps(block))
            case ToolCallEnd():
                return self._closed(is_complete=True)
            case ToolCallCut():
                return self._closed()
            case Citation():
                self._found.append(event)
                return b"" if self._open is ToolCallStart else self._closed()
            case UsageReport():
                self._usage = event.usage
            case Finish():
                return self._started() + self._closed() + self._searched() + self._ended(event)
            case Failed():
                _, body = encode_error(event.error, request_id=self._request_id)
                return b"event: error\ndata: " + body + b"\n\n"
            case _:
                pass
        return b""

    def _delta(self, text: str) -> bytes:
        return self._delta_head + orjson.dumps(text) + _DELTA_TAIL

    def _started(self) -> bytes:
        """`message_start`, the first time; b"" after that."""
        if self._has_started:
            return b""
        self._has_started = True
        message: dict[str, object] = {
            "id": self._head.answer_id,
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(self._usage),
        }
        return _frame(b"message_start", {"type": "message_start", "message": message})

    def _opened(self, kind: type[TextDelta | ReasoningDelta | ToolCallStart], block: bytes) -> bytes:
        """What closes the open block and opens the next."""
        before = self._started() + self._closed() + self._searched()
        self._index += 1
        self._open = kind
        self._delta_head = _DELTA_HEAD % (self._index, *_DELTA_NAMES[kind])
        opening = before + _BLOCK_START % (self._index, block)
        return opening + self._cited() if kind is TextDelta and self._uncited else opening

    def _searched(self) -> bytes:
        """The blocks of the search that gave the sources since the last one; b"" when there was none."""
        if not self._found:
            return b""
        found, self._found = self._found, []
        self._uncited += found
        call = search_call(self._head.answer_id, self._searches)
        self._searches += 1
        asked, answered = self._index + 1, self._index + 2
        self._index = answered
        return b"".join(
            (
                _BLOCK_START % (asked, orjson.dumps({**call, "input": {}})),
                _DELTA_HEAD % (asked, b"input_json_delta", b"partial_json"),
                orjson.dumps(orjson.dumps(call["input"]).decode()),
                _DELTA_TAIL,
                _BLOCK_STOP % asked,
                _BLOCK_START % (answered, orjson.dumps(search_result(call, found))),
                _BLOCK_STOP % answered,
            )
        )

    def _cited(self) -> bytes:
        """The sources that no text has cited yet, as citations of the text block that has just opened."""
        head = _DELTA_HEAD % (self._index, b"citations_delta", b"citation")
        citations, self._uncited = text_citations(self._uncited), []
        return b"".join(head + orjson.dumps(citation) + _DELTA_TAIL for citation in citations)

    def _closed(self, *, is_complete: bool = False) -> bytes:
        """What closes the open block; b"" when none is. `is_complete`: the call in it may be executed."""
        kind, self._open = self._open, None
        if kind is None:
            return b""
        signed = b""
        if kind is ReasoningDelta:
            head = _DELTA_HEAD % (self._index, b"signature_delta", b"signature")
            signed = head + orjson.dumps(self._signer.signature()) + _DELTA_TAIL
            self._signer = Signer()
        elif kind is ToolCallStart:
            self._has_call |= is_complete
            self._has_cut_call |= not is_complete
        return signed + _BLOCK_STOP % self._index

    def _ended(self, finish: Finish) -> bytes:
        delta = stop_fields(finish, has_call=self._has_call, has_cut_call=self._has_cut_call)
        usage = usage_fields(self._usage, shown_searches=self._searches)
        event = {"type": "message_delta", "delta": delta, "usage": usage}
        return _frame(b"message_delta", event) + _MESSAGE_STOP


_EMPTY_TEXT = b'{"type":"text","text":""}'
_EMPTY_THINKING = b'{"type":"thinking","thinking":"","signature":""}'
_DELTA_NAMES = {
    TextDelta: (b"text_delta", b"text"),
    ReasoningDelta: (b"thinking_delta", b"thinking"),
    ToolCallStart: (b"input_json_delta", b"partial_json"),
}


def _frame(name: bytes, event: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(event))
