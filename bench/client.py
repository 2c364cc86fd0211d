"""The load: raw HTTP/1.1 over asyncio streams, so that its own cost stays small and its clock honest."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import orjson


@dataclass(frozen=True)
class Target:
    """Where to send, and in which dialect. `tools`: declare one, so that the sieve runs."""

    name: str
    port: int
    path: str = "/v1/chat/completions"
    has_tools: bool = False

    def request(self, prompt: str, *, stream: bool) -> bytes:
        body: dict[str, object] = {
            "model": "mimo-v2.6-pro",
            "stream": stream,
            "messages": [{"role": "user", "content": prompt}],
        }
        if self.path.endswith("messages"):
            body["max_tokens"] = 1000
        if self.has_tools:
            body["tools"] = [self._tool()]
        raw = orjson.dumps(body)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer sk-mimo\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        return head.encode() + raw

    def _tool(self) -> dict[str, object]:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        if self.path.endswith("messages"):
            return {"name": "get_weather", "description": "The weather", "input_schema": schema}
        return {
            "type": "function",
            "function": {"name": "get_weather", "description": "The weather", "parameters": schema},
        }


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, target: Target) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", target.port, limit=4 << 20))

    def close(self) -> None:
        self._writer.close()

    async def ask(self, request: bytes) -> tuple[float, int]:
        """Send, read to the end: seconds to the first body byte, and the length. Raises on a status."""
        started_s = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode() + (await self._reader.read(2000)).decode())
        lower = head.lower()
        if b"transfer-encoding: chunked" not in lower:
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0])
            await self._reader.readexactly(length)
            return time.perf_counter() - started_s, length
        return await self._chunks(started_s)

    async def begin(self, request: bytes) -> None:
        """Send, and read the head only."""
        self._writer.write(request)
        await self._reader.readuntil(b"\r\n\r\n")

    async def _chunks(self, started_s: float) -> tuple[float, int]:
        first_s, total = 0.0, 0
        while size := int(await self._reader.readline(), 16):
            await self._reader.readexactly(size + 2)
            first_s = first_s or time.perf_counter() - started_s
            total += size
        await self._reader.readline()
        return first_s, total
