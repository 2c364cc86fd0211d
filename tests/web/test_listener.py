"""Closing a port: who is queued is served, who comes later is refused, who is idle is left for a while."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from service.web.listener import Listener

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    found = Listener(runner)
    await found.open("127.0.0.1", 0)
    yield found
    found.close()
    await runner.cleanup()


def connected(port: int) -> socket.socket:
    """A connection that the kernel has completed; the event loop had no turn yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)


async def answer(connection: socket.socket) -> bytes:
    return await asyncio.to_thread(connection.recv, 65536)


async def test_connections_in_the_queue_are_served_after_the_port_is_closed(listener: Listener) -> None:
    connections = [connected(listener.port) for _ in range(20)]
    for connection in connections:
        connection.sendall(REQUEST)
    await listener.stop()
    for connection in connections:
        with connection:
            assert b"200 OK" in await answer(connection)
    with pytest.raises(ConnectionRefusedError):
        connected(listener.port)


async def test_idle_connection_lives_on_until_idle_ones_are_closed(listener: Listener) -> None:
    with connected(listener.port) as used, connected(listener.port) as idle:
        for connection in (used, idle):
            connection.sendall(REQUEST)
            assert b"200 OK" in await answer(connection)
        await listener.stop()
        used.sendall(REQUEST)
        assert b"200 OK" in await answer(used)
        await listener.close_idle()
        assert await answer(idle) == b""


async def test_port_is_free_again_at_once(listener: Listener) -> None:
    await listener.stop()
    with socket.create_server(("127.0.0.1", listener.port)):
        pass


async def test_listener_that_was_stopped_may_be_stopped_again(listener: Listener) -> None:
    await listener.stop()
    await listener.stop()
    listener.close()


async def test_taken_address_is_told(listener: Listener) -> None:
    other = Listener(web.AppRunner(web.Application()))
    with pytest.raises(OSError, match="in use"):
        await other.open("127.0.0.1", listener.port)
