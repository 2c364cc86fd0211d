"""The only place where tasks are made. Named, strongly held, failures logged, drained at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import structlog

log = structlog.get_logger()


class Background:
    """Work that outlives the request it came from: settling, releasing, refreshing.

    A cancelled handler still gets its lease back this way: shutdown may cancel a `finally` a second time.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def spawn(self, work: Coroutine[object, object, object], *, name: str) -> None:
        """Run `work` to its end; a failure is logged under `name`, never raised."""
        task = asyncio.create_task(work, name=name)  # noqa: TID251 - held in the set below
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_failed", task=task.get_name(), error_type=type(error).__name__)

    async def drain(self, *, timeout_s: float) -> None:
        """Wait for what runs, then cancel the rest. Work that never ends by itself is `cancel`led by its
        owner.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def every(interval_s: float, work: Callable[[], Awaitable[None]], *, name: str) -> None:
    """Do `work` every `interval_s`, for ever; a failure is logged and the next turn comes all the same."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except Exception as error:
            log.warning("periodic_failed", task=name, error_type=type(error).__name__)
