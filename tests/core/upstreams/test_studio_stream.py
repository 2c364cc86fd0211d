"""Frames of the studio wire -> events: every row of mimo-api.md 5.4, and the laws of a decoder."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import (
    UpstreamAccountError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    Usage,
    UsageReport,
)
from service.core.pipeline import AnswerSource, joined
from service.core.upstreams.studio_stream import TOOL_NOTICES, StudioDecoder
from service.core.upstreams.studio_thread import CONVERSATION_LOST, MAX_PROMPT_TOKENS, Thread
from tests.grammar.events import check_events

STOP = Finish(FinishReason.STOP)
GARBAGE = Notice("garbage_skipped", "studio")


def frame(event: str, data: object) -> bytes:
    """One frame as the studio writes it: an id, no blank after the colon."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return b"id:1\nevent:%b\ndata:%b\n\n" % (event.encode(), body)


def message(text: str, **fields: object) -> bytes:
    return frame("message", {"type": "text", "content": text, **fields})


DIALOG = frame("dialogId", {"type": None, "content": "8675309", "usage": None})
FINISH = frame("finish", {"type": None, "content": "[DONE]"})


def usage(prompt: Any = 10, completion: Any = 5, **native: Any) -> bytes:
    total = {"promptTokens": prompt, "completionTokens": completion, "totalTokens": 15}
    return frame("usage", {**total, "nativeUsage": native} if native else total)


def decoded(*frames: bytes) -> list[Event]:
    decoder = StudioDecoder()
    events = [event for chunk in frames for event in decoder.feed(chunk)]
    return joined(events + decoder.finish())


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        pytest.param(
            [DIALOG, message("go"), message("od"), FINISH], [TextDelta("good"), STOP], id="the plain answer"
        ),
        pytest.param(
            [frame("", {"type": None, "content": "8675309"}), message("a"), FINISH],
            [TextDelta("a"), STOP],
            id="a dialogId without its name never leaks",
        ),
        pytest.param(
            [frame("", {"type": "text", "content": "a"}), FINISH],
            [TextDelta("a"), STOP],
            id="text without a name is text",
        ),
        pytest.param(
            [frame("message", {"content": "a"}), FINISH],
            [TextDelta("a"), STOP],
            id="a message without a type is text",
        ),
        pytest.param([frame("message", {"type": "card", "content": "a"}), FINISH], [STOP], id="another type"),
        pytest.param(
            [frame("new_event", {"type": "text", "content": "a"}), FINISH], [STOP], id="another event"
        ),
        pytest.param([message(""), message("a"), FINISH], [TextDelta("a"), STOP], id="empty text"),
        pytest.param(
            [frame("doc", {"content": "x"}), frame("tip_ratio", {"content": "80"}), message("a"), FINISH],
            [TextDelta("a"), STOP],
            id="steps and hints are not shown",
        ),
        pytest.param(
            [frame("tip_truncate", {"content": ""}), message("a"), FINISH],
            [Notice("input_truncated", "studio"), TextDelta("a"), STOP],
            id="a cut input is told to the operator",
        ),
        pytest.param(
            [message("<think>\x00hm</think>\x00yes"), FINISH],
            [ReasoningDelta("hm"), TextDelta("yes"), STOP],
            id="thinking in one frame",
        ),
        pytest.param(
            [
                message("<th"),
                message("ink>"),
                message("\x00hm</"),
                message("think>\x00"),
                message("y"),
                FINISH,
            ],
            [ReasoningDelta("hm"), TextDelta("y"), STOP],
            id="thinking cut across frames",
        ),
        pytest.param(
            [message("<think>\x00hm"), FINISH], [ReasoningDelta("hm"), STOP], id="an end inside thinking"
        ),
        pytest.param([message("a\x00b"), FINISH], [TextDelta("ab"), STOP], id="no NUL reaches a client"),
        pytest.param([message("a"), b"data:[DONE]\n\n"], [TextDelta("a"), STOP], id="a bare end mark"),
        pytest.param(
            [message("a"), frame("message", {"type": None, "content": "[DONE]"})],
            [TextDelta("a"), STOP],
            id="an end mark as a message",
        ),
        pytest.param(
            [message("[DONE]"), FINISH], [TextDelta("[DONE]"), STOP], id="an answer that looks like one"
        ),
        pytest.param(
            [message("a"), FINISH, message("b")], [TextDelta("a"), STOP], id="nothing follows the end"
        ),
        pytest.param(
            [message("a") + FINISH + message("b")], [TextDelta("a"), STOP], id="not in one read either"
        ),
        pytest.param([message("a")], [TextDelta("a")], id="a cut stream has no finish"),
        pytest.param([], [], id="an empty answer has none either"),
        pytest.param([b"\n\n", b"  "], [], id="nor one of blanks"),
        pytest.param([FINISH.rstrip()], [STOP], id="a finish without its blank line counts"),
        pytest.param(
            [frame("message", b"{broken"), frame("message", b"\xff"), message("a"), FINISH],
            [GARBAGE, GARBAGE, TextDelta("a"), STOP],
            id="garbage is skipped and told",
        ),
        pytest.param(
            [frame("message", 5), frame("message", [1]), frame("message", {"content": 5}), FINISH],
            [STOP],
            id="JSON of another shape is skipped",
        ),
        pytest.param(
            [b":ping\n\n", b"retry:5\n\n", message("a"), FINISH], [TextDelta("a"), STOP], id="comments"
        ),
    ],
)
def test_frames(frames: list[bytes], events: list[Event]) -> None:
    assert decoded(*frames) == events


