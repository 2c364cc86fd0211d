"""A TCP balancer in the test's own loop: connections go round robin to several workers, bytes pass unread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle

_CHUNK_BYTES = 64 << 10


class Balancer:
    """`accepted` counts connections. A worker that refuses its connection is passed over."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.accepted = 0
        self.url = ""
        self.open: set[asyncio.Task[None]] = set()
        self._turns = cycle(ports)
        self._attempts = len(ports)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        sides = [writer]
        try:
            upstream_reader, upstream_writer = await self._connected()
            sides.append(upstream_writer)
            await self._joined(reader, writer, upstream_reader, upstream_writer)
        except (ConnectionError, asyncio.CancelledError):
            return  # a cancelled one ends quietly: asyncio's server would log it otherwise
        finally:
            self.open.discard(task)
            for side in sides:
                side.close()
            for side in sides:
                with suppress(ConnectionError):
                    await side.wait_closed()

    async def _joined(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        there = asyncio.ensure_future(_pass(reader, upstream_writer))
        back = asyncio.ensure_future(_pass(upstream_reader, writer))
        # Either side that goes takes the other with it, as a real balancer does.
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in (there, back):
                half.cancel()
            await asyncio.gather(there, back, return_exceptions=True)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(self._attempts):
            with suppress(ConnectionError):
                return await asyncio.open_connection("127.0.0.1", next(self._turns))
        raise ConnectionRefusedError("no worker takes connections")


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[Balancer]:
    """A balancer over the workers on these ports of loopback, until the block ends."""
    found = Balancer(ports)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        open_ones = tuple(found.open)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
