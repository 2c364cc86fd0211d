"""Streamed answers: events -> `chat.completion.chunk` lines (server role), and back (client role).

Server role: role chunk; deltas; finish chunk; a usage chunk with empty `choices` when the client asked for
one (all other chunks then say `usage: null`); `[DONE]`. A failure is one `{"error": …}` line and the end:
the SDKs raise APIError on it, and no `[DONE]` may say that all went well (openai-python 3.52 _streaming.py,
read 2026-11-20).

Client role (mimo-api.md 1.5): role, content, reasoning and calls may be null in any delta; usage comes with
the finish, after it in a chunk with empty `choices`, or with every chunk. So the Finish is held until usage
has come or the stream ends. A `finish_reason` is what makes an answer whole, not `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson

from service.core.completion import AnswerHead
from service.core.dialects.openai_chat.answer import (
    custom_input,
    decode_citations,
    decode_finish,
    decode_text,
    decode_usage,
    encode_citation,
    encode_usage,
    finish_notices,
    finish_word,
    is_cut,
    text_of,
)
from service.core.dialects.openai_chat.calls import CallAssembler
from service.core.dialects.openai_chat.errors import decode_error_value, error_object
from service.core.dialects.openai_chat.response import CompletionDecoder
from service.core.errors import UpstreamProtocolError
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.sse import SSEDecoder, encode_comment

_PING = encode_comment("ping")
_DONE = b"data: [DONE]\n\n"
_RARE_KEYS = frozenset(("annotations", "function_call", "refusal"))


class StreamEncoder:
    """Events in, SSE bytes out; one answer each. `custom_tools` are the names of freeform tools: their calls
    are given out whole, as custom calls with the raw input."""

    def __init__(self, head: AnswerHead, *, includes_usage: bool, custom_tools: Collection[str] = ()) -> None:
        fields = {
            "id": head.answer_id,
            "object": "chat.completion.chunk",
            "created": head.created_at_s,
            "model": head.model,
        }
        self._head = b"data: " + orjson.dumps(fields)[:-1] + b',"choices":['
        self._delta = self._head + b'{"index":0,"delta":{'
        self._usage_null = b',"usage":null' if includes_usage else b""
        self._tail = b'},"logprobs":null,"finish_reason":null}]' + self._usage_null + b"}\n\n"
        self._text = self._delta + b'"content":'
        self._reasoning = self._delta + b'"reasoning_content":'
        self._includes_usage = includes_usage
        self._custom_tools = frozenset(custom_tools)
        self._has_begun = False
        self._has_calls = False
        self._citation_count = 0
        self._open: ToolCallStart | None = None
        self._has_cut_call = False
        self._custom_pieces: list[str] | None = None
        self._usage: Usage | None = None

    def feed(self, event: Event) -> bytes:
        """The bytes that tell the event; b"" for one that this dialect does not show."""
        if self._has_begun:
            if type(event) is TextDelta:
                return self._text + orjson.dumps(event.text) + self._tail
            if type(event) is ReasoningDelta:
                return self._reasoning + orjson.dumps(event.text) + self._tail
            return self._encode(event)
        if isinstance(event, Failed | Notice | UsageReport):
            return self._encode(event)
        self._has_begun = True
        return self._delta + b'"role":"assistant","content":""' + self._tail + self._encode(event)

    def ping(self) -> bytes:
        """A comment line, to show that the connection lives."""
        return _PING

    def _encode(self, event: Event) -> bytes:  # noqa: C901 - one arm an event
        match event:
            case TextDelta():
                return self._text + orjson.dumps(event.text) + self._tail
            case ReasoningDelta():
                return self._reasoning + orjson.dumps(event.text) + self._tail
            case ToolCallStart():
                return self._start(event)
            case ToolCallDelta():
                return self._fragment(event)
            case ToolCallEnd():
                return self._end()
            case ToolCallCut():
                self._has_cut_call, self._open, self._custom_pieces = True, None, None
            case Citation():
                return self._cite(event)
            case Finish():
                return self._finish(event)
            case Failed():
                return b"data: " + orjson.dumps(error_object(event.error)) + b"\n\n"
            case UsageReport():
                self._usage = event.usage
            case Notice():  # pragma: no branch - the last of them
                pass
        return b""

    def _chunk(self, delta: Mapping[str, object]) -> bytes:
        return self._delta + orjson.dumps(delta)[1:-1] + self._tail

    def _cite(self, event: Citation) -> bytes:
        # Without an index the SDK's accumulator refuses the second one (openai-python 3.52 _deltas.py).
        annotation = {"index": self._citation_count, **encode_citation(event)}
        self._citation_count += 1
        return self._chunk({"annotations": [annotation]})

    def _call(self, fields: Mapping[str, object]) -> bytes:
        return self._chunk({"tool_calls": [fields]})

    def _start(self, event: ToolCallStart) -> bytes:
        self._has_calls, self._open = True, event
        if event.name in self._custom_tools:
            self._custom_pieces = []
            return b""
        function = {"name": event.name, "arguments": ""}
        fields = {"index": event.index, "id": event.call_id, "type": "function", "function": function}
        return self._call(fields)

    def _fragment(self, event: ToolCallDelta) -> bytes:
        if self._custom_pieces is not None:
            self._custom_pieces.append(event.fragment)
            return b""
        return b'%b"tool_calls":[{"index":%d,"function":{"arguments":%b}}]%b' % (
            self._delta,
            event.index,
            orjson.dumps(event.fragment),
            self._tail,
        )

    def _end(self) -> bytes:
        start, self._open = self._open, None
        pieces, self._custom_pieces = self._custom_pieces, None
        if pieces is None or start is None:
            return b""
        custom = {"name": start.name, "input": custom_input("".join(pieces))}
        return self._call({"index": start.index, "id": start.call_id, "type": "custom", "custom": custom})

    def _finish(self, event: Finish) -> bytes:
        has_cut_call = self._has_cut_call or self._open is not None
        word = finish_word(event.reason, has_calls=self._has_calls, has_cut_call=has_cut_call)
        finish = b'%b},"logprobs":null,"finish_reason":"%b"}]%b}\n\n' % (
            self._delta,
            word.encode(),
            self._usage_null,
        )
        if not self._includes_usage or self._usage is None:
            return finish + _DONE
        usage = orjson.dumps(encode_usage(self._usage))
        return b'%b%b],"usage":%b}\n\n%b' % (finish, self._head, usage, _DONE)


class StreamDecoder:
    """Bytes of an OpenAI or MiMo stream in, events out: a `pipeline.Decoder`.

    Lines that are no JSON object are skipped with a Notice, unless there is nothing else. A body that
    begins like a JSON object is no stream: it is read as a whole answer (or error)."""

    def __init__(self, *, max_bytes: int = 32 << 20) -> None:
        """`max_bytes` bounds a body that turns out to be no stream."""
        self._sse = SSEDecoder()
        self._max_bytes = max_bytes
        self._has_data = False
        self._whole: CompletionDecoder | None = None
        self._calls = CallAssembler()
        self._answer_id = ""
        self._finish_word: str | None = None
        self._usage: Usage | None = None
        self._chunk_count = 0
        self._garbage_count = 0
        self._has_ended = False
        self._is_done = False

    @property
    def is_done(self) -> bool:
        """True after `[DONE]` or an error: nothing more need be read."""
        return self._is_done

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes; none after the end."""
        if not self._has_data:
            self._has_data = bool(chunk.strip())
            if chunk.lstrip().startswith(b"{"):
                self._whole = CompletionDecoder(max_bytes=self._max_bytes)
        if self._whole is not None:
            return self._whole.feed(chunk)
        events: list[Event] = []
        for sse in self._sse.feed(chunk):
            self._read(sse.data, events)
        return events

    def finish(self) -> list[Event]:
        """What is left at the end of the bytes. No Finish when the upstream never told a `finish_reason`;
        the usage it told is kept."""
        if self._whole is not None:
            return self._whole.finish()
        events: list[Event] = []
        for sse in self._sse.finish():
            self._read(sse.data, events)
        if self._has_ended:
            return events
        if self._finish_word is not None:
            self._end(events)
            return events
        self._has_ended = True
        self._give_held(events, is_whole=False)
        if self._garbage_count and not self._chunk_count:
            events.append(
                Failed(UpstreamProtocolError("The upstream's answer is not the stream we asked for."))
            )
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        if self._has_ended:
            self._is_done = self._is_done or data.strip() == b"[DONE]"
            return
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            value = None
        if type(value) is not dict:
            self._read_odd(data, events)
            return
        self._chunk_count += 1
        if value.get("error"):
            self._fail(value["error"], events)
            return
        choices = value.get("choices")
        if choices and type(choices) is list and type(choices[0]) is dict:
            self._read_choice(choices[0], value, events)
        usage = value.get("usage")
        if usage:
            self._usage = decode_usage(usage) or self._usage
            if self._finish_word is not None:
                self._end(events)

    def _read_odd(self, data: bytes, events: list[Event]) -> None:
        """`[DONE]`, or no chunk at all."""
        if data.strip() != b"[DONE]":
            self._garbage_count += 1
            events.append(Notice("garbage_skipped", "chunk"))
            return
        self._is_done = True
        if self._finish_word is not None:
            self._end(events)
        else:
            self._has_ended = True
            self._give_held(events, is_whole=False)

    def _read_choice(
        self, choice: Mapping[str, object], value: Mapping[str, object], events: list[Event]
    ) -> None:
        delta = choice.get("delta")
        if type(delta) is dict:
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if reasoning and (text := decode_text(reasoning)):
                self._give(ReasoningDelta(text), events)
            content = delta.get("content")
            if content:
                if type(content) is str and self._calls.is_idle:
                    events.append(TextDelta(content))  # the common chunk
                elif text := decode_text(content):
                    self._give(TextDelta(text), events)
            calls = delta.get("tool_calls")
            if calls:
                self._read_calls(calls, value, events)
            if not _RARE_KEYS.isdisjoint(delta):
                self._read_rare(delta, value, events)
        word = choice.get("finish_reason")
        if word and type(word) is str:
            self._finish_word = word

    def _read_calls(self, calls: object, value: Mapping[str, object], events: list[Event]) -> None:
        self._answer_id = text_of(value.get("id")) or self._answer_id
        for call in calls if type(calls) is list else ():
            self._calls.delta(call, events, answer_id=self._answer_id)

    def _read_rare(
        self, delta: Mapping[str, object], value: Mapping[str, object], events: list[Event]
    ) -> None:
        if refusal := decode_text(delta.get("refusal")):
            self._give(TextDelta(refusal), events)
        if delta.get("function_call"):
            self._read_calls([{"index": 0, "function": delta["function_call"]}], value, events)
        for citation in decode_citations(delta.get("annotations")):
            self._give(citation, events)

    def _give(self, event: Event, events: list[Event]) -> None:
        if self._calls.is_idle:
            events.append(event)
        else:
            self._calls.other(event, events)

    def _give_held(self, events: list[Event], *, is_whole: bool) -> None:
        self._calls.flush(events, answer_id=self._answer_id, is_whole=is_whole)
        events += finish_notices(self._finish_word)
        if self._usage is not None:
            events.append(UsageReport(self._usage))

    def _end(self, events: list[Event]) -> None:
        word = self._finish_word
        self._give_held(events, is_whole=not is_cut(word))
        events.append(decode_finish(word, has_calls=self._calls.count > 0))
        self._has_ended = True

    def _fail(self, error: object, events: list[Event]) -> None:
        self._give_held(events, is_whole=False)
        events.append(Failed(decode_error_value(error)))
        self._has_ended = self._is_done = True
