"""`POST /v1/audio/speech` with `stream_format: "sse"`: events of a speech -> OpenAI's events.

`speech.audio.delta` holds base64 in `audio`, `speech.audio.done` the `usage`; nothing follows it. A failure
is one `{"error": …}` line and the end: no `done` may say that all was said. Source: OpenAI API reference,
"Create speech" and its stream events, read 2026-11-20."""

from __future__ import annotations

import orjson

from service.core.dialects.openai_chat.errors import error_object
from service.core.events import Failed, Finish, Usage, UsageReport
from service.core.speech import Base64Pieces, Sound, SpeechEvent, SpeechRequest
from service.core.sse import encode_comment, encode_event
from service.core.tokens import chars_tokens

_PING = encode_comment("ping")


class SpeechEncoder:
    """Events in, SSE bytes out; one speech each."""

    def __init__(self, request: SpeechRequest) -> None:
        # The studio counts nothing: what was said is estimated then, what was heard is not known.
        self._usage = Usage(input_tokens=chars_tokens(len(request.text)))
        self._pieces = Base64Pieces()

    def feed(self, event: SpeechEvent) -> bytes:
        """The bytes that tell the event."""
        match event:
            case Sound():
                return b"".join(map(_delta, self._pieces.feed(event.data)))
            case UsageReport():
                self._usage = event.usage
            case Finish():
                last = self._pieces.finish()
                return (_delta(last) if last else b"") + self._done()
            case Failed():  # pragma: no branch - the last of them
                return encode_event(orjson.dumps(error_object(event.error)))
        return b""

    def ping(self) -> bytes:
        """A comment line, to show that the connection lives."""
        return _PING

    def _done(self) -> bytes:
        usage = {
            "input_tokens": self._usage.input_tokens,
            "output_tokens": self._usage.output_tokens,
            "total_tokens": self._usage.total_tokens,
        }
        return encode_event(orjson.dumps({"type": "speech.audio.done", "usage": usage}))


def _delta(data: str) -> bytes:
    return encode_event(orjson.dumps({"type": "speech.audio.delta", "audio": data}))
