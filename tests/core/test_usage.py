"""The ledger's rows: one request, sums, groups and CSV."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest

from service.core.events import Usage
from service.core.usage import (
    COUNTS,
    Booked,
    Grouping,
    UsageRow,
    counts_of,
    encode_csv,
    grouped,
    row_of,
    total,
)

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


def booked(day: date, key: str, model: str, **counts: int) -> Booked:
    return Booked(
        day=day, key_id=f"id-of-{key}", key_name=key, model=model, row=UsageRow(requests=1, **counts)
    )


ROWS = [
    booked(TUESDAY, "anna", "pro", input_tokens=10, cost_micro_usd=5),
    booked(MONDAY, "anna", "pro", input_tokens=1),
    booked(MONDAY, "anna", "flash", output_tokens=7),
    booked(MONDAY, "bert", "pro", input_tokens=100, searches=2),
]


def test_a_request_is_a_row_of_everything_it_took():
    usage = Usage(
        input_tokens=90,
        output_tokens=20,
        cached_tokens=30,
        reasoning_tokens=9,
        image_tokens=1,
        audio_tokens=2,
        video_tokens=3,
        audio_ms=1500,
        searches=4,
    )
    assert counts_of(row_of(usage, cost_micro_usd=77)) == {
        "requests": 1,
        "input_tokens": 90,
        "cached_tokens": 30,
        "output_tokens": 20,
        "reasoning_tokens": 9,
        "image_tokens": 1,
        "audio_tokens": 2,
        "video_tokens": 3,
        "audio_ms": 1500,
        "searches": 4,
        "estimated_requests": 0,
        "cost_micro_usd": 77,
    }


def test_an_estimate_is_told_as_one():
    row = row_of(Usage(input_tokens=3, is_estimated=True), cost_micro_usd=0)
    assert (row.requests, row.estimated_requests) == (1, 1)


def test_rows_add_up_field_by_field():
    one = UsageRow(**{name: place for place, name in enumerate(COUNTS, 1)})
    assert counts_of(one + one) == {name: 2 * place for place, name in enumerate(COUNTS, 1)}
    assert total(ROWS) == UsageRow(
        requests=4, input_tokens=111, output_tokens=7, searches=2, cost_micro_usd=5
    )
    assert total([]) == UsageRow()


def test_sums_for_each_combination_that_occurs_in_order():
    sums = grouped(ROWS, [Grouping.DAY, Grouping.MODEL])
    assert [(dict(one.labels), one.row.requests) for one in sums] == [
        ({"day": "2026-11-16", "model": "flash"}, 1),
        ({"day": "2026-11-16", "model": "pro"}, 2),
        ({"day": "2026-11-17", "model": "pro"}, 1),
    ]


def test_a_keys_sum_has_its_name_and_its_id():
    sums = grouped(ROWS, [Grouping.KEY])
    assert [(dict(one.labels), one.row.requests) for one in sums] == [
        ({"key": "anna", "key_id": "id-of-anna"}, 3),
        ({"key": "bert", "key_id": "id-of-bert"}, 1),
    ]


def test_grouped_by_nothing_is_one_sum_of_all():
    assert [(one.labels, one.row) for one in grouped(ROWS, [])] == [({}, total(ROWS))]
    assert grouped([], [Grouping.DAY]) == []


def test_csv_has_a_head_and_quotes_what_needs_it():
    rows = [booked(MONDAY, 'the "big", one', "pro", input_tokens=5)]
    head, line, end = encode_csv(grouped(rows, [Grouping.KEY]), [Grouping.KEY]).split("\r\n")
    assert head == "key,key_id," + ",".join(COUNTS)
    assert line == '"the ""big"", one","id-of-the ""big"", one",1,5,0,0,0,0,0,0,0,0,0,0'
    assert end == ""


@pytest.mark.parametrize(
    "name", ["=HYPERLINK()", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\uff1d1", "\uff201"]
)
def test_a_name_is_no_formula(name: str):
    rows = [booked(MONDAY, "anna", name)]
    csv = encode_csv(grouped(rows, [Grouping.MODEL]), [Grouping.MODEL])
    assert csv.splitlines()[1].startswith(f"'{name}")


def test_what_two_answers_took_adds_up_count_by_count():
    numbers = [field.name for field in fields(Usage) if field.name != "is_estimated"]
    one = Usage(**{name: place for place, name in enumerate(numbers, 1)})
    other = Usage(**{name: 10 * place for place, name in enumerate(numbers, 1)}, is_estimated=True)
    both = one + other
    assert [getattr(both, name) for name in numbers] == [11 * place for place in range(1, len(numbers) + 1)]
    assert both.is_estimated
    assert both.media_tokens == both.image_tokens + both.audio_tokens + both.video_tokens
    assert not (one + one).is_estimated
