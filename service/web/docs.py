"""`/openapi.json`, and `/docs`: the same as a page, out of this package. No file comes from another origin.

Swagger UI stands packed in `openapi/ui`, with its licence; it is read when somebody asks for it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from aiohttp import web

from service.core.errors import NotFound
from service.web import openapi

_PAGE = "index.html"
_TYPES: Mapping[str, str] = {
    _PAGE: "text/html",
    "docs.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "LICENSE.txt": "text/plain",
}
_PACKED = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})
# Swagger UI draws its icons from data URLs; all else are files of ours.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def document(request: web.Request) -> web.Response:
    """The OpenAPI document of this version."""
    return _answer(request, openapi.packed(), "application/json", packed=True)


async def page(request: web.Request) -> web.Response:
    """The page; it asks for `/openapi.json`."""
    return await _file(request, _PAGE)


async def asset(request: web.Request) -> web.Response:
    """A file of the page. Raises NotFound."""
    name = request.match_info["file"]
    if name not in _TYPES or name == _PAGE:
        raise NotFound("No such file of the page.")
    return await _file(request, name)


async def _file(request: web.Request, name: str) -> web.Response:
    is_packed = name in _PACKED
    path = files("service.web.openapi") / "ui" / (f"{name}.gz" if is_packed else name)
    body = await asyncio.to_thread(path.read_bytes)
    return _answer(request, body, _TYPES[name], packed=is_packed)


def _answer(request: web.Request, body: bytes, content_type: str, *, packed: bool) -> web.Response:
    response = web.Response(headers=_HEADERS)
    response.content_type = content_type
    if content_type != "application/json":
        response.charset = "utf-8"
    tag = hashlib.sha256(body).hexdigest()[:20]
    response.etag = tag
    if packed:
        response.headers["Vary"] = "Accept-Encoding"
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        response.set_status(304)
    elif packed and "gzip" in request.headers.get("Accept-Encoding", "").lower():
        response.headers["Content-Encoding"] = "gzip"
        response.body = body
    else:
        response.body = gzip.decompress(body) if packed else body
    return response
