"""What was used and what it cost, as operators ask for it: over some days, put together by some of day, model
and key. The admin API and the command line ask here, in the same words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from service.core.errors import InvalidRequest
from service.core.prices import PriceTable
from service.core.usage import Grouping, Sum, UsageRow, counts_of, encode_csv, grouped, total
from service.gateway.ports import Clock, UsageReader

MAX_DAYS = 400  # what the ledger keeps
_DEFAULT_DAYS = 30
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DEFAULT_GROUPS = (Grouping.DAY, Grouping.MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """`first` and `last` are days in UTC, both included. `key` is a key's name or its id; None: all."""

    first: date
    last: date
    group_by: Sequence[Grouping] = _DEFAULT_GROUPS
    key: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """`prices`: the table of today. Rows were charged by the one that held when they were booked."""

    query: UsageQuery
    sums: Sequence[Sum]
    total: UsageRow
    prices: PriceTable


class UsageReports:
    """The use case. `prices` may be replaced while the process runs."""

    def __init__(self, reader: UsageReader, *, clock: Clock, prices: PriceTable) -> None:
        self._reader = reader
        self._clock = clock
        self.prices = prices

    def today(self) -> date:
        return datetime.fromtimestamp(self._clock.unix_s(), UTC).date()

    async def report(self, query: UsageQuery) -> UsageReport:
        """Raises StoreUnavailable."""
        booked = [
            one
            for one in await self._reader.booked(query.first, query.last)
            if query.key in (None, one.key_name, one.key_id) and query.model in (None, one.model)
        ]
        return UsageReport(
            query=query, sums=grouped(booked, query.group_by), total=total(booked), prices=self.prices
        )


def decode_query(words: Mapping[str, str], *, today: date) -> UsageQuery:
    """A query as operators write it: `from`, `to` (days as 2026-11-20; to today, and from 29 days before),
    `group_by` (some of day, model, key, with commas), `key`, `model`. Empty words count as absent.

    Raises InvalidRequest."""
    last = _day(words, "to") or today
    first = _day(words, "from") or date.fromordinal(max(last.toordinal() - _DEFAULT_DAYS + 1, 1))
    if first > last:
        raise InvalidRequest("from must not be later than to.", param="from")
    if (last - first).days >= MAX_DAYS:
        raise InvalidRequest(f"At most {MAX_DAYS} days can be asked for; that is what is kept.", param="from")
    return UsageQuery(
        first=first,
        last=last,
        group_by=_groups(words.get("group_by", "")),
        key=words.get("key") or None,
        model=words.get("model") or None,
    )


def _day(words: Mapping[str, str], name: str) -> date | None:
    if not (text := words.get(name, "")):
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # such as 30 February
    raise InvalidRequest(f"{name} must be a day such as 2026-11-20.", param=name)


def _groups(text: str) -> Sequence[Grouping]:
    if not text:
        return _DEFAULT_GROUPS
    known = [str(group) for group in Grouping]
    words = [word.strip() for word in text.split(",")]
    if not set(words) <= set(known):
        raise InvalidRequest(f"group_by must be some of {', '.join(known)}, with commas.", param="group_by")
    return [Grouping(word) for word in dict.fromkeys(words)]


def facts_of(report: UsageReport) -> Mapping[str, object]:
    """The report as JSON has it."""
    query = report.query
    return {
        "from": query.first.isoformat(),
        "to": query.last.isoformat(),
        "group_by": [str(group) for group in query.group_by],
        "rows": [{**one.labels, **counts_of(one.row)} for one in report.sums],
        "totals": counts_of(report.total),
        "price_table": {"dated": report.prices.dated, "source": report.prices.source},
    }


def csv_of(report: UsageReport) -> str:
    """The rows as CSV, without the total: a spreadsheet makes its own."""
    return encode_csv(report.sums, report.query.group_by)
