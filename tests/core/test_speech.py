"""The bodies of OpenAI's audio routes, as tables, and sound in pieces."""

from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidRequest, ModelNotFound
from service.core.speech import (
    ASR,
    TTS,
    VOICE_BY_OPENAI_NAME,
    VOICE_CLONE,
    VOICE_DESIGN,
    VOICES,
    AudioFormat,
    Base64Pieces,
    SpeechRequest,
    clip_type,
    decode_speech,
    hearing_model,
)

SAMPLE = "data:audio/wav;base64,UklGRg=="


def decoded(**fields: object) -> SpeechRequest:
    return decode_speech(orjson.dumps({"model": "tts-1", "input": "Hi", **fields}))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *(("tts-1", TTS), ("tts-1-hd", TTS), ("gpt-4o-mini-tts", TTS), ("gpt-4o-mini-tts-2025-12-15", TTS)),
        *((TTS, TTS), ("MiMo-V2.5-TTS", TTS), ("xiaomi/mimo-v2.5-tts", TTS), ("mimo-v2-tts", TTS)),
    ],
)
def test_names_of_speaking_models_are_understood(name: str, model: str) -> None:
    assert decoded(model=name).model == model


@pytest.mark.parametrize("name", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", ASR])
def test_names_of_hearing_models_are_understood(name: str) -> None:
    assert hearing_model(name) == ASR


@pytest.mark.parametrize("name", ["gpt-4o", "tts-2", "whisper-2", "mimo-v2.6-pro", ""])
def test_other_models_do_not_speak_and_do_not_hear(name: str) -> None:
    with pytest.raises(ModelNotFound):
        decoded(model=name)
    with pytest.raises(ModelNotFound):
        hearing_model(name)


def test_what_is_said_and_how() -> None:
    found = decoded(voice="Mia", instructions="Slowly.", response_format="pcm", speed=1.0)
    assert found == SpeechRequest(
        model=TTS, text="Hi", style="Slowly.", voice="Mia", audio_format=AudioFormat.PCM
    )


def test_what_is_not_said_is_left_to_the_wire() -> None:
    assert decoded() == SpeechRequest(model=TTS, text="Hi", voice="mimo_default")


def test_events_are_asked_for() -> None:
    assert decoded(stream_format="sse").streams_events
    assert not decoded(stream_format="audio").streams_events


def test_a_speed_is_left_out_and_noted() -> None:
    assert decoded(speed=1.5).notes == ("speed is not a parameter of MiMo and was left out",)


@pytest.mark.parametrize("name", [*VOICES, *VOICE_BY_OPENAI_NAME, "ALLOY"])
def test_every_known_voice_is_one_of_mimos(name: str) -> None:
    assert decoded(voice=name).voice in VOICES
    assert decoded(voice={"id": name}).voice in VOICES


def test_a_sample_is_a_voice_and_a_description_is_one() -> None:
    assert decoded(model=VOICE_CLONE, voice=SAMPLE).voice == SAMPLE
    mp3 = decoded(model=VOICE_CLONE, voice="data:audio/mp3;base64,AAAA").voice
    assert mp3 == "data:audio/mpeg;base64,AAAA"
    assert decoded(model=VOICE_DESIGN, voice="alloy", instructions="Old").voice is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": " "}, "input"),
        ({"input": "x" * 16_385}, "input"),
        ({"input": 1}, "input"),
        ({"voice": "nobody"}, "voice"),
        ({"voice": 1}, "voice"),
        ({"voice": {"id": 1}}, "voice.id"),
        ({"model": VOICE_CLONE}, "voice"),
        ({"model": VOICE_CLONE, "voice": "data:audio/ogg;base64,AAAA"}, "voice"),
        ({"model": VOICE_DESIGN}, "instructions"),
        ({"response_format": "flac"}, "response_format"),
        ({"speed": 0.1}, "speed"),
        ({"stream_format": "ndjson"}, "stream_format"),
    ],
)
def test_a_mistake_is_told_by_its_field(fields: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("content", "declared", "name", "found"),
    [
        (b"RIFF\0\0\0\0WAVE", "", "", "audio/wav"),
        (b"ID3\x04", "", "", "audio/mpeg"),
        (b"\xff\xfb\x90", "", "", "audio/mpeg"),
        (b"??", "audio/MP3", "", "audio/mpeg"),
        (b"??", "", "a.MP3", "audio/mpeg"),
    ],
)
def test_a_clip_is_known_by_its_bytes_or_its_name(
    content: bytes, declared: str, name: str, found: str
) -> None:
    assert clip_type(content, declared, name) == found


def test_another_file_is_no_clip() -> None:
    with pytest.raises(InvalidRequest) as caught:
        clip_type(b"OggS", "audio/ogg", "a.ogg")
    assert caught.value.param == "file"


@given(st.lists(st.binary(max_size=40)))
def test_sound_in_pieces_can_be_read_one_by_one_or_joined(reads: list[bytes]) -> None:
    pieces = Base64Pieces()
    texts = [text for read in reads for text in pieces.feed(read)] + [pieces.finish()]
    assert base64.b64decode("".join(texts)) == b"".join(reads)
    one_by_one = [base64.b64decode(text) for text in texts]
    assert b"".join(one_by_one) == b"".join(reads)
    assert all(len(piece) % 6 == 0 for piece in one_by_one[:-1])
    assert pieces.finish() == ""


def test_a_long_sound_comes_in_pieces_of_32_kilobytes() -> None:
    texts = list(Base64Pieces().feed(bytes(100_000)))
    assert [len(base64.b64decode(text)) for text in texts] == [32_766, 32_766, 32_766, 1_698]
