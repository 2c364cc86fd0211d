"""Limits over HTTP in every dialect: whose limit it was, which, when it resets; and what a refusal takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from service.config_loader import api_keys
from tests.web.dialects import DIALECTS, Dialect
from tests.web.rig import Rig, Start


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


class Told(NamedTuple):
    """An answer's status, headers and error."""

    status: int
    headers: Mapping[str, str]
    error: dict


async def ask(rig: Rig, dialect: Dialect, text: str = "Hello", **more: object) -> Told:
    async with rig.http.post(rig.url(dialect.path), json=dialect.ask(text, **more)) as response:
        error = {}
        if response.status != 200:
            error = (await response.json())["error"]
        await response.read()
        return Told(response.status, response.headers, error)


def limited(**limits: object) -> dict:
    return {"api_keys": api_keys([{"key": "sk-mimo", **limits}])}


def left(told: Told, dialect: Dialect, which: str) -> int:
    return int(told.headers[dialect.header(which, "remaining")])


@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_tells_what_is_left(start: Start, dialect: Dialect, stream: bool) -> None:
    async with start(**limited(requests_per_minute=5, tokens_per_minute=9000)) as rig:
        told = await ask(rig, dialect, stream=stream)
        assert told.status == 200
        assert told.headers[dialect.header("requests", "limit")] == "5"
        assert left(told, dialect, "requests") == 4
        assert 0 < left(told, dialect, "tokens") < 9000
        assert told.headers[dialect.header("requests", "reset")]


async def test_request_too_many_is_told_whose_limit_and_when(start: Start, dialect: Dialect) -> None:
    async with start(**limited(requests_per_minute=1)) as rig:
        assert (await ask(rig, dialect)).status == 200
        told = await ask(rig, dialect)
        assert told.status == 429
        assert (
            "The gateway's limit of this API key is reached: 1 requests per minute." in told.error["message"]
        )
        assert "Try again in" in told.error["message"]
        assert 1 <= int(told.headers["Retry-After"]) <= 60
        assert left(told, dialect, "requests") == 0
        assert told.headers[dialect.header("requests", "reset")]
        if dialect.name != "messages":
            assert told.error["code"] == "requests_per_minute"


async def test_request_that_never_fits_is_told_not_to_come_back(start: Start, dialect: Dialect) -> None:
    async with start(**limited(tokens_per_minute=50)) as rig:
        told = await ask(rig, dialect, "word " * 400)
        assert told.status == 429
        assert "this request alone needs about" in told.error["message"]
        assert "Retry-After" not in told.headers
        assert told.headers["X-Should-Retry"] == "false"
        assert left(told, dialect, "tokens") == 50


async def test_refused_requests_take_nothing(start: Start, dialect: Dialect) -> None:
    async with start(**limited(requests_per_minute=4, tokens_per_minute=1500)) as rig:
        before = await ask(rig, dialect)
        for _ in range(3):
            told = await ask(rig, dialect, "word " * 4000)
            assert told.status == 429
            assert left(told, dialect, "requests") == left(before, dialect, "requests") == 3
        after = await ask(rig, dialect)
        assert left(after, dialect, "requests") == 2
        assert len([one for one in rig.simulator.record.requests if one.method == "POST"]) == 2


async def test_limit_of_an_account_is_told_as_such(start: Start, dialect: Dialect) -> None:
    async with start(**limited(requests_per_minute=9)) as rig:
        rig.simulator.play("status=429 retry_after=70")
        first = await ask(rig, dialect)
        assert first.status == 429
        assert "not a limit of your API key" in first.error["message"]
        assert left(first, dialect, "requests") == 8
        assert 69 <= int(first.headers["Retry-After"]) <= 70
        rig.simulator.play()
        resting = await ask(rig, dialect)
        assert resting.status == 429
        assert "no account free" in resting.error["message"]
        assert "rate_limited" in resting.error["message"]
        assert "Try again in" in resting.error["message"]
        assert "not a limit of your API key" in resting.error["message"]


async def test_request_that_reached_no_account_is_given_back(start: Start, dialect: Dialect) -> None:
    async with start(**limited(requests_per_minute=9)) as rig:
        rig.simulator.play("status=429 retry_after=30")
        await ask(rig, dialect)
        rig.simulator.play()
        for _ in range(3):
            assert (await ask(rig, dialect)).status == 429
            await rig.gateway.services.chat.accounts.health(rig.gateway.config.mimo_accounts)
        assert left(await ask(rig, dialect), dialect, "requests") >= 6, "one was used, one is under way"