_DROPPED = Notice("native_prefix_dropped", "studio")


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        pytest.param(
            [message("getTimeInfo"), message("a"), FINISH], [_DROPPED, TextDelta("a"), STOP], id="dropped"
        ),
        pytest.param(
            [message("webSearch"), message("webExtract"), message("a"), FINISH],
            [_DROPPED, TextDelta("a"), STOP],
            id="several in a row",
        ),
        pytest.param(
            [message("calculator"), FINISH],
            [TextDelta("calculator"), STOP],
            id="the whole answer is that word",
        ),
        pytest.param(
            [message("calculator"), usage(), FINISH],
            [TextDelta("calculator"), UsageReport(Usage(input_tokens=10, output_tokens=5)), STOP],
            id="and usage comes after it",
        ),
        pytest.param(
            [message("use a "), message("calculator"), FINISH],
            [TextDelta("use a calculator"), STOP],
            id="within text it is text",
        ),
        pytest.param(
            [message("calculators"), FINISH], [TextDelta("calculators"), STOP], id="a longer word is another"
        ),
        pytest.param(
            [message("webSearch"), message(""), FINISH], [TextDelta("webSearch"), STOP], id="then nothing"
        ),
        pytest.param(
            [message("webSearch"), message("<think>\x00hm</think>\x00a"), FINISH],
            [_DROPPED, ReasoningDelta("hm"), TextDelta("a"), STOP],
            id="before thinking",
        ),
        pytest.param([message("webSearch")], [], id="a cut stream shows no notice"),
    ],
)
def test_tool_notices(frames: list[bytes], events: list[Event]) -> None:
    assert decoded(DIALOG, *frames) == events


def test_a_notice_before_a_failure_is_no_answer() -> None:
    """Else the client would have seen something, and no other account could be tried."""
    events = decoded(message("webSearch"), frame("error", {"content": "busy"}))
    assert [type(event) for event in events] == [Failed]


