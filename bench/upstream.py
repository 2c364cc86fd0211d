"""The upstream of the benchmarks: canned Chat answers by hand-written protocols; it is never the limit.

The prompt tells what to play: `BENCH events=N gap_us=M burst=1`. Anything else gets a short whole answer.
"""

from __future__ import annotations

import asyncio
import re
import sys

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_SCRIPT = re.compile(rb"BENCH events=(\d+) gap_us=(\d+)")
_USAGE = b'{"prompt_tokens":20,"completion_tokens":50,"total_tokens":70}'
_WHOLE = (
    b'{"id":"0123456789abcdef0123456789abcdef","object":"chat.completion","created":1790000000,'
    b'"model":"mimo-v2.6-pro","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
    b'"content":"Twenty-one degrees and sunny, with a light wind from the north-east.","tool_calls":null}}],'
    b'"usage":' + _USAGE + b"}"
)
_EVENT = (
    b'data: {"id":"0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"mimo-v2.6-pro","choices":[{"index":0,"delta":{"content":"token ","role":null},'
    b'"finish_reason":null}]}\n\n'
)
_END = (
    b'data: {"id":"0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"mimo-v2.6-pro","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"mimo-v2.6-pro","choices":[],"usage":' + _USAGE + b"}\n\ndata: [DONE]\n\n"
)
_MODELS = b'{"object":"list","data":[{"id":"mimo-v2.6-pro","object":"model","owned_by":"xiaomi"}]}'
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection; requests are served one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, head_end)
        end = head_end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) < end:
            return
        request, self._buffer = bytes(self._buffer[:end]), self._buffer[end:]
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self._transport.write(_whole(_MODELS))
            return
        script = _SCRIPT.search(request)
        if script is None:
            self._transport.write(_whole(_WHOLE))
            return
        events, gap_us = int(script[1]), int(script[2])
        if gap_us == 0:
            burst = b"".join(_chunk(_EVENT) for _ in range(events))
            self._transport.write(_STREAM_HEAD + burst + _chunk(_END) + b"0\r\n\r\n")
            return
        self._transport.write(_STREAM_HEAD)
        self._play(events, gap_us / 1e6)

    def _play(self, left: int, gap_s: float) -> None:
        if self._transport.is_closing():
            return
        if left == 0:
            self._transport.write(_chunk(_END) + b"0\r\n\r\n")
            return
        self._transport.write(_chunk(_EVENT))
        asyncio.get_running_loop().call_later(gap_s, self._play, left - 1, gap_s)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
