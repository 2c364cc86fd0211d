"""The requests being handled now: what a shutdown waits for, and ends honestly when its patience does.

A request that must end gets its task cancelled. Its handler tells that from a client that left by
`was_ended`, and answers with the dialect's error: in-band where a stream has begun, a status before that.
"""

from __future__ import annotations

import asyncio

from service.core.errors import Overloaded


class OpenRequests:
    """Every request but probes and metrics, from its head to its last byte."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended: set[asyncio.Task[object]] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        self._is_empty.clear()

    def finish(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._ended.discard(task)
        if not self._tasks:
            self._is_empty.set()

    async def wait_empty(self, *, timeout_s: float) -> bool:
        """True when nothing is open any more; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    def end_all(self) -> int:
        """End every request now; how many that were."""
        for task in self._tasks - self._ended:
            self._ended.add(task)
            task.cancel()
        return len(self._ended)

    def was_ended(self) -> bool:
        """Whether the cancellation that the current task met was ours. True once: the task lives on."""
        task = asyncio.current_task()
        if task is None or task not in self._ended:
            return False
        self._ended.discard(task)
        task.uncancel()
        return True


def shutting_down() -> Overloaded:
    """What a request is told whose end the shutdown could not wait for."""
    return Overloaded(
        "The gateway is restarting. Send the request again.", code="shutdown", retry_after_s=1.0
    )
