"""Every row of tests/golden/sieve: whole, one character at a time, cut in two, cut at random, with empty
pieces.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from service.core.completion import collect
from service.core.conversation import ToolKind
from service.core.events import TextDelta, ToolCallStart
from tests.core.mimoml.sieving import TOOLS, sieved
from tests.core.mimoml.table import Case, outcome, pieces_of, policy_of, tables, write_case
from tests.grammar.events import check_events

TABLES = tables()
CASES = [pytest.param(case, id=f"{table}: {case.name}") for table, cases in TABLES.items() for case in cases]


def test_table_is_as_large_as_promised_and_names_each_case_once() -> None:
    names = [(table, case.name) for table, cases in TABLES.items() for case in cases]
    assert len(names) >= 200
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES)
def test_whole(case: Case) -> None:
    assert outcome(case) == list(case.expected)


@pytest.mark.parametrize("case", CASES)
def test_one_character_at_a_time(case: Case) -> None:
    assert outcome(case, list) == list(case.expected)


@pytest.mark.parametrize("case", CASES)
def test_cut_in_two_and_at_random(case: Case) -> None:
    """Every cut of a short input, some of a long one; then pieces of random length, empty ones between."""
    wanted = list(case.expected)
    rng = random.Random(case.name)
    places: Iterable[int] = range(case.size + 1)
    if case.size > 120:
        places = rng.sample(range(case.size + 1), 40)
    for place in places:
        assert outcome(case, _cut_at(place)) == wanted, f"cut at {place}"
    for _ in range(8):
        assert outcome(case, _random_pieces(rng)) == wanted


def _cut_at(place: int) -> Callable[[str], list[str]]:
    return lambda text: [text[:place], text[place:]]


def _random_pieces(rng: random.Random) -> Callable[[str], list[str]]:
    def cut(text: str) -> list[str]:
        pieces = []
        while text:
            length = rng.randint(0, 9)
            pieces.append(text[:length])
            text = text[length:]
        return pieces

    return cut


@pytest.mark.parametrize("case", CASES)
def test_laws_of_events_hold(case: Case) -> None:
    """In particular: contiguous indexes, unique ids, arguments that are one JSON object."""
    events = sieved(pieces_of(case, list), policy=policy_of(case))
    check_events(events)
    ids = [event.call_id for event in events if isinstance(event, ToolCallStart)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_a_call_when_no_tool_is_declared(case: Case) -> None:
    pieces = [piece for piece in pieces_of(case, list) if isinstance(piece, TextDelta)]
    if pieces:
        events = sieved(pieces, tools=())
        assert events[:-1] == pieces


def test_a_row_reads_back_as_it_was_written() -> None:
    for cases in TABLES.values():
        for case in cases:
            text = write_case(case, case.expected)
            from tests.core.mimoml.table import parse

            assert parse(text) == [case]


def test_custom_tool_is_declared() -> None:
    assert any(tool.kind is ToolKind.CUSTOM for tool in TOOLS)
    assert collect(sieved([])).parts == ()
