"""Media that a client named by URL, fetched by the gateway: for the studio wire, which takes uploads only.

A client's URL must not reach what only this machine can reach (SSRF). The guard, in the order it acts:
1. the URL's words: http or https, a plain host, no credentials, no odd spelling of an address;
2. the name is resolved once, for one connection, and every address it has must be public. aiohttp connects
to the
   addresses that this resolver gave and asks no second time, so a name that changes its mind gains nothing;
3. the socket itself: the factory below sees each address right before it is connected to, and refuses again;
4. a redirect is no detour: each is followed by hand, three at most, through the same three steps.

`allowed_hosts` (`security.allow_private_media_hosts`) leaves out 2 and 3 for the hosts it names.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from service.config import Config
from service.core.addresses import RefusedAddress, Target, is_public, target_of
from service.core.conversation import Conversation, Media
from service.core.errors import InvalidRequest
from service.core.media_types import accepted_type
from service.core.upstreams.repair import linked_files, with_fetched_files
from service.telemetry.metrics import Metrics
from service.upstream.http import USER_AGENT

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What stood behind a URL."""

    content: bytes
    mime_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """`max_bytes` bounds what one request's URLs hold together, `timeout_s` each of them."""

    max_bytes: int
    timeout_s: float
    allowed_hosts: Collection[str] = ()


class GuardedResolver(AbstractResolver):
    """Gives public addresses only. One that is not spoils the whole name: a mixed answer is an attack."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(entry["host"]) for entry in found):
            raise RefusedAddress("address", "the host's address is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


def _guarded_socket(info: _AddressInfo) -> socket.socket:
    """The last word: no socket for an address that is not public, whoever asks for one."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise RefusedAddress("address", "the host's address is not public")
    return socket.socket(family, kind, protocol)


class MediaFetcher:
    """`async with MediaFetcher(…)`: two sessions, one guarded, one for the allowed hosts. `on_refused` is
    told the reason of each refusal."""

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        on_refused: Callable[[str], None],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._policy = policy
        self._on_refused = on_refused
        self._resolver = resolver or aiohttp.ThreadedResolver()
        self._guarded = _session(
            aiohttp.TCPConnector(
                resolver=GuardedResolver(self._resolver),
                use_dns_cache=False,
                force_close=True,
                socket_factory=_guarded_socket,
            )
        )
        self._open = _session(
            aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, force_close=True)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._guarded.close()
        await self._open.close()
        await self._resolver.close()

    def budget(self) -> Budget:
        """What one request may fetch."""
        return Budget(self, left_bytes=self._policy.max_bytes)

    async def fetched(self, media: Media, *, max_bytes: int) -> Fetched:
        """What stands behind the media's URL. Raises InvalidRequest that names the field: the URL is the
        client's."""
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                return await self._followed(media, max_bytes)
        except RefusedAddress as error:
            self._on_refused(error.reason)
            raise _unusable(media, str(error), "refused_media_url") from None
        except TimeoutError:
            raise _unusable(media, f"it took longer than {self._policy.timeout_s:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise _unusable(media, "it could not be reached") from None

    async def _followed(self, media: Media, max_bytes: int) -> Fetched:
        url = media.url or ""
        for _ in range(MAX_REDIRECTS + 1):
            async with await self._get(url) as response:
                if response.status not in _REDIRECTS:
                    return await _read(response, media, max_bytes)
                url = urljoin(url, response.headers.get("Location", ""))
        raise _unusable(media, f"it redirects more than {MAX_REDIRECTS} times")

    async def _get(self, url: str) -> aiohttp.ClientResponse:
        target = target_of(url)
        return await self._session_for(target).get(url, allow_redirects=False)

    def _session_for(self, target: Target) -> aiohttp.ClientSession:
        if target.host in self._policy.allowed_hosts:
            return self._open
        if target.is_literal and not is_public(target.host):
            raise RefusedAddress("address", "the host's address is not public")
        return self._guarded


def media_fetcher(config: Config, metrics: Metrics) -> MediaFetcher:
    """What fetches the URLs of clients. Enter it to have it closed."""
    return MediaFetcher(
        FetchPolicy(
            max_bytes=config.limits.max_media_bytes,
            timeout_s=config.timeouts.media_s,
            allowed_hosts=frozenset(config.security.allow_private_media_hosts),
        ),
        on_refused=lambda reason: metrics.ssrf_blocked[reason,].inc(),
    )


class Budget:
    """The URLs of one request, fetched one after the other; together they stay under the cap."""

    def __init__(self, fetcher: MediaFetcher, *, left_bytes: int) -> None:
        self._fetcher = fetcher
        self._left_bytes = left_bytes

    async def fetched(self, media: Media) -> Fetched:
        """See MediaFetcher.fetched."""
        found = await self._fetcher.fetched(media, max_bytes=self._left_bytes)
        self._left_bytes -= len(found.content)
        return found

    async def with_files_read(self, conversation: Conversation) -> Conversation:
        """The conversation with every file that is named by URL as data: no wire takes files, their text is
        sent."""
        content_by_url: dict[str, bytes] = {}
        for media in linked_files(conversation):
            if media.url is not None and media.url not in content_by_url:
                content_by_url[media.url] = (await self.fetched(media)).content
        return with_fetched_files(conversation, content_by_url) if content_by_url else conversation


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    # No proxy of the environment: behind one, the address that is connected to would be the proxy's.
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def _read(response: aiohttp.ClientResponse, media: Media, max_bytes: int) -> Fetched:
    """The body, bounded as it comes: a Content-Length may lie."""
    if response.status != 200:
        raise _unusable(media, f"its server answered {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _unusable(media, "its server sent it compressed, unasked")
    if (response.content_length or 0) > max_bytes:
        raise _unusable(media, "it is too large")
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > max_bytes:
            raise _unusable(media, "it is too large")
    mime_type = accepted_type(media.kind, response.headers.get("Content-Type", ""), bytes(content[:16]))
    if mime_type is None:
        raise _unusable(media, f"what it holds is no {media.kind} of a known type")
    return Fetched(content=bytes(content), mime_type=mime_type)


def _unusable(media: Media, reason: str, code: str = "invalid_media_url") -> InvalidRequest:
    """The URL itself is not repeated: it may hold the client's secrets."""
    return InvalidRequest(
        f"The URL of the {media.kind} could not be used: {reason}.", param=media.at or "messages", code=code
    )
