"""Frames of the studio wire -> events (mimo-api.md 5.4).

States:
    no stream     the first byte opens JSON or HTML: kept, bounded, read as an error at the end
    in doubt      no text but tool notices yet
    running       text has come
    done          the finish frame, an error or a moderation stop: the socket may stay open long after it

The doubt: the second frame is often the bare name of a studio-internal tool (`getTimeInfo`), which no user
should see. A real answer may be just that word, so it is held until the next text frame (then it was a
notice) or the finish (then it was the answer). Once text has come, such a word is text.

An answer that goes on from a Thread may find that the studio lost what came before: it says so by a failure
of any form before it said anything, or it answers as if there were no history, which its count of prompt
tokens betrays: that cannot be below what the answer before took. Both end as UpstreamRefused with the code
CONVERSATION_LOST as long as no text has come; after that the count is told by a Notice alone."""

from __future__ import annotations

import orjson

from service.core.errors import GatewayError, UpstreamUnavailable
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    Usage,
    UsageReport,
)
from service.core.sse import SSEDecoder, SSEEvent
from service.core.think import ThinkSplitter
from service.core.upstreams.mimo_studio import decode_error
from service.core.upstreams.studio_thread import MAX_PROMPT_TOKENS, Thread, as_lost, lost

TOOL_NOTICES = frozenset(
    {
        *("webSearch", "getTime", "getTimeInfo", "sessionSearch", "imageSearch", "fileSearch", "getLocation"),
        *("webExtract", "getWeather", "calculator"),
    }
)
_END = "[DONE]"
_MAX_PLAIN_BYTES = 64 << 10


class StudioDecoder:
    """Bytes of one studio answer -> events. A `pipeline.Decoder`. `follows`: what the answer goes on from."""

    def __init__(self, follows: Thread | None = None) -> None:
        self._follows = follows
        self._dialog_id = ""
        self._is_sound = True  # what the studio now holds is what was sent and what is answered
        self._sse = SSEDecoder()
        self._think = ThinkSplitter()
        self._plain: list[bytes] | None = None
        self._plain_bytes = 0
        self._has_begun = False
        self._held_notice = ""
        self._has_text = False
        self._usage: Usage | None = None
        self._is_done = False
        self._has_ended_well = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def thread(self, conversation_id: str) -> Thread | None:
        """How the conversation stands now; None when it should not be gone on with: the answer did not end by
        itself, what was sent was cut, or it has grown too long."""
        tokens = self._usage.input_tokens if self._usage else 0
        if not (self._has_ended_well and self._is_sound and self._dialog_id) or tokens > MAX_PROMPT_TOKENS:
            return None
        return Thread(conversation_id=conversation_id, dialog_id=self._dialog_id, prompt_tokens=tokens)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises UpstreamProtocolError for an endless line."""
        if not self._has_begun:
            head = chunk.lstrip()
            if not head:
                return []
            self._has_begun = True
            if head[:1] in (b"{", b"<", b"["):
                self._plain = []
        if self._plain is not None:
            if self._plain_bytes < _MAX_PLAIN_BYTES:
                self._plain.append(chunk[: _MAX_PLAIN_BYTES - self._plain_bytes])
                self._plain_bytes += len(self._plain[-1])
            return []
        return self._frames(self._sse.feed(chunk))

    def finish(self) -> list[Event]:
        """What is left when the connection ends. No Finish comes unless the wire told of one."""
        if self._is_done:
            return []
        if self._plain is not None:
            self._is_done = True
            return [self._failed(decode_error(200, b"".join(self._plain)))]
        events = self._frames(self._sse.finish())
        return events if self._is_done else [*events, *self._think.finish(), *self._usage_events()]

    def _frames(self, frames: list[SSEEvent]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            if self._is_done:
                break
            events += self._frame(frame)
        return events

    def _frame(self, frame: SSEEvent) -> list[Event]:
        if frame.data.strip() == _END.encode():
            return self._finish()
        try:
            data = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return [Notice("garbage_skipped", "studio")]
        if frame.event == "web_search":
            return _citations(data)
        if not isinstance(data, dict):
            return []
        content = data.get("content")
        if not isinstance(content, str) or not _is_text(frame.event, data.get("type")):
            return self._other(frame.event, data)
        if content == _END and data.get("type") is None:
            return self._finish()
        return self._text(content) if content else []

    def _text(self, text: str) -> list[Event]:
        if not self._has_text:
            if text in TOOL_NOTICES:
                self._held_notice = text
                return []
            was_held, self._held_notice = self._held_notice, ""
            self._has_text = True
            if was_held:
                return [Notice("native_prefix_dropped", "studio"), *self._think.feed(text)]
        return self._think.feed(text)

    def _other(self, name: str, data: dict[str, object]) -> list[Event]:
        match name:
            case "usage":
                return self._counted(_usage(data))
            case "finish":
                return self._finish()
            case "error":
                text = str(data.get("content") or data.get("msg") or "no reason given")[:300]
                return self._end(
                    self._failed(UpstreamUnavailable(f"The studio broke off: {text}", status=200))
                )
            case "sensitive_query" | "sensitive_title":
                return self._end(Finish(FinishReason.CONTENT_FILTER))
            case "tip_truncate":
                self._is_sound = False
                return [Notice("input_truncated", "studio")]
            case "dialogId":
                self._dialog_id = str(data.get("content") or "")
            case "doc" | "tip_ratio":
                pass
            case _ if data.get("code") not in (None, 0, 200) or "loginUrl" in data:
                return self._end(self._failed(decode_error(200, orjson.dumps(data))))
            case _:
                pass
        return []

    def _counted(self, usage: Usage | None) -> list[Event]:
        """The studio's count so far. A prompt smaller than the answer before had lacks the history."""
        if usage is None:
            return []
        self._usage = usage
        follows = self._follows
        if follows is None or not self._is_sound or usage.input_tokens >= follows.prompt_tokens:
            return []
        self._is_sound = False
        return [Notice("history_lost", "studio")] if self._has_text else self._end(Failed(lost()))

    def _failed(self, error: GatewayError) -> Failed:
        return Failed(error if self._follows is None or self._has_text else as_lost(error))

    def _finish(self) -> list[Event]:
        self._has_ended_well = True
        answer = self._think.feed(self._held_notice) if self._held_notice else []
        return answer + self._end(Finish(FinishReason.STOP))

    def _end(self, last: Event) -> list[Event]:
        self._is_done = True
        return [*self._think.finish(), *self._usage_events(), last]

    def _usage_events(self) -> list[Event]:
        return [UsageReport(self._usage)] if self._usage else []


