"""One answer that is under way, as operators see it, and how they end it."""

from __future__ import annotations

import asyncio

from service.core.errors import PermissionDenied
from service.core.events import Event
from service.core.pipeline import AnswerSource
from service.gateway.tally import Tally
from service.telemetry.record import RequestRecord


class EndedByOperator(PermissionDenied):
    """403, and not one of the statuses that clients try again after."""

    def __init__(self) -> None:
        super().__init__("An operator of this gateway ended this request.", code="ended_by_operator")


class RunningAnswer:
    """`wait()` before every wait for the upstream and `is_waiting = False` after it: that wait is what `stop`
    ends, from another task. One task reads an answer. Plain flags: a context manager was two per cent of an
    event that came by itself.

    Fits `fleet.Running`."""

    __slots__ = ("_is_stopped", "_tally", "_task", "is_waiting", "record")

    def __init__(self, record: RequestRecord, tally: Tally) -> None:
        self.record = record
        self.is_waiting = False
        self._tally = tally
        self._task: asyncio.Task[object] | None = None
        self._is_stopped = False

    @property
    def output_tokens(self) -> int:
        """Estimated, of what has come so far."""
        return self._tally.output_tokens

    def stop(self) -> None:
        """End it at its present wait, or before its next one."""
        self._is_stopped = True
        if self.is_waiting and self._task is not None:
            self._task.cancel()

    def wait(self) -> None:
        """The next thing is a wait. Raises EndedByOperator."""
        if self._is_stopped:
            raise EndedByOperator
        if self._task is None:
            self._task = asyncio.current_task()
        self.is_waiting = True

    def last_words(
        self, error: asyncio.CancelledError | EndedByOperator, source: AnswerSource | None
    ) -> list[Event]:
        """A wait was ended: what was held back, and the failure as the stream's last event. `source` None:
        nothing was shown yet, and EndedByOperator is raised for a status to tell it. A cancellation that was
        not `stop`'s is raised again."""
        self.is_waiting = False
        if isinstance(error, asyncio.CancelledError):
            if not self._is_stopped or self._task is None:
                raise error
            self._task.uncancel()
            error = EndedByOperator()
        if source is None:
            raise error from None
        return self._tally.seen(source.fail(error))