def test_the_notices_are_those_that_were_seen() -> None:
    assert len(TOOL_NOTICES) == 10


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param([usage()], Usage(input_tokens=10, output_tokens=5), id="as it comes"),
        pytest.param(
            [usage(1, 1), usage(2, 2)], Usage(input_tokens=2, output_tokens=2), id="the last counts"
        ),
        pytest.param(
            [usage(2, 2), usage(None)], Usage(input_tokens=2, output_tokens=2), id="a broken one does not"
        ),
        pytest.param(
            [
                usage(
                    completion_tokens_details={"reasoning_tokens": 3},
                    prompt_tokens_details={"cached_tokens": 4},
                )
            ],
            Usage(input_tokens=10, output_tokens=5, reasoning_tokens=3, cached_tokens=4),
            id="with the native details",
        ),
        pytest.param(
            [
                usage(
                    prompt_tokens_details={"image_tokens": 3, "audio_tokens": 2, "video_tokens": 1},
                )
            ],
            Usage(input_tokens=10, output_tokens=5, image_tokens=3, audio_tokens=2, video_tokens=1),
            id="with what media took",
        ),
        pytest.param(
            [usage(completion_tokens_details=None, prompt_tokens_details=[])],
            Usage(input_tokens=10, output_tokens=5),
            id="with details that are none",
        ),
        pytest.param([usage(-5, "x")], Usage(), id="absurd numbers are nothing"),
        pytest.param(
            [frame("usage", {"content": {"promptTokens": 7}})], Usage(input_tokens=7), id="under content"
        ),
        pytest.param(
            [frame("usage", {"usage": {"promptTokens": 7}})], Usage(input_tokens=7), id="under usage"
        ),
    ],
)
def test_usage(frames: list[bytes], expected: Usage) -> None:
    assert decoded(message("a"), *frames, FINISH) == [TextDelta("a"), UsageReport(expected), STOP]
    assert decoded(message("a"), *frames) == [TextDelta("a"), UsageReport(expected)]


@pytest.mark.parametrize(
    ("data", "citations"),
    [
        pytest.param(
            {"url": "http://a", "title": "A", "summary": "s"}, [Citation("http://a", "A", "s")], id="one"
        ),
        pytest.param(
            [{"id": 1, "text": "no address"}, {"url": "http://b", "text": "t"}, 5, {"url": None}],
            [Citation("http://b", "", "t")],
            id="a list, of which some have an address",
        ),
        pytest.param({"content": "https://c"}, [Citation("https://c")], id="the content is the address"),
        pytest.param("text", [], id="a string"),
        pytest.param(None, [], id="null"),
    ],
)
def test_web_search_frames(data: object, citations: list[Event]) -> None:
    assert decoded(frame("web_search", data), message("a"), FINISH) == [*citations, TextDelta("a"), STOP]


@pytest.mark.parametrize("name", ["sensitive_query", "sensitive_title"])
def test_moderation_ends_the_answer_and_says_so(name: str) -> None:
    stop = frame(name, {"content": "no"})
    assert decoded(message("a"), stop, message("b")) == [TextDelta("a"), Finish(FinishReason.CONTENT_FILTER)]


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "kind", "told"),
    [
        pytest.param([frame("error", {"content": "busy"})], UpstreamUnavailable, "busy", id="error frame"),
        pytest.param(
            [frame("error", {"type": "text", "content": "busy"})], UpstreamUnavailable, "busy", id="typed"
        ),
        pytest.param(
            [frame("error", {"msg": "busy"})], UpstreamUnavailable, "busy", id="error frame, other field"
        ),
        pytest.param(
            [frame("error", {})], UpstreamUnavailable, "no reason given", id="error frame without words"
        ),
        pytest.param(
            [frame("error", {"content": "x" * 999})], UpstreamUnavailable, "x" * 300, id="many words"
        ),
        pytest.param(
            [b'{"code":401,"msg":"x"}'], UpstreamAccountError, "session", id="JSON instead of a stream"
        ),
        pytest.param(
            [b"  \n", b'{"code"', b":429}"], UpstreamRateLimited, "busy", id="JSON, cut, after blanks"
        ),
        pytest.param([b"<html><body>"], UpstreamProtocolError, "no stream", id="HTML"),
        pytest.param([b"[1]"], UpstreamProtocolError, "no stream", id="a list"),
        pytest.param([b'{"code":0}'], UpstreamProtocolError, "no stream", id="success that is no stream"),
        pytest.param([frame("", {"code": 429})], UpstreamRateLimited, "busy", id="an error in a frame"),
        pytest.param(
            [frame("message", {"code": 7, "msg": "odd"})], UpstreamUnavailable, "odd", id="its own code"
        ),
    ],
)
def test_failures(chunks: list[bytes], kind: type[Exception], told: str) -> None:
    (failed,) = decoded(*chunks)
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind
    assert told in failed.error.message
    assert len(failed.error.message) < 400


