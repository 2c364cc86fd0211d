"""`mimo-gateway batches …`: what the operator is shown."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from service.batches_cli import Screen, bar, progress_line, run
from service.config import Config, Secret
from service.config_loader import api_keys
from service.core.batches import Batch, BatchKind, BatchState, Counts
from service.gateway.background import Background
from service.store.client import StoreSettings, connect
from tests.store.test_batch_queue import DONE, claimed, found, queue_of, started
from tests.web.rig import PATIENCE_S

KEYS = api_keys("sk-mimo")
ANN = KEYS[0]


@pytest.mark.parametrize(
    ("done", "total", "expected"),
    [
        (0, 4, "····"),
        (1, 4, "█···"),
        (3, 8, "█▌··"),
        (1, 32, "▏···"),
        (4, 4, "████"),
        (0, 0, "····"),
    ],
)
def test_the_bar_has_eighths(done: int, total: int, expected: str) -> None:
    assert bar(done, total, cells=4) == expected


def batch_of(state: BatchState, **counts: int) -> Batch:
    return Batch(
        batch_id="msgbatch_1",
        key_id="k",
        kind=BatchKind.MESSAGES,
        state=state,
        counts=Counts(**counts),
        created_at_s=0,
        expires_at_s=1,
    )


@pytest.mark.parametrize(
    ("batch", "done_since", "parts"),
    [
        (
            batch_of(BatchState.IN_PROGRESS, total=100, succeeded=40),
            20,
            ["40 %", "40/100", "2.0/s", "30 s left"],
        ),
        (batch_of(BatchState.IN_PROGRESS, total=99_999, succeeded=9), 20, ["13 h 53 min left"]),
        (batch_of(BatchState.IN_PROGRESS, total=9_999, succeeded=9), 20, ["83 min left"]),
        (batch_of(BatchState.IN_PROGRESS, total=10, errored=1), 0, ["10 %", "1 errored", "(ann)"]),
        (batch_of(BatchState.ENDED, total=10, succeeded=10), 10, ["100 %", "ended"]),
        (batch_of(BatchState.VALIDATING), 0, ["validating"]),
    ],
)
def test_a_line_tells_how_far_and_how_long(batch: Batch, done_since: int, parts: list[str]) -> None:
    line = progress_line(batch, {"k": "ann"}, done_since=done_since, took_s=10.0)
    assert all(part in line for part in parts), line
    assert batch.is_over <= ("left" not in line)


async def shown(
    redis_url: str, what: str, batch_id: str | None = None, *, is_live: bool = False
) -> tuple[int, str]:
    pieces: list[str] = []
    config = Config(api_keys=KEYS, mimo_accounts=(), redis_url=Secret(redis_url))
    code = await run(
        config,
        data_dir=Path(tempfile.gettempdir()) / "mgw-no-gateway-here",
        what=what,
        batch_id=batch_id,
        interval_s=0.01,
        screen=Screen(write=pieces.append, is_live=is_live),
    )
    return code, "".join(pieces)


async def test_batches_are_listed_shown_and_watched_to_their_end(clean_redis: str) -> None:
    assert await shown(clean_redis, "list") == (0, "No batches.\n")
    assert await shown(clean_redis, "watch") == (0, "No batch is open.\n")
    assert (await shown(clean_redis, "show", "msgbatch_x"))[0] == 1
    assert (await shown(clean_redis, "watch", "msgbatch_x"))[0] == 1
    background = Background()
    store = connect(clean_redis, spawn=background.spawn, settings=StoreSettings.within(PATIENCE_S))
    await started(store, ANN, "msgbatch_1", 2)
    code, text = await shown(clean_redis, "list")
    assert code == 0
    assert text.splitlines()[1].split()[:5] == ["msgbatch_1", ANN.name, "messages", "in_progress", "0/2"]

    queue = queue_of(store)
    for shard in range(8):
        for claim in (await queue.claim({shard: 9}))[0]:
            await queue.record(claim, ANN, DONE)
    assert (await found(store, ANN, "msgbatch_1")).is_over
    code, text = await shown(clean_redis, "show", "msgbatch_1")
    assert "succeeded  2" in text
    assert "6 in (0 cached), 4 out" in text
    code, text = await shown(clean_redis, "watch", "msgbatch_1", is_live=True)
    assert (code, "100 %" in text) == (0, True)
    assert await claimed(queue) == []
    await store.aclose()
    await background.drain(timeout_s=1)


async def test_without_redis_it_says_so(tmp_path: Path) -> None:
    code, text = await shown(f"unix://{tmp_path}/none.sock", "list")
    assert (code, text) == (1, "Redis does not answer.\n")
    code, text = await shown("embedded", "list")
    assert code == 1
    assert "No gateway runs" in text
