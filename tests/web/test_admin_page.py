"""The page's files: open, strict, cached by their content, and all in the package."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from service.web.admin.page import STATIC, load_assets
from tests.web.admin import Fleet, fleet_of

SEALED = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(clean_redis, tmp_path, headers={}) as found:
        yield found


@pytest.fixture
def http(fleet: Fleet) -> aiohttp.ClientSession:
    return fleet.operator.http


@pytest.fixture
def root(fleet: Fleet) -> str:
    return fleet.operator.gateway.base_url


async def test_page_is_open_and_strict(http: aiohttp.ClientSession, root: str) -> None:
    async with http.get(f"{root}/admin") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert response.headers["Content-Security-Policy"].startswith(SEALED)
        for word in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert word in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "unsafe" not in response.headers["Content-Security-Policy"]


async def test_every_file_is_served_as_what_it_is_and_once(http: aiohttp.ClientSession, root: str) -> None:
    types = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    assets = load_assets()
    assert "index.html" in assets
    for name, asset in assets.items():
        async with http.get(f"{root}/admin/assets/{name}") as response:
            assert response.status == 200
            assert await response.read() == (STATIC / name).read_bytes() == asset.body
            assert response.content_type == types[Path(name).suffix]
            etag = response.headers["ETag"]
        async with http.get(f"{root}/admin/assets/{name}", headers={"If-None-Match": etag}) as response:
            assert response.status == 304
            assert await response.read() == b""


async def test_files_travel_packed_where_that_is_taken(http: aiohttp.ClientSession, root: str) -> None:
    url = f"{root}/admin/assets/index.html"
    for accepted, packed in (("gzip, br", True), ("identity", False), ("gzip;q=0", False)):
        async with http.get(url, headers={"Accept-Encoding": accepted}) as response:
            assert (response.headers.get("Content-Encoding") == "gzip") is packed
            assert await response.read() == (STATIC / "index.html").read_bytes()


async def test_head_has_no_body(http: aiohttp.ClientSession, root: str) -> None:
    for path in ("/admin", "/admin/assets/index.html"):
        async with http.head(root + path) as response:
            assert response.status == 200
            assert await response.read() == b""


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.py", "%2e%2e%2fguard.py", "a/b.js"])
async def test_nothing_else_is_served(http: aiohttp.ClientSession, root: str, name: str) -> None:
    async with http.get(f"{root}/admin/assets/{name}") as response:
        assert response.status in (401, 404)
        assert "def " not in await response.text()


async def test_other_methods_are_refused(http: aiohttp.ClientSession, root: str) -> None:
    for method in ("POST", "PUT", "OPTIONS"):
        async with http.request(method, f"{root}/admin") as response:
            assert response.status == 405


async def test_slash_leads_to_the_page(http: aiohttp.ClientSession, root: str) -> None:
    async with http.get(f"{root}/admin/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (308, "/admin")


async def test_path_that_only_begins_alike_needs_an_api_key(http: aiohttp.ClientSession, root: str) -> None:
    for path in ("/administrator", "/admin.php", "/anthropic/admin"):
        async with http.get(root + path) as response:
            assert response.status == 401


async def test_page_says_so_when_its_files_are_missing(tmp_path: Path) -> None:
    assert load_assets(tmp_path) == {}
