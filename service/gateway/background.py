"""The only place where tasks are made. Named, strongly held, failures logged, drained at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Background:
    """Work that outlives the request it came from: settling, releasing, refreshing, heartbeats.

    A cancelled handler still gets its lease back this way: shutdown may cancel a `finally` a second time.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._endless: set[asyncio.Task[object]] = set()

    def spawn(self, work: Coroutine[Any, Any, object], /, *, name: str) -> None:
        """Run `work` to its end; a failure is logged under `name`, never raised."""
        self._hold(work, name, self._tasks)

    def repeat(self, interval_s: float, work: Callable[[], Awaitable[object]], *, name: str) -> None:
        """Do `work` every `interval_s` until the shutdown; a failure is logged and the next turn comes all
        the same."""
        self._hold(_every(interval_s, work, name), name, self._endless)

    def _hold(self, work: Coroutine[Any, Any, object], name: str, tasks: set[asyncio.Task[object]]) -> None:
        task = asyncio.create_task(work, name=name)  # noqa: TID251 - held in the set
        tasks.add(task)
        task.add_done_callback(lambda done: _ended(done, tasks))

    async def drain(self, *, timeout_s: float) -> None:
        """End the heartbeats, wait for what runs, then cancel the rest."""
        await _cancel(self._endless)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        await _cancel(self._tasks)


def _ended(task: asyncio.Task[object], tasks: set[asyncio.Task[object]]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background_failed", task=task.get_name(), error_type=type(error).__name__)


async def _cancel(tasks: set[asyncio.Task[object]]) -> None:
    doomed = tuple(tasks)
    for task in doomed:
        task.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)


async def _every(interval_s: float, work: Callable[[], Awaitable[object]], name: str) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except Exception as error:
            log.warning("periodic_failed", task=name, error_type=type(error).__name__)
