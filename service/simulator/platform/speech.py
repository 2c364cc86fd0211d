"""Speech through Chat Completions: TTS and ASR models (mimo-api.md, section 1.8)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import orjson

from service.simulator.brain import Ask, SeenMedia
from service.simulator.directives import split_directives
from service.simulator.engine import Made
from service.simulator.options import SimulatedModel
from service.simulator.platform import rules
from service.simulator.platform.errors import Wrong
from service.simulator.platform.media import seen_media
from service.simulator.platform.rules import as_array, as_object
from service.simulator.speech import RATE_HZ, mp3_of, pcm_of, wav_of

FORMATS = frozenset({"wav", "mp3", "pcm", "pcm16"})
VOICES = frozenset({"mimo_default", "冰糖", "茉莉", "苏打", "白桦", "Mia", "Chloe", "Milo", "Dean"})
_COMMON = frozenset({"model", "messages", "stream", "temperature", "top_p", "max_completion_tokens"})
_TTS_PARAMETERS = _COMMON | {"audio"}
_ASR_PARAMETERS = _COMMON | {"asr_options"}
_AUDIO_FIELDS = frozenset({"format", "voice", "optimize_text_preview"})
_LANGUAGES = frozenset({"auto", "zh", "en"})
_STREAM_PIECE_BYTES = 4_800  # 100 ms


def check_speech(body: Mapping[str, object], model: SimulatedModel) -> tuple[Ask, str]:
    """The body as an Ask, and the audio format to answer in ("" for a transcript). Raises Wrong."""
    if model.purpose == "asr":
        return _check_asr(body, model), ""
    return _check_tts(body, model)


def _check_tts(body: Mapping[str, object], model: SimulatedModel) -> tuple[Ask, str]:
    rules.check_parameters(body, _TTS_PARAMETERS, rules.CHAT_RANGES)
    audio = as_object(body.get("audio", {}), "audio")
    spoken, style = _lines(body)
    is_preview = audio.get("optimize_text_preview") is True
    if model.id.endswith("-voicedesign"):
        if not style:
            raise Wrong("the user message must describe the voice")
        spoken = spoken or (style if is_preview else "")
    if not spoken:
        raise Wrong("the assistant message with the text to speak is not set")
    form = _format(audio, streams=body.get("stream") is True)
    _check_voice(audio, model)
    blocks = split_directives(style)[1] + split_directives(spoken)[1]
    text = split_directives(spoken)[0]
    prompt = orjson.dumps(body.get("messages"))
    return Ask(model=model.id, text=text, blocks=blocks, prompt=prompt, fixed_text=""), form


def _lines(body: Mapping[str, object]) -> tuple[str, str]:
    """The assistant's text, which is spoken, and the user's, which says how."""
    found = {"assistant": "", "user": ""}
    for index, item in enumerate(as_array(body.get("messages"), "messages")):
        message = as_object(item, f"messages[{index}]")
        role, content = message.get("role"), message.get("content")
        if role not in found or not isinstance(content, str):
            raise Wrong(f"messages[{index}] must be a user or assistant message with a string")
        found[str(role)] = content
    return found["assistant"], found["user"]


def _format(audio: Mapping[str, object], *, streams: bool) -> str:
    for name in audio:
        if name not in _AUDIO_FIELDS:
            raise Wrong(f"Unknown parameter: audio.{name}")
    form = audio.get("format", "pcm" if streams else "wav")
    if not isinstance(form, str) or form not in FORMATS:
        raise Wrong("audio.format must be wav, mp3, pcm or pcm16")
    return form


def _check_voice(audio: Mapping[str, object], model: SimulatedModel) -> None:
    voice = audio.get("voice")
    if model.id.endswith("-voicedesign"):
        if voice is not None:
            raise Wrong("audio.voice is not supported by this model")
    elif model.id.endswith("-voiceclone"):
        if not isinstance(voice, str) or not voice.startswith(
            ("data:audio/mpeg;base64,", "data:audio/wav;base64,")
        ):
            raise Wrong("audio.voice must be a base64 data URL of an mp3 or wav sample")
    elif voice is not None and voice not in VOICES:
        raise Wrong(f"audio.voice {voice} is not supported")


def _check_asr(body: Mapping[str, object], model: SimulatedModel) -> Ask:
    rules.check_parameters(body, _ASR_PARAMETERS, rules.CHAT_RANGES)
    options = as_object(body.get("asr_options", {}), "asr_options")
    if options.get("language", "auto") not in _LANGUAGES:
        raise Wrong("asr_options.language must be auto, zh or en")
    messages = as_array(body.get("messages"), "messages")
    parts = (
        as_array(as_object(messages[0], "messages[0]").get("content"), "messages[0].content")
        if messages
        else []
    )
    if len(messages) != 1 or len(parts) != 1:
        raise Wrong("exactly one user message with one input_audio part is required")
    part = as_object(parts[0], "messages[0].content[0]")
    clip = as_object(part.get("input_audio"), "messages[0].content[0].input_audio")
    seen = _clip(clip)
    size = "by URL" if seen.size_bytes is None else f"{seen.size_bytes} bytes"
    heard = f"Simulated transcript of one clip ({seen.mime_type}, {size})."
    prompt = str(clip.get("data")).encode()
    return Ask(model=model.id, text="", prompt=prompt[:64], media=(seen,), fixed_text=heard)


def _clip(clip: Mapping[str, object]) -> SeenMedia:
    """A data URL or URL, or raw base64 beside its `format`."""
    data, form = clip.get("data"), clip.get("format")
    if isinstance(form, str) and isinstance(data, str) and not data.startswith(("data:", "http")):
        if form not in ("mp3", "wav"):
            raise Wrong("input_audio.format must be mp3 or wav")
        data = f"data:audio/{form};base64,{data}"
    return seen_media("audio", data, "input_audio.data")


# --- answers ------------------------------------------------------------------------------------------------


def encoded(text: str, form: str) -> bytes:
    match form:
        case "wav":
            return wav_of(text)
        case "mp3":
            return mp3_of(text)
        case _:
            return pcm_of(text)


def whole_audio(made: Made) -> dict[str, object]:
    """`message.audio` of an answer that does not stream."""
    return _audio_object(made, encoded(made.asked.ask.text, made.asked.audio_format))


def audio_pieces(made: Made) -> list[dict[str, object]]:
    """`delta.audio`, a tenth of a second each."""
    data = encoded(made.asked.ask.text, made.asked.audio_format)
    starts = range(0, len(data), _STREAM_PIECE_BYTES)
    return [_audio_object(made, data[start : start + _STREAM_PIECE_BYTES]) for start in starts]


def _audio_object(made: Made, data: bytes) -> dict[str, object]:
    text = made.asked.ask.text.encode("utf-8", "replace")
    return {
        "id": hashlib.md5(text, usedforsecurity=False).hexdigest(),
        "data": base64.b64encode(data).decode(),
        "expires_at": None,
        "transcript": None,
    }


def clip_seconds(ask: Ask) -> float:
    """As long as its bytes would be as PCM."""
    return round((ask.media[0].size_bytes or 0) / (RATE_HZ * 2), 3)
