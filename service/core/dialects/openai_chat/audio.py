"""Chat Completions whose answer is sound: MiMo's speaking models, asked with `modalities` and `audio`.

MiMo's speech is chat-shaped (mimo-api.md 1.8): the last message is the assistant's and holds the text to
speak; what the system and the user say before it is how to speak. Its chat models answer in text alone, so
that `audio` is refused for them. What the wire has no place for is refused by the field's name.

Answers are OpenAI's: `message.audio`, or `delta.audio` in a stream. The first delta of a stream tells `id`,
`transcript` and `expires_at` once, all of them hold `data`: accumulators join strings and add up numbers
(openai-python 3.52 lib/streaming/_deltas.py). The transcript is the text that was asked for; sound is not
kept, so it expires as it comes. Source: openai-python 3.52 types/chat, read 2026-11-20."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from service.core.completion import AnswerHead
from service.core.conversation import Media, Reasoning, Role, Text, Turn
from service.core.dialects.openai_chat.answer import encode_usage
from service.core.dialects.openai_chat.errors import error_object
from service.core.dialects.openai_chat.messages import decode_messages
from service.core.errors import InvalidRequest
from service.core.events import Failed, Finish, FinishReason, Usage, UsageReport
from service.core.json_body import (
    optional_array,
    optional_boolean,
    optional_integer,
    optional_number,
    optional_object,
    optional_string,
    required_array,
    required_string,
    wrong_value,
)
from service.core.speech import (
    TTS,
    VOICE_CLONE,
    VOICE_DESIGN,
    AudioFormat,
    Base64Pieces,
    Sound,
    SpeechEvent,
    SpeechRequest,
    audio_format_of,
    speaking_model,
    speaks,
    spoken_text,
    voice_of,
)
from service.core.sse import encode_comment

MAX_OUTPUT_TOKENS = 8192
_MODALITIES = ("text", "audio")
_FORMATS = ("wav", "mp3", "pcm16", "pcm")
_MODELS = f"{TTS}, {VOICE_DESIGN} and {VOICE_CLONE}"
# What the speaking models do not have, and the values that ask for nothing.
_REFUSED: Mapping[str, tuple[object, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "stop": ([], ""),
    "n": (1,),
    "response_format": ({"type": "text"},),
    "thinking": ({"type": "disabled"}, {"type": "auto"}),
    "logprobs": (False,),
}
_READ = frozenset(
    (
        *_REFUSED,
        *("model", "messages", "modalities", "audio", "stream", "stream_options", "temperature", "top_p"),
        *("max_tokens", "max_completion_tokens"),
    )
)
_PING = encode_comment("ping")
_DONE = b"data: [DONE]\n\n"


# --- requests -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSpeech:
    """A chat request for speech, and how its answer is to come."""

    request: SpeechRequest
    streams: bool = False
    includes_usage: bool = False


def is_spoken(body: Mapping[str, object]) -> bool:
    """Whether the body of a chat request is for a speaking model, and `decode_chat_speech` for it."""
    model = body.get("model")
    return type(model) is str and speaks(model)


def refuse_sound(body: Mapping[str, object]) -> None:
    """For where a chat is answered in text: raises InvalidRequest when sound is asked for, or a model that
    speaks."""
    if is_spoken(body):
        raise InvalidRequest(
            f"The model {str(body['model'])[:64]} speaks, and no sound is given out here: send the request "
            "to /v1/chat/completions by itself.",
            param="model",
            code="unsupported_value",
        )
    if body.get("modalities") is None and body.get("audio") is None:
        return
    modalities = optional_array(body, "modalities") or ()
    for param, asks in (("modalities", "audio" in modalities), ("audio", body.get("audio") is not None)):
        if asks:
            raise InvalidRequest(
                f"The model {str(body.get('model'))[:64]} answers in text only. The models that speak "
                f"are {_MODELS}: the text to speak is the content of a last message of the assistant.",
                param=param,
                code="unsupported_value",
            )


def decode_chat_speech(body: Mapping[str, object]) -> ChatSpeech:
    """Raises InvalidRequest naming the first field at fault."""
    model = speaking_model(required_string(body, "model"))
    _check_modalities(body)
    for name, neutral in _REFUSED.items():
        if body.get(name) is not None and body[name] not in neutral:
            raise _unsupported(name)
    streams = optional_boolean(body, "stream") or False
    options = optional_object(body, "stream_options") or {}
    audio = optional_object(body, "audio") or {}
    words_text = optional_boolean(audio, "optimize_text_preview", "audio") or False
    if words_text and model != VOICE_DESIGN:
        raise _unsupported("audio.optimize_text_preview")
    text, style = _lines(decode_messages(required_array(body, "messages")), may_lack_text=words_text)
    if model == VOICE_DESIGN and not style:
        raise InvalidRequest(
            f"The model {model} needs the voice described in a message of the user.",
            param="messages",
            code="missing_required_parameter",
        )
    extra = sorted(name for name, value in body.items() if name not in _READ and value is not None)
    request = SpeechRequest(
        model=model,
        text=text,
        style=style,
        voice=voice_of(audio, model, "audio"),
        audio_format=_audio_format(audio, streams=streams),
        format_at="audio.format",
        words_text=words_text,
        sampling=_sampling(body),
        notes=tuple(f"{name[:64]} is not a parameter of MiMo's speech and was left out" for name in extra),
    )
    includes_usage = optional_boolean(options, "include_usage", "stream_options") or False
    return ChatSpeech(request=request, streams=streams, includes_usage=includes_usage)


def _check_modalities(body: Mapping[str, object]) -> None:
    modalities = optional_array(body, "modalities")
    if modalities is None:
        return
    for index, modality in enumerate(modalities):
        if modality not in _MODALITIES:
            raise wrong_value(modality, f"modalities[{index}]", _MODALITIES)
    if "audio" not in modalities:
        raise InvalidRequest(
            "Invalid 'modalities': a speaking model answers in audio.",
            param="modalities",
            code="unsupported_value",
        )


def _unsupported(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Unsupported parameter: '{param}' is not supported with a model that speaks.",
        param=param,
        code="unsupported_parameter",
    )


def _lines(turns: tuple[Turn, ...], *, may_lack_text: bool) -> tuple[str, str]:
    """What to speak, and how."""
    style: list[str] = []
    for index, turn in enumerate(turns):
        at, is_last = f"messages[{index}]", index == len(turns) - 1
        for part in turn.parts:
            if not isinstance(part, Text | Reasoning):
                raise _unspoken((part.at if isinstance(part, Media) else "") or at)
        if turn.role is Role.ASSISTANT:
            if not is_last:
                raise _unspoken(at)
            return spoken_text(turn.text, f"{at}.content"), "\n\n".join(style)
        style += filter(None, (turn.text.strip(),))
    if not may_lack_text:
        raise InvalidRequest(
            "The text to speak is missing: it is the content of a last message of the assistant. "
            "Messages of the user say how to speak it.",
            param="messages",
            code="missing_required_parameter",
        )
    return "", "\n\n".join(style)


def _unspoken(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': a speaking model takes text of the system and the user, which says how to "
        "speak, and then one message of the assistant, which is spoken.",
        param=param,
        code="unsupported_value",
    )


def _audio_format(audio: Mapping[str, object], *, streams: bool) -> AudioFormat:
    """MiMo's own defaults: wav, and where it streams the one format that needs no head."""
    sent = optional_string(audio, "format", "audio")
    if sent is None:
        return AudioFormat.PCM if streams else AudioFormat.WAV
    return audio_format_of(sent, "audio.format", _FORMATS)


