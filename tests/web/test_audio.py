"""Speech over HTTP, over each upstream kind: formats, voices, errors by field, fail-over, settling."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import orjson
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
    await rig.nothing_is_held()


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
        ({"stream_format": "ndjson"}, 400, "stream_format"),
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


async def test_an_account_whose_speech_breaks_off_pays_for_it(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: cut_after=2]]")
        health = (await rig.gateway.services.chat.accounts.health(rig.gateway.config.mimo_accounts))[0]
        for _ in range(10):
            assert health.state == "ready"
            with pytest.raises(aiohttp.ClientPayloadError):
                await speak(rig, response_format="pcm")
            await rig.nothing_is_held()
            (health,) = await rig.gateway.services.chat.accounts.health(rig.gateway.config.mimo_accounts)
            if health.state != "ready":
                break
        assert (health.state, health.reason) == ("open", "unavailable")
        text = rig.gateway.services.metrics.render().decode()
        assert 'mgw_upstream_attempts_total{attempt="1",result="ok",wire="platform"} 0.0' in text


@pytest.mark.parametrize("route", ["speech", "transcriptions"])
async def test_speech_has_its_series_from_the_start(start: Start, route: str) -> None:
    async with start("platform") as rig:
        text = rig.gateway.services.metrics.render().decode()
        assert (
            f'code="502",model="none",outcome="upstream_error",route="{route}",stream="false"}} 0.0' in text
        )


# --- events -------------------------------------------------------------------------------------------------


async def told(rig: Rig, path: str, body: dict[str, object]) -> tuple[int, list[Any], str]:
    """The status, the data of each event, and the notes."""
    async with rig.http.post(rig.url(path), json=body) as response:
        events = [line[6:] for line in (await response.text()).splitlines() if line.startswith("data: ")]
        notes = response.headers.get("x-mimo-gateway-notes", "")
        return (
            response.status,
            [event if event == "[DONE]" else orjson.loads(event) for event in events],
            notes,
        )


@pytest.mark.parametrize(
    ("audio_format", "sound"), [("wav", wav_of(TEXT)), ("pcm", pcm_of(TEXT)), ("mp3", mp3_of(TEXT))]
)
async def test_speech_comes_as_events_where_they_are_asked_for(
    start: Start, audio_format: str, sound: bytes
) -> None:
    kinds = ("platform",) if audio_format == "mp3" else ("platform", "studio")
    for kind in kinds:
        async with start(kind) as rig:
            body = {"model": "tts-1", "input": TEXT, "stream_format": "sse", "response_format": audio_format}
            status, events, _ = await told(rig, "/v1/audio/speech", body)
            *deltas, done = events
            assert (status, {event["type"] for event in deltas}) == (200, {"speech.audio.delta"})
            assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == sound
            assert done["type"] == "speech.audio.done"
            usage = done["usage"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
            await rig.nothing_is_held()


async def test_events_of_a_speech_that_breaks_off_end_in_an_error(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: cut_after=3]]")
        body = {"model": "tts-1", "input": TEXT, "stream_format": "sse", "response_format": "pcm"}
        status, events, _ = await told(rig, "/v1/audio/speech", body)
        assert status == 200
        assert [event.get("type") for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
        assert events[-1]["error"]["type"] == "server_error"


async def test_events_that_never_began_are_a_status(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: status=421]]")
        body = {"model": "tts-1", "input": TEXT, "stream_format": "sse"}
        status, _, _ = await told(rig, "/v1/audio/speech", body)
        assert status == 400


async def test_a_client_that_leaves_in_the_middle_gives_all_back(start: Start) -> None:
    async with start("platform") as rig:
        rig.simulator.play("[[sim: stall_after=3]]")
        body = {"model": "tts-1", "input": TEXT, "stream_format": "sse", "response_format": "pcm"}
        async with rig.http.post(rig.url("/v1/audio/speech"), json=body) as response:
            assert await response.content.readuntil(b"\n\n")
            response.close()
        await rig.simulator.record.wait_idle(timeout_s=20)
        await rig.nothing_is_held()


# --- in a chat ----------------------------------------------------------------------------------------------

LINES = [{"role": "user", "content": "Warmly."}, {"role": "assistant", "content": TEXT}]


def chat(**more: object) -> dict[str, object]:
    return {"model": "mimo-v2.5-tts", "messages": LINES, "modalities": ["text", "audio"], **more}


@pytest.mark.parametrize(
    ("audio", "sound"),
    [
        ({"voice": "nova", "format": "wav"}, wav_of(TEXT)),
        ({"format": "pcm16"}, pcm_of(TEXT)),
        ({}, wav_of(TEXT)),
    ],
)
async def test_a_chat_is_answered_in_sound(rig: Rig, audio: dict[str, str], sound: bytes) -> None:
    async with rig.http.post(rig.url("/v1/chat/completions"), json=chat(audio=audio)) as response:
        body = await response.json()
        assert response.status == 200, body
    message = body["choices"][0]["message"]
    assert base64.b64decode(message["audio"]["data"]) == sound
    assert message["audio"]["transcript"] == TEXT
    await rig.nothing_is_held()


async def test_a_chats_sound_streams(rig: Rig) -> None:
    asked = chat(stream=True, stream_options={"include_usage": True}, reasoning_effort="low")
    status, events, notes = await told(rig, "/v1/chat/completions", asked)
    assert (status, events.pop()) == (200, "[DONE]")
    assert "reasoning_effort is not a parameter of MiMo's speech" in notes
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    sounds = [delta["audio"] for delta in deltas if "audio" in delta]
    assert b"".join(base64.b64decode(sound["data"]) for sound in sounds) == pcm_of(TEXT)
    assert sounds[0]["transcript"] == TEXT
    assert deltas[0]["role"] == "assistant"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"model": "mimo-v2.6-pro"}, "modalities"),
        ({"model": "mimo-v2.6-pro", "modalities": None, "audio": {"voice": "alloy"}}, "audio"),
        ({"audio": {"format": "flac"}}, "audio.format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": LINES[:1]}, "messages"),
    ],
)
async def test_sound_that_cannot_be_is_refused_by_its_field(
    start: Start, more: dict[str, object], field: str
) -> None:
    async with start("platform") as rig:
        async with rig.http.post(rig.url("/v1/chat/completions"), json=chat(**more)) as response:
            told_of = (await response.json())["error"]
            assert (response.status, told_of["param"]) == (400, field)
        assert seen(rig, "chat_completions") == []


async def test_mp3_in_a_chat_needs_a_platform_account(start: Start) -> None:
    async with start("studio") as rig:
        asked = chat(audio={"format": "mp3"})
        async with rig.http.post(rig.url("/v1/chat/completions"), json=asked) as response:
            assert (response.status, (await response.json())["error"]["param"]) == (400, "audio.format")


async def test_a_designed_voice_finds_its_own_words(start: Start) -> None:
    async with start("platform") as rig:
        asked = chat(
            model="mimo-v2.5-tts-voicedesign",
            messages=LINES[:1],
            audio={"optimize_text_preview": True},
            temperature=2,
        )
        async with rig.http.post(rig.url("/v1/chat/completions"), json=asked) as response:
            assert response.status == 200, await response.text()
        (entry,) = seen(rig, "chat_completions")
        assert entry.body["audio"] == {"format": "wav", "optimize_text_preview": True}
        assert entry.body["temperature"] == 1.5
        status, events, _ = await told(rig, "/v1/chat/completions", {**asked, "stream": True})
        deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]"]
        transcripts = [delta["audio"].get("transcript") for delta in deltas if "audio" in delta]
        assert (status, transcripts[0]) == (200, "")
        assert deltas[-1] == {}


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