def test_what_came_before_a_failure_stays() -> None:
    events = decoded(message("a <th"), usage(), frame("error", {"content": "busy"}), message("b"))
    assert events[:2] == [TextDelta("a <th"), UsageReport(Usage(input_tokens=10, output_tokens=5))]
    assert isinstance(events[2], Failed)


@pytest.mark.parametrize("code", [0, 200, None])
def test_a_code_of_success_is_no_failure(code: int | None) -> None:
    assert decoded(frame("", {"code": code}), message("a"), FINISH) == [TextDelta("a"), STOP]


def test_an_endless_page_is_not_kept() -> None:
    decoder = StudioDecoder()
    for _ in range(100):
        assert decoder.feed(b"<" * 10_000) == []
    assert decoder._plain_bytes == 64 << 10
    assert [type(event) for event in decoder.finish()] == [Failed]


# --- the end ------------------------------------------------------------------------------------------------


def test_done_at_the_finish_frame_not_at_the_end_of_the_socket() -> None:
    decoder = StudioDecoder()
    decoder.feed(message("a"))
    assert not decoder.is_done
    decoder.feed(FINISH)
    assert decoder.is_done
    assert decoder.feed(message("b")) == []
    assert decoder.finish() == []


def test_done_once_a_page_was_read() -> None:
    decoder = StudioDecoder()
    decoder.feed(b"<html>")
    decoder.finish()
    assert decoder.is_done
    assert decoder.finish() == []


# --- laws ---------------------------------------------------------------------------------------------------

_frames = st.one_of(
    st.text("<think>/\x00 ab", max_size=12).map(message),
    st.sampled_from(
        [
            DIALOG,
            FINISH,
            message("webSearch"),
            message("<think>\x00"),
            message("</think>\x00"),
            message("好\u2028"),
            usage(),
            usage(3, 4, completion_tokens_details={"reasoning_tokens": 1}),
            frame("web_search", [{"url": "http://a"}]),
            frame("error", {"content": "busy"}),
            frame("sensitive_query", {"content": ""}),
            frame("tip_truncate", {}),
            frame("message", b"\xff{"),
            b"data:[DONE]\n\n",
            b":ping\r\n\r\n",
            b'{"code":401}',
            b"<html>",
            b"\n",
        ]
    ),
)


def source_events(chunks: list[bytes]) -> list[Event]:
    source = AnswerSource(StudioDecoder())
    events = [event for chunk in chunks for event in source.feed(chunk)]
    return events + source.finish()


def comparable(events: list[Event]) -> list[object]:
    """Errors have no equality of their own."""
    return [(type(e.error), e.error.message) if isinstance(e, Failed) else e for e in joined(events)]


@pytest.mark.slow
@given(st.lists(_frames, max_size=8), st.data())
def test_any_cut_gives_the_same_events(frames: list[bytes], data: st.DataObject) -> None:
    """Slow: a hundred streams, each decoded three times, once byte by byte."""
    raw = b"".join(frames)
    whole = source_events([raw])
    check_events(whole)
    assert comparable(source_events([bytes([byte]) for byte in raw])) == comparable(whole)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert comparable(source_events(pieces)) == comparable(whole)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_exactly_one_end(raw: bytes) -> None:
    check_events(source_events([raw]))


@settings(max_examples=50)
@given(st.lists(_frames, max_size=8))
def test_no_nul_and_no_dialog_id_reach_a_client(frames: list[bytes]) -> None:
    for event in source_events([DIALOG, *frames]):
        text = event.text if isinstance(event, TextDelta | ReasoningDelta) else ""
        assert "\x00" not in text
        assert "8675309" not in text


@pytest.mark.slow
def test_time_grows_with_the_length() -> None:
    """Slow: it measures, so that it must run for a while. Four times the input, less than eight times as
    long."""

    def spent_s(count: int) -> float:
        raw = DIALOG + b"".join(message(f"<b>{n} <think>") for n in range(count)) + FINISH
        best = float("inf")
        for _ in range(3):
            decoder, started = StudioDecoder(), time.process_time()
            for at in range(0, len(raw), 7):
                decoder.feed(raw[at : at + 7])
            best = min(best, time.process_time() - started)
        return best

    assert spent_s(4_000) < 8 * spent_s(1_000)


