"""One answer that is under way, as operators see it, and how they end it."""

from __future__ import annotations

import asyncio
from types import TracebackType

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
    """`with running:` round every wait for the upstream: that wait is what `stop` ends, from another task.

    Fits `fleet.Running`."""

    __slots__ = ("_is_stopped", "_tally", "_task", "record")

    def __init__(self, record: RequestRecord, tally: Tally) -> None:
        self.record = record
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
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        """Raises EndedByOperator."""
        if self._is_stopped:
            raise EndedByOperator
        self._task = asyncio.current_task()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises EndedByOperator in place of the cancellation that `stop` made."""
        task, self._task = self._task, None
        if self._is_stopped and isinstance(error, asyncio.CancelledError) and task is not None:
            task.uncancel()
            raise EndedByOperator from None

    def last_words(self, error: EndedByOperator, source: AnswerSource | None) -> list[Event]:
        """What was held back, and the failure as the stream's last event. `source` None: nothing was shown
        yet, and the error is raised for a status to tell it."""
        if source is None:
            raise error
        return self._tally.seen(source.fail(error))
