"""The small words that whole answers and streams share."""

from __future__ import annotations

import pytest

from service.core.dialects.openai_chat.answer import (
    custom_input,
    decode_citations,
    decode_finish,
    decode_text,
    decode_usage,
    encode_citation,
    encode_usage,
    finish_word,
    is_cut,
)
from service.core.events import Citation, Finish, FinishReason, Usage


@pytest.mark.parametrize(
    ("arguments", "raw"),
    [
        pytest.param('{"input":"*** \\n<&"}', "*** \n<&", id="wrapped"),
        pytest.param('{"input":""}', "", id="empty"),
        pytest.param('{"patch":"x"}', '{"patch":"x"}', id="under another name"),
        pytest.param('{"input":5}', '{"input":5}', id="not a string"),
        pytest.param("[1]", "[1]", id="no object"),
        pytest.param("*** raw", "*** raw", id="raw already"),
    ],
)
def test_the_input_of_a_freeform_tool(arguments: str, raw: str) -> None:
    assert custom_input(arguments) == raw


def test_usage_survives() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2, searches=3)
    assert decode_usage(encode_usage(usage)) == usage


def test_usage_tells_what_media_and_searches_took() -> None:
    sent = {"cached_tokens": 4, "image_tokens": 3, "audio_tokens": 2, "video_tokens": 1}
    searched = {"tool_usage": 2, "page_usage": 9}
    value = {"prompt_tokens": 10, "prompt_tokens_details": sent, "web_search_usage": searched}
    assert decode_usage(value) == Usage(
        input_tokens=10, cached_tokens=4, image_tokens=3, audio_tokens=2, video_tokens=1, searches=2
    )
    assert decode_usage({"prompt_tokens_details": None, "web_search_usage": []}) == Usage()


@pytest.mark.parametrize("value", [None, 5, "x", []])
def test_what_is_no_usage(value: object) -> None:
    assert decode_usage(value) is None


@pytest.mark.parametrize("count", [None, -1, 2.5, "7", True])
def test_a_count_that_is_none_is_zero(count: object) -> None:
    assert decode_usage({"prompt_tokens": count}) == Usage()


@pytest.mark.parametrize("reason", list(FinishReason))
@pytest.mark.parametrize("has_calls", [False, True])
def test_a_finish_survives(reason: FinishReason, has_calls: bool) -> None:
    """STOP with calls and TOOL_CALLS without are no answers that the laws allow; they are made fit."""
    word = finish_word(reason, has_calls=has_calls, has_cut_call=False)
    decoded = decode_finish(word, has_calls=has_calls)
    if reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER):
        assert decoded == Finish(reason)
    else:
        assert decoded == Finish(FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP)


@pytest.mark.parametrize(
    ("word", "cut"),
    [
        ("length", True),
        ("content_filter", True),
        ("repetition_truncation", True),
        ("stop", False),
        (None, False),
    ],
)
def test_what_cuts_an_answer(word: object, cut: bool) -> None:
    assert is_cut(word) is cut
    assert not is_cut(["length"])
    assert decode_finish(["length"], has_calls=False) == Finish(FinishReason.STOP)


def test_citations_survive() -> None:
    citations = [Citation("https://x", "X", "about"), Citation("https://y")]
    assert decode_citations([encode_citation(citation) for citation in citations]) == citations
    assert decode_citations("?") == []
    dated = {"type": "url_citation", "url": "https://x", "publish_time": "2026-09-21"}
    assert decode_citations([dated]) == [Citation("https://x", published="2026-09-21")]


def test_text_in_whatever_form() -> None:
    assert decode_text("a") == "a"
    assert decode_text([{"type": "text", "text": "a"}, {"type": "x"}, 5, {"text": "b"}]) == "ab"
    assert decode_text(None) == decode_text({"text": "a"}) == ""
