"""API keys by way of the admin: shown once, limited, revoked on every worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.gateway import keyring
from service.simulator import SimulatorOptions
from tests.web.admin import Fleet, Operator, fleet_of

PATH = "/keys"
HELLO = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
LIMITS = {"requests_per_minute": 3, "tokens_per_minute": 5000, "max_concurrency": 2, "budget_usd": 1.5}


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(clean_redis, tmp_path, size=2) as found:
        yield found


@pytest.fixture
def operator(fleet: Fleet) -> Operator:
    return fleet.operator


async def ask(operator: Operator, key: str) -> int:
    url = operator.gateway.base_url + "/v1/chat/completions"
    headers = {"Authorization": f"Bearer {key}"}
    async with operator.http.post(url, json=HELLO, headers=headers) as response:
        await response.read()
        return response.status


async def by_name(operator: Operator, name: str) -> Any:
    keys = (await operator.ok("GET", PATH))["keys"]
    return next((key for key in keys if key["name"] == name), None)


async def test_key_is_shown_once_and_works_on_every_worker(fleet: Fleet, clean_redis: str) -> None:
    first, second = fleet.operators
    made = await first.ok("POST", PATH, {"name": "ci", "models": ["mimo-v2.6-pro"], **LIMITS})
    key = made.pop("key")
    assert made["shown"] == f"sk-mimo-…{key[-4:]}"
    assert {name: made[name] for name in LIMITS} == LIMITS
    assert (made["source"], made["is_revocable"], made["models"]) == ("issued", True, ["mimo-v2.6-pro"])
    for operator in fleet.operators:
        assert await ask(operator, key) == 200
    assert await by_name(second, "ci") is not None
    said = "".join([*first.every[1:], *second.every])
    assert key not in said
    assert key not in str(await first.ok("GET", "/audit"))
    async with Redis.from_url(clean_redis) as redis:
        dump = b"".join([await redis.dump(name) or b"" async for name in redis.scan_iter()])
    assert key.encode() not in dump


async def test_what_it_used_this_month_is_told(operator: Operator) -> None:
    key = (await operator.ok("POST", PATH, {"name": "ci"}))["key"]
    assert (await by_name(operator, "ci"))["used"]["requests"] == 0
    for _ in range(2):
        assert await ask(operator, key) == 200

    async with asyncio.timeout(60):
        while (used := (await by_name(operator, "ci"))["used"])["requests"] < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert used["requests"] == 2
    assert used["input_tokens"] > 0
    assert used["output_tokens"] > 0
    assert used["cost_micro_usd"] > 0


async def test_other_limits_hold_on_every_worker(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the five seconds for which a key is trusted are over: here they are none."""
    monkeypatch.setattr(keyring, "TRUST_S", 0.0)
    first, second = fleet.operators
    made = await first.ok("POST", PATH, {"name": "ci", **LIMITS})
    assert await ask(second, made["key"]) == 200
    changed = await first.ok("PATCH", f"{PATH}/{made['id']}", {"requests_per_minute": 0, "budget_usd": None})
    assert (changed["requests_per_minute"], changed["budget_usd"], changed["max_concurrency"]) == (0, None, 2)
    assert changed["created_at"] == made["created_at"]
    assert await ask(second, made["key"]) == 429
    await second.ok("PATCH", f"{PATH}/{made['id']}", {"requests_per_minute": None})
    assert await ask(first, made["key"]) == 200


async def test_revoked_key_stops_on_every_worker(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "TRUST_S", 0.0)
    first, second = fleet.operators
    made = await first.ok("POST", PATH, {"name": "ci"})
    assert await ask(second, made["key"]) == 200
    assert (await first.call("DELETE", f"{PATH}/{made['id']}"))[0] == 204
    for operator in fleet.operators:
        assert await ask(operator, made["key"]) == 401
        assert await by_name(operator, "ci") is None
    assert (await first.call("DELETE", f"{PATH}/{made['id']}"))[0] == 404
    assert (await first.call("PATCH", f"{PATH}/{made['id']}", {"budget_usd": 1}))[0] == 404


async def test_key_of_the_file_is_shown_and_left_alone(operator: Operator) -> None:
    key = await by_name(operator, "key-1")
    assert (key["source"], key["is_revocable"], key["shown"]) == ("config", False, None)
    assert (await operator.call("DELETE", f"{PATH}/{key['id']}"))[0] == 409
    assert (await operator.call("PATCH", f"{PATH}/{key['id']}", {"budget_usd": 1}))[0] == 409


async def test_name_is_given_once(operator: Operator) -> None:
    await operator.ok("POST", PATH, {"name": "ci"})
    for name in ("ci", "key-1"):
        status, answer = await operator.call("POST", PATH, {"name": name})
        assert (status, answer["error"]["param"]) == (409, "name")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({}, "name", id="no name"),
        pytest.param({"name": 5}, "name", id="a number for a name"),
        pytest.param({"name": "a\nb"}, "name", id="a line end"),
        pytest.param({"name": "a", "budget_usd": -1}, "budget_usd", id="a negative budget"),
        pytest.param({"name": "a", "requests_per_minute": "many"}, "requests_per_minute", id="words"),
        pytest.param({"name": "a", "models": "mimo"}, "models", id="no list"),
        pytest.param({"name": "a", "key": "sk-mine"}, "key", id="a key of one's own"),
        pytest.param({"name": "a", "key_sha256": "0" * 64}, "key_sha256", id="a digest"),
    ],
)
async def test_what_cannot_be_a_key_is_refused(operator: Operator, body: Any, param: str) -> None:
    status, answer = await operator.call("POST", PATH, body)
    assert (status, answer["error"]["param"]) == (400, param)


XSS = "<script>alert(1)</script>"


async def test_markup_travels_as_data(operator: Operator) -> None:
    """Names and error texts hold what clients sent: answers are JSON that no browser takes for a page."""
    await operator.ok("POST", PATH, {"name": XSS, "models": ["<b>x</b>"]})
    for method, path, body in (
        ("GET", PATH, None),
        ("GET", "/audit", None),
        ("POST", "/playground/chat", {**HELLO, "model": XSS}),
        ("PATCH", "/accounts/platform", {XSS: 1}),
        ("GET", f"/overview?period={XSS}", None),
    ):
        options = {} if body is None else {"json": body}
        async with operator.http.request(method, operator.url(path), **options) as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_markup_of_an_upstream_travels_as_data(clean_redis: str, tmp_path: Path) -> None:
    options = SimulatorOptions(script=(f'status=400 message="{XSS}"',))
    async with fleet_of(clean_redis, tmp_path, options=options) as fleet:
        operator = fleet.operator
        async with operator.http.post(operator.url("/playground/chat"), json=HELLO) as response:
            assert response.status == 400
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
