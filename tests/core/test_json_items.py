"""The frame of long bodies: pieces as they were sent, whatever the cuts."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import BodyTooLarge, InvalidRequest
from service.core.json_items import LineReader, ObjectReader, Piece


def read(body: bytes, *, size: int = 1 << 20, max_piece_bytes: int = 1 << 20) -> list[Piece]:
    reader = ObjectReader(("requests", "tasks"), max_piece_bytes=max_piece_bytes)
    found = [piece for at in range(0, len(body), size) for piece in reader.feed(body[at : at + size])]
    reader.finish()
    return found


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=5), JSON, st.integers(1, 40), st.booleans())
def test_elements_come_out_whole_at_any_cut(elements: list, other: object, size: int, indents: bool) -> None:
    value = {"before": other, "requests": elements, "after": [1, {"requests": "no"}]}
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indents else None)
    pieces = read(body, size=size)
    assert pieces == read(body)
    assert [orjson.loads(piece.body) for piece in pieces if piece.is_element] == elements
    assert [(piece.name, orjson.loads(piece.body)) for piece in pieces if not piece.is_element] == [
        ("before", other),
        ("after", [1, {"requests": "no"}]),
    ]


def test_bytes_of_an_element_are_untouched() -> None:
    element = b'{"a" :  1.50, "b": "\\u00e9\\\\\\"]}" }'
    assert [piece.body for piece in read(b'{"requests": [%b, 1e3 ]}' % element)] == [element, b"1e3"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"  ", id="blanks"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'{"requests": [1', id="cut in an array"),
        pytest.param(b'{"requests": "abc', id="cut in a string"),
        pytest.param(b'{"requests": [1,,2]}', id="two commas"),
        pytest.param(b'{"requests": [1,]}', id="comma before the end"),
        pytest.param(b'{"requests": [1],}', id="comma before the brace"),
        pytest.param(b'{"requests" [1]}', id="no colon"),
        pytest.param(b'{"requests": [1]} x', id="something behind"),
        pytest.param(b"{requests: [1]}", id="bare key"),
        pytest.param(b'{"requests": }', id="no value"),
        pytest.param(b'{"\\x": 1}', id="broken key"),
    ],
)
def test_broken_frames_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(body)
    assert raised.value.code == "invalid_json"


def test_a_long_element_is_refused_before_it_is_held() -> None:
    with pytest.raises(BodyTooLarge):
        read(b'{"requests": ["' + b"x" * 100 + b'"]}', size=10, max_piece_bytes=50)


def test_a_long_key_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        read(b'{"' + b"x" * 2000 + b'": 1}')


def test_reading_takes_linear_time() -> None:
    def took_s(count: int) -> float:
        body = orjson.dumps({"requests": [{"text": 'a "quoted" \\ text' * 4}] * count})
        times = []
        for _ in range(3):
            began_s = time.process_time()
            read(body, size=4096)
            times.append(time.process_time() - began_s)
        return min(times)

    assert took_s(4000) < 8 * max(took_s(1000), 0.001)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5), st.integers(1, 30))
def test_lines_come_out_whole_at_any_cut(texts: list[str], size: int) -> None:
    lines = [orjson.dumps(text) for text in texts]
    for body in (b"\n".join(lines), b"\r\n".join([*lines, b""])):
        reader = LineReader(max_line_bytes=1 << 20)
        found = [line for at in range(0, len(body), size) for line in reader.feed(body[at : at + size])]
        assert [*found, *reader.finish()] == lines


def test_a_long_line_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        LineReader(max_line_bytes=10).feed(b"x" * 11)