def _sampling(body: Mapping[str, object]) -> dict[str, float]:
    older = optional_integer(body, "max_tokens", minimum=1)
    newer = optional_integer(body, "max_completion_tokens", minimum=1)
    cap = older if newer is None else newer
    temperature = optional_number(body, "temperature", minimum=0, maximum=2)
    top_p = optional_number(body, "top_p", minimum=0, maximum=1)
    said = {
        "max_completion_tokens": None if cap is None else min(cap, MAX_OUTPUT_TOKENS),
        "temperature": None if temperature is None else min(temperature, 1.5),
        "top_p": None if top_p is None else max(top_p, 0.01),
    }
    return {name: value for name, value in said.items() if value is not None}


# --- answers ------------------------------------------------------------------------------------------------


def encode_speech(
    sound: bytes, head: AnswerHead, *, audio_id: str, transcript: str, finish: Finish, usage: Usage | None
) -> bytes:
    """The `chat.completion` object with `message.audio`."""
    audio = {
        "id": audio_id,
        "data": base64.b64encode(sound).decode(),
        "expires_at": head.created_at_s,
        "transcript": transcript,
    }
    message: dict[str, object] = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": audio,
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": str(finish.reason)}
    body: dict[str, object] = {
        "id": head.answer_id,
        "object": "chat.completion",
        "created": head.created_at_s,
        "model": head.model,
        "choices": [choice],
    }
    if usage is not None:
        body["usage"] = encode_usage(usage)
    return orjson.dumps(body)


