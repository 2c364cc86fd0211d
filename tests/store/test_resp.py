"""RESP2 laws: any cut of the bytes gives the same replies, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError, ReadOnlyError, ResponseError

from service.store.resp import ProtocolError, Redirected, ReplyReader, encode

REPLIES = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


def on_the_wire(reply: object) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(on_the_wire, reply))
    raise AssertionError


@settings(max_examples=60)
@given(replies=st.lists(REPLIES, max_size=6), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_cut_gives_the_same_replies(replies: list, cuts: list[int]):
    data = b"".join(map(on_the_wire, replies))
    reader, read, start = ReplyReader(), [], 0
    for end in [*sorted(cut for cut in cuts if cut <= len(data)), len(data)]:
        read += reader.feed(data[start:end])
        start = end
    assert read == replies


def test_one_byte_at_a_time():
    data = on_the_wire([b"a", [1, None, []], b"\r\n$5\r\n"]) + b"+OK\r\n*-1\r\n"
    reader = ReplyReader()
    assert [reply for byte in data for reply in reader.feed(bytes([byte]))] == [
        [b"a", [1, None, []], b"\r\n$5\r\n"],
        b"OK",
        None,
    ]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("NOSCRIPT No matching script", NoScriptError),
        ("READONLY You can't write", ReadOnlyError),
        ("LOADING Redis is loading", BusyLoadingError),
        ("CLUSTERDOWN The cluster is down", ConnectionError),
        ("MOVED 3999 127.0.0.1:6381", Redirected),
        ("ASK 3999 127.0.0.1:6381", Redirected),
        ("WRONGTYPE Operation", ResponseError),
        ("ERR unknown", ResponseError),
    ],
)
def test_errors_are_told_apart_by_their_first_word(line: str, kind: type[Exception]):
    (error,) = ReplyReader().feed(f"-{line}\r\n".encode())
    assert type(error) is kind


def test_a_redirection_tells_where():
    (error,) = ReplyReader().feed(b"-ASK 12 ::1:6381\r\n")
    assert (error.is_asking, error.slot, error.host, error.port) == (True, 12, "::1", 6381)


def test_errors_inside_arrays_stay_in_their_places():
    ((first, second),) = ReplyReader().feed(b"*2\r\n:1\r\n-ERR no\r\n")
    assert first == 1
    assert isinstance(second, ResponseError)


def test_what_is_not_resp_is_an_error():
    with pytest.raises(ProtocolError):
        ReplyReader().feed(b"HTTP/1.1 400 Bad Request\r\n")


def test_words_of_every_kind_are_encoded():
    command = ("SET", b"\x00\r\n", 12, 0.5, "é")
    assert encode(command) == (
        b"*5\r\n$3\r\nSET\r\n$3\r\n\x00\r\n\r\n$2\r\n12\r\n$3\r\n0.5\r\n$2\r\n\xc3\xa9\r\n"
    )


@pytest.mark.slow
def test_time_grows_with_the_length():
    """Slow: reads some megabytes twice. One value in many pieces, and one array in many."""
    for make in (lambda n: on_the_wire(b"x" * n * 40), lambda n: on_the_wire([b"xy"] * n)):
        spent = []
        for size in (20_000, 80_000):
            data, reader = make(size), ReplyReader()
            began_s = time.process_time()
            for start in range(0, len(data), 64):
                reader.feed(data[start : start + 64])
            spent.append(time.process_time() - began_s)
        assert spent[1] < 8 * max(spent[0], 0.005)
