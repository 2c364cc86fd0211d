"""Chats that are answered in sound: what may be asked, field by field, and what comes back."""

from __future__ import annotations

import base64
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from service.core.completion import AnswerHead
from service.core.dialects.openai_chat.audio import (
    ChatSpeech,
    SpeechChunkEncoder,
    decode_chat_speech,
    encode_speech,
    is_spoken,
)
from service.core.dialects.openai_chat.request import decode_body
from service.core.errors import InvalidRequest, UpstreamUnavailable
from service.core.events import Failed, Finish, FinishReason, Usage, UsageReport
from service.core.speech import TTS, VOICE_CLONE, VOICE_DESIGN, AudioFormat, Sound, SpeechEvent, SpeechRequest
from service.core.sse import SSEDecoder

HEAD = AnswerHead(answer_id="chatcmpl-1", model=TTS, created_at_s=1_700_000_000)
STOP = Finish(FinishReason.STOP)
USED = UsageReport(Usage(input_tokens=3, output_tokens=40))
SOUND = bytes(range(256)) * 3
SPOKEN = {"role": "assistant", "content": "Ahoy."}
STYLE = {"role": "user", "content": "Like a sailor."}


def decoded(*messages: object, **fields: object) -> ChatSpeech:
    return decode_chat_speech({"model": TTS, "messages": list(messages), **fields})


# --- requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "speaks"),
    [
        *((TTS, True), (VOICE_CLONE, True), (VOICE_DESIGN, True), ("tts-1", True), ("gpt-4o-mini-tts", True)),
        *(("mimo-v2.6-pro", False), ("gpt-4o-audio-preview", False), ("", False), (None, False), (7, False)),
    ],
)
def test_the_model_says_whether_the_answer_is_sound(model: object, speaks: bool) -> None:
    assert is_spoken({"model": model}) is speaks


def test_the_last_message_is_spoken_as_the_others_say() -> None:
    found = decoded(
        {"role": "system", "content": "Slowly."},
        STYLE,
        SPOKEN,
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "mp3"},
    )
    assert found == ChatSpeech(
        request=SpeechRequest(
            model=TTS,
            text="Ahoy.",
            style="Slowly.\n\nLike a sailor.",
            voice="mimo_default",
            audio_format=AudioFormat.MP3,
        )
    )


@pytest.mark.parametrize(
    ("fields", "audio_format"),
    [
        ({}, AudioFormat.WAV),
        ({"stream": True}, AudioFormat.PCM),
        ({"audio": {"format": "pcm16"}}, AudioFormat.PCM),
        ({"audio": {"format": "pcm"}}, AudioFormat.PCM),
        ({"stream": True, "audio": {"format": "wav"}}, AudioFormat.WAV),
    ],
)
def test_format_is_mimos_own_where_none_was_said(
    fields: dict[str, object], audio_format: AudioFormat
) -> None:
    assert decoded(SPOKEN, **fields).request.audio_format is audio_format


def test_what_speech_has_of_a_chat_is_kept() -> None:
    found = decoded(
        SPOKEN,
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=99_999,
        temperature=2,
        top_p=0,
        reasoning_effort="low",
        thinking={"type": "disabled"},
        tools=[],
        stop=None,
    )
    assert (found.streams, found.includes_usage) == (True, True)
    assert found.request.sampling == {"max_completion_tokens": 8192, "temperature": 1.5, "top_p": 0.01}
    assert found.request.notes == ("reasoning_effort is not a parameter of MiMo's speech and was left out",)
    assert decoded(SPOKEN, max_completion_tokens=5, max_tokens=6).request.sampling == {
        "max_completion_tokens": 5
    }