# --- conversations that go on -------------------------------------------------------------------------------

ID = "c" * 32
BEFORE = Thread(conversation_id=ID, dialog_id="1", prompt_tokens=100)


def read(*frames: bytes, follows: Thread | None = None) -> tuple[StudioDecoder, list[Event]]:
    decoder = StudioDecoder(follows)
    events = [event for chunk in frames for event in decoder.feed(chunk)]
    return decoder, joined(events + decoder.finish())


def test_an_answer_that_ended_by_itself_may_be_gone_on_with() -> None:
    decoder, _ = read(DIALOG, message("a"), usage(20), usage(30), FINISH)
    assert decoder.thread(ID) == Thread(conversation_id=ID, dialog_id="8675309", prompt_tokens=30)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([message("a"), FINISH], id="no dialogId"),
        pytest.param([frame("dialogId", {"content": None}), message("a"), FINISH], id="a null dialogId"),
        pytest.param([DIALOG, message("a")], id="no end"),
        pytest.param([DIALOG, message("a"), frame("error", {"content": "x"})], id="an error"),
        pytest.param([DIALOG, message("a"), frame("sensitive_query", {"content": "x"})], id="moderation"),
        pytest.param([DIALOG, frame("tip_truncate", {"content": ""}), message("a"), FINISH], id="cut input"),
        pytest.param([DIALOG, message("a"), usage(MAX_PROMPT_TOKENS + 1), FINISH], id="grown too long"),
        pytest.param([b'{"code": 500}'], id="no stream"),
    ],
)
def test_others_may_not(frames: list[bytes]) -> None:
    assert read(*frames)[0].thread(ID) is None


def test_an_answer_that_goes_on_may_be_gone_on_with_again() -> None:
    decoder, events = read(DIALOG, usage(100), message("a"), usage(100), FINISH, follows=BEFORE)
    assert events[0] == TextDelta("a")
    assert events[-1] == STOP
    assert decoder.thread(ID) == Thread(conversation_id=ID, dialog_id="8675309", prompt_tokens=100)


def failure(*frames: bytes, follows: Thread = BEFORE) -> UpstreamError:
    last = read(*frames, follows=follows)[1][-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    return last.error


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([b'{"code": 4041, "msg": "conversation not found"}'], id="a JSON body"),
        pytest.param([frame("error", {"content": "gone"})], id="an error frame"),
        pytest.param([DIALOG, frame("message", {"code": 4041, "content": None})], id="a code in a frame"),
        pytest.param([DIALOG, usage(99)], id="a prompt that is too small"),
        pytest.param([DIALOG, message("getTimeInfo"), usage(99)], id="the same behind a tool notice"),
    ],
)
def test_a_lost_conversation_is_told_before_the_first_text(frames: list[bytes]) -> None:
    assert failure(*frames).code == CONVERSATION_LOST


def test_after_the_first_text_the_answer_goes_on_and_ends_there() -> None:
    decoder, events = read(DIALOG, message("a"), usage(99), message("b"), FINISH, follows=BEFORE)
    assert [event for event in events if not isinstance(event, UsageReport)] == [
        TextDelta("a"),
        Notice("history_lost", "studio"),
        TextDelta("b"),
        STOP,
    ]
    assert decoder.thread(ID) is None
    late = failure(DIALOG, message("a"), frame("error", {"content": "x"}))
    assert isinstance(late, UpstreamUnavailable)


def test_a_prompt_that_the_studio_cut_may_be_smaller() -> None:
    _, events = read(DIALOG, frame("tip_truncate", {"content": ""}), usage(9), FINISH, follows=BEFORE)
    assert events[-1] == STOP


@pytest.mark.parametrize(
    "frames", [[b'{"code":401,"loginUrl":"x"}'], [DIALOG, frame("x", {"loginUrl": "x"})]]
)
def test_an_ended_session_is_told_in_any_phase(frames: list[bytes]) -> None:
    error = failure(*frames)
    assert isinstance(error, UpstreamAccountError)
    assert error.code == "session_expired"
