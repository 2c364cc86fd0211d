"""The laws of every incremental stage, stated once.

1. Any cut of the input gives the same output.
2. Four times the input takes less than eight times as long, in one piece and in many.
3. Text without markup comes out whole.
4. decode(encode(events)) == events.

A new stage is added to one of the lists below and is held to them from then on: BYTE_STAGES (bytes in),
TEXT_STAGES (text in), CODECS (a dialect that has both an encoder and a decoder of streams).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.completion import AnswerHead
from service.core.dialects.openai_chat.response import CompletionDecoder
from service.core.dialects.openai_chat.stream import StreamDecoder, StreamEncoder
from service.core.events import Event, Failed, Finish, TextDelta
from service.core.pipeline import AnswerSource, Decoder, Encoder
from service.core.sse import SSEDecoder
from service.core.think import ThinkSplitter
from tests.grammar.events import check_events, normalised
from tests.strategies import event_streams, texts

HEAD = AnswerHead(answer_id="answer-1", model="mimo-v2.6-pro", created_at_s=1_790_000_000)


# --- the stages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ByteStage:
    """`make` gives a fresh stage with feed(bytes) and finish(); `samples` are inputs worth cutting anywhere;
    `growing(n)` an input whose length is proportional to n; `view` is what must be equal."""

    name: str
    make: Callable[[], Any]
    samples: Sequence[bytes]
    growing: Callable[[int], bytes]
    view: Callable[[list[Any]], object]


@dataclass(frozen=True)
class TextStage:
    """`make` gives a fresh stage with feed(str) and finish(), which gives events."""

    name: str
    make: Callable[[], Any]
    samples: Sequence[str]
    growing: Callable[[int], str]


@dataclass(frozen=True)
class Codec:
    """Both roles of a dialect's stream. `view` removes what its wire has no word for."""

    name: str
    encoder: Callable[[], Encoder]
    decoder: Callable[[], Decoder]
    view: Callable[[list[Event]], list[Event]]


def _chat_chunk(delta: str, finish: str = "null", rest: str = "") -> bytes:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{finish}}}'
    return f'data: {{"id":"a","object":"chat.completion.chunk","choices":[{choice}]{rest}}}\n\n'.encode()


_CHAT_TEXT = _chat_chunk(
    '{"content":"h\\u00e9 \u4f60\u2028","reasoning_content":null,"role":null,"tool_calls":null}'
)
_CHAT_CALL = _chat_chunk(
    '{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\\"a\\":"}}]}'
)
_CHAT_ARGS = _chat_chunk('{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}')
_CHAT_END = (
    _chat_chunk("{}", '"tool_calls"')
    + b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\ndata: [DONE]\n\n'
)
_CHAT_ERROR = b'data: {"error":{"code":"429","message":"Too many requests","type":"limitation"}}\n\n'
_CHAT_WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'

BYTE_STAGES = [
    ByteStage(
        "sse",
        SSEDecoder,
        [
            b"\xef\xbb\xbfdata: a\r\n\r\ndata:b\rdata: c\r\r: comment\nevent: e\nid: 7\ndata\n\ndata: end",
            b"\r\n\r\n",
        ],
        lambda n: b"data: {}\n\n" * n + b"data: " + b"x" * (50 * n),
        lambda events: events,
    ),
    ByteStage(
        "openai_chat stream",
        StreamDecoder,
        [
            _CHAT_TEXT + _CHAT_CALL + _CHAT_ARGS + _CHAT_END,
            _CHAT_TEXT + b": ping\n\ndata: garbage\n\n" + _CHAT_ERROR,
            b" \n" + _CHAT_WHOLE,
            _CHAT_CALL + _CHAT_TEXT,
            b"<html>\n\n</html>",
        ],
        lambda n: _CHAT_TEXT * n + _CHAT_CALL + _CHAT_ARGS * n + _CHAT_TEXT * n + _CHAT_END,
        normalised,
    ),
    ByteStage(
        "openai_chat whole answer",
        CompletionDecoder,
        [_CHAT_WHOLE, b"<html></html>", b""],
        lambda n: b'{"choices":[{"message":{"content":"%b"}}]}' % (b"x" * 100 * n),
        normalised,
    ),
]

TEXT_STAGES = [
    TextStage(
        "think splitter",
        ThinkSplitter,
        [
            "<think>\0a</think>\0b",
            "x<think>\0y</thinkgt;>z</think>\0<",
            "<think>no closer</thin",
            "\0<th",
            "a<think>b",
        ],
        lambda n: "<think>\0ab</think>\0cd<" * n + "</think" * n + "\0" * n,
    ),
]


def _chat_view(events: list[Event]) -> list[Event]:
    """OpenAI Chat does not tell which stop sequence ended the answer."""
    return normalised([Finish(e.reason) if isinstance(e, Finish) else e for e in events])


CODECS = [
    Codec(
        "openai_chat",
        lambda: StreamEncoder(HEAD, includes_usage=True),
        StreamDecoder,
        _chat_view,
    ),
]


# --- law 1: any cut -----------------------------------------------------------------------------------------


def _fed(stage: Any, pieces: Iterator[Any]) -> list[Any]:
    return [out for piece in pieces for out in stage.feed(piece)] + list(stage.finish())


def _pieces(whole: Any, cuts: Sequence[int]) -> Iterator[Any]:
    edges = [0, *sorted(cuts), len(whole)]
    return (whole[start:end] for start, end in pairwise(edges))


def _shown(out: list[Any]) -> object:
    """Failures compare by what they say: two of them are never the same object."""
    return [repr(item.error) if isinstance(item, Failed) else item for item in out]


