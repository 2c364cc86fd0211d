"""Speech as OpenAI's audio routes ask for it: values, the request bodies that make them, and sound in pieces.

MiMo has neither route; its speech is chat-shaped on the platform and a task in the studio (mimo-api.md 1.8,
5.6), which `core.upstreams.speech` encodes. Source of the bodies: openai-python 3.52 types/audio, read
2026-11-20.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.errors import InvalidRequest, ModelNotFound
from service.core.events import Failed, Finish, UsageReport
from service.core.json_body import (
    decode_object,
    missing,
    optional_number,
    optional_string,
    path_of,
    required_string,
    wrong_value,
)
from service.core.models import normalised
from service.core.notes import Note, NoteKind

TTS, VOICE_CLONE, VOICE_DESIGN = "mimo-v2.5-tts", "mimo-v2.5-tts-voiceclone", "mimo-v2.5-tts-voicedesign"
ASR = "mimo-v2.5-asr"
MAX_INPUT_CHARS = 16_384

VOICES = ("mimo_default", "冰糖", "茉莉", "苏打", "白桦", "Mia", "Chloe", "Milo", "Dean")
# OpenAI's voices by what they sound like: women's to Mia and Chloe, men's to Milo and Dean.
VOICE_BY_OPENAI_NAME: Mapping[str, str] = {
    **{"alloy": "mimo_default", "nova": "Mia", "shimmer": "Mia", "marin": "Mia", "coral": "Chloe"},
    **{"sage": "Chloe", "ash": "Milo", "fable": "Milo", "verse": "Milo", "ballad": "Dean"},
    **{"echo": "Dean", "onyx": "Dean", "cedar": "Dean"},
}
_STREAM_FORMATS = ("audio", "sse")
_SPEAKING = re.compile(r"tts-1(-hd)?(-\d+)?|gpt-4o-mini-tts(-[\d-]+)?|mimo-v2\.?5?-tts")
_HEARING = re.compile(r"whisper-1|gpt-4o(-mini)?-transcribe(-[\w-]+)?|mimo-v2\.5-asr")
_SAMPLE = re.compile(r"data:audio/(?:mpeg|mp3|wav);base64,[A-Za-z0-9+/]+={0,2}")


class AudioFormat(StrEnum):
    """What MiMo can say it in. PCM is 24 kHz, 16 bit, mono, as OpenAI's is."""

    WAV = "wav"
    MP3 = "mp3"
    PCM = "pcm"


_FORMATS = tuple(map(str, AudioFormat))
CONTENT_TYPE: Mapping[AudioFormat, str] = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.PCM: "audio/pcm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """What to say and how. `audio_format` None: the client did not say, so the wire chooses (mp3, else wav).
    `voice` is MiMo's name, a data URL of a sample for the cloning model, None for the designing one.

    `words_text`: the designing model is to find better words, or, where `text` is "", words of its own; the
    platform alone can. `sampling` holds the platform's parameters of that name. `streams_events`: the client
    wants events, not bare sound. `format_at` is the path of the field that named the format, for errors."""

    model: str
    text: str
    style: str = ""
    voice: str | None = None
    audio_format: AudioFormat | None = None
    words_text: bool = False
    sampling: Mapping[str, float] = field(default_factory=dict)
    streams_events: bool = False
    format_at: str = field(default="response_format", compare=False)
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Sound:
    """More of the sound: bytes of the format that was asked for. `transcript` is what was said, where only
    the model knew that."""

    data: bytes
    transcript: str = ""


# What a stream of speech consists of: sound, the usage where it is known, and one end.
SpeechEvent = Sound | UsageReport | Finish | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """A clip to write down: base64, mp3 or wav."""

    model: str
    data: str
    mime_type: str
    language: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    text: str
    seconds: float | None = None


def decode_speech(body: bytes) -> SpeechRequest:
    """The body of `POST /v1/audio/speech`. Raises InvalidRequest naming the field, ModelNotFound."""
    fields = decode_object(body)
    model = speaking_model(required_string(fields, "model"))
    text = spoken_text(required_string(fields, "input"), "input")
    style = optional_string(fields, "instructions") or ""
    stream_format = optional_string(fields, "stream_format") or "audio"
    if stream_format not in _STREAM_FORMATS:
        raise wrong_value(stream_format, "stream_format", _STREAM_FORMATS)
    speed = optional_number(fields, "speed", minimum=0.25, maximum=4.0)
    notes = (
        ()
        if speed in (None, 1)
        else (Note("speed is not a parameter of MiMo and was left out", NoteKind.FIELD_DROPPED),)
    )
    if model == VOICE_DESIGN and not style.strip():
        raise InvalidRequest(
            f"The model {model} needs the voice described in 'instructions'.",
            param="instructions",
            code="missing_required_parameter",
        )
    sent = optional_string(fields, "response_format")
    return SpeechRequest(
        model=model,
        text=text,
        style=style,
        voice=voice_of(fields, model),
        audio_format=None if sent is None else audio_format_of(sent, "response_format", _FORMATS),
        streams_events=stream_format == "sse",
        notes=notes,
    )


def spoken_text(text: str, param: str) -> str:
    """The text, which must have words and an end. Raises InvalidRequest."""
    if not text.strip():
        raise InvalidRequest(f"Invalid '{param}': it must not be empty.", param=param, code="empty_string")
    if len(text) > MAX_INPUT_CHARS:
        raise InvalidRequest(
            f"Invalid '{param}': it is longer than {MAX_INPUT_CHARS} characters.",
            param=param,
            code="string_above_max_length",
        )
    return text


def speaks(name: str) -> bool:
    """Whether a client's name means one of the speaking models."""
    if "tts" not in name.lower():
        return False  # nearly every chat: no need to look closer
    plain = normalised(name)
    return plain in (VOICE_CLONE, VOICE_DESIGN) or _SPEAKING.fullmatch(plain) is not None


