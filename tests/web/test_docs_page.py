"""`/openapi.json` and `/docs` over HTTP: open, whole, and from nowhere else."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from service.web import openapi
from tests.web.rig import Rig, Start

FILES = {
    "docs.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "LICENSE.txt": "text/plain",
}


@pytest.fixture
async def rig(start: Start) -> AsyncIterator[Rig]:
    async with start("platform") as rig:
        yield rig


@pytest.fixture
async def stranger() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody without a key, who unpacks nothing."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        yield http


async def test_the_document_is_served_to_everybody(rig: Rig, stranger: aiohttp.ClientSession) -> None:
    plain = {"Accept-Encoding": "identity"}
    async with stranger.get(rig.url("/openapi.json"), headers=plain) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert response.headers["X-Request-Id"]
        assert await response.json() == openapi.document()
    async with stranger.get(rig.url("/openapi.json"), headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == openapi.encoded()


async def test_the_page_is_made_of_our_own_files_alone(rig: Rig, stranger: aiohttp.ClientSession) -> None:
    async with stranger.get(rig.url("/docs")) as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert (response.status, response.content_type) == (200, "text/html")
    assert "//" not in page, "nothing comes from elsewhere"
    named = set(re.findall(r'(?:src|href)="docs/([^"]+)"', page))
    assert named == {"docs.js", "swagger-ui-bundle.js", "swagger-ui.css"}
    assert "<script>" not in page
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", FILES)
async def test_every_file_comes_packed_to_who_takes_it(
    rig: Rig, stranger: aiohttp.ClientSession, name: str
) -> None:
    url = rig.url(f"/docs/{name}")
    async with stranger.get(url, headers={"Accept-Encoding": "gzip"}) as response:
        body = await response.read()
        assert (response.status, response.content_type) == (200, FILES[name])
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        packed = response.headers.get("Content-Encoding") == "gzip"
    async with stranger.get(url, headers={"Accept-Encoding": "identity"}) as response:
        plain = await response.read()
        assert "Content-Encoding" not in response.headers
    assert plain == (gzip.decompress(body) if packed else body)
    assert packed == name.startswith("swagger-ui")
    assert len(body) < 500_000


async def test_the_licence_names_what_is_packed(rig: Rig, stranger: aiohttp.ClientSession) -> None:
    async with stranger.get(rig.url("/docs/LICENSE.txt")) as response:
        text = await response.text()
    assert "swagger-ui-dist" in text
    assert "Apache License" in text


async def test_a_file_that_is_known_already_is_not_sent_again(
    rig: Rig, stranger: aiohttp.ClientSession
) -> None:
    for path in ("/openapi.json", "/docs", "/docs/swagger-ui.css"):
        async with stranger.get(rig.url(path)) as response:
            tag = response.headers["ETag"]
        async with stranger.get(rig.url(path), headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2fdocs.py", "%00"])
async def test_other_files_are_not_there(rig: Rig, stranger: aiohttp.ClientSession, name: str) -> None:
    async with stranger.get(rig.url(f"/docs/{name}")) as response:
        assert response.status == 404
        assert (await response.json(content_type=None))["error"]["code"] == "not_found"
