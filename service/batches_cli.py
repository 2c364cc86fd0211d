"""`mimo-gateway batches list|show|watch`: how all batches stand, for the operator. Content stays sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.config import Config
from service.core.batches import Batch
from service.core.errors import StoreUnavailable
from service.gateway.background import Background
from service.gateway.system import SystemClock
from service.redis_access import patient
from service.store.batches import every_batch
from service.store.client import Store, connect
from service.store.embedded import running_url

_BAR_CELLS = 24
_PARTS = " ▏▎▍▌▋▊▉"
_UP_AND_CLEAR = "\x1b[{lines}A\x1b[J"
_MAX_LISTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where text goes. `is_live`: a terminal, whose last lines may be written over."""

    write: Callable[[str], None]
    is_live: bool


async def run(
    config: Config, *, data_dir: Path, what: str, batch_id: str | None, interval_s: float, screen: Screen
) -> int:
    """0; 1 when Redis does not answer or there is no such batch."""
    async with AsyncExitStack() as stack:
        url = config.redis_url.reveal()
        if url == "embedded":
            found = _embedded_url(data_dir)
            if found is None:
                screen.write(f"No gateway runs on {data_dir}, so its Redis does not run either.\n")
                return 1
            url = found
        background = Background()
        store = connect(url, spawn=background.spawn, settings=patient(config))
        stack.push_async_callback(store.aclose)
        stack.push_async_callback(background.drain, timeout_s=1.0)
        names = {key.key_id: key.name for key in config.api_keys}
        try:
            if what == "watch":
                return await _watch(store, names, batch_id, interval_s, screen)
            return await _shown(store, names, batch_id, screen)
        except StoreUnavailable:
            screen.write("Redis does not answer.\n")
            return 1


def _embedded_url(data_dir: Path) -> str | None:
    """Where the gateway of this machine has its Redis; looking must not make the directory."""
    return running_url(data_dir) if data_dir.is_dir() else None


async def _shown(store: Store, names: dict[str, str], batch_id: str | None, screen: Screen) -> int:
    batches = _chosen(await every_batch(store), batch_id)
    if batch_id is None:
        screen.write(_table(batches[:_MAX_LISTED], names))
        return 0
    if not batches:
        screen.write(f"No batch {batch_id}.\n")
        return 1
    screen.write(_details(batches[0], names))
    return 0


async def _watch(
    store: Store, names: dict[str, str], batch_id: str | None, interval_s: float, screen: Screen
) -> int:
    """Redrawn until what is watched is over: one batch, or all that are open now."""
    clock = SystemClock()
    began_s = clock.monotonic_s()
    watched = {
        batch.batch_id: batch.counts.ended
        for batch in _chosen(await every_batch(store), batch_id)
        if batch_id is not None or not batch.is_over
    }
    if not watched:
        screen.write(f"No batch {batch_id}.\n" if batch_id else "No batch is open.\n")
        return 1 if batch_id else 0
    lines = 0
    while True:
        batches = [batch for batch in await every_batch(store) if batch.batch_id in watched]
        took_s = clock.monotonic_s() - began_s
        text = "".join(
            progress_line(
                batch, names, done_since=batch.counts.ended - watched[batch.batch_id], took_s=took_s
            )
            for batch in batches
        )
        is_over = all(batch.is_over for batch in batches)
        if screen.is_live or is_over:
            screen.write((_UP_AND_CLEAR.format(lines=lines) if lines and screen.is_live else "") + text)
            lines = len(batches)
        if is_over:
            return 0
        await asyncio.sleep(interval_s)


def _is_watched(batch: Batch, batch_id: str | None) -> bool:
    return batch_id is not None or not batch.is_over


def _chosen(batches: Sequence[Batch], batch_id: str | None) -> list[Batch]:
    return [batch for batch in batches if batch_id in (None, batch.batch_id)]


# --- text ---------------------------------------------------------------------------------------------------


def bar(done: int, total: int, *, cells: int = _BAR_CELLS) -> str:
    """How far it is, in eighths of a cell."""
    eighths = cells * 8 * done // total if total else 0
    full, part = divmod(eighths, 8)
    return ("█" * full + (_PARTS[part] if part else "")).ljust(cells, "·")


def progress_line(batch: Batch, names: dict[str, str], *, done_since: int, took_s: float) -> str:
    """One batch on one line. The rate is that of the time it was watched."""
    counts = batch.counts
    share = f"{100 * counts.ended // counts.total:3d} %" if counts.total else "  - "
    rate = done_since / took_s if took_s > 0 else 0.0
    left = ""
    if not batch.is_over and rate > 0:
        left = f", {rate:.1f}/s, {_span(counts.processing / rate)} left"
    failed = f", {counts.errored} errored" if counts.errored else ""
    ended = f"{counts.ended}/{counts.total}"
    return (
        f"{batch.batch_id} {bar(counts.ended, counts.total)} {share} {ended}"
        f" {batch.state}{failed}{left} ({_owner(batch, names)})\n"
    )


def _table(batches: Sequence[Batch], names: dict[str, str]) -> str:
    if not batches:
        return "No batches.\n"
    rows = [("BATCH", "KEY", "KIND", "STATE", "DONE", "ERRORS", "CREATED")]
    for batch in batches:
        counts = batch.counts
        rows.append(
            (
                batch.batch_id,
                _owner(batch, names),
                str(batch.kind),
                str(batch.state),
                f"{counts.ended}/{counts.total}",
                str(counts.errored),
                _instant(batch.created_at_s),
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def _details(batch: Batch, names: dict[str, str]) -> str:
    counts, usage = batch.counts, batch.usage
    facts = {
        "batch": batch.batch_id,
        "key": _owner(batch, names),
        "kind": str(batch.kind),
        "state": str(batch.state),
        "progress": f"{bar(counts.ended, counts.total)} {counts.ended}/{counts.total}",
        "succeeded": str(counts.succeeded),
        "errored": str(counts.errored),
        "canceled": str(counts.canceled),
        "expired": str(counts.expired),
        "tokens": f"{usage.input_tokens} in ({usage.cached_tokens} cached), {usage.output_tokens} out"
        f" ({usage.reasoning_tokens} reasoning)",
        "created": _instant(batch.created_at_s),
        "started": _instant(batch.started_at_s),
        "expires": _instant(batch.expires_at_s),
        "ended": _instant(batch.ended_at_s),
    }
    return "".join(f"{name:<10} {value}\n" for name, value in facts.items())


def _owner(batch: Batch, names: dict[str, str]) -> str:
    return names.get(batch.key_id, batch.key_id)


def _instant(unix_s: float | None) -> str:
    return "-" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