class SpeechChunkEncoder:
    """Events of a speech -> `chat.completion.chunk` lines. `transcript` is "" where only the model knows
    what it will say: it is told at the end then. A failure is one `{"error": …}` line and the end, as in any
    chat."""

    def __init__(self, head: AnswerHead, *, audio_id: str, transcript: str, includes_usage: bool) -> None:
        self._head = head
        self._first: dict[str, object] = {
            "id": audio_id,
            "transcript": transcript,
            "expires_at": head.created_at_s,
        }
        self._includes_usage = includes_usage
        self._pieces = Base64Pieces()
        self._has_begun = False
        self._usage: Usage | None = None

    def feed(self, event: SpeechEvent) -> bytes:
        """The bytes that tell the event."""
        match event:
            case Sound():
                said = self._said(event.transcript) if event.transcript else b""
                return b"".join(map(self._sound, self._pieces.feed(event.data))) + said
            case UsageReport():
                self._usage = event.usage
            case Finish():
                return self._finish(event.reason)
            case Failed():  # pragma: no branch - the last of them
                return b"data: " + orjson.dumps(error_object(event.error)) + b"\n\n"
        return b""

    def ping(self) -> bytes:
        """A comment line, to show that the connection lives."""
        return _PING

    def _sound(self, data: str) -> bytes:
        if self._has_begun:
            return self._chunk({"audio": {"data": data}})
        self._has_begun = True
        begun = self._chunk({"role": "assistant", "content": None, "refusal": None})
        return begun + self._chunk({"audio": {**self._first, "data": data}})

    def _said(self, transcript: str) -> bytes:
        return self._chunk({"audio": {"data": "", "transcript": transcript}})

    def _finish(self, reason: FinishReason) -> bytes:
        last = self._pieces.finish()
        end = (self._sound(last) if last else b"") + self._chunk({}, reason)
        if self._includes_usage and self._usage is not None:
            end += self._line({"choices": [], "usage": encode_usage(self._usage)})
        return end + _DONE

    def _chunk(self, delta: dict[str, object], reason: FinishReason | None = None) -> bytes:
        word = None if reason is None else str(reason)
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": word}
        return self._line({"choices": [choice], **({"usage": None} if self._includes_usage else {})})

    def _line(self, fields: dict[str, object]) -> bytes:
        chunk = {
            "id": self._head.answer_id,
            "object": "chat.completion.chunk",
            "created": self._head.created_at_s,
            "model": self._head.model,
            **fields,
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"
