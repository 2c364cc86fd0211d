"""The one aiohttp client of the process: its settings, and how its failures become ours.

Settings follow the measurements in docs/decisions/0004-http-client.md: no connection limit of its own (the
leases
are the limit), no automatic decompression (none is asked for), a small read buffer (it bounds memory per
stream),
`sock_read` as the idle timer and no total timer (it would cut long streams).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from service import __version__
from service.config import Account, Timeouts
from service.core.addresses import is_metadata
from service.core.errors import UpstreamError, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from service.core.masking import masked
from service.core.pipeline import Decoder
from service.core.upstreams.studio_thread import OpenThread

USER_AGENT = f"mimo-gateway/{__version__}"
MAX_ERROR_BYTES = 64 << 10
_READ_BUFFER_BYTES = 32 << 10
_KEEPALIVE_S = 55.0


# Set while a connection is made, by the task that makes it; aiohttp's own tracing would cost every request
# something. Calls on a kept connection leave it at 0.
_connect_s: ContextVar[float] = ContextVar("connect_s", default=0.0)


class _TimedConnector(aiohttp.TCPConnector):
    """Tells how long a new connection took: name, TCP and TLS."""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        began_s = self._loop.time()
        protocol = await super()._create_connection(req, traces, timeout)
        _connect_s.set(self._loop.time() - began_s)
        return protocol


def _socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """For every connection, whatever name led to it: no account's credential goes to a machine's metadata."""
    family, kind, protocol, _, address = info
    if is_metadata(str(address[0])):
        raise PermissionError("no account's host is a link-local or metadata address")
    return socket.socket(family, kind, protocol)


def client_session(timeouts: Timeouts) -> aiohttp.ClientSession:
    """The session that every upstream call goes through. The caller closes it."""
    return aiohttp.ClientSession(
        connector=_TimedConnector(
            limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=60, socket_factory=_socket
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.idle_s),
        auto_decompress=False,
        read_bufsize=_READ_BUFFER_BYTES,
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


_THEIRS = (aiohttp.ClientError, ConnectionError, TimeoutError)


def our_error(error: Exception, timeouts: Timeouts) -> UpstreamError:
    """aiohttp's exception as ours, once. No message of theirs goes on: it may hold a secret."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamTimeout(waited_s=timeouts.connect_s, phase="connect")
        case TimeoutError():
            return UpstreamTimeout(waited_s=timeouts.idle_s, phase="idle")
        case aiohttp.ClientPayloadError():
            return UpstreamProtocolError("The upstream broke off in the middle of its answer.")
        case aiohttp.ClientResponseError():
            return UpstreamProtocolError("The upstream's answer was not valid HTTP.")
        case _:
            return UpstreamUnavailable("The upstream could not be reached or closed the connection.")


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
        self._content = response.content
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = self._loop.time() + timeouts.total_s
        self.decoder = decoder
        self.notes = notes
        self.connect_s = _connect_s.get()

    async def read(self) -> bytes:
        """The next bytes; b"" at the end. Raises UpstreamTimeout, UpstreamUnavailable,
        UpstreamProtocolError."""
        if self._loop.time() > self._ends_at_s:
            raise UpstreamTimeout(waited_s=self._timeouts.total_s, phase="total")
        try:
            return await self._content.readany()
        except _THEIRS as error:
            raise our_error(error, self._timeouts) from error

    def take_thread(self) -> OpenThread | None:
        """No conversation of the upstream's own is behind it."""
        return None

    def close(self) -> None:
        """Back to the pool when it was read whole, closed otherwise: an abandoned answer must not go on."""
        release(self._response)


def release(response: aiohttp.ClientResponse) -> None:
    """See Call.close."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


class Http:
    """The verbs that the upstreams need, with our errors and timeouts."""

    def __init__(self, session: aiohttp.ClientSession, timeouts: Timeouts) -> None:
        self._session = session
        self.timeouts = timeouts
        self._client_timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str], first_byte_s: float
    ) -> aiohttp.ClientResponse:
        """POST JSON; the answer's head is there on return, and the caller releases it. Raises our errors.

        One timer serves both waits: it runs `first_byte_s` until the head is there and `idle_s` from then
        on."""
        _connect_s.set(0.0)
        try:
            response = await self._session.post(
                url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout(first_byte_s)
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise our_error(error, self.timeouts) from error
        except TimeoutError as error:
            raise UpstreamTimeout(waited_s=first_byte_s, phase="first_byte") from error
        except _THEIRS as error:
            raise our_error(error, self.timeouts) from error
        connection = response.connection
        if (
            first_byte_s != self.timeouts.idle_s
            and connection is not None
            and connection.protocol is not None
        ):
            connection.protocol.read_timeout = self.timeouts.idle_s
            connection.protocol.start_timeout()
        return response

    def _timeout(self, first_byte_s: float) -> aiohttp.ClientTimeout:
        timeout = self._client_timeouts.get(first_byte_s)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=self.timeouts.connect_s, sock_read=first_byte_s
            )
            self._client_timeouts[first_byte_s] = timeout
        return timeout

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
        error."""
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await read_bounded(response, max_bytes)
        except _THEIRS as error:
            raise our_error(error, self.timeouts) from error


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


async def error_body(response: aiohttp.ClientResponse, account: Account, timeouts: Timeouts) -> bytes:
    """What an error answer says, cut at 64 KB; the response is released. Parts of it are shown to callers:
    should it quote the account's own credentials, they are masked."""
    pieces: list[bytes] = []
    left_bytes = MAX_ERROR_BYTES
    try:
        async for chunk in response.content.iter_any():
            pieces.append(chunk[:left_bytes])
            left_bytes -= len(pieces[-1])
            if left_bytes <= 0:
                break
    except _THEIRS as error:
        raise our_error(error, timeouts) from error
    finally:
        release(response)
    return without_credentials(b"".join(pieces), account)


def without_credentials(body: bytes, account: Account) -> bytes:
    """A body whose words may be shown."""
    return masked(body.decode("utf-8", "surrogateescape"), account.credentials).encode(
        "utf-8", "surrogateescape"
    )


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
