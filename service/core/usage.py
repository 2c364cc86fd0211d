"""The ledger's rows: what was used, by day, API key and model; and how rows are put together.

The store reads and writes the rows, `service.gateway.usage` asks for them, the admin API and the command line
show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from operator import attrgetter

from service.core.events import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one API key used of one model on one day (UTC), or any sum of such rows.

    Output includes reasoning; input includes the cached tokens and those of images, sound and video.
    `audio_ms`: sound that was written down. `searches`: calls of the web search. `estimated_requests`: those
    of `requests` whose upstream told no counts, so that ours stand here.
    """

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    video_tokens: int = 0
    audio_ms: int = 0
    searches: int = 0
    estimated_requests: int = 0
    cost_micro_usd: int = 0

    def __add__(self, other: UsageRow) -> UsageRow:
        sums = map(sum, zip(_counts(self), _counts(other), strict=True))
        return UsageRow(**dict(zip(COUNTS, sums, strict=True)))


COUNTS: Sequence[str] = tuple(f.name for f in fields(UsageRow))
_counts: Callable[[UsageRow], tuple[int, ...]] = attrgetter(*COUNTS)  # `astuple` copies deeply


def row_of(usage: Usage, *, cost_micro_usd: int) -> UsageRow:
    """One request as a row."""
    return UsageRow(
        requests=1,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        image_tokens=usage.image_tokens,
        audio_tokens=usage.audio_tokens,
        video_tokens=usage.video_tokens,
        audio_ms=usage.audio_ms,
        searches=usage.searches,
        estimated_requests=int(usage.is_estimated),
        cost_micro_usd=cost_micro_usd,
    )


def counts_of(row: UsageRow) -> dict[str, int]:
    """Name -> count, in the order of the class."""
    return dict(zip(COUNTS, _counts(row), strict=True))


class Grouping(StrEnum):
    """What rows are summed by. A key is one key whatever it was called over time."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One row of the ledger with whose it is. `key_name` is what the key is called, or was at last."""

    day: date
    key_id: str
    key_name: str
    model: str
    row: UsageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Rows put together. `labels`: column -> what the rows share, in the order that was asked for; of a key
    both `key` (its name) and `key_id`."""

    labels: Mapping[str, str]
    row: UsageRow


def grouped(booked: Iterable[Booked], by: Sequence[Grouping]) -> Sequence[Sum]:
    """One sum for each combination that occurs, in order of the labels. Nothing booked: no sums."""
    sums: dict[tuple[str, ...], UsageRow] = {}
    columns = label_columns(by)
    for one in booked:
        told = {"day": one.day.isoformat(), "model": one.model, "key": one.key_name, "key_id": one.key_id}
        place = tuple(told[column] for column in columns)
        sums[place] = sums.get(place, UsageRow()) + one.row
    return [Sum(labels=dict(zip(columns, place, strict=True)), row=sums[place]) for place in sorted(sums)]


def label_columns(by: Sequence[Grouping]) -> Sequence[str]:
    """The columns that tell sums apart."""
    return [column for group in by for column in _COLUMNS[group]]


_COLUMNS: Mapping[Grouping, Sequence[str]] = {
    Grouping.DAY: ("day",),
    Grouping.MODEL: ("model",),
    Grouping.KEY: ("key", "key_id"),
}


def total(booked: Iterable[Booked]) -> UsageRow:
    """All rows as one."""
    return sum((one.row for one in booked), UsageRow())


def encode_csv(sums: Sequence[Sum], by: Sequence[Grouping]) -> str:
    """A head line and one line for each sum, as RFC 4180 has it."""
    lines = [[*label_columns(by), *COUNTS]]
    lines += [[*map(_inert, one.labels.values()), *map(str, _counts(one.row))] for one in sums]
    return "".join(",".join(map(_cell, line)) + "\r\n" for line in lines)


def _inert(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, some of them the wide forms, too: an apostrophe says
    that it is text."""
    return f"'{text}" if text.lstrip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")) else text


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text
