"""The real `openai` package speaking and hearing through a running process."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import openai
import orjson
import pytest
from openai import OpenAI
from openai.lib.streaming._deltas import accumulate_delta

from service.simulator.speech import pcm_of, wav_of
from tests.clients.processes import API_KEY, Running

pytestmark = pytest.mark.slow  # real processes: a request takes tens of milliseconds, their start a second

TEXT = "Good morning, gateway."


@pytest.fixture
def client(gateway: Running) -> OpenAI:
    return OpenAI(base_url=f"{gateway.base_url}/v1", api_key=API_KEY, max_retries=0)


def test_speech_is_created(client: OpenAI) -> None:
    with client:
        answer = client.audio.speech.create(
            model="gpt-4o-mini-tts", voice="nova", input=TEXT, instructions="Warmly.", response_format="wav"
        )
        assert answer.content == wav_of(TEXT)


def test_speech_is_streamed(client: OpenAI) -> None:
    with client:
        speaking = client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
        )
        with speaking as answer:
            assert b"".join(answer.iter_bytes(1024)) == pcm_of(TEXT)


def test_speech_is_streamed_as_events(client: OpenAI) -> None:
    with client:
        speaking = client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="coral", input=TEXT, response_format="pcm", stream_format="sse"
        )
        with speaking as answer:
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    *deltas, done = map(orjson.loads, lines)
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == pcm_of(TEXT)
    assert done["type"] == "speech.audio.done"


def test_speech_is_written_to_a_file(client: OpenAI, tmp_path: Path) -> None:
    with client:
        speaking = client.audio.speech.with_streaming_response.create(
            model="tts-1-hd", voice="verse", input=TEXT, response_format="wav"
        )
        with speaking as answer:
            answer.stream_to_file(tmp_path / "speech.wav")
    assert (tmp_path / "speech.wav").read_bytes() == wav_of(TEXT)


SPOKEN = [{"role": "user", "content": "Warmly."}, {"role": "assistant", "content": TEXT}]


def test_a_chat_is_answered_in_sound(client: OpenAI) -> None:
    with client:
        answer = client.chat.completions.create(
            model="mimo-v2.5-tts",
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "wav"},
            messages=SPOKEN,
        )
        message = answer.choices[0].message
        assert message.audio is not None
        assert base64.b64decode(message.audio.data) == wav_of(TEXT)
        assert (message.audio.transcript, message.content) == (TEXT, None)
        assert isinstance(message.audio.expires_at, int)
        # The answer goes back as it came: what was said is known by its transcript.
        history = [SPOKEN[0], message, {"role": "user", "content": "Say it in French."}]
        again = client.chat.completions.create(model="mimo-v2.6-pro", messages=history)
        assert again.choices[0].finish_reason == "stop"


def test_a_chats_sound_is_streamed(client: OpenAI) -> None:
    with client:
        stream = client.chat.completions.create(
            model="mimo-v2.5-tts",
            modalities=["text", "audio"],
            audio={"voice": "onyx", "format": "pcm16"},
            messages=SPOKEN,
            stream=True,
        )
        message: dict[object, object] = {}
        for chunk in stream:
            for choice in chunk.choices:
                message = accumulate_delta(message, choice.delta.to_dict())
    audio = message["audio"]
    assert isinstance(audio, dict)
    assert base64.b64decode(audio["data"]) == pcm_of(TEXT)
    assert audio["transcript"] == TEXT


def test_a_model_that_does_not_speak_says_so(client: OpenAI) -> None:
    with client, pytest.raises(openai.BadRequestError, match=r"mimo-v2\.5-tts") as caught:
        client.chat.completions.create(
            model="gpt-4o-audio-preview",
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "wav"},
            messages=SPOKEN[:1],
        )
    assert caught.value.param == "modalities"


def test_a_mistake_raises_the_packages_error_with_its_field(client: OpenAI) -> None:
    with client, pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert caught.value.param == "voice"


def test_a_clip_is_transcribed_where_an_account_can(client: OpenAI, request: pytest.FixtureRequest) -> None:
    with client:
        clip = ("clip.wav", io.BytesIO(wav_of("a clip")))
        if request.node.callspec.params["gateway"] == "studio":
            with pytest.raises(openai.NotFoundError):
                client.audio.transcriptions.create(model="whisper-1", file=clip)
        else:
            answer = client.audio.transcriptions.create(model="whisper-1", file=clip)
            assert "Simulated transcript" in answer.text
