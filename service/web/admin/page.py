"""The admin page: files of the package, read once, the same for everybody. They hold no data.

Nothing comes from another origin: the policy below lets a browser load, run and call this gateway only."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from service.core.errors import NotFound

STATIC = Path(__file__).parent / "static"
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A browser may keep a file and asks each time whether it is still that one: 304 costs next to nothing.
    "Cache-Control": "no-cache",
}
_INDEX = "index.html"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file. `etag` without its quotes; `packed` is the body in gzip, None where that is no shorter."""

    body: bytes
    packed: bytes | None
    content_type: str
    etag: str


ASSETS: web.AppKey[Mapping[str, Asset]] = web.AppKey("admin_assets", Mapping[str, Asset])


def load_assets(folder: Path = STATIC) -> Mapping[str, Asset]:
    """Every file of the folder by its name; {} when there is none."""
    return {path.name: _asset(path) for path in sorted(folder.glob("*.*")) if path.is_file()}


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0)
    content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    return Asset(
        body=body,
        packed=packed if len(packed) < len(body) else None,
        content_type=content_type,
        etag=hashlib.sha256(body).hexdigest()[:20],
    )


async def index(request: web.Request) -> web.Response:
    """The page itself; what it shows it asks of the API."""
    return _answer(request, _INDEX)


async def asset(request: web.Request) -> web.Response:
    """One file of the page. Raises NotFound."""
    return _answer(request, request.match_info["file"])


async def slash(_: web.Request) -> web.Response:
    """`/admin/` is `/admin`: relative addresses have one base."""
    return web.Response(status=308, headers={"Location": "/admin", **PAGE_HEADERS})


def _answer(request: web.Request, name: str) -> web.Response:
    found = request.app[ASSETS].get(name)
    if found is None:
        raise NotFound("No such file of the admin page.")
    headers = {**PAGE_HEADERS, "Content-Type": found.content_type, "Vary": "Accept-Encoding"}
    response = web.Response(headers=headers)
    response.etag = found.etag
    if any(known.value in (found.etag, "*") for known in request.if_none_match or ()):
        response.set_status(304)
        return response
    if found.packed is not None and _takes_gzip(request):
        response.headers["Content-Encoding"] = "gzip"
        response.body = found.packed
    else:
        response.body = found.body
    return response


def _takes_gzip(request: web.Request) -> bool:
    offered = (part.strip().lower() for part in request.headers.get("Accept-Encoding", "").split(","))
    return any(
        part.split(";")[0].strip() == "gzip" and not part.replace(" ", "").endswith(";q=0")
        for part in offered
    )