_BYTE_CASES = [
    pytest.param(stage, sample, id=f"{stage.name}-{i}")
    for stage in BYTE_STAGES
    for i, sample in enumerate(stage.samples)
]
_TEXT_CASES = [
    pytest.param(stage, sample, id=f"{stage.name}-{i}")
    for stage in TEXT_STAGES
    for i, sample in enumerate(stage.samples)
]


@pytest.mark.parametrize(("stage", "sample"), _BYTE_CASES)
def test_one_cut_anywhere_changes_nothing(stage: ByteStage, sample: bytes) -> None:
    whole = _shown(stage.view(_fed(stage.make(), iter([sample]))))
    for cut in range(len(sample) + 1):
        assert _shown(stage.view(_fed(stage.make(), _pieces(sample, [cut])))) == whole, f"cut at {cut}"
    single = _pieces(sample, range(len(sample)))
    assert _shown(stage.view(_fed(stage.make(), single))) == whole, "byte by byte"


@pytest.mark.parametrize(("stage", "sample"), _TEXT_CASES)
def test_one_cut_anywhere_in_text_changes_nothing(stage: TextStage, sample: str) -> None:
    whole = normalised(_fed(stage.make(), iter([sample])))
    for cut in range(len(sample) + 1):
        assert normalised(_fed(stage.make(), _pieces(sample, [cut]))) == whole, f"cut at {cut}"
    assert normalised(_fed(stage.make(), iter(sample))) == whole, "character by character"


@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.name) for stage in TEXT_STAGES])
@given(data=st.data())
def test_random_markup_in_random_pieces_gives_the_same(stage: TextStage, data: st.DataObject) -> None:
    """Pieces of the samples in random order: the marks meet in ways nobody thought of."""
    atoms = sorted(
        {sample[i:j] for sample in stage.samples for i in range(len(sample)) for j in (i + 1, i + 8)}
    )
    pieces = data.draw(st.lists(st.sampled_from(atoms), max_size=8))
    whole = normalised(_fed(stage.make(), iter(["".join(pieces)])))
    assert normalised(_fed(stage.make(), iter(pieces))) == whole


# --- law 2: linear time -------------------------------------------------------------------------------------


def _took_s(make: Callable[[], Any], whole: Any, piece_length: int) -> float:
    """The best of three: what the machine does beside is no fault of the stage."""
    took = []
    for _ in range(3):
        stage = make()
        start = time.process_time()
        for at in range(0, len(whole), piece_length):
            stage.feed(whole[at : at + piece_length])
        stage.finish()
        took.append(time.process_time() - start)
    return min(took)


@pytest.mark.parametrize("piece_length", [7, 1 << 30], ids=["in many pieces", "in one piece"])
@pytest.mark.parametrize("stage", [pytest.param(s, id=s.name) for s in (*BYTE_STAGES, *TEXT_STAGES)])
def test_four_times_the_input_takes_less_than_eight_times_as_long(
    stage: ByteStage | TextStage, piece_length: int
) -> None:
    scale = 8
    while (once_s := _took_s(stage.make, stage.growing(scale), piece_length)) < 0.002:
        scale *= 2  # too short to measure
    assert _took_s(stage.make, stage.growing(4 * scale), piece_length) < 8 * once_s


# --- law 3: text without markup -----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.name) for stage in TEXT_STAGES])
@given(
    pieces=st.lists(st.text(st.characters(exclude_characters="<\0", codec="utf-8"), max_size=9), max_size=6)
)
def test_text_without_markup_comes_out_whole(stage: TextStage, pieces: list[str]) -> None:
    out = _fed(stage.make(), iter(pieces))
    assert all(isinstance(event, TextDelta) for event in out)
    assert "".join(event.text for event in out) == "".join(pieces)


@pytest.mark.parametrize("stage", [pytest.param(stage, id=stage.name) for stage in TEXT_STAGES])
@given(text=texts().filter(lambda text: "\0" not in text))
def test_text_that_only_looks_like_markup_comes_out_whole(stage: TextStage, text: str) -> None:
    out = normalised(_fed(stage.make(), iter(["So: ", *text])))
    assert out == [TextDelta("So: " + text)]


# --- law 4: decode(encode(events)) == events ----------------------------------------------------------------


@pytest.mark.parametrize("codec", [pytest.param(codec, id=codec.name) for codec in CODECS])
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same_events(codec: Codec, data: st.DataObject) -> None:
    events = data.draw(event_streams(can_fail=False))
    check_events(events)
    encoder = codec.encoder()
    raw = b"".join(map(encoder.feed, events))
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=4))
    source = AnswerSource(codec.decoder())
    decoded = _fed(source, _pieces(raw, cuts))
    check_events(decoded)
    assert codec.view(decoded) == codec.view(events)


@pytest.mark.parametrize("codec", [pytest.param(codec, id=codec.name) for codec in CODECS])
@given(events=event_streams())
def test_a_stream_that_failed_decodes_to_one_that_failed(codec: Codec, events: list[Event]) -> None:
    encoder = codec.encoder()
    decoded = _fed(AnswerSource(codec.decoder()), map(encoder.feed, events))
    check_events(decoded)
    assert isinstance(decoded[-1], Failed) == isinstance(events[-1], Failed)


@pytest.mark.parametrize("codec", [pytest.param(codec, id=codec.name) for codec in CODECS])
@given(events=event_streams(), share=st.floats(0, 0.999))
def test_a_stream_cut_short_never_ends_well(codec: Codec, events: list[Event], share: float) -> None:
    encoder = codec.encoder()
    raw = b"".join(encoder.feed(event) for event in events[:-1])
    decoded = _fed(AnswerSource(codec.decoder()), iter([raw[: int(share * len(raw))]]))
    check_events(decoded)
    assert isinstance(decoded[-1], Failed)
