"""One connection for all: replies in order, whoever left; dialled when needed, and again."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError, ReadOnlyError, ResponseError

from service.store.resp import NotSent
from service.store.wire import Line, Wire


class Transport(asyncio.WriteTransport):
    """What was written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False

    def write(self, data) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
async def wire() -> Wire:
    wire = Wire()
    wire.connection_made(Transport())
    return wire


async def test_commands_of_one_turn_leave_in_one_write(wire: Wire):
    for word in ("A", "B", "C"):
        wire.send((word,))
    assert wire.in_flight == 3
    await asyncio.sleep(0)
    assert wire._transport.writes == [b"*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n*1\r\n$1\r\nC\r\n"]


async def test_replies_come_in_the_order_of_the_commands(wire: Wire):
    first, second, third = (wire.send((word,)) for word in "ABC")
    second.cancel()
    wire.data_received(b":1\r\n:2\r\n")
    wire.data_received(b"-ERR no\r\n")
    assert first.result() == 1
    assert second.cancelled()
    with pytest.raises(ResponseError):
        third.result()


@pytest.mark.parametrize("data", [b"nonsense\r\n", b":1\r\n:2\r\n", b":x\r\n"])
async def test_what_cannot_be_a_reply_closes_the_wire(wire: Wire, data: bytes):
    future = wire.send(("A",))
    wire.data_received(data)
    assert wire.is_closed
    assert wire._transport.is_aborted
    assert future.exception() is None or isinstance(future.exception(), ConnectionError)
    with pytest.raises(NotSent):
        await wire.send(("B",))


async def test_a_lost_connection_fails_all_who_wait(wire: Wire):
    futures = [wire.send(("A",)) for _ in range(3)]
    wire.connection_lost(ConnectionResetError())
    assert all("ConnectionResetError" in str(future.exception()) for future in futures)


async def test_calls_in_flight_are_bounded(wire: Wire, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.store.wire.MAX_IN_FLIGHT", 8)
    for _ in range(8):
        wire.send(("A",))
    with pytest.raises(NotSent, match="in flight"):
        await wire.send(("A",))
    wire.close()
    for future in wire._awaited:
        future.exception()


class Dialler:
    """Makes wires that answer nothing; refuses while `error` is set."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.error: Exception | None = None
        self.tasks: set[asyncio.Task] = set()

    def line(self, *, finds_master: bool = False) -> Line:
        return Line(self.dial, spawn=self.spawn, finds_master=finds_master)

    def spawn(self, work, /, *, name):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def dial(self) -> Wire:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        wire = Wire()
        wire.connection_made(Transport())
        self.wires.append(wire)
        return wire


async def answered(line: Line, dialler: Dialler, data: bytes = b":1\r\n"):
    future = line.send(("A",))
    for _ in range(5):
        await asyncio.sleep(0)
    dialler.wires[-1].data_received(data)
    return await future


async def test_many_who_wait_dial_once():
    dialler = Dialler()
    line = dialler.line()
    futures = [line.send(("A",)) for _ in range(3)]
    assert line.in_flight == 3, "while it dials"
    for _ in range(5):
        await asyncio.sleep(0)
    assert line.in_flight == 3, "on the wire"
    dialler.wires[0].data_received(b":1\r\n:2\r\n:3\r\n")
    assert line.in_flight == 0
    assert [await future for future in futures] == [1, 2, 3]
    assert len(dialler.wires) == 1
    line.close()


async def test_a_dial_that_fails_fails_those_who_wait_and_the_next_dials_again():
    dialler = Dialler()
    line = dialler.line()
    dialler.error = ConnectionRefusedError()
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        await line.send(("A",))
    dialler.error = ResponseError("WRONGPASS")
    with pytest.raises(ResponseError):
        await line.send(("A",))
    dialler.error = None
    assert await answered(line, dialler) == 1
    line.close()


async def test_a_silent_wire_is_dropped_and_a_busy_one_is_kept():
    dialler = Dialler()
    line = dialler.line()
    await answered(line, dialler)
    line.suspect(sent_at_s=dialler.wires[0].received_at_s - 1)
    assert not dialler.wires[0].is_closed
    line.suspect(sent_at_s=asyncio.get_running_loop().time() + 1)
    assert dialler.wires[0].is_closed
    assert await answered(line, dialler, b":2\r\n") == 2
    line.close()


@pytest.mark.parametrize("finds_master", [True, False])
async def test_a_master_that_became_a_replica_is_left(finds_master: bool):
    dialler = Dialler()
    line = dialler.line(finds_master=finds_master)
    await answered(line, dialler)
    assert await line.recover(ReadOnlyError()) is finds_master
    assert dialler.wires[0].is_closed
    line.close()


async def test_a_closed_line_sends_nothing():
    dialler = Dialler()
    line = dialler.line()
    waiting = line.send(("A",))
    line.close()
    for future in (waiting, line.send(("B",))):
        with pytest.raises(ConnectionError):
            await future
    await asyncio.gather(*dialler.tasks)
    assert dialler.wires[0].is_closed
