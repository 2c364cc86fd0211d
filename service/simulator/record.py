"""What the simulator saw: one entry per request, and totals per account. Bounded in entries and in bytes."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from service.core.events import Usage


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. `outcome` is open until it ends: then answered, refused, faulted, client_closed, or failed
    where the simulator itself is wrong (or the body was too large).

    `usage` is set once the whole answer has left; times are seconds of the loop's clock. `raw` is the body as
    received, b"" once the record needed the room. `history`: what the model had before it beside the body, in
    turn what was asked and what was answered (studio conversations that go on).
    """

    number: int
    method: str
    path: str
    endpoint: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started_at_s: float
    raw: bytes = b""
    account: str = ""
    model: str = ""
    directive: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    outcome: str = "open"
    events_sent: int = 0
    usage: Usage | None = None
    client_closed: bool = False
    finished_at_s: float | None = None
    history: tuple[str, ...] = ()

    @property
    def body(self) -> object:
        """The parsed JSON body; the bytes themselves where they are not JSON; None without one."""
        if not self.raw:
            return None
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            return self.raw

    @property
    def client_closed_after_s(self) -> float | None:
        """When the client's leaving was noticed, from the request's start."""
        if not self.client_closed or self.finished_at_s is None:
            return None
        return self.finished_at_s - self.started_at_s

    def as_json(self) -> dict[str, object]:
        body = self.body
        closed_after_s = self.client_closed_after_s
        return {
            "number": self.number,
            "method": self.method,
            "path": _clean(self.path),
            "endpoint": self.endpoint,
            "query": {_clean(name): _clean(value) for name, value in self.query.items()},
            "headers": {_clean(name): _clean(value) for name, value in self.headers.items()},
            "account": self.account,
            "model": self.model,
            "directive": dict(self.directive),
            "body": f"<{len(body)} bytes>" if isinstance(body, bytes) else body,
            "history": [_clean(text) for text in self.history],
            "status": self.status,
            "outcome": self.outcome,
            "events_sent": self.events_sent,
            "usage": _usage_json(self.usage),
            "client_closed": self.client_closed,
            "client_closed_after_ms": None if closed_after_s is None else round(closed_after_s * 1000, 1),
        }


def _clean(text: str) -> str:
    """Bytes that were no UTF-8 come as lone surrogates, which JSON cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _usage_json(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


@dataclass(slots=True)
class AccountTotals:
    """What one account did. `in_flight` counts answers being made; a held socket after the end is none."""

    requests: int = 0
    completed: int = 0
    refused: int = 0
    client_closed: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def as_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


class Record:
    """The last requests, oldest first in `entries`, and totals that count all since the last `clear`."""

    def __init__(self, *, max_records: int, max_record_bytes: int) -> None:
        self._max_records = max_records
        self._max_record_bytes = max_record_bytes
        self._clear()

    def _clear(self) -> None:
        self.entries: deque[Entry] = deque()
        self.by_account: dict[str, AccountTotals] = {}
        self.outcomes: Counter[str] = Counter()
        self.open_requests = 0
        self._with_body: deque[Entry] = deque()
        self._body_bytes = 0
        self._number = 0
        self._generation = getattr(self, "_generation", 0) + 1
        self._changed: asyncio.Event = asyncio.Event()

    def clear(self) -> None:
        """Forget everything. Requests still open are no longer counted when they end."""
        self._changed.set()
        self._clear()

    @property
    def requests(self) -> list[Entry]:
        """All entries kept, oldest first."""
        return list(self.entries)

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    def of(self, endpoint: str) -> list[Entry]:
        """The entries of one endpoint, such as `chat_completions` or `studio_chat`."""
        return [entry for entry in self.entries if entry.endpoint == endpoint]

    def account(self, name: str) -> AccountTotals:
        return self.by_account.setdefault(name, AccountTotals())

    @property
    def max_in_flight_by_account(self) -> dict[str, int]:
        return {name: totals.max_in_flight for name, totals in self.by_account.items()}

    def open(self, entry: Entry) -> int:
        """Keep a new entry; returns the generation that `close` must be told."""
        self._number += 1
        entry.number = self._number
        self.entries.append(entry)
        if len(self.entries) > self._max_records:
            self.entries.popleft()
        self.open_requests += 1
        self._wake()
        return self._generation

    def keep_body(self, entry: Entry, raw: bytes) -> None:
        """Hold the body, dropping the oldest bodies past the bound."""
        entry.raw = raw
        self._body_bytes += len(raw)
        self._with_body.append(entry)
        while self._body_bytes > self._max_record_bytes or len(self._with_body) > self._max_records:
            oldest = self._with_body.popleft()
            self._body_bytes -= len(oldest.raw)
            oldest.raw = b""

    def close(self, entry: Entry, generation: int) -> None:
        """The request is over: count how it ended."""
        if generation != self._generation:
            return
        self.open_requests -= 1
        self.outcomes[entry.outcome] += 1
        if entry.account:
            self._count(self.account(entry.account), entry)
        self._wake()

    def _wake(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _count(self, totals: AccountTotals, entry: Entry) -> None:
        totals.requests += 1
        totals.refused += entry.outcome == "refused"
        totals.client_closed += entry.outcome == "client_closed"
        if entry.usage is not None:
            totals.completed += 1
            totals.input_tokens += entry.usage.input_tokens
            totals.output_tokens += entry.usage.output_tokens
            totals.cached_tokens += entry.usage.cached_tokens
            totals.reasoning_tokens += entry.usage.reasoning_tokens

    async def wait(self, holds: Callable[[Record], bool], *, timeout_s: float = 2.0) -> None:
        """Return once `holds(record)` is true; looks as requests begin and end. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not holds(self):
                await self._changed.wait()

    async def wait_idle(self, *, timeout_s: float = 2.0) -> None:
        """Return once no request is open."""
        await self.wait(lambda record: record.open_requests == 0, timeout_s=timeout_s)

    def as_json(self) -> dict[str, object]:
        return {
            "open_requests": self.open_requests,
            "outcomes": dict(self.outcomes),
            "accounts": {name: totals.as_json() for name, totals in self.by_account.items()},
            "requests": [entry.as_json() for entry in self.entries],
        }
