"""What a process counts, and that all of it arrives once, however Redis behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import orjson
import pytest

from service.core.admin import Heard, Pulse
from service.core.errors import NoAccount, PermissionDenied, StoreUnavailable, UpstreamUnavailable
from service.core.events import Usage
from service.gateway.fleet import _MAX_SHOWN, Fleet
from service.gateway.stats import Stats
from service.telemetry.record import AttemptRecord, RequestRecord
from tests.fakes.clock import FakeClock


def record(**more: object) -> RequestRecord:
    known: dict[str, object] = {"request_id": "req_1", "route": "chat", "started_at_s": 0.0, "model": "m"}
    return RequestRecord(**{**known, **more})  # type: ignore[arg-type]


def attempt(result: str = "ok", account: str = "a") -> AttemptRecord:
    return AttemptRecord(account=account, wire="platform", result=result, duration_s=0.1)


def counts(stats: Stats, step: str = "minute") -> Mapping[str, int]:
    slots, _ = stats.take()
    found: dict[str, int] = {}
    for slot in slots:
        if slot.step == step:
            for name, count in slot.counts.items():
                found[name] = found.get(name, 0) + count
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stats(clock: FakeClock) -> Stats:
    return Stats(clock)


@pytest.mark.parametrize(
    ("ended", "errors"),
    [
        pytest.param({}, 0, id="ok"),
        pytest.param({"is_cancelled": True}, 0, id="the client left"),
        pytest.param({"error": PermissionDenied("no")}, 0, id="the client's mistake"),
        pytest.param({"error": NoAccount("none")}, 1, id="the gateway's failure"),
        pytest.param({"error": UpstreamUnavailable("away")}, 1, id="the upstream's"),
        pytest.param(
            {"error": PermissionDenied("x"), "streams": True, "first_event_at_s": 1.0}, 1, id="cut short"
        ),
    ],
)
def test_a_request_and_how_it_ended(stats: Stats, ended: dict[str, object], errors: int) -> None:
    stats.observe(record(**ended))
    found = counts(stats)
    assert (found["requests"], found.get("errors", 0)) == (1, errors)


def test_request_that_came_to_no_model_is_none(stats: Stats) -> None:
    stats.observe(record(model=""))
    assert stats.take() == ([], {})


def test_time_to_the_first_token_of_streams(stats: Stats) -> None:
    stats.observe(record(streams=True, first_event_at_s=0.12))
    stats.observe(record(streams=False, first_event_at_s=0.12))
    found = counts(stats)
    assert [name for name in found if name.startswith("first:")] == ["first:2"]
    assert found["first:2"] == 1


def test_tokens_and_money_when_they_are_known(stats: Stats) -> None:
    usage = Usage(input_tokens=5, cached_tokens=2, output_tokens=3, reasoning_tokens=1)
    stats.charge(usage, cost_micro_usd=7)
    stats.charge(Usage(), cost_micro_usd=0)
    assert counts(stats) == {
        "input_tokens": 5,
        "cached_tokens": 2,
        "output_tokens": 3,
        "reasoning_tokens": 1,
        "cost_micro_usd": 7,
    }


def test_accounts_answer_for_what_is_theirs(stats: Stats, clock: FakeClock) -> None:
    tries = [attempt("upstream_timeout", "a"), attempt("upstream_refused", "b"), attempt("ok", "c")]
    stats.observe(record(attempts=tries))
    slots, errors = stats.take()
    (quarter,) = (slot for slot in slots if slot.step == "quarter")
    assert {name: count for name, count in quarter.counts.items() if ":" in name} == {"bad:a": 1, "ok:c": 1}
    assert orjson.loads(errors["a"]) == {"time": round(clock.unix_s(), 3), "what": "upstream_timeout"}
    assert set(errors) == {"a"}


def test_one_minute_is_told_in_three_lengths(stats: Stats) -> None:
    stats.observe(record())
    slots, _ = stats.take()
    assert {slot.step for slot in slots} == {"minute", "quarter", "two_hours"}
    assert all(slot.counts["requests"] == 1 for slot in slots)


def test_what_nobody_takes_is_bounded(stats: Stats, clock: FakeClock) -> None:
    for _ in range(300):
        stats.observe(record())
        stats.gather()
        clock.turn(60)
    assert counts(stats)["requests"] == 130


# --- on the way ---------------------------------------------------------------------------------------------


class Board:
    """Adds counts up as the script does. `fails`: the reply is lost; `is_deaf`: nothing arrives."""

    def __init__(self) -> None:
        self.requests = 0
        self.seen: set[int] = set()
        self.is_deaf = self.loses_reply = False
        self.pulses: list[Pulse] = []
        self.live = b""
        self.shown = b"[]"
        self.heard = Heard()

    async def pulse(self, pulse: Pulse, *, live: bytes = b"") -> Heard:
        if self.is_deaf:
            raise StoreUnavailable("away")
        self.pulses.append(pulse)
        self.live = live
        if pulse.number and pulse.number not in self.seen:
            self.seen.add(pulse.number)
            self.requests += sum(s.counts.get("requests", 0) for s in pulse.slots if s.step == "minute")
        if self.loses_reply:
            raise StoreUnavailable("away")
        return self.heard

    async def slots(self, step: str, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        return [{} for _ in starts]

    async def errors(self) -> Mapping[str, bytes]:
        return {}

    async def rows(self) -> Sequence[bytes]:
        return []

    async def lives(self) -> Sequence[bytes]:
        if self.is_deaf:
            raise StoreUnavailable("away")
        return [self.shown]

    async def watch(self, *, ttl_s: int) -> None:
        self.heard = Heard(is_watched=True)

    async def stop(self, request_id: str, *, until_ms: int) -> None:
        self.heard = Heard(stops=frozenset({request_id}))


class Runs:
    """A request that runs."""

    def __init__(self, **more: object) -> None:
        self.record = record(**more)
        self.output_tokens = 5
        self.stopped = 0

    def stop(self) -> None:
        self.stopped += 1


async def test_counts_arrive_once_though_replies_are_lost(clock: FakeClock) -> None:
    stats, board = Stats(clock), Board()
    fleet = Fleet(board, stats, set(), clock=clock, worker="w")
    sent = 0
    for turn in range(40):
        board.is_deaf, board.loses_reply = turn % 5 == 1, turn % 3 == 1
        for _ in range(turn % 4):
            stats.observe(record())
            sent += 1
        await fleet.beat()
    board.is_deaf = board.loses_reply = False
    await fleet.beat()
    await fleet.beat()
    assert board.requests == sent


async def test_two_beats_at_once_send_nothing_twice_and_lose_nothing(clock: FakeClock) -> None:
    stats, board = Stats(clock), Board()
    fleet = Fleet(board, stats, set(), clock=clock, worker="w")
    stats.observe(record())
    await asyncio.gather(fleet.beat(), fleet.beat())
    assert board.requests == 1


async def test_nothing_is_shown_unless_somebody_watches(clock: FakeClock) -> None:
    board = Board()
    running = {Runs(account="a", key_name="k", streams=True)}
    fleet = Fleet(board, Stats(clock), running, clock=clock, worker="w")
    await fleet.beat()
    await fleet.beat()
    assert board.live == b""
    (own,) = await fleet.live()
    assert (own.phase, own.output_tokens, own.dialect) == ("waiting", 5, "openai_chat")
    await fleet.beat()
    await fleet.beat()
    assert orjson.loads(board.live)[0]["request_id"] == "req_1"


@pytest.mark.parametrize(
    ("known", "phase"),
    [({}, "queued"), ({"account": "a"}, "waiting"), ({"account": "a", "first_event_at_s": 1.0}, "answering")],
)
async def test_phases(clock: FakeClock, known: dict[str, object], phase: str) -> None:
    fleet = Fleet(Board(), Stats(clock), {Runs(**known)}, clock=clock, worker="w")
    assert [one.phase for one in fleet.own()] == [phase]


async def test_stop_is_obeyed_once(clock: FakeClock) -> None:
    """A client may give the same id to request after request."""
    board, one = Board(), Runs(request_id="req_same")
    running = {one}
    fleet = Fleet(board, Stats(clock), running, clock=clock, worker="w")
    board.heard = Heard(stops=frozenset({"req_same"}))
    await fleet.beat()
    running.clear()
    running.add(other := Runs(request_id="req_same"))
    await fleet.beat()
    assert (one.stopped, other.stopped) == (1, 0)
    board.heard = Heard()
    await fleet.beat()
    board.heard = Heard(stops=frozenset({"req_same"}))
    await fleet.beat()
    assert other.stopped == 1


async def test_own_requests_are_shown_while_redis_is_away(clock: FakeClock) -> None:
    board = Board()
    board.is_deaf = True
    fleet = Fleet(board, Stats(clock), {Runs()}, clock=clock, worker="w")
    assert [one.request_id for one in await fleet.live()] == ["req_1"]


async def test_requests_of_a_worker_of_another_version_are_shown_as_far_as_they_can_be(
    clock: FakeClock,
) -> None:
    board = Board()
    fleet = Fleet(board, Stats(clock), set(), clock=clock, worker="w")
    (known,) = Fleet(board, Stats(clock), {Runs()}, clock=clock, worker="newer").own()
    told = asdict(known)
    board.shown = orjson.dumps([{**told, "colour": "blue"}, {"request_id": "req_2", "worker": "older"}])
    assert await fleet.live() == [known]


async def test_worker_shows_its_oldest_requests_only(clock: FakeClock) -> None:
    board = Board()
    running = {Runs(request_id=f"req_{n}", started_at_s=float(n)) for n in range(_MAX_SHOWN + 5)}
    fleet = Fleet(board, Stats(clock), running, clock=clock, worker="w")
    board.heard = Heard(is_watched=True)
    await fleet.beat()
    await fleet.beat()
    assert [one["request_id"] for one in orjson.loads(board.live)] == [f"req_{n}" for n in range(_MAX_SHOWN)]


async def test_request_is_stopped_where_it_runs_whoever_asks(clock: FakeClock) -> None:
    board, here, elsewhere = Board(), Runs(request_id="req_here"), Runs(request_id="req_there")
    first = Fleet(board, Stats(clock), {here}, clock=clock, worker="w1")
    second = Fleet(board, Stats(clock), {elsewhere}, clock=clock, worker="w2")
    assert await first.stop("req_here")
    assert here.stopped == 1
    assert not await first.stop("req_there")
    assert elsewhere.stopped == 0
    await second.beat()
    assert (elsewhere.stopped, here.stopped) == (1, 1)
