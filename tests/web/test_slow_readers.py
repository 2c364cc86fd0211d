"""Clients that do not read: the upstream is held up, memory stays bounded, and the connection is cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from service.config import Timeouts
from service.simulator.record import Entry
from tests.web.dialects import DIALECTS, Dialect
from tests.web.rig import Rig, Start

ENDLESS = "[[sim: say=wordword repeat=2000000 pieces=16000]] go"  # 16 MB in a thousand events
WHOLE = "[[sim: say=wordword repeat=2000000]] go"  # an answer of 16 MB

pytestmark = pytest.mark.slow


@asynccontextmanager
async def deaf(rig: Rig, dialect: Dialect, body: dict) -> AsyncIterator[socket.socket]:
    """A client that sends a request and never reads."""
    raw = orjson.dumps(body)
    head = (
        f"POST {dialect.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-mimo\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", int(rig.gateway.base_url.rpartition(":")[2])))
        await loop.sock_sendall(client, head.encode() + raw)
        yield client


async def everything(client: socket.socket) -> int:
    """How many bytes still come, to the end or to the reset."""
    received, loop = 0, asyncio.get_running_loop()
    try:
        while data := await asyncio.wait_for(loop.sock_recv(client, 1 << 20), 30):
            received += len(data)
    except ConnectionError:
        pass
    return received


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - what changes here sets no Event
            await asyncio.sleep(0.02)


def asked(rig: Rig) -> list[Entry]:
    """What the upstream was asked to answer."""
    return [entry for entry in rig.simulator.record.requests if entry.method == "POST"]


async def is_asked(rig: Rig) -> bool:
    return bool(asked(rig))


# Messages go the same way, but their bound on tokens keeps an answer too short to fill the sockets.
@pytest.mark.parametrize("dialect", DIALECTS[:2], ids=lambda dialect: dialect.name)
async def test_stream_that_nobody_reads_is_cut_and_holds_little(start: Start, dialect: Dialect) -> None:
    """Slow: the write timeout of 0.6 s has to pass."""
    async with start(timeouts=Timeouts(write_s=0.6)) as rig:

        async def is_over() -> bool:
            return all(entry.finished_at_s for entry in asked(rig)) and await rig.leases() == 0

        async with deaf(rig, dialect, dialect.ask(ENDLESS, stream=True)):
            await until(lambda: is_asked(rig))
            await until(is_over)
        (entry,) = asked(rig)
        assert entry.client_closed, "the upstream was told to stop: the rest stayed there"
        assert entry.finished_at_s is not None
        assert entry.finished_at_s - entry.started_at_s > 0.5, "it waited for the client"
        assert b"mgw_slow_client_cut_total 1.0" in rig.gateway.services.metrics.render()


async def test_long_answer_that_nobody_reads_is_cut(start: Start) -> None:
    """Slow: an answer of 16 MB is made, and the write timeout of 0.6 s has to pass."""
    body = DIALECTS[0].ask(WHOLE, stream=False)
    async with start(timeouts=Timeouts(write_s=0.6)) as rig, deaf(rig, DIALECTS[0], body) as client:

        async def is_cut() -> bool:
            return not rig.gateway.services.open_requests

        await until(lambda: is_asked(rig))
        await until(is_cut)
        received = await everything(client)
    assert received < 16_000_000, "the rest was never sent"
