"""Server-sent events: lines, fields, and what the standard says of odd ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import UpstreamProtocolError
from service.core.sse import SSEDecoder, SSEEvent, encode_comment, encode_event
from tests.strategies import texts


def read(*chunks: bytes) -> list[SSEEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"data: a\n\n", [SSEEvent(b"a")], id="one line"),
        pytest.param(b"data:a\n\n", [SSEEvent(b"a")], id="no blank behind the colon"),
        pytest.param(b"data:  a\n\n", [SSEEvent(b" a")], id="only one blank is dropped"),
        pytest.param(b"data: a\r\n\r\n", [SSEEvent(b"a")], id="CRLF"),
        pytest.param(b"data: a\r\r", [SSEEvent(b"a")], id="CR"),
        pytest.param(b"data: a\r\n\ndata: b\n\r\n", [SSEEvent(b"a"), SSEEvent(b"b")], id="mixed ends"),
        pytest.param(b"data: a\ndata: b\n\n", [SSEEvent(b"a\nb")], id="several lines are joined"),
        pytest.param(b"data\n\n", [SSEEvent(b"")], id="data without a colon"),
        pytest.param(b"data\ndata: a\n\n", [SSEEvent(b"\na")], id="an empty line, then one"),
        pytest.param(
            b"event: e\ndata: a\n\ndata: b\n\n",
            [SSEEvent(b"a", "e"), SSEEvent(b"b")],
            id="the name is for one",
        ),
        pytest.param(b"event: e\n\ndata: b\n\n", [SSEEvent(b"b")], id="a name without data is dropped"),
        pytest.param(
            b"id: 7\ndata: a\n\ndata: b\n\n",
            [SSEEvent(b"a", "", "7"), SSEEvent(b"b", "", "7")],
            id="the id stays",
        ),
        pytest.param(b": ping\n\ndata: a\n:x\n\n", [SSEEvent(b"a")], id="comments"),
        pytest.param(b"retry: 5\nwhat\ndata: a\n\n", [SSEEvent(b"a")], id="other fields"),
        pytest.param(b"\n\n\n", [], id="blank lines"),
        pytest.param(b"data: a", [SSEEvent(b"a")], id="the end without a line end"),
        pytest.param(b"data: a\n", [SSEEvent(b"a")], id="the end without a blank line"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [SSEEvent(b"a")], id="a byte order mark"),
        pytest.param(b"event: \xff\ndata: a\n\n", [SSEEvent(b"a", "\ufffd")], id="a name that is not UTF-8"),
        pytest.param(
            "data: a\u2028b\u0085c\x0bd\n\n".encode(),
            [SSEEvent("a\u2028b\u0085c\x0bd".encode())],
            id="other line ends of Unicode are text",
        ),
    ],
)
def test_events(raw: bytes, expected: list[SSEEvent]) -> None:
    assert read(raw) == expected
    assert read(*(raw[i : i + 1] for i in range(len(raw)))) == expected, "byte by byte"


def test_an_empty_chunk_changes_nothing() -> None:
    assert read(b"data: a\r", b"", b"\n", b"", b"\r\n") == [SSEEvent(b"a")]


@given(st.lists(st.tuples(texts(min_size=0), st.sampled_from(["", "delta"])), max_size=5))
def test_what_is_encoded_decodes_to_the_same(events: list[tuple[str, str]]) -> None:
    """LF is the only line end that data may hold: JSON on one line holds none at all."""
    sent = [SSEEvent(text.replace("\r", " ").encode(), name) for text, name in events]
    raw = b"".join(encode_event(event.data, event=event.event) + encode_comment("ping") for event in sent)
    assert read(raw) == sent


def test_encoding() -> None:
    assert encode_event(b"a\nb", event="e", event_id="7") == b"id: 7\nevent: e\ndata: a\ndata: b\n\n"
    assert encode_event(b"a") == b"data: a\n\n"
    assert encode_comment("ping") == b": ping\n\n"


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"data: " + b"x" * 20 + b"\n\n"], id="a line"),
        pytest.param([b"data: ", b"x" * 10, b"x" * 10], id="a line in pieces that never ends"),
        pytest.param([b"data: " + b"x" * 8 + b"\n"] * 3, id="an event of many lines"),
    ],
)
def test_an_event_is_bounded(chunks: list[bytes]) -> None:
    decoder = SSEDecoder(max_line_bytes=16)
    *first, last = chunks
    assert [event for chunk in first for event in decoder.feed(chunk)] == []
    with pytest.raises(UpstreamProtocolError, match="more than 16 bytes"):
        decoder.feed(last)
