"""The one aiohttp client of the process: its settings, and how its failures become ours.

Settings follow the measurements in docs/decisions/0004-http-client.md: no connection limit of its own (the
leases
are the limit), no automatic decompression (none is asked for), a small read buffer (it bounds memory per
stream),
`sock_read` as the idle timer and no total timer (it would cut long streams).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime

import aiohttp

from service import __version__
from service.config import Timeouts
from service.core.errors import UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from service.core.pipeline import Decoder

USER_AGENT = f"mimo-gateway/{__version__}"
MAX_ERROR_BYTES = 64 << 10
_READ_BUFFER_BYTES = 32 << 10
_KEEPALIVE_S = 55.0


def client_session(timeouts: Timeouts) -> aiohttp.ClientSession:
    """The session that every upstream call goes through. The caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.idle_s),
        auto_decompress=False,
        read_bufsize=_READ_BUFFER_BYTES,
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@contextmanager
def mapped_errors(timeouts: Timeouts) -> Iterator[None]:
    """aiohttp's exceptions as ours, once. No message of theirs is passed on: it may hold a URL with
    secrets.
    """
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            raise UpstreamTimeout(waited_s=timeouts.connect_s, phase="connect") from error
        raise UpstreamTimeout(waited_s=timeouts.idle_s, phase="idle") from error
    except aiohttp.ClientPayloadError as error:
        raise UpstreamProtocolError("The upstream broke off in the middle of its answer.") from error
    except aiohttp.ClientResponseError as error:
        raise UpstreamProtocolError("The upstream's answer was not valid HTTP.") from error
    except (aiohttp.ClientConnectionError, ConnectionError) as error:
        raise UpstreamUnavailable("The upstream could not be reached or closed the connection.") from error


class Call:
    """One open answer: fits gateway.ports.UpstreamCall by shape."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: Decoder,
        *,
        timeouts: Timeouts,
        notes: Sequence[str] = (),
    ) -> None:
        self._response = response
        self._timeouts = timeouts
        self.decoder = decoder
        self.notes = notes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as the socket gave them, until the connection's end.

        Raises UpstreamTimeout, UpstreamUnavailable, UpstreamProtocolError."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + self._timeouts.total_s
        with mapped_errors(self._timeouts):
            async for chunk in self._response.content.iter_any():
                yield chunk
                if loop.time() > ends_at_s:
                    raise UpstreamTimeout(waited_s=self._timeouts.total_s, phase="total")


class Http:
    """The verbs that the upstreams need, with our errors and timeouts."""

    def __init__(self, session: aiohttp.ClientSession, timeouts: Timeouts) -> None:
        self._session = session
        self.timeouts = timeouts

    @asynccontextmanager
    async def post_stream(
        self, url: str, *, body: bytes, headers: Mapping[str, str], first_byte_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """POST JSON; the answer's head is there on entry. On exit the connection goes back to the pool
        when the
        answer was read whole, and is closed otherwise: an abandoned answer must not go on being written."""
        with mapped_errors(self.timeouts):
            try:
                async with asyncio.timeout(first_byte_s):
                    response = await self._session.post(
                        url, data=body, headers=headers, allow_redirects=False
                    )
            except TimeoutError as error:
                if isinstance(error, aiohttp.ClientError):
                    raise
                raise UpstreamTimeout(waited_s=first_byte_s, phase="first_byte") from error
        try:
            yield response
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        max_bytes: int = 4 << 20,
    ) -> tuple[int, bytes]:
        """A small request: its status and body. Raises our errors; a body past `max_bytes` is a protocol
        error.
        """
        with mapped_errors(self.timeouts):
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await read_bounded(response, max_bytes)


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body. Raises UpstreamProtocolError when it is longer than `max_bytes`."""
    pieces: list[bytes] = []
    length_bytes = 0
    async for chunk in response.content.iter_any():
        length_bytes += len(chunk)
        if length_bytes > max_bytes:
            raise UpstreamProtocolError(f"The upstream's answer is longer than {max_bytes} bytes.")
        pieces.append(chunk)
    return b"".join(pieces)


async def error_body(response: aiohttp.ClientResponse, timeouts: Timeouts) -> bytes:
    """What an error answer says, cut at 64 KB."""
    pieces: list[bytes] = []
    left_bytes = MAX_ERROR_BYTES
    with mapped_errors(timeouts):
        async for chunk in response.content.iter_any():
            pieces.append(chunk[:left_bytes])
            left_bytes -= len(pieces[-1])
            if left_bytes <= 0:
                break
    return b"".join(pieces)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header in seconds (never below 0); None when there is none that can be read.

    A date is taken relative to the answer's own Date header, so that our clock does not matter."""
    text = headers.get("Retry-After", "").strip()
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return max(wait.total_seconds(), 0.0)
