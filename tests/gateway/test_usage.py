"""Usage reports: the words that ask for them, what is filtered, and their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from service.core.errors import InvalidRequest
from service.core.prices import SHIPPED
from service.core.usage import Booked, Grouping, UsageRow
from service.gateway.usage import MAX_DAYS, UsageQuery, UsageReports, csv_of, decode_query, facts_of
from tests.fakes.clock import FakeClock

TODAY = date(2026, 11, 21)
DAY, MODEL, KEY = Grouping.DAY, Grouping.MODEL, Grouping.KEY


def row(day: int, key: str, model: str, **counts: int) -> Booked:
    return Booked(
        day=date(2026, 11, day),
        key_id=f"{key}-id",
        key_name=key,
        model=model,
        row=UsageRow(requests=1, **counts),
    )


class Ledger:
    """Fits ports.UsageReader."""

    rows = (
        row(20, "anna", "pro", input_tokens=5, cost_micro_usd=3),
        row(20, "bert", "pro", input_tokens=50),
        row(21, "anna", "flash", output_tokens=7),
    )

    async def booked(self, first: date, last: date) -> Sequence[Booked]:
        return [one for one in self.rows if first <= one.day <= last]


@pytest.fixture
def reports() -> UsageReports:
    return UsageReports(Ledger(), clock=FakeClock(), prices=SHIPPED)


def query(**words: str) -> UsageQuery:
    return decode_query(words, today=TODAY)


def test_unasked_it_is_thirty_days_by_day_and_model() -> None:
    assert query() == UsageQuery(first=date(2026, 10, 23), last=TODAY, group_by=(DAY, MODEL))
    assert query(**{"from": "", "to": "", "group_by": "", "key": "", "model": ""}) == query()
    assert query(to="2026-11-10").first == date(2026, 10, 12)


def test_every_word_is_read() -> None:
    words = {"from": "2026-11-01", "to": "2026-11-02", "group_by": "key, day,key", "key": "a", "model": "m"}
    assert query(**words) == UsageQuery(
        first=date(2026, 11, 1), last=date(2026, 11, 2), group_by=[KEY, DAY], key="a", model="m"
    )


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "20261120"}, "to"),
        ({"from": "2026-W47-1"}, "from"),
        ({"from": "2026-11-03", "to": "2026-11-02"}, "from"),
        ({"from": "2024-01-01"}, "from"),
        ({"group_by": "week"}, "group_by"),
        ({"group_by": "day,"}, "group_by"),
    ],
)
def test_a_mistake_is_told_by_its_word(words: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_query(words, today=TODAY)
    assert caught.value.param == param


def test_the_whole_ledger_can_be_asked_for_and_the_first_days_of_all() -> None:
    found = query(**{"from": "2025-10-18"})
    assert (found.last - found.first).days + 1 == MAX_DAYS
    assert decode_query({"to": "0001-01-05"}, today=TODAY).first == date.min


async def test_rows_are_put_together_and_summed(reports: UsageReports) -> None:
    facts = facts_of(await reports.report(query(group_by="key")))
    assert facts["from"] == "2026-10-23"
    assert facts["group_by"] == ["key"]
    rows = facts["rows"]
    assert isinstance(rows, list)
    assert [(one["key"], one["key_id"], one["requests"], one["input_tokens"]) for one in rows] == [
        ("anna", "anna-id", 2, 5),
        ("bert", "bert-id", 1, 50),
    ]
    totals = facts["totals"]
    assert isinstance(totals, dict)
    assert (totals["requests"], totals["cost_micro_usd"]) == (3, 3)
    assert facts["price_table"] == {"dated": SHIPPED.dated, "source": SHIPPED.source}


@pytest.mark.parametrize(
    ("words", "requests"),
    [
        ({"key": "anna"}, 2),
        ({"key": "bert-id"}, 1),
        ({"model": "pro"}, 2),
        ({"key": "anna", "model": "pro"}, 1),
        ({"key": "nobody"}, 0),
        ({"from": "2026-11-21"}, 1),
    ],
)
async def test_a_report_may_be_of_one_key_and_one_model(
    reports: UsageReports, words: dict[str, str], requests: int
) -> None:
    assert (await reports.report(query(**words))).total.requests == requests


async def test_csv_has_a_line_for_each_row(reports: UsageReports) -> None:
    lines = csv_of(await reports.report(query())).splitlines()
    assert lines[0].startswith("day,model,requests,input_tokens,")
    assert [line[:16] for line in lines[1:]] == ["2026-11-20,pro,2", "2026-11-21,flash"]


def test_today_is_the_day_in_utc(reports: UsageReports) -> None:
    clock = FakeClock()
    assert (
        UsageReports(Ledger(), clock=clock, prices=SHIPPED).today()
        == datetime.fromtimestamp(clock.unix_s(), UTC).date()
    )
    assert reports.prices is SHIPPED