def _is_text(event: str, kind: object) -> bool:
    """Whether a frame's content belongs to the answer. Without a name the type must speak: an unnamed
    `dialogId` frame holds a number that is no answer."""
    return kind == "text" if event == "" else event == "message" and kind in ("text", None)


def _usage(data: dict[str, object]) -> Usage | None:
    """The usage frame's numbers, at the top or under `content` or `usage`; None when there are none."""
    source = next((inner for name in ("content", "usage") if isinstance(inner := data.get(name), dict)), data)
    if not isinstance(source.get("promptTokens"), int):
        return None
    native = source.get("nativeUsage")
    details = native if isinstance(native, dict) else {}
    sent = details.get("prompt_tokens_details")
    return Usage(
        input_tokens=_count(source, "promptTokens"),
        output_tokens=_count(source, "completionTokens"),
        cached_tokens=_count(sent, "cached_tokens"),
        reasoning_tokens=_count(details.get("completion_tokens_details"), "reasoning_tokens"),
        image_tokens=_count(sent, "image_tokens"),
        audio_tokens=_count(sent, "audio_tokens"),
        video_tokens=_count(sent, "video_tokens"),
    )


def _count(obj: object, name: str) -> int:
    value = obj.get(name) if isinstance(obj, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _citations(data: object) -> list[Event]:
    """Sources of a web search: an object or a list of them, with the page's address under `url` or as the
    `content`; entries without one say nothing to a client."""
    entries = data if isinstance(data, list) else [data]
    found: list[Event] = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        url = entry.get("url") or entry.get("content")
        if isinstance(url, str) and url.startswith(("https://", "http://")):
            title, summary = entry.get("title") or "", entry.get("summary") or entry.get("text") or ""
            found.append(Citation(url, str(title), str(summary)))
    return found
