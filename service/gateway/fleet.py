"""This process among its fellows: it tells that it lives, what it counted and, while somebody watches, what
it runs; and it ends requests that an operator at any worker wants ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Protocol

import orjson
import structlog

from service import __version__
from service.core.admin import Heard, LiveRequest, Pulse
from service.core.errors import StoreUnavailable
from service.gateway.admin_ports import FleetBoard
from service.gateway.ports import Clock
from service.gateway.stats import Stats
from service.telemetry.record import RequestRecord

log = structlog.get_logger()

PULSE_S = 1.5
WATCH_S = 6
_STOP_S = 60.0
_MAX_SHOWN = 500  # of one worker, the oldest: told every second and a half, some 150 KB at the most
_DIALECTS = {"chat": "openai_chat", "responses": "openai_responses", "messages": "anthropic_messages"}


class Running(Protocol):
    """A request that runs, as `attempts.Answer` has it."""

    @property
    def record(self) -> RequestRecord: ...

    @property
    def output_tokens(self) -> int:
        """Estimated, of what has come so far."""
        ...

    def stop(self) -> None:
        """End it with an error that says an operator did."""
        ...


class Fleet:
    """`running` is what this process runs, as it changes."""

    def __init__(
        self, board: FleetBoard, stats: Stats, running: Iterable[Running], *, clock: Clock, worker: str
    ) -> None:
        self.stats = stats
        self.worker = worker
        self.started_at_s = clock.unix_s()
        self._board = board
        self._running = running
        self._clock = clock
        self._flushes = 0
        self._unsent: Pulse | None = None
        self._heard = Heard()
        self._obeyed: frozenset[str] = frozenset()
        self._beating = asyncio.Lock()

    async def beat(self) -> None:
        """For `background.repeat`, and once more at the end. Never raises for a Redis that is away: what was
        counted is told later."""
        async with self._beating:
            await self._beat()

    async def _beat(self) -> None:
        pulse = self._pulse()
        live = self._encoded_live() if self._heard.is_watched else b""
        try:
            self._heard = await self._board.pulse(pulse, live=live)
        except StoreUnavailable:
            self._unsent = pulse if pulse.number else None
            return
        self._unsent = None
        # Once: a client may give the same id to request after request, and only one was meant.
        self._stop(self._heard.stops - self._obeyed)
        self._obeyed = self._heard.stops

    def _pulse(self) -> Pulse:
        """The next one; counts that did not arrive go again as they were."""
        self.stats.gather()
        if self._unsent is not None:
            return Pulse(
                worker=self.worker,
                row=self.own_row(),
                number=self._unsent.number,
                slots=self._unsent.slots,
                errors=self._unsent.errors,
            )
        slots, errors = self.stats.take()
        if not slots and not errors:
            return Pulse(worker=self.worker, row=self.own_row())
        self._flushes += 1
        self._unsent = Pulse(
            worker=self.worker, row=self.own_row(), number=self._flushes, slots=slots, errors=errors
        )
        return self._unsent

    def own_row(self) -> bytes:
        """What this process says of itself, as JSON."""
        running = list(self._running)
        facts = {
            "worker": self.worker,
            "version": __version__,
            "started_at": self.started_at_s,
            "requests": len(running),
            "streams": sum(one.record.streams for one in running),
        }
        return orjson.dumps(facts)

    # --- live requests --------------------------------------------------------------------------------------

    async def live(self) -> list[LiveRequest]:
        """Those of every worker, the oldest first; while Redis is away, those of this one. From now on all of
        them show theirs for a while."""
        found = self.own()
        for shown in await self._shown_by_all():
            found += [one for one in _decoded_live(shown) if one.worker != self.worker]
        return sorted(found, key=lambda one: -one.age_s)

    async def _shown_by_all(self) -> Sequence[bytes]:
        try:
            await self._board.watch(ttl_s=WATCH_S)
            return await self._board.lives()
        except StoreUnavailable:
            return []

    def own(self) -> list[LiveRequest]:
        """Those of this process."""
        now_s = self._clock.monotonic_s()
        return [_shown(one, worker=self.worker, now_s=now_s) for one in self._running]

    async def stop(self, request_id: str) -> bool:
        """End the request, here at once, elsewhere within seconds. Whether it runs here.

        Raises StoreUnavailable, after it was ended here."""
        is_here = self._stop((request_id,))
        if not is_here:
            until_ms = round((self._clock.unix_s() + _STOP_S) * 1000)
            await self._board.stop(request_id, until_ms=until_ms)
        return is_here

    def _stop(self, request_ids: Iterable[str]) -> bool:
        doomed = [one for one in self._running if one.record.request_id in request_ids]
        for one in doomed:
            one.stop()
        return bool(doomed)

    def _encoded_live(self) -> bytes:
        oldest = sorted(self.own(), key=lambda one: -one.age_s)[:_MAX_SHOWN]
        return orjson.dumps([asdict(one) for one in oldest])


def _shown(one: Running, *, worker: str, now_s: float) -> LiveRequest:
    record = one.record
    return LiveRequest(
        request_id=record.request_id,
        key_name=record.key_name,
        model=record.model,
        account=record.account,
        dialect=_DIALECTS.get(record.route, record.route),
        route=record.route,
        phase=_phase(record),
        age_s=round(now_s - record.started_at_s, 3),
        output_tokens=one.output_tokens,
        is_streaming=record.streams,
        worker=worker,
    )


_SHOWN_FIELDS = frozenset(field.name for field in fields(LiveRequest))


def _decoded_live(shown: bytes) -> list[LiveRequest]:
    """What a worker shows; what one of another version tells in another way is left out."""
    told = [{name: one[name] for name in one if name in _SHOWN_FIELDS} for one in orjson.loads(shown)]
    return [LiveRequest(**one) for one in told if len(one) == len(_SHOWN_FIELDS)]


def _phase(record: RequestRecord) -> str:
    """queued: it waits for an account; waiting: for the first word; answering."""
    if not record.account:
        return "queued"
    return "waiting" if record.first_event_at_s is None else "answering"


def decoded_rows(rows: Sequence[bytes]) -> list[dict[str, object]]:
    """What each worker says of itself."""
    return [orjson.loads(row) for row in rows]
