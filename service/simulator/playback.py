"""Puts an answer on the socket, and plays the faults that a directive asks for: pace, stall, cut, garbage.

A frame is one event of a stream (or one piece of a body), or `burst` of them joined. `stall_after=3`: three
frames leave, then nothing. Without a fault the frames go out as they are, one write each."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from service.core.events import Usage
from service.simulator.directives import PLAY_WORDS, Directive
from service.simulator.record import Entry
from service.simulator.world import ClientClosed, Slot, World

_YIELD_EVERY = 64  # frames written before other requests get a turn
_BODY_PIECE_BYTES = 256
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_FAULTS = PLAY_WORDS - {"burst", "hold_ms"}

GARBAGE: Mapping[str, bytes] = {
    "bytes": b"\x80\xff\xfe\x00garbage\x01\n\n",
    "half_utf8": b'data: {"half": "\xe4\xbd',
    "broken_json": b'data: {"choices":[{"delta":{"content":\n\n',
    "not_json": b"data: this is not JSON\n\n",
    "json_array": b"data: [1,2,3]\n\n",
    "json_scalar": b"data: 42\n\n",
    "comment": b": keep-alive\n\n",
    "unknown_event": b'event: surprise\ndata: {"type":"surprise","x":1}\n\n',
    "nul": b"\x00\x00\n\n",
    "blank": b"\n\n\n\n",
    "retry": b"retry: 5000\n\n",
}
HUGE_LINE_BYTES = 16 << 20


@dataclass(slots=True)
class Turn:
    """One request on its way: what playback needs beside the frames."""

    world: World
    request: web.Request
    entry: Entry
    directive: Directive
    slot: Slot
    usage: Usage | None = None

    def complete(self) -> None:
        """The whole answer has left: its usage counts from now on, whatever the client does."""
        if self.entry.outcome == "open":
            self.entry.outcome = "answered"
            self.entry.usage = self.usage

    async def pause(self, seconds: float) -> None:
        await self.world.watch.pause(self.request, seconds)

    def cut(self) -> None:
        """Close the socket under the answer: FIN, or RST with the word `rst`."""
        transport = self.request.transport
        if transport is None:
            return
        if "rst" in self.directive:
            transport_socket = transport.get_extra_info("socket")
            transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        else:
            transport.close()


async def play_stream(
    turn: Turn, frames: Sequence[bytes], *, content_type: str, hold_s: float = 0.0
) -> web.StreamResponse:
    """The frames as a chunked stream. With `hold_s` the socket stays open that long after the last one."""
    response = web.StreamResponse(
        headers={"Content-Type": content_type, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )
    is_whole = await _play(turn, response, _joined(frames, turn.directive.number("burst") or 1))
    if hold_s > 0 and is_whole:
        try:
            await turn.pause(hold_s)
        except ClientClosed:
            turn.entry.client_closed = True
    return response


async def play_body(turn: Turn, body: bytes, *, content_type: str) -> web.StreamResponse:
    """One JSON body; with a fault it leaves in pieces, so that it can stall or break half way."""
    turn.entry.status = 200
    if not turn.directive.has_any(_FAULTS):
        turn.slot.free()
        turn.complete()
        return web.Response(body=body, content_type=content_type)
    response = web.StreamResponse(headers={"Content-Type": content_type})
    pieces = [body[start : start + _BODY_PIECE_BYTES] for start in range(0, len(body), _BODY_PIECE_BYTES)]
    await _play(turn, response, pieces)
    return response


def _joined(frames: Sequence[bytes], burst: int) -> Sequence[bytes]:
    if burst <= 1:
        return frames
    return [b"".join(frames[start : start + burst]) for start in range(0, len(frames), burst)]


async def _play(turn: Turn, response: web.StreamResponse, frames: Sequence[bytes]) -> bool:
    """Write the frames; True when all of them left. Raises ClientClosed."""
    turn.entry.status = 200
    try:
        await response.prepare(turn.request)
        if not turn.directive.has_any(_FAULTS):
            await _plainly(turn, response, frames)
        elif not await _Faulty(turn, response).play(frames):
            turn.entry.outcome = "faulted"
            return False
    except ConnectionError as error:
        raise ClientClosed from error
    turn.complete()
    return True


async def _plainly(turn: Turn, response: web.StreamResponse, frames: Sequence[bytes]) -> None:
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        if index == last:
            turn.slot.free()  # before the last byte, so that no client can be early
        await response.write(frame)
        turn.entry.events_sent += 1
        if index % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)


class _Faulty:
    """The slow path: looks at every word before every frame."""

    def __init__(self, turn: Turn, response: web.StreamResponse) -> None:
        self._turn = turn
        self._response = response
        directive = turn.directive
        self._pace_s = directive.seconds("pace_ms")
        self._slice_bytes = directive.number("slice")
        self._stops = {name: directive.number(name) for name in ("stall_after", "cut_after", "end_after")}
        self._garbage_after = directive.number("garbage_after")
        if self._garbage_after is None and directive.has_any(("garbage", "garbage_bytes")):
            self._garbage_after = 1

    async def play(self, frames: Sequence[bytes]) -> bool:
        """Write them as the script wants; False where it broke the answer off."""
        await self._turn.pause(self._turn.directive.seconds("first_delay_ms"))
        last = len(frames) - 1
        for index, frame in enumerate(frames):
            if await self._breaks(index):
                return False
            if index and self._pace_s:
                await self._turn.pause(self._pace_s)
            if index == last:
                self._turn.slot.free()
            await self._write(self._dressed(frame))
            self._turn.entry.events_sent += 1
        return not await self._breaks(len(frames))

    async def _breaks(self, index: int) -> bool:
        """Do what the script wants once `index` frames have left; True when that ended the answer."""
        if self._garbage_after == index:
            await self._write(self._garbage())
        if self._stops["stall_after"] == index:
            await self._turn.pause(self._turn.world.options.max_stall_s)
            self._turn.cut()
            return True
        if self._stops["cut_after"] == index:
            self._turn.cut()
            return True
        return self._stops["end_after"] == index

    def _garbage(self) -> bytes:
        directive = self._turn.directive
        size = directive.number("garbage_bytes")
        if size is not None:
            return b"data: " + b"x" * size + b"\n\n"
        kind = directive.text("garbage") or "bytes"
        if kind == "huge_line":
            return b"data: " + b"x" * HUGE_LINE_BYTES
        return GARBAGE.get(kind, GARBAGE["bytes"])

    def _dressed(self, frame: bytes) -> bytes:
        directive = self._turn.directive
        if "comments" in directive:
            frame = b": comment\n\n" + frame
        return frame.replace(b"\n", b"\r\n") if "crlf" in directive else frame

    async def _write(self, data: bytes) -> None:
        if not self._slice_bytes:
            await self._response.write(data)
            return
        for start in range(0, len(data), self._slice_bytes):
            await self._response.write(data[start : start + self._slice_bytes])
            await asyncio.sleep(0)
