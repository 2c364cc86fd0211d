"""Speech on MiMo's wires: chat-shaped on the platform (mimo-api.md 1.8), a task in the studio (5.6)."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

import orjson

from service.core.dialects.openai_chat.answer import decode_finish
from service.core.errors import InvalidRequest, UpstreamProtocolError, UpstreamUnavailable
from service.core.events import Finish, FinishReason, Usage
from service.core.speech import AudioFormat, SpeechRequest, Transcript, TranscriptionRequest
from service.core.sse import SSEDecoder
from service.core.upstreams.mimo_studio import decode_data

TTS_SAVE_PATH = "/open-apis/chat/conversation/save"
TTS_GENERATE_PATH = "/open-apis/tts/v2/generate"
_WAV_HEAD_BYTES = 12
MAX_WHOLE_BYTES = 96 << 20  # base64 of half an hour


def platform_format(request: SpeechRequest) -> AudioFormat:
    """What the platform is asked for: OpenAI's default is mp3."""
    return request.audio_format or AudioFormat.MP3


def encode_platform_speech(request: SpeechRequest) -> bytes:
    """A Chat body. PCM streams; the other formats have a head that tells their length, so they come whole."""
    audio_format = platform_format(request)
    audio: dict[str, object] = {"format": str(audio_format)}
    if request.voice is not None:
        audio["voice"] = request.voice
    if request.words_text:
        audio["optimize_text_preview"] = True
    body: dict[str, object] = {"model": request.model, "messages": _lines(request), "audio": audio}
    body.update(request.sampling)
    if audio_format is AudioFormat.PCM:
        body["stream"] = True
    return orjson.dumps(body)


def _lines(request: SpeechRequest) -> list[dict[str, str]]:
    style = [{"role": "user", "content": request.style}] if request.style else []
    text = [{"role": "assistant", "content": request.text}] if request.text else []
    return [*style, *text]


def encode_platform_transcription(request: TranscriptionRequest) -> bytes:
    clip = {"data": f"data:{request.mime_type};base64,{request.data}"}
    content = [{"type": "input_audio", "input_audio": clip}]
    body: dict[str, object] = {"model": request.model, "messages": [{"role": "user", "content": content}]}
    if request.language != "auto":
        body["asr_options"] = {"language": request.language}
    return orjson.dumps(body)


class SpeechDecoder:
    """Bytes of a platform answer -> pieces of audio. `streams`: events, else one JSON object at the end."""

    def __init__(self, *, streams: bool) -> None:
        self._sse = SSEDecoder() if streams else None
        self._pieces: list[bytes] = []
        self._whole_bytes = 0
        self.usage: Usage | None = None
        self.finish_told = Finish(FinishReason.STOP)
        self.worded = ""  # the words that the model found itself, where it was asked to
        self.is_done = False

    def feed(self, chunk: bytes) -> bytes:
        """The audio that `chunk` completes. Raises UpstreamProtocolError."""
        if self._sse is None:
            self._pieces.append(chunk)
            self._whole_bytes += len(chunk)
            if self._whole_bytes > MAX_WHOLE_BYTES:
                raise UpstreamProtocolError(f"The upstream's speech is longer than {MAX_WHOLE_BYTES} bytes.")
            return b""
        return b"".join(self._frame(frame.data) for frame in self._sse.feed(chunk))

    def finish(self) -> bytes:
        """The rest, at the connection's end. Raises UpstreamProtocolError for an answer that broke off."""
        if self._sse is None:
            self.is_done = True
            return self._audio(_object(b"".join(self._pieces)), "message")
        if not self.is_done:
            raise UpstreamProtocolError("The upstream closed the connection before the speech was complete.")
        return b""

    def _frame(self, data: bytes) -> bytes:
        if data.strip() == b"[DONE]":
            self.is_done = True
            return b""
        return self._audio(_object(data), "delta")

    def _audio(self, obj: dict[str, object], where: str) -> bytes:
        if "error" in obj:
            raise UpstreamUnavailable("The upstream broke off its speech.", status=200)
        self.usage = _usage(obj.get("usage")) or self.usage
        choice = _first(obj.get("choices"))
        if word := _inside(choice, "finish_reason"):
            self.finish_told = decode_finish(word, has_calls=False)
        if isinstance(worded := _inside(choice, where, "final_text_preview"), str):
            self.worded += worded
        audio = _inside(choice, where, "audio")
        data = audio.get("data") if isinstance(audio, dict) else None
        try:
            return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
        except (binascii.Error, ValueError):
            raise UpstreamProtocolError("The upstream's speech was not valid base64.") from None


