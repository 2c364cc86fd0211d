"""JSON in and out of the admin API."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from service.core.errors import InvalidRequest
from service.web.body import read_body
from service.web.context import RECORD

# Two credentials and some settings; and no more of a stranger's sign-in is read than that.
_MAX_BYTES = 128 << 10


async def read_object(request: web.Request) -> dict[str, object]:
    """The body as one JSON object; no body is an empty one. Raises InvalidRequest, BodyTooLarge."""
    body = await read_body(request, max_bytes=_MAX_BYTES)
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def text_of(obj: Mapping[str, object], name: str) -> str:
    """A string that must be there. Raises InvalidRequest."""
    value = obj.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"'{name}' must be a string that is not empty.", param=name)
    return value


def reply(request: web.Request, value: object, *, status: int = 200) -> web.Response:
    """`value` (also dataclasses) as JSON."""
    body = orjson.dumps(value)
    request[RECORD].bytes_out = len(body)
    return web.Response(body=body, status=status, content_type="application/json")
