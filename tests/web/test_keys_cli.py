"""`mimo-gateway keys`: what an operator types, and what a running gateway makes of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from unittest import mock

import orjson
import pytest

from service.__main__ import main
from service.config import Secret
from service.gateway import keyring
from service.gateway.background import Background
from service.store.admin_sessions import RedisAuditLog
from service.store.client import connect
from tests.web.rig import Rig, Start

URL = "/v1/chat/completions"
HELLO = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def config_file(tmp_path: Path, clean_redis: str) -> Path:
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps({"api_keys": "sk-mimo", "mimo_accounts": [], "redis_url": clean_redis}))
    return path


class Operator:
    """Types commands, in an environment with MIMO_SECRET_KEY."""

    def __init__(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config_file = config_file
        self._capsys = capsys

    def types(self, *words: str) -> tuple[int, str]:
        argv = ["keys", *words, "--config", str(self._config_file)]
        with mock.patch.dict(os.environ, {"MIMO_SECRET_KEY": "pepper"}):
            code = main(argv)
        shown = self._capsys.readouterr()
        return code, shown.out + shown.err

    def creates(self, *words: str) -> dict:
        code, shown = self.types("create", *words, "--json")
        assert code == 0, shown
        (line,) = (
            line for line in shown.splitlines() if line.startswith('{"key"')
        )  # a gateway may log beside
        return orjson.loads(line)


@pytest.fixture
def operator(config_file: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(config_file, capsys)


def test_key_is_shown_once_listed_without_it_and_revoked(operator: Operator) -> None:
    code, shown = operator.types("create", "--name", "ci", "--requests-per-minute", "5", "--budget-usd", "2")
    assert code == 0
    key = shown.split()[0]
    assert key.startswith("sk-mimo-")
    code, listing = operator.types("list")
    assert key not in listing
    assert "ci" in listing
    assert "requests_per_minute 5, budget_usd 2" in listing
    assert operator.types("revoke", "ci")[0] == 0
    assert "No keys" in operator.types("list")[1]
    assert operator.types("revoke", "ci")[0] == 1


def test_json_has_every_limit(operator: Operator) -> None:
    made = operator.creates(
        "--name", "a", "--max-concurrency", "2", "--model", "m1", "--model", "m2", "--no-web-search"
    )
    assert (made["web_search"], made["loop_guard"]) == (False, None)
    assert (made["max_concurrency"], made["models"], made["budget_usd"]) == (2, ["m1", "m2"], None)
    (listed,) = orjson.loads(operator.types("list", "--json")[1])
    assert {**listed, "key": made["key"]} == made
    revoked = orjson.loads(operator.types("revoke", made["key_id"], "--json")[1])
    assert revoked == {"revoked": [listed]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "key-1"], "already"),
        (["--name", ""], "name"),
        (["--name", "a", "--tokens-per-minute", "-1"], "tokens_per_minute: must be at least 0"),
    ],
)
def test_mistakes_are_told_and_nothing_is_made(operator: Operator, words: list[str], told: str) -> None:
    code, shown = operator.types("create", *words)
    assert code in (1, 2)
    assert told in shown
    assert orjson.loads(operator.types("list", "--json")[1]) == []


def test_redis_that_does_not_answer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    nowhere = {"api_keys": "a", "mimo_accounts": [], "redis_url": "redis://127.0.0.1:1"}
    path.write_bytes(orjson.dumps(nowhere))
    code, shown = Operator(path, capsys).types("create", "--name", "a")
    assert code == 1
    assert "Redis does not answer" in shown


@pytest.mark.slow
def test_keys_can_be_made_before_the_first_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Slow: an embedded Redis is started and ended, twice."""
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps({"api_keys": "a", "mimo_accounts": []}))
    operator = Operator(path, capsys)
    data = ("--data-dir", str(tmp_path / "data"))
    made = operator.creates("--name", "early", *data)
    assert made["key_id"] in operator.types("list", *data)[1]


# --- a running gateway --------------------------------------------------------------------------------------


async def status(rig: Rig, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    async with rig.http.post(rig.url(URL), json=HELLO, headers=headers) as response:
        await response.read()
        return response.status


async def test_created_key_works_with_its_limits_until_it_is_revoked(
    start: Start, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "TRUST_S", 0.05)
    async with start("platform", secret_key=Secret("pepper")) as rig:
        assert await status(rig, "sk-mimo-guess") == 401
        made = await asyncio.to_thread(operator.creates, "--name", "two", "--requests-per-minute", "2")
        assert [await status(rig, made["key"]) for _ in range(3)] == [200, 200, 429]
        await asyncio.to_thread(operator.types, "revoke", "two")
        await asyncio.sleep(0.06)
        assert await status(rig, made["key"]) == 401
        assert await status(rig, "sk-mimo") == 200


async def test_what_commands_change_stands_in_the_audit_log(operator: Operator, clean_redis: str) -> None:
    await asyncio.to_thread(operator.types, "create", "--name", "team")
    await asyncio.to_thread(operator.types, "revoke", "team")
    store = connect(clean_redis, spawn=Background().spawn)
    entries = await RedisAuditLog(store).newest(10)
    await store.aclose()
    assert [(one.who, one.action, one.target) for one in entries] == [
        ("command line", "key_revoked", "team"),
        ("command line", "key_created", "team"),
    ]
