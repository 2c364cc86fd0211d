"""Speech over HTTP, over each upstream kind: formats, voices, errors by field, fail-over, settling."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from service.config_loader import api_keys
from service.simulator.speech import mp3_of, pcm_of, wav_of
from tests.web.rig import Rig, Start

TEXT = "Good morning, gateway."
WAV = wav_of("a clip")


async def speak(rig: Rig, **more: object) -> tuple[int, str, bytes]:
    body = {"model": "tts-1", "input": TEXT, "voice": "alloy", **more}
    body = {name: value for name, value in body.items() if value is not None}
    async with rig.http.post(rig.url("/v1/audio/speech"), json=body) as response:
        return response.status, response.content_type, await response.read()


async def transcribe(rig: Rig, **fields: str) -> tuple[int, str]:
    form = aiohttp.FormData()
    form.add_field("file", WAV, filename="clip.wav", content_type="audio/wav")
    for name, value in {"model": "whisper-1", **fields}.items():
        form.add_field(name, value)
    async with rig.http.post(rig.url("/v1/audio/transcriptions"), data=form) as response:
        return response.status, await response.text()


def seen(rig: Rig, endpoint: str) -> list[Any]:
    return [entry for entry in rig.simulator.record.requests if entry.endpoint == endpoint]


@pytest.mark.parametrize(
    ("audio_format", "content_type", "sound"),
    [("wav", "audio/wav", wav_of(TEXT)), ("pcm", "audio/pcm", pcm_of(TEXT))],
)
async def test_text_is_spoken_in_each_format_both_wires_have(
    rig: Rig, audio_format: str, content_type: str, sound: bytes
) -> None:
    assert await speak(rig, response_format=audio_format) == (200, content_type, sound)
    await asyncio.sleep(0)
    for _ in range(100):
        if not await rig.leases():
            break
        await asyncio.sleep(0.01)
    assert await rig.leases() == 0


async def test_the_platform_speaks_mp3_unasked(start: Start) -> None:
    async with start("platform") as rig:
        assert await speak(rig) == (200, "audio/mpeg", mp3_of(TEXT))


async def test_the_studio_speaks_wav_unasked_and_refuses_mp3_by_name(start: Start) -> None:
    async with start("studio") as rig:
        assert await speak(rig) == (200, "audio/wav", wav_of(TEXT))
        status, _, body = await speak(rig, response_format="mp3")
        assert (status, b'"response_format"' in body) == (400, True)


async def test_mp3_goes_to_platform_accounts_when_there_are_both(start: Start) -> None:
    async with start("studio", "platform") as rig:
        for _ in range(3):
            assert (await speak(rig, response_format="mp3"))[1] == "audio/mpeg"


@pytest.mark.parametrize(
    ("voice", "sent"), [("nova", "Mia"), ("冰糖", "冰糖"), ("ONYX", "Dean"), ({"id": "ash"}, "Milo")]
)
async def test_openai_voices_become_mimos(start: Start, voice: object, sent: str) -> None:
    async with start("platform") as rig:
        assert (await speak(rig, voice=voice, instructions="Whisper it."))[0] == 200
        (entry,) = seen(rig, "chat_completions")
        assert entry.body["audio"]["voice"] == sent
        assert entry.body["messages"] == [
            {"role": "user", "content": "Whisper it."},
            {"role": "assistant", "content": TEXT},
        ]


async def test_a_voice_is_designed_from_its_description(rig: Rig) -> None:
    status, _, _ = await speak(
        rig,
        model="mimo-v2.5-tts-voicedesign",
        voice=None,
        instructions="An old sailor",
        response_format="wav",
    )
    assert status == 200


async def test_a_voice_is_cloned_from_a_sample(rig: Rig) -> None:
    sample = "data:audio/wav;base64,UklGRiQAAABXQVZF"
    status, _, _ = await speak(rig, model="mimo-v2.5-tts-voiceclone", voice=sample, response_format="wav")
    assert status == 200


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": None}, 400, "input"),
        ({"input": "x" * 20_000}, 400, "input"),
        ({"voice": "nobody"}, 400, "voice"),
        ({"model": "mimo-v2.5-tts-voiceclone", "voice": "alloy"}, 400, "voice"),
        ({"model": "mimo-v2.5-tts-voicedesign"}, 400, "instructions"),
        ({"response_format": "opus"}, 400, "response_format"),
        ({"speed": 9}, 400, "speed"),
        ({"stream_format": "sse"}, 400, "stream_format"),
        ({"model": "gpt-4o"}, 404, "model"),
    ],
)
async def test_a_mistake_is_told_by_its_field(
    rig: Rig, more: dict[str, object], status: int, field: str
) -> None:
    told, _, body = await speak(rig, **more)
    assert (told, f'"param":"{field}"'.encode() in body) == (status, True), body


async def test_speech_fails_over_to_another_account(start: Start) -> None:
    async with start("platform", "platform-2") as rig:
        rig.simulator.play("[[sim: status=500 times=1]]")
        assert (await speak(rig, response_format="wav"))[0] == 200
        assert len(seen(rig, "chat_completions")) == 2


async def test_a_failure_that_lasts_is_told_with_its_status(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: status=421]]")
        status, _, body = await speak(rig)
        assert status == 400, body


async def test_speech_that_breaks_off_breaks_the_connection(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: cut_after=2]]")
        with pytest.raises(aiohttp.ClientPayloadError):
            await speak(rig, response_format="pcm")


async def test_a_key_speaks_only_with_its_models(start: Start) -> None:
    keys = api_keys([{"key": "sk-mimo", "models": ["mimo-v2.6-pro"]}])
    async with start("platform", api_keys=keys) as rig:
        assert (await speak(rig))[0] == 403


# --- transcriptions -----------------------------------------------------------------------------------------


async def test_a_clip_is_written_down(start: Start) -> None:
    async with start("platform") as rig:
        status, body = await transcribe(rig, language="zh")
        assert (status, "Simulated transcript" in body, '"type":"duration"' in body) == (200, True, True)
        (entry,) = seen(rig, "chat_completions")
        assert entry.body["asr_options"] == {"language": "zh"}
        status, text = await transcribe(rig, response_format="text")
        assert (status, text.startswith("Simulated transcript")) == (200, True)
        assert '"duration"' in (await transcribe(rig, response_format="verbose_json"))[1]


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"model": "tts-1"}, 404, "model"),
        ({"language": "klingon"}, 400, "language"),
        ({"response_format": "srt"}, 400, "response_format"),
        ({"stream": "true"}, 400, "stream"),
    ],
)
async def test_a_mistake_in_the_form_is_told_by_its_field(
    start: Start, fields: dict[str, str], status: int, field: str
) -> None:
    async with start("platform") as rig:
        told, body = await transcribe(rig, **fields)
        assert (told, f'"param":"{field}"' in body) == (status, True), body


async def test_studio_accounts_do_not_transcribe(start: Start) -> None:
    async with start("studio") as rig:
        assert (await transcribe(rig))[0] == 404


async def test_a_body_that_is_no_form_is_400(start: Start) -> None:
    async with start("platform") as rig:
        async with rig.http.post(rig.url("/v1/audio/transcriptions"), json={}) as response:
            assert response.status == 400
        form = aiohttp.FormData({"model": "whisper-1", "more": "x"})
        form.add_field("file", b"", filename="a", content_type="text/plain")
        async with rig.http.post(rig.url("/v1/audio/transcriptions"), data=form) as response:
            assert (response.status, '"param":"file"' in await response.text()) == (400, True)