def decode_transcript(body: bytes) -> Transcript:
    """The text of a platform answer. Raises UpstreamProtocolError."""
    obj = _object(body)
    text = _inside(_first(obj.get("choices")), "message", "content")
    if not isinstance(text, str):
        raise UpstreamProtocolError("The upstream's transcript could not be read.")
    usage = obj.get("usage")
    seconds = usage.get("seconds") if isinstance(usage, dict) else None
    return Transcript(text=text, seconds=float(seconds) if isinstance(seconds, int | float) else None)


def _object(data: bytes) -> dict[str, object]:
    try:
        obj = orjson.loads(data)
    except orjson.JSONDecodeError:
        obj = None
    if not isinstance(obj, dict):
        raise UpstreamProtocolError("The upstream's speech could not be read.")
    return obj


def _first(choices: object) -> object:
    return choices[0] if isinstance(choices, list) and choices else None


def _inside(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    counts = [value.get(name) for name in ("prompt_tokens", "completion_tokens")]
    sent, said = (count if isinstance(count, int) and count > 0 else 0 for count in counts)
    return Usage(input_tokens=sent, output_tokens=said)


# --- studio -------------------------------------------------------------------------------------------------


def studio_format(request: SpeechRequest) -> AudioFormat:
    """What a studio account can give: wav, or its samples. Raises InvalidRequest for mp3, and for words of
    the model's own."""
    if request.words_text:
        raise InvalidRequest(
            "No platform account is configured, and studio accounts speak the text as it is.",
            param="audio.optimize_text_preview",
            code="unsupported_value",
        )
    if request.audio_format is AudioFormat.MP3:
        raise InvalidRequest(
            "No platform account is configured, and studio accounts speak wav and pcm only.",
            param=request.format_at,
            code="unsupported_value",
        )
    return request.audio_format or AudioFormat.WAV


def encode_studio_save(request: SpeechRequest, conversation_id: str) -> bytes:
    title = " ".join(request.text.split())[:24]
    return orjson.dumps({"conversationId": conversation_id, "title": title, "type": "tts"})


def encode_studio_speech(
    request: SpeechRequest, *, conversation_id: str, message_id: str, voice: str | None
) -> bytes:
    """`voice` is a name, or where the uploaded sample lies."""
    audio: dict[str, object] = {"format": "wav"} if voice is None else {"format": "wav", "voice": voice}
    return orjson.dumps(
        {
            "conversationId": conversation_id,
            "msgId": message_id,
            "content": {"messages": _lines(request), "audio": audio},
            "modelConfig": {"modelCode": request.model, "scene": "BRIEF_DESCRIPTION"},
        }
    )


def decode_task(body: bytes) -> str:
    """The task's id. Raises the envelope's error, UpstreamProtocolError."""
    task_id = decode_data(body).get("taskId")
    if not isinstance(task_id, str | int) or task_id == "":
        raise UpstreamProtocolError("The studio's speech task could not be read.")
    return str(task_id)


def status_path(task_id: str) -> str:
    return f"/open-apis/tts/generateStatus?taskId={quote(task_id, safe='')}"


def decode_status(body: bytes) -> str | None:
    """Where the finished audio lies; None while the studio still works on it. Raises UpstreamUnavailable."""
    data = decode_data(body)
    url = data.get("audioUrl")
    if data.get("status") == "failed":
        raise UpstreamUnavailable("The studio could not speak the text.", status=200)
    return url if data.get("status") == "success" and isinstance(url, str) else None


def samples_of(wav: bytes) -> bytes:
    """The samples of a WAV file; all of it when it is none."""
    if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        return wav
    at = _WAV_HEAD_BYTES
    while at + 8 <= len(wav):
        size = int.from_bytes(wav[at + 4 : at + 8], "little")
        if wav[at : at + 4] == b"data":
            return wav[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""
