"""Speech as OpenAI's audio routes ask for it: values, and the request bodies that make them.

MiMo has neither route; its speech is chat-shaped on the platform and a task in the studio (mimo-api.md 1.8,
5.6), which `core.upstreams.speech` encodes. Source of the bodies: openai-python 3.52 types/audio, read
2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import InvalidRequest, ModelNotFound
from service.core.json_body import (
    decode_object,
    missing,
    optional_number,
    optional_string,
    required_string,
    wrong_value,
)
from service.core.models import normalised

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
_SPEAKING = re.compile(r"tts-1(-hd)?(-\d+)?|gpt-4o-mini-tts(-[\d-]+)?|mimo-v2\.?5?-tts")
_HEARING = re.compile(r"whisper-1|gpt-4o(-mini)?-transcribe(-[\w-]+)?|mimo-v2\.5-asr")
_SAMPLE = re.compile(r"data:audio/(?:mpeg|mp3|wav);base64,[A-Za-z0-9+/]+={0,2}")


class AudioFormat(StrEnum):
    """What MiMo can say it in. PCM is 24 kHz, 16 bit, mono, as OpenAI's is."""

    WAV = "wav"
    MP3 = "mp3"
    PCM = "pcm"


CONTENT_TYPE: Mapping[AudioFormat, str] = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.PCM: "audio/pcm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """What to say and how. `audio_format` None: the client did not say, so the wire chooses (mp3, else wav).
    `voice` is MiMo's name, a data URL of a sample for the cloning model, None for the designing one."""

    model: str
    text: str
    style: str = ""
    voice: str | None = None
    audio_format: AudioFormat | None = None
    notes: tuple[str, ...] = ()


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
    model = _speaking_model(required_string(fields, "model"))
    text = required_string(fields, "input")
    if not text.strip():
        raise InvalidRequest("Invalid 'input': it must not be empty.", param="input", code="empty_string")
    if len(text) > MAX_INPUT_CHARS:
        raise InvalidRequest(
            f"Invalid 'input': it is longer than {MAX_INPUT_CHARS} characters.",
            param="input",
            code="string_above_max_length",
        )
    style = optional_string(fields, "instructions") or ""
    if optional_string(fields, "stream_format") not in (None, "audio"):
        raise wrong_value(fields["stream_format"], "stream_format", ("audio",))
    speed = optional_number(fields, "speed", minimum=0.25, maximum=4.0)
    notes = () if speed in (None, 1) else ("speed is not a parameter of MiMo and was left out",)
    if model == VOICE_DESIGN and not style.strip():
        raise InvalidRequest(
            f"The model {model} needs the voice described in 'instructions'.",
            param="instructions",
            code="missing_required_parameter",
        )
    return SpeechRequest(
        model=model,
        text=text,
        style=style,
        voice=_voice(fields, model),
        audio_format=_audio_format(fields),
        notes=notes,
    )


def _speaking_model(name: str) -> str:
    plain = normalised(name)
    if plain in (VOICE_CLONE, VOICE_DESIGN):
        return plain
    if not _SPEAKING.fullmatch(plain):
        raise ModelNotFound(name)
    return TTS


def hearing_model(name: str) -> str:
    """The transcribing model that a client's name means. Raises ModelNotFound."""
    if not _HEARING.fullmatch(normalised(name)):
        raise ModelNotFound(name)
    return ASR


def _voice(fields: Mapping[str, object], model: str) -> str | None:
    sent = fields.get("voice")
    if isinstance(sent, dict):
        name = optional_string(sent, "id", "voice")
    else:
        name = optional_string(fields, "voice")
    if model == VOICE_DESIGN:  # the description is the voice; clients that must send a name send any
        return None
    if model == VOICE_CLONE:
        if name is None:
            raise missing("voice")
        if not _SAMPLE.fullmatch(name):
            raise InvalidRequest(
                "Invalid 'voice': expected a data URL with an mp3 or wav sample, base64.",
                param="voice",
                code="invalid_value",
            )
        return name.replace("data:audio/mp3;", "data:audio/mpeg;", 1)
    if name is None:
        return VOICES[0]
    voice = VOICE_BY_OPENAI_NAME.get(name.lower(), name)
    if voice not in VOICES:
        raise wrong_value(name, "voice", (*VOICES, *VOICE_BY_OPENAI_NAME))
    return voice


def _audio_format(fields: Mapping[str, object]) -> AudioFormat | None:
    sent = optional_string(fields, "response_format")
    if sent is None:
        return None
    if sent not in tuple(AudioFormat):
        raise wrong_value(sent, "response_format", tuple(AudioFormat))
    return AudioFormat(sent)


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