def speaking_model(name: str) -> str:
    """The speaking model that a client's name means. Raises ModelNotFound."""
    if not speaks(name):
        raise ModelNotFound(name)
    plain = normalised(name)
    return plain if plain in (VOICE_CLONE, VOICE_DESIGN) else TTS


def hearing_model(name: str) -> str:
    """The transcribing model that a client's name means. Raises ModelNotFound."""
    if not _HEARING.fullmatch(normalised(name)):
        raise ModelNotFound(name)
    return ASR


def voice_of(fields: Mapping[str, object], model: str, at: str = "") -> str | None:
    """What `voice` of the object at `at` means to the model. Raises InvalidRequest."""
    sent, param = fields.get("voice"), path_of(at, "voice")
    if isinstance(sent, dict):
        name = optional_string(sent, "id", param)
    else:
        name = optional_string(fields, "voice", at)
    if model == VOICE_DESIGN:  # the description is the voice; clients that must send a name send any
        return None
    if model == VOICE_CLONE:
        if name is None:
            raise missing(param)
        if not _SAMPLE.fullmatch(name):
            raise InvalidRequest(
                f"Invalid '{param}': expected a data URL with an mp3 or wav sample, base64.",
                param=param,
                code="invalid_value",
            )
        return name.replace("data:audio/mp3;", "data:audio/mpeg;", 1)
    if name is None:
        return VOICES[0]
    voice = VOICE_BY_OPENAI_NAME.get(name.lower(), name)
    if voice not in VOICES:
        raise wrong_value(name, param, (*VOICES, *VOICE_BY_OPENAI_NAME))
    return voice


def audio_format_of(sent: str, param: str, known: Collection[str]) -> AudioFormat:
    """The format of that name; `pcm16` is what Chat calls PCM. Raises InvalidRequest for one not `known`."""
    if sent not in known:
        raise wrong_value(sent, param, known)
    return AudioFormat.PCM if sent == "pcm16" else AudioFormat(sent)


def clip_type(content: bytes, declared: str, filename: str) -> str:
    """`audio/mpeg` or `audio/wav`: what MiMo hears. Raises InvalidRequest naming the field."""
    if content[8:12] == b"WAVE":
        return "audio/wav"
    if content[:3] == b"ID3" or (len(content) > 1 and content[0] == 0xFF and content[1] >= 0xE0):
        return "audio/mpeg"
    words = (declared.lower(), filename.lower())
    if words[0] in ("audio/mpeg", "audio/mp3") or words[1].endswith(".mp3"):
        return "audio/mpeg"
    raise InvalidRequest("The file must be an mp3 or wav clip.", param="file", code="unsupported_file")


# --- streams ------------------------------------------------------------------------------------------------

# Whole samples and whole groups of base64: each piece can be read alone, and all of them joined.
_GROUP_BYTES = 6
_MAX_PIECE_BYTES = 32 << 10


class Base64Pieces:
    """Sound -> base64, in pieces that may be decoded one by one or joined first, whatever the cuts were."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, sound: bytes) -> Iterator[str]:
        """The pieces that `sound` completes, 32 KB each at most."""
        sound = self._held + sound
        end = len(sound) - len(sound) % _GROUP_BYTES
        self._held = sound[end:]
        step = _MAX_PIECE_BYTES - _MAX_PIECE_BYTES % _GROUP_BYTES
        for start in range(0, end, step):
            yield base64.b64encode(sound[start : min(start + step, end)]).decode()

    def finish(self) -> str:
        """The last bytes; "" when there are none."""
        held, self._held = self._held, b""
        return base64.b64encode(held).decode()