def test_a_designed_voice_may_find_its_own_words() -> None:
    design = {"model": VOICE_DESIGN, "audio": {"optimize_text_preview": True}}
    found = decoded(STYLE, **design).request
    assert (found.text, found.style, found.voice, found.words_text) == ("", "Like a sailor.", None, True)
    assert decoded(STYLE, SPOKEN, **design).request.text == "Ahoy."


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        pytest.param([SPOKEN], {"modalities": ["text"]}, "modalities", id="text alone"),
        pytest.param([SPOKEN], {"modalities": ["audio", "smell"]}, "modalities[1]", id="another sense"),
        pytest.param([SPOKEN], {"audio": {"format": "opus"}}, "audio.format", id="a format MiMo lacks"),
        pytest.param([SPOKEN], {"audio": {"voice": "nobody"}}, "audio.voice", id="no such voice"),
        pytest.param([SPOKEN], {"audio": {"voice": {"id": 7}}}, "audio.voice.id", id="a voice by number"),
        pytest.param([SPOKEN], {"audio": "loud"}, "audio", id="audio is no object"),
        pytest.param([SPOKEN], {"model": VOICE_CLONE}, "audio.voice", id="a clone of nobody"),
        pytest.param([SPOKEN], {"model": VOICE_DESIGN}, "messages", id="a voice nobody described"),
        pytest.param(
            [STYLE], {"audio": {"optimize_text_preview": True}}, "audio.optimize_text_preview", id="words"
        ),
        pytest.param([SPOKEN], {"tools": [{}]}, "tools", id="tools"),
        pytest.param([SPOKEN], {"stop": ["."]}, "stop", id="stop"),
        pytest.param([SPOKEN], {"n": 2}, "n", id="two answers"),
        pytest.param([SPOKEN], {"thinking": {"type": "enabled"}}, "thinking", id="thinking"),
        pytest.param(
            [SPOKEN], {"response_format": {"type": "json_object"}}, "response_format", id="spoken JSON"
        ),
        pytest.param([STYLE], {}, "messages", id="nothing to speak"),
        pytest.param([], {}, "messages", id="no messages"),
        pytest.param([{**SPOKEN, "content": " "}], {}, "messages[0].content", id="blank text"),
        pytest.param([{**SPOKEN, "content": "x" * 16_385}], {}, "messages[0].content", id="a book"),
        pytest.param([SPOKEN, STYLE], {}, "messages[0]", id="a conversation"),
        pytest.param(
            [{"role": "tool", "tool_call_id": "c", "content": "x"}, SPOKEN], {}, "messages[0]", id="a result"
        ),
        pytest.param(
            [
                STYLE,
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
                },
                SPOKEN,
            ],
            {},
            "messages[1].content[0].image_url.url",
            id="a picture",
        ),
        pytest.param(
            [
                {
                    **SPOKEN,
                    "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                }
            ],
            {},
            "messages[0]",
            id="a call",
        ),
    ],
)
def test_what_cannot_be_spoken_is_refused_by_its_field(
    messages: list[object], fields: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(*messages, **fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": "audio"}, "modalities"),
        ({"model": TTS, "modalities": ["text", "audio"]}, "model"),
    ],
)
def test_a_model_that_does_not_speak_says_which_do(fields: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_body({"model": "mimo-v2.6-pro", "messages": [STYLE], **fields})
    assert caught.value.param == param
    assert fields.get("modalities") == "audio" or TTS in caught.value.message


def test_text_alone_is_what_every_model_answers_in() -> None:
    body = {"model": "mimo-v2.6-pro", "messages": [STYLE], "modalities": ["text"], "audio": None}
    assert dict(decode_body(body).extra) == {}


# --- answers ------------------------------------------------------------------------------------------------


def test_the_whole_answer_is_one_the_package_reads() -> None:
    body = encode_speech(SOUND, HEAD, audio_id="audio_1", transcript="Ahoy.", finish=STOP, usage=USED.usage)
    answer = ChatCompletion.model_validate(orjson.loads(body), strict=True)
    message = answer.choices[0].message
    assert message.content is None
    assert message.audio is not None
    assert base64.b64decode(message.audio.data) == SOUND
    assert (message.audio.id, message.audio.transcript) == ("audio_1", "Ahoy.")
    assert message.audio.expires_at == HEAD.created_at_s
    assert answer.usage is not None
    assert answer.usage.total_tokens == 43
    bare = encode_speech(SOUND, HEAD, audio_id="a", transcript="", finish=STOP, usage=None)
    assert "usage" not in orjson.loads(bare)


def chunks(*fed: SpeechEvent, includes_usage: bool = False) -> tuple[list[dict[str, object]], bytes]:
    """The chunks, and what stood after them."""
    encoder = SpeechChunkEncoder(HEAD, audio_id="a1", transcript="Ahoy.", includes_usage=includes_usage)
    decoder = SSEDecoder()
    events = [event.data for event in decoder.feed(b"".join(map(encoder.feed, fed)))]
    last = events.pop()
    return [orjson.loads(event) for event in events], last


@given(st.lists(st.integers(0, len(SOUND))))
def test_any_cut_of_the_sound_is_joined_by_the_packages_accumulator(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(SOUND)]
    found, last = chunks(*(Sound(SOUND[a:b]) for a, b in pairwise(bounds)), STOP)
    assert last == b"[DONE]"
    message: dict[object, object] = {}
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        message = accumulate_delta(message, chunk["choices"][0]["delta"])  # type: ignore[index]
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "audio": {
            "id": "a1",
            "data": base64.b64encode(SOUND).decode(),
            "transcript": "Ahoy.",
            "expires_at": HEAD.created_at_s,
        },
    }


def test_every_delta_of_sound_holds_data() -> None:
    found, _ = chunks(Sound(SOUND), Sound(SOUND), Sound(b"!"), STOP)
    deltas = [chunk["choices"][0]["delta"] for chunk in found]  # type: ignore[index]
    assert [sorted(delta["audio"]) for delta in deltas if "audio" in delta] == [
        ["data", "expires_at", "id", "transcript"],
        ["data"],
        ["data"],
    ]


def test_what_only_the_model_knew_is_told_at_the_end() -> None:
    found, _ = chunks(Sound(SOUND), Sound(b"", transcript="Ahoy, mates."), STOP)
    audio = [chunk["choices"][0]["delta"].get("audio") for chunk in found]  # type: ignore[index]
    assert audio[-2:] == [{"data": "", "transcript": "Ahoy, mates."}, None]


def test_the_usage_is_told_where_it_was_asked_for() -> None:
    found, _ = chunks(Sound(SOUND), USED, STOP, includes_usage=True)
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] == 43  # type: ignore[index]
    assert {chunk["usage"] is None for chunk in found[:-1]} == {True}
    unasked, _ = chunks(Sound(SOUND), USED, Finish(FinishReason.LENGTH))
    assert unasked[-1]["choices"][0]["finish_reason"] == "length"  # type: ignore[index]
    untold, _ = chunks(Sound(SOUND), STOP, includes_usage=True)
    assert untold[-1]["choices"] != []


def test_a_failure_is_told_and_no_end() -> None:
    _, last = chunks(Sound(SOUND), Failed(UpstreamUnavailable("The upstream broke off.")))
    assert orjson.loads(last)["error"]["message"] == "The upstream broke off."
    encoder = SpeechChunkEncoder(HEAD, audio_id="a", transcript="", includes_usage=False)
    assert encoder.ping() == b": ping\n\n"
