"""One port of the process, and how it is closed without anybody being turned away half way.

Closing a listening socket resets the connections that the kernel has completed and nobody has accepted yet:
a balancer sees a request fail that it has sent. So the last look at the queue and the closing happen in one
go, through a second handle on the socket, with no turn of the event loop between."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

_BACKLOG = 1024
_LAST_LOOK_S = 0.02


class Listener:
    """A runner's socket. `open` raises OSError when the address is taken."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._handle: socket.socket | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, and `port` then tells which."""
        is_v6 = ":" in host
        family = socket.AF_INET6 if is_v6 else socket.AF_INET
        bound = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
        )
        bound.setblocking(False)
        self._handle = bound.dup()
        await web.SockSite(self._runner, bound, backlog=_BACKLOG).start()
        self.port = int(bound.getsockname()[1])

    async def stop(self) -> None:
        """Accept what is there, then nothing more. Open connections are left alone, idle ones too: a balancer
        may be sending its next request on one of them."""
        for site in list(self._runner.sites):
            await site.stop()
        handle, self._handle = self._handle, None
        if handle is None:
            return
        waiting: list[socket.socket] = []
        try:
            while True:
                waiting.append(handle.accept()[0])
        except BlockingIOError:
            handle.close()
        loop, server = asyncio.get_running_loop(), self._runner.server
        for connection in waiting:
            if server is None:
                connection.close()
            else:
                connection.setblocking(False)
                await loop.connect_accepted_socket(server, connection)

    async def close_idle(self) -> None:
        """Close the connections that nobody uses; the others close after the answer that they are at."""
        # A request whose bytes are here already becomes a handler first: it takes the loop some turns.
        await asyncio.sleep(_LAST_LOOK_S)
        if self._runner.server is None:
            return
        for connection in self._runner.server.connections:
            # aiohttp's own `close` ends an idle connection's reader and leaves the socket open: a request
            # that comes on it would wait for ever. Idle is who waits for a request; there is no public word.
            waiter = connection._waiter
            if waiter is not None and not waiter.done():
                connection.force_close()
            else:
                connection.close()

    def close(self) -> None:
        """For an end without `stop`."""
        if self._handle is not None:
            self._handle.close()
