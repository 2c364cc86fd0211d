"""Gateways with an admin key, and an operator who calls the admin API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jsonschema
import orjson

from service.app import Gateway, running
from service.config import Secret, key_digest
from service.simulator import Simulator, SimulatorOptions
from service.web.openapi import document
from tests.web.rig import config_for

ADMIN_KEY = "admin-key-for-tests-0123"
SECRET_KEY = "pepper"
BY_KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


def assert_described(method: str, path: str, status: int, answer: Any) -> None:
    """The answer is one that /openapi.json tells of."""
    asked = f"/admin/api{path.partition('?')[0]}"
    paths = {known for known in document()["paths"] if _fits(known, asked)}
    if not paths:
        assert status == 404
        return
    known = asked if asked in paths else paths.pop()
    responses = document()["paths"][known][method.lower()]["responses"]
    assert str(status) in responses, (method, known, status)
    response = responses[str(status)]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    if answer is not None:
        whole = {**schema, "components": document()["components"]}
        jsonschema.Draft202012Validator(whole).validate(answer)


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path) is not None


@dataclass(frozen=True)
class Operator:
    """Calls one gateway's admin API. `every` keeps the text of each answer, to be searched for secrets."""

    gateway: Gateway
    http: aiohttp.ClientSession
    every: list[str]

    def url(self, path: str) -> str:
        return f"{self.gateway.base_url}/admin/api{path}"

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """The status, and the answer as JSON (None when there is no body)."""
        if body is not None:
            options["json"] = body
        async with self.http.request(method, self.url(path), **options) as response:
            text = await response.text()
            self.every.append(text)
            answer = orjson.loads(text) if response.content_type == "application/json" else None
            assert_described(method, path, response.status, answer)
            return response.status, answer

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        status, answer = await self.call(method, path, body)
        assert status < 300, (status, answer)
        return answer


@dataclass(frozen=True)
class Fleet:
    """Gateways that share one Redis, their simulator, and an operator of each."""

    simulator: Simulator
    operators: list[Operator]
    redis_url: str

    @property
    def operator(self) -> Operator:
        return self.operators[0]


StartFleet = Callable[..., AbstractAsyncContextManager[Fleet]]


@asynccontextmanager
async def fleet_of(
    redis_url: str,
    data_dir: Any,
    *kinds: str,
    size: int = 1,
    headers: Any = None,
    options: SimulatorOptions | None = None,
    **more: Any,
) -> AsyncIterator[Fleet]:
    """`size` gateways. `more` replaces sections of their configuration."""
    more = {"admin_key": Secret(key_digest(ADMIN_KEY)), "secret_key": Secret(SECRET_KEY), **more}
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator.start(options))
        operators = []
        for _ in range(size):
            config = config_for(simulator, redis_url, *(kinds or ("platform",)), **more)
            gateway = await stack.enter_async_context(running(config, data_dir=data_dir))
            session = aiohttp.ClientSession(headers=BY_KEY if headers is None else headers)
            http = await stack.enter_async_context(session)
            operators.append(Operator(gateway, http, []))
        yield Fleet(simulator, operators, redis_url)
