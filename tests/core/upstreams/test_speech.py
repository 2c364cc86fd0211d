"""Speech on both wires: what is sent, what comes back, in any cut."""

from __future__ import annotations

import base64
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidRequest, UpstreamProtocolError, UpstreamUnavailable
from service.core.events import Finish, FinishReason, Usage
from service.core.speech import AudioFormat, SpeechRequest, Transcript, TranscriptionRequest
from service.core.upstreams.speech import (
    MAX_WHOLE_BYTES,
    SpeechDecoder,
    decode_status,
    decode_task,
    decode_transcript,
    encode_platform_speech,
    encode_platform_transcription,
    encode_studio_save,
    encode_studio_speech,
    samples_of,
    status_path,
    studio_format,
)

PLAIN = SpeechRequest(model="mimo-v2.5-tts", text="Hi  there", voice="Mia")
STYLED = SpeechRequest(model="m", text="Hi", style="Slowly", audio_format=AudioFormat.PCM)


def frame(obj: object) -> bytes:
    return b"data: " + (obj if isinstance(obj, bytes) else orjson.dumps(obj)) + b"\n\n"


def sound(data: bytes, where: str) -> dict[str, object]:
    return {"choices": [{where: {"audio": {"data": base64.b64encode(data).decode()}}}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": -1}}
STREAM = b"".join(
    [
        frame({"choices": [{"delta": {"role": "assistant"}}]}),
        frame(sound(b"one", "delta")),
        frame(sound(b"two", "delta")),
        frame(USAGE),
        frame(b"[DONE]"),
    ]
)


def test_the_platform_is_asked_as_in_a_chat() -> None:
    assert orjson.loads(encode_platform_speech(PLAIN)) == {
        "model": "mimo-v2.5-tts",
        "messages": [{"role": "assistant", "content": "Hi  there"}],
        "audio": {"format": "mp3", "voice": "Mia"},
    }
    assert orjson.loads(encode_platform_speech(STYLED)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Slowly"}, {"role": "assistant", "content": "Hi"}],
        "audio": {"format": "pcm"},
        "stream": True,
    }


def test_what_the_platform_alone_can_do_is_asked_of_it() -> None:
    asked = SpeechRequest(model="m", text="", style="Old", words_text=True, sampling={"temperature": 0.5})
    assert orjson.loads(encode_platform_speech(asked)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Old"}],
        "audio": {"format": "mp3", "optimize_text_preview": True},
        "temperature": 0.5,
    }
    with pytest.raises(InvalidRequest) as caught:
        studio_format(asked)
    assert caught.value.param == "audio.optimize_text_preview"


@pytest.mark.parametrize(("language", "options"), [("auto", None), ("zh", {"language": "zh"})])
def test_a_clip_is_sent_as_one_part(language: str, options: object) -> None:
    asked = TranscriptionRequest(model="asr", data="AAAA", mime_type="audio/wav", language=language)
    body = orjson.loads(encode_platform_transcription(asked))
    (message,) = body["messages"]
    assert message["content"] == [
        {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,AAAA"}}
    ]
    assert body.get("asr_options") == options


@given(st.lists(st.integers(0, len(STREAM))))
def test_any_cut_of_a_stream_gives_the_same_sound(cuts: list[int]) -> None:
    decoder = SpeechDecoder(streams=True)
    bounds = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(bounds)]
    assert b"".join(map(decoder.feed, pieces)) + decoder.finish() == b"onetwo"
    assert (decoder.is_done, decoder.usage) == (True, Usage(input_tokens=3))


def test_a_whole_answer_sounds_at_its_end() -> None:
    decoder = SpeechDecoder(streams=False)
    body = orjson.dumps(sound(b"all", "message"))
    assert decoder.feed(body[:9]) + decoder.feed(body[9:]) == b""
    assert (decoder.finish(), decoder.is_done, decoder.usage) == (b"all", True, None)


def test_the_end_and_the_models_own_words_are_told() -> None:
    decoder = SpeechDecoder(streams=False)
    assert (decoder.finish_told, decoder.worded) == (Finish(FinishReason.STOP), "")
    choice = {"message": {"final_text_preview": "Ahoy"}, "finish_reason": "length"}
    decoder.feed(orjson.dumps({"choices": [choice]}))
    decoder.finish()
    assert (decoder.finish_told, decoder.worded) == (Finish(FinishReason.LENGTH), "Ahoy")


def test_an_answer_without_sound_is_silent() -> None:
    decoder = SpeechDecoder(streams=False)
    decoder.feed(b'{"choices": []}')
    assert decoder.finish() == b""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", UpstreamProtocolError),
        (b"[]", UpstreamProtocolError),
        (b'{"error": {}}', UpstreamUnavailable),
        (b'{"choices": [{"message": {"audio": {"data": "?"}}}]}', UpstreamProtocolError),
    ],
)
def test_what_is_no_sound_is_an_error(body: bytes, error: type[Exception]) -> None:
    decoder = SpeechDecoder(streams=False)
    decoder.feed(body)
    with pytest.raises(error):
        decoder.finish()


