"""A speech as OpenAI's events."""

from __future__ import annotations

import base64
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.dialects.openai_chat.speech_stream import SpeechEncoder
from service.core.errors import UpstreamUnavailable
from service.core.events import Failed, Finish, FinishReason, Usage, UsageReport
from service.core.speech import Sound, SpeechEvent, SpeechRequest
from service.core.sse import SSEDecoder
from service.core.tokens import chars_tokens

ASKED = SpeechRequest(model="m", text="Good morning, gateway.")
STOP = Finish(FinishReason.STOP)
SOUND = bytes(range(256)) * 3


def events(*fed: SpeechEvent) -> list[dict[str, object]]:
    encoder, decoder = SpeechEncoder(ASKED), SSEDecoder()
    data = b"".join(map(encoder.feed, fed))
    return [orjson.loads(event.data) for event in [*decoder.feed(data), *decoder.finish()]]


@given(st.lists(st.integers(0, len(SOUND))))
def test_any_cut_of_the_sound_comes_out_whole(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(SOUND)]
    *deltas, done = events(*(Sound(SOUND[a:b]) for a, b in pairwise(bounds)), STOP)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(str(delta["audio"])) for delta in deltas) == SOUND
    assert done["type"] == "speech.audio.done"


@pytest.mark.parametrize(
    ("reports", "sent", "said"),
    [
        pytest.param([UsageReport(Usage(input_tokens=3, output_tokens=40))], 3, 40, id="told"),
        pytest.param([], chars_tokens(len(ASKED.text)), 0, id="not told"),
    ],
)
def test_the_end_tells_the_usage(reports: list[SpeechEvent], sent: int, said: int) -> None:
    usage = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}
    assert events(*reports, STOP) == [{"type": "speech.audio.done", "usage": usage}]


def test_a_failure_is_told_and_nothing_after_it() -> None:
    delta, failure = events(Sound(b"123456"), Failed(UpstreamUnavailable("The upstream broke off.")))
    assert delta["audio"] == "MTIzNDU2"
    assert failure["error"]["message"] == "The upstream broke off."  # type: ignore[index]


def test_a_ping_is_a_comment() -> None:
    assert SpeechEncoder(ASKED).ping() == b": ping\n\n"
