"""How far a text is the beginning of JSON, held against parsers of another make."""

from __future__ import annotations

import re
from itertools import pairwise

import jiter
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.json_prefix import JsonPrefix

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = (st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=3), VALUES, max_size=3)).map(
    lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
)


@st.composite
def nearly_json(draw: st.DrawFn) -> str:
    """JSON, one sign of which was put in, taken out, or put in another's place."""
    text = draw(CONTAINERS)
    at, sign = (
        draw(st.integers(0, len(text) - 1)),
        draw(st.sampled_from('{}[],:"\\-+.eE019tfnulabx \n\t\x01')),
    )
    return draw(
        st.sampled_from(
            [text[:at] + sign + text[at:], text[:at] + text[at + 1 :], text[:at] + sign + text[at + 1 :]]
        )
    )


def taken(*pieces: str) -> tuple[int, JsonPrefix]:
    prefix = JsonPrefix()
    return sum(map(prefix.feed, pieces)), prefix


def may_be_a_beginning(text: str) -> bool:
    """What a lenient parser of beginnings takes."""
    try:
        jiter.from_json(text.encode(), partial_mode="trailing-strings")
    except ValueError:
        return False
    return True


_HUGE = re.compile(r"\d[eE]\+?\d")  # by its grammar a number, but more than a double holds
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_ENDS = (
    *("", "0", ":0", '"', '":0', '"":0', 'n"', 'n":0'),
    *(word[start:] for word in ("true", "false", "null") for start in range(1, len(word))),
    *(digits + end for digits in ("0", "00", "000", "0000") for end in ('"', '":0')),
)


def is_a_beginning(text: str) -> bool:
    """Whether one of a few ends makes JSON of it: enough for what a single sign was done to."""
    brackets = [sign for sign in _STRINGS.sub("", text) if sign in "{}[]"]
    open_: list[str] = []
    for sign in brackets:
        if sign in "{[":
            open_.append("}" if sign == "{" else "]")
        elif open_:
            open_.pop()
    closers = "".join(reversed(open_))
    return any(_is_json(text + end + closers) for end in _ENDS)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


@given(CONTAINERS)
def test_json_is_whole_at_its_last_sign_and_no_earlier(text: str) -> None:
    count, prefix = taken(text[:-1])
    assert (count, prefix.is_whole, prefix.is_broken) == (len(text) - 1, False, False)
    assert prefix.feed(text[-1] + "more") == 1
    assert prefix.is_whole
    assert prefix.feed("{") == 0


@given(nearly_json())
@example('{"a": 01}')
@example('{"a": -}')
@example('{"a": 1.}')
@example('{"a": 1e+}')
@example('{"a": nul}')
@example('["\\u12g"]')
@example('["\\x"]')
@example("[}")
@example('{"a" 1}')
@example('{"a": 1]')
def test_as_much_is_taken_as_another_parser_takes(text: str) -> None:
    count, prefix = taken(text)
    assert not text[:count].strip() or may_be_a_beginning(text[:count])
    if prefix.is_broken:
        is_container = bool(text[:count].strip())
        assert not is_a_beginning(text[: count + 1]) if is_container else text[count] not in "{["
    elif prefix.is_whole:
        assert _is_json(text[:count]) or _HUGE.search(text)
    else:
        assert count == len(text)
        assert is_a_beginning(text) or _HUGE.search(text)


@given(nearly_json(), st.lists(st.integers(0, 60)))
def test_any_cut_takes_the_same(text: str, cuts: list[int]) -> None:
    whole, one = taken(text)
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    count, other = taken(*(text[a:b] for a, b in pairwise(bounds)))
    assert (count, other.is_whole, other.is_broken) == (whole, one.is_whole, one.is_broken)


@pytest.mark.parametrize("text", ['"text"', "7", "true", "]", "x"])
def test_what_is_no_container_is_broken_at_once(text: str) -> None:
    count, prefix = taken(text)
    assert (count, prefix.is_broken) == (0, True)


def test_all_of_json_is_taken() -> None:
    text = ' { "a" : [ -1.5e+10 , 0.25E-3 , 1e9 , true , false , null , "\\u00e9\\n\\"" , { } , [ ] ] } '
    count, prefix = taken(text)
    assert (count, prefix.is_whole) == (len(text) - 1, True)
