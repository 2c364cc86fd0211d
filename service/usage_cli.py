"""`mimo-gateway usage`: what was used and what it cost, as a table, CSV or JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from service import redis_access
from service.config import Config
from service.core.errors import InvalidRequest, StoreUnavailable
from service.core.prices import SHIPPED
from service.core.usage import UsageRow, label_columns
from service.gateway.system import SystemClock
from service.gateway.usage import UsageReport, UsageReports, csv_of, decode_query, facts_of
from service.store.usage import RedisUsage

Say = Callable[[str], None]
# What a table has room for; CSV and JSON have every column.
_SHOWN = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def add_arguments(parser: argparse.ArgumentParser, data_dir: Path) -> None:
    """What follows `mimo-gateway usage`."""
    parser.add_argument("--from", dest="first", default="", metavar="DAY", help="2026-11-01; else 30 days")
    parser.add_argument("--to", dest="last", default="", metavar="DAY", help="included; else today (UTC)")
    parser.add_argument("--by", default="", metavar="COLUMNS", help="some of day,model,key; else day,model")
    parser.add_argument("--key", default="", help="one key, by its name or its id")
    parser.add_argument("--model", default="", help="one model")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data-dir", type=Path, default=data_dir, help="the embedded Redis's data")


async def run(config: Config, arguments: argparse.Namespace, say: Say) -> int:
    """0; 1 when Redis does not answer; 2 for a word that cannot be read."""
    async with AsyncExitStack() as stack:
        store = await redis_access.opened(config, stack, arguments.data_dir)
        reports = UsageReports(
            RedisUsage(store), clock=SystemClock(), prices=SHIPPED.overridden(config.prices)
        )
        words = {
            "from": arguments.first,
            "to": arguments.last,
            "group_by": arguments.by,
            "key": arguments.key,
            "model": arguments.model,
        }
        try:
            report = await reports.report(decode_query(words, today=reports.today()))
        except InvalidRequest as error:
            say(error.message)
            return 2
        except StoreUnavailable:
            say("Redis does not answer; `mimo-gateway doctor` says more.")
            return 1
        match arguments.format:
            case "csv":
                say(csv_of(report).rstrip("\r\n"))
            case "json":
                say(orjson.dumps(facts_of(report)).decode())
            case _:
                say(_table(report))
        return 0


def _table(report: UsageReport) -> str:
    columns = [name for name in label_columns(report.query.group_by) if name != "key_id"]
    lines = [[*columns, *_SHOWN, "cost_usd"]]
    for one in report.sums:
        lines.append([*(one.labels[name] for name in columns), *_cells(one.row)])
    lines.append([*("total" if place == 0 else "" for place in range(len(columns))), *_cells(report.total)])
    query, prices = report.query, report.prices
    return "\n".join(
        [
            *_aligned(lines, texts=len(columns)),
            f"{query.first} to {query.last} (UTC). Prices of {prices.dated}: {prices.source}.",
        ]
    )


def _cells(row: UsageRow) -> list[str]:
    return [*(f"{getattr(row, name):,}" for name in _SHOWN), f"{row.cost_micro_usd / 1e6:,.6f}"]


def _aligned(lines: Sequence[Sequence[str]], *, texts: int) -> list[str]:
    """Columns of one width: the first `texts` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