def test_speech_without_an_end_is_given_up() -> None:
    decoder = SpeechDecoder(streams=False)
    piece = bytes(1 << 20)
    for _ in range(MAX_WHOLE_BYTES // len(piece)):
        assert decoder.feed(piece) == b""
    with pytest.raises(UpstreamProtocolError, match="longer than"):
        decoder.feed(piece)


def test_a_stream_that_ends_early_is_an_error() -> None:
    decoder = SpeechDecoder(streams=True)
    decoder.feed(STREAM[:-20])
    with pytest.raises(UpstreamProtocolError):
        decoder.finish()


def test_a_transcript_is_read_with_its_length() -> None:
    choices = [{"message": {"content": "Hello"}}]
    body = {"choices": choices, "usage": {"seconds": 2}}
    assert decode_transcript(orjson.dumps(body)) == Transcript(text="Hello", seconds=2.0)
    assert decode_transcript(orjson.dumps({"choices": choices})) == Transcript(text="Hello")
    with pytest.raises(UpstreamProtocolError):
        decode_transcript(b'{"choices": [{"message": "x"}]}')


# --- studio -------------------------------------------------------------------------------------------------


def test_the_studio_is_asked_in_two_steps() -> None:
    assert orjson.loads(encode_studio_save(PLAIN, "c")) == {
        "conversationId": "c",
        "title": "Hi there",
        "type": "tts",
    }
    body = orjson.loads(encode_studio_speech(PLAIN, conversation_id="c", message_id="m", voice="Mia"))
    assert body["content"]["audio"] == {"format": "wav", "voice": "Mia"}
    assert body["modelConfig"] == {"modelCode": "mimo-v2.5-tts", "scene": "BRIEF_DESCRIPTION"}
    body = orjson.loads(encode_studio_speech(STYLED, conversation_id="c", message_id="m", voice=None))
    assert body["content"]["audio"] == {"format": "wav"}


def test_the_studio_gives_wav_and_its_samples() -> None:
    assert studio_format(PLAIN) is AudioFormat.WAV
    assert studio_format(STYLED) is AudioFormat.PCM
    with pytest.raises(InvalidRequest) as caught:
        studio_format(SpeechRequest(model="m", text="x", audio_format=AudioFormat.MP3, format_at="a.format"))
    assert caught.value.param == "a.format"


def answer(**data: object) -> bytes:
    return orjson.dumps({"code": 0, "data": data})


def test_a_task_is_asked_for_until_it_is_done() -> None:
    assert decode_task(answer(taskId=7)) == "7"
    assert status_path("a/b") == "/open-apis/tts/generateStatus?taskId=a%2Fb"
    assert decode_status(answer(status="processing", audioUrl=None)) is None
    assert decode_status(answer(status="success", audioUrl="http://x")) == "http://x"
    with pytest.raises(UpstreamUnavailable):
        decode_status(answer(status="failed"))
    with pytest.raises(UpstreamProtocolError):
        decode_task(answer())


def wav(*chunks: tuple[bytes, bytes]) -> bytes:
    packed = b"".join(
        name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF\0\0\0\0WAVE" + packed


def test_samples_are_taken_out_of_their_file() -> None:
    assert samples_of(wav((b"fmt ", b"x" * 16), (b"LIST", b"odd"), (b"data", b"1234"))) == b"1234"
    assert samples_of(wav((b"fmt ", b"x"))) == b""
    assert samples_of(b"no wav") == b"no wav"
