"""TTS and ASR through Chat Completions (mimo-api.md, section 1.8)."""

import base64
import io
import wave

import pytest

SPEAK = [{"role": "user", "content": "Calm"}, {"role": "assistant", "content": "Good evening"}]
WAV = base64.b64encode(b"RIFF0000WAVE").decode()


async def test_speech_is_a_real_wav_that_depends_on_the_text_only(call):
    audios = []
    for _ in range(2):
        reply = await call.chat(
            model="mimo-v2.5-tts", messages=SPEAK, audio={"format": "wav", "voice": "Mia"}
        )
        audios.append(reply.json["choices"][0]["message"]["audio"])
    assert audios[0] == audios[1]
    assert audios[0]["expires_at"] is audios[0]["transcript"] is None
    with wave.open(io.BytesIO(base64.b64decode(audios[0]["data"]))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 24_000)
        assert sound.getnframes() > 2_400


async def test_stream_sends_pcm_in_pieces(call):
    chunks = (await call.chat(model="mimo-v2.5-tts", messages=SPEAK, stream=True)).chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    pieces = [base64.b64decode(delta["audio"]["data"]) for delta in deltas if delta.get("audio")]
    assert len(pieces) > 1
    assert not pieces[0].startswith(b"RIFF")
    assert len(b"".join(pieces)) % 2 == 0


async def test_mp3_starts_with_a_frame(call):
    reply = await call.chat(model="mimo-v2.5-tts", messages=SPEAK, audio={"format": "mp3"})
    data = base64.b64decode(reply.json["choices"][0]["message"]["audio"]["data"])
    assert data.startswith(b"\xff\xfb")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"audio": {"format": "flac"}}, id="format"),
        pytest.param({"audio": {"voice": "alloy"}}, id="voice"),
        pytest.param({"audio": {"speed": 2}}, id="unknown field"),
        pytest.param({"tools": []}, id="tools"),
        pytest.param({"thinking": {"type": "disabled"}}, id="thinking"),
        pytest.param({"messages": SPEAK[:1]}, id="nothing to say"),
        pytest.param({"messages": [{"role": "assistant", "content": [{"type": "text"}]}]}, id="parts"),
        pytest.param({"model": "mimo-v2.5-tts-voiceclone"}, id="clone without a sample"),
        pytest.param(
            {"model": "mimo-v2.5-tts-voicedesign", "audio": {"voice": "Mia"}}, id="design with a voice"
        ),
        pytest.param(
            {"model": "mimo-v2.5-tts-voicedesign", "messages": SPEAK[1:]}, id="design without words"
        ),
    ],
)
async def test_speech_refused(call, changes):
    reply = await call.chat(**{"model": "mimo-v2.5-tts", "messages": SPEAK, **changes})
    assert reply.status == 400


async def test_clone_and_design_speak(call):
    voice = f"data:audio/wav;base64,{WAV}"
    clone = await call.chat(model="mimo-v2.5-tts-voiceclone", messages=SPEAK, audio={"voice": voice})
    design = await call.chat(
        model="mimo-v2.5-tts-voicedesign", messages=SPEAK[:1], audio={"optimize_text_preview": True}
    )
    assert clone.status == design.status == 200


async def test_asr_tells_what_it_got_and_how_long_it_was(call):
    for clip in ({"data": f"data:audio/wav;base64,{WAV}"}, {"data": WAV, "format": "wav"}):
        part = {"type": "input_audio", "input_audio": clip}
        reply = await call.chat(
            model="mimo-v2.5-asr",
            messages=[{"role": "user", "content": [part]}],
            asr_options={"language": "zh"},
        )
        assert "audio/wav, 12 bytes" in reply.json["choices"][0]["message"]["content"]
        assert reply.json["usage"]["seconds"] >= 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"messages": []}, id="none"),
        pytest.param({"messages": [{"role": "user", "content": "text"}]}, id="text"),
        pytest.param({"asr_options": {"language": "fr"}}, id="language"),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": WAV, "format": "ogg"}}],
                    }
                ]
            },
            id="format",
        ),
    ],
)
async def test_asr_refused(call, changes):
    part = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
    body = {"model": "mimo-v2.5-asr", "messages": [{"role": "user", "content": [part]}], **changes}
    assert (await call.chat(**body)).status == 400
