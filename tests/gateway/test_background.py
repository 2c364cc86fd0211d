"""Tasks are held, named, and end with the process."""

from __future__ import annotations

import asyncio

from service.gateway.background import Background


async def test_failure_is_swallowed_and_later_work_still_runs() -> None:
    background, done = Background(), []

    async def fails() -> None:
        raise RuntimeError

    async def works() -> None:
        done.append(1)

    background.spawn(fails(), name="fails")
    background.spawn(works(), name="works")
    await background.drain(timeout_s=1)
    assert done == [1]


async def test_drain_waits_for_work_and_cancels_what_hangs() -> None:
    background, seen = Background(), []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    background.spawn(hangs(), name="hangs")
    await asyncio.sleep(0)
    await background.drain(timeout_s=0)
    assert seen == ["cancelled"]


async def test_repeated_work_goes_on_after_a_failure_until_the_drain() -> None:
    background, turns = Background(), []
    enough = asyncio.Event()

    async def work() -> None:
        turns.append(1)
        if len(turns) == 3:
            enough.set()
        raise RuntimeError

    background.repeat(0.0, work, name="work")
    await enough.wait()
    await background.drain(timeout_s=1)
    count = len(turns)
    await asyncio.sleep(0)
    assert len(turns) == count
