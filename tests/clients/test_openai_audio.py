"""The real `openai` package speaking and hearing through a running process."""

from __future__ import annotations

import io

import openai
import pytest
from openai import OpenAI

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
