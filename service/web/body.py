"""The request's body: bounded in length and in time, before anything is decoded."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from service.core.errors import BodyTooLarge, InvalidRequest
from service.web.context import RECORD, SERVICES

# What aiohttp's reader of multipart forms raises for one that is none, or breaks off.
MALFORMED_FORM = (ValueError, AssertionError, EOFError, HttpProcessingError)


async def read_body(request: web.Request, *, max_bytes: int | None = None) -> bytes:
    """The whole body, of at most `max_bytes` (None: as configured). Raises BodyTooLarge (from Content-Length
    already, where it is told) and InvalidRequest for a body that does not come in time."""
    services = request.app[SERVICES]
    max_bytes = min(max_bytes or services.limits.max_body_bytes, services.limits.max_body_bytes)
    if request.content_length is not None and request.content_length > max_bytes:
        raise BodyTooLarge(max_bytes=max_bytes)
    try:
        if request.content.is_eof():  # it came with the head, as small bodies do: no timer is needed
            body = await request.read()
            if len(body) > max_bytes:
                raise BodyTooLarge(max_bytes=max_bytes)
        else:
            async with asyncio.timeout(services.timeouts.body_s):
                body = await _read(request, max_bytes)
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(max_bytes=max_bytes) from None
    except TimeoutError:
        raise InvalidRequest("The request body did not arrive in time.", code="body_timeout") from None
    record = request[RECORD]
    record.bytes_in, record.body_at_s = len(body), services.clock.monotonic_s()
    return body


async def _read(request: web.Request, max_bytes: int) -> bytes:
    """As `request.read()`, which would keep the bytes for as long as the request lives: a body of ten
    megabytes is decoded at once and needed no more."""
    pieces: list[bytes] = []
    left = max_bytes
    while piece := await request.content.readany():
        left -= len(piece)
        if left < 0:
            raise BodyTooLarge(max_bytes=max_bytes)
        pieces.append(piece)
    return b"".join(pieces)
