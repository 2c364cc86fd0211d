"""Signing in and out of the admin, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from redis.asyncio import Redis

from service.config import Secret, Security, key_digest
from service.web.admin.routes import GUARDED, OPEN
from service.web.routes import add_routes
from tests.web.admin import ADMIN_KEY, BY_KEY, Fleet, Operator, fleet_of

SESSION = "/session"


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Two gateways, an operator who has shown nothing yet."""
    async with fleet_of(clean_redis, tmp_path, size=2, headers={}) as found:
        yield found


@pytest.fixture
def operator(fleet: Fleet) -> Operator:
    return fleet.operator


async def signed_in(operator: Operator) -> dict[str, str]:
    """Signs in; the headers that every change needs. The client keeps the cookie of 127.0.0.1 by itself not:
    aiohttp's jar holds none for addresses, so it is sent by hand."""
    async with operator.http.post(operator.url(SESSION), json={"admin_key": ADMIN_KEY}) as response:
        assert response.status == 200
        answer = await response.json()
        cookie = response.cookies["mgw_admin"]
    assert answer["is_signed_in"]
    return {"Cookie": f"mgw_admin={cookie.value}", "X-CSRF-Token": answer["csrf_token"]}


async def test_session_opens_every_worker_and_ends_on_every_worker(fleet: Fleet) -> None:
    first, second = fleet.operators
    headers = await signed_in(first)
    status, answer = await second.call("GET", SESSION, headers=headers)
    assert (status, answer["is_signed_in"]) == (200, True)
    assert answer["csrf_token"] == headers["X-CSRF-Token"]
    assert (await second.call("GET", "/accounts", headers=headers))[0] == 200
    assert (await second.call("DELETE", SESSION, headers=headers))[0] == 204
    assert (await first.call("GET", "/accounts", headers=headers))[0] == 401
    assert (await first.call("GET", SESSION, headers=headers))[1]["is_signed_in"] is False


async def test_cookie_is_for_the_admin_alone_and_for_no_script(operator: Operator) -> None:
    async with operator.http.post(operator.url(SESSION), json={"admin_key": ADMIN_KEY}) as response:
        cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/admin" in cookie
    assert "Secure" not in cookie, "the test speaks http"


async def test_cookie_is_secure_behind_a_proxy_that_speaks_https(clean_redis: str, tmp_path: Path) -> None:
    security = Security(trusts_forwarded_proto=True)
    async with fleet_of(clean_redis, tmp_path, headers={}, security=security) as fleet:
        told = {"X-Forwarded-Proto": "https"}
        url = fleet.operator.url(SESSION)
        async with fleet.operator.http.post(url, json={"admin_key": ADMIN_KEY}, headers=told) as response:
            assert "Secure" in response.headers["Set-Cookie"]


# --- what is refused ----------------------------------------------------------------------------------------


def admin_routes() -> set[tuple[str, str]]:
    app = web.Application()
    add_routes(app)
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/admin")
    }


def test_every_admin_route_stands_in_one_of_the_two_tables() -> None:
    told = {(method, path) for method, path, _ in (*OPEN, *GUARDED)}
    assert {(method, path) for method, path in admin_routes() if method != "HEAD"} == told


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer sk-mimo"}, {"Cookie": "mgw_admin=x"}], ids=str
)
async def test_no_route_answers_without_the_key(fleet: Fleet, headers: dict[str, str]) -> None:
    """An API key opens nothing here. Two gateways and many addresses: wrong keys are counted."""
    open_routes = {(method, path) for method, path, _ in OPEN}
    for method, path in sorted(admin_routes() - open_routes - {("HEAD", "/admin")}):
        if method == "HEAD":
            continue
        url = fleet.operator.gateway.base_url + path.replace("{", "").replace("}", "")
        async with fleet.operator.http.request(method, url, headers=headers) as response:
            assert response.status in (401, 429), (method, path)
            assert (await response.json()).keys() - {"type", "request_id"} == {"error"}


async def test_nothing_is_open_without_an_admin_key(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path, headers={}, admin_key=Secret("")) as fleet:
        status, answer = await fleet.operator.call("GET", SESSION)
        assert (status, answer["is_configured"]) == (200, False)
        for headers in ({}, BY_KEY, {"Authorization": "Bearer "}, {"x-api-key": ""}):
            status, answer = await fleet.operator.call("GET", "/accounts", headers=headers)
            assert (status, answer["error"]["code"]) == (403, "admin_not_configured")
            assert "MIMO_ADMIN_KEY" in answer["error"]["message"]
        status, _ = await fleet.operator.call("POST", SESSION, {"admin_key": ""})
        assert status == 403


async def test_cookie_alone_changes_nothing(operator: Operator) -> None:
    headers = await signed_in(operator)
    for sent in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": headers["X-CSRF-Token"][:-1]}):
        status, answer = await operator.call(
            "POST", "/keys", {"name": "stolen"}, headers={"Cookie": headers["Cookie"], **sent}
        )
        assert (status, answer["error"]["code"]) == (403, "csrf_token_missing")
    assert (await operator.call("DELETE", SESSION, headers={"Cookie": headers["Cookie"]}))[0] == 403
    assert (await operator.call("POST", "/keys", {"name": "mine"}, headers=headers))[0] == 201
    names = [key["name"] for key in (await operator.call("GET", "/keys", headers=headers))[1]["keys"]]
    assert "mine" in names
    assert "stolen" not in names


async def test_guessing_is_refused_on_every_worker_even_the_right_key(fleet: Fleet) -> None:
    first, second = fleet.operators
    for number in range(5):
        status, answer = await first.call("POST", SESSION, {"admin_key": f"wrong-{number}"})
        assert (status, answer["error"]["code"]) == (401, "invalid_admin_key")
    for operator in (first, second):
        for body in ({"admin_key": "wrong"}, {"admin_key": ADMIN_KEY}):
            async with operator.http.post(operator.url(SESSION), json=body) as response:
                assert response.status == 429
                assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert (await operator.call("GET", "/accounts", headers=BY_KEY))[0] == 429


async def test_session_lives_on_while_others_guess(operator: Operator) -> None:
    headers = await signed_in(operator)
    for _ in range(7):
        await operator.call("GET", "/accounts", headers={"x-api-key": "wrong"})
    assert (await operator.call("GET", "/accounts", headers=headers))[0] == 200


async def test_another_admin_key_ends_every_session(
    clean_redis: str, tmp_path: Path, operator: Operator
) -> None:
    headers = await signed_in(operator)
    other = Secret(key_digest("another-admin-key-123"))
    async with fleet_of(clean_redis, tmp_path, headers={}, admin_key=other) as fleet:
        assert (await fleet.operator.call("GET", "/accounts", headers=headers))[0] == 401


async def test_neither_token_nor_key_stands_in_redis(operator: Operator, clean_redis: str) -> None:
    headers = await signed_in(operator)
    token = headers["Cookie"].partition("=")[2]
    async with Redis.from_url(clean_redis) as redis:
        dump = b"".join([key + (await redis.dump(key) or b"") async for key in redis.scan_iter()])
    for secret in (token, headers["X-CSRF-Token"], ADMIN_KEY):
        assert secret.encode() not in dump


async def test_answers_are_not_kept_framed_or_sniffed(operator: Operator) -> None:
    for path, headers in (("/accounts", BY_KEY), ("/accounts", {}), ("/nothing", {}), (SESSION, {})):
        async with operator.http.get(operator.url(path), headers=headers) as response:
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert response.content_type == "application/json"
