"""`mimo-gateway accounts`: what an operator sees of the pool, and how a copied session gets into the file."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from pathlib import Path

import orjson
import pytest

from service.__main__ import main
from service.config import StoredAccount
from service.config_loader import accounts, load
from service.gateway.background import Background
from service.store.client import StoreSettings, connect
from service.store.stored_accounts import RedisStoredAccounts
from tests.web.rig import PATIENCE_S, Rig, Start

COOKIES = 'serviceToken="fresh-token"; userId=10001; xiaomichatbot_ph="bmV3+/=="'
SESSION = {"service_token": "fresh-token", "user_id": "10001", "xiaomichatbot_ph": "bmV3+/=="}
OLD = {"service_token": "old-token", "user_id": "10001", "xiaomichatbot_ph": "b2xk"}


class Desk:
    """A configuration file, and commands about it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "config.json"
        self._capsys = capsys

    def write(self, **sections: object) -> None:
        self.file.write_bytes(orjson.dumps({"api_keys": "a", "mimo_accounts": [], **sections}))

    def entries(self) -> list[dict]:
        return orjson.loads(self.file.read_bytes())["mimo_accounts"]

    def types(self, *words: str) -> tuple[int, str]:
        code = main(["accounts", *words, "--config", str(self.file)])
        shown = self._capsys.readouterr()
        assert "-token" not in shown.out + shown.err, "no secret is shown"
        return code, shown.out + shown.err

    def pastes(self, text: str, *words: str) -> tuple[int, str]:
        pasted = self.file.with_name("pasted.txt")
        pasted.write_text(text)
        return self.types("import", "--file", str(pasted), *words)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


# --- import -------------------------------------------------------------------------------------------------


def test_session_is_added_for_the_owners_eyes_only(desk: Desk) -> None:
    desk.write(mimo_accounts=[{"api_key": "sk-x"}], models=["mimo-v2.6-pro"])
    code, shown = desk.pastes(COOKIES)
    assert code == 0
    assert "added account studio-2" in shown
    assert desk.entries() == [{"api_key": "sk-x"}, SESSION]
    assert stat.S_IMODE(desk.file.stat().st_mode) == 0o600
    assert load(desk.file.read_bytes()).models == ("mimo-v2.6-pro",)
    assert sorted(path.name for path in desk.file.parent.iterdir()) == ["config.json", "pasted.txt"]


def test_new_session_of_a_known_user_takes_the_old_ones_place(desk: Desk) -> None:
    desk.write(mimo_accounts=[{**OLD, "is_valid": False, "login_time": "long ago", "weight": 3}])
    assert "updated account studio-1" in desk.pastes(COOKIES)[1]
    (entry,) = desk.entries()
    assert {**entry, **SESSION, "is_valid": True, "weight": 3} == entry
    assert entry["login_time"] != "long ago"


def test_named_entry_is_updated_or_added(desk: Desk) -> None:
    desk.write(mimo_accounts=[{**OLD, "name": "anna"}])
    desk.pastes(COOKIES.replace("10001", "10002"), "--name", "ben")
    desk.pastes(COOKIES.replace("10001", "10003"), "--name", "anna")
    assert [(entry["name"], entry["user_id"]) for entry in desk.entries()] == [
        ("anna", "10003"),
        ("ben", "10002"),
    ]


def test_without_a_file_one_is_made_with_a_fresh_key(desk: Desk) -> None:
    code, shown = desk.pastes(COOKIES)
    assert code == 0
    config = load(desk.file.read_bytes())
    assert len(config.mimo_accounts) == 1
    key = orjson.loads(desk.file.read_bytes())["api_keys"]
    assert len(key) >= 40
    assert key not in shown


def test_text_may_come_from_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write()
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-platform-key\n"))
    assert "added account platform-1" in desk.types("import")[1]
    assert desk.entries() == [{"api_key": "sk-platform-key"}]


def test_link_stays_a_link(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_bytes(orjson.dumps({"api_keys": "a", "mimo_accounts": []}))
    desk.file.symlink_to(real)
    desk.pastes(COOKIES)
    assert desk.file.is_symlink()
    assert len(orjson.loads(real.read_bytes())["mimo_accounts"]) == 1


@pytest.mark.parametrize(
    ("sections", "words", "text", "told"),
    [
        ({}, [], "userId=1", "no serviceToken"),
        ({"nonsense": 1}, [], COOKIES, "unknown key"),
        ({"mimo_accounts": [{"api_key": "sk-x", "name": "a"}]}, ["--name", "a"], COOKIES, "other kind"),
        ({}, ["--name", "not a name"], COOKIES, "letters, digits"),
        (
            {"mimo_accounts": [{**OLD, "service_token": {"from_env": "HOME"}}]},
            [],
            COOKIES,
            "kept outside this file",
        ),
    ],
)
def test_mistakes_change_nothing(desk: Desk, sections: dict, words: list[str], text: str, told: str) -> None:
    desk.write(**sections)
    before = desk.file.read_bytes()
    code, shown = desk.pastes(text, *words)
    assert code in (1, 2)
    assert told in shown
    assert desk.file.read_bytes() == before


def test_file_that_cannot_be_written_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, shown = desk.pastes(COOKIES)
    assert code == 2
    assert "No space left" in shown
    assert desk.entries() == []
    assert len(list(desk.file.parent.iterdir())) == 2


# --- list, test, reset --------------------------------------------------------------------------------------


def configure(desk: Desk, rig: Rig, clean_redis: str) -> None:
    root = rig.simulator.base_url
    entries = [
        {"name": "platform", "api_key": "sk-simulator-1", "base_url": root},
        {"name": "platform-2", "api_key": "sk-simulator-2", "base_url": root},
    ]
    desk.write(mimo_accounts=entries, redis_url=clean_redis)


async def ask(rig: Rig) -> int:
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        await response.read()
        return response.status


@pytest.mark.slow
async def test_pool_is_listed_as_workers_left_it_and_reset(
    start: Start, desk: Desk, clean_redis: str
) -> None:
    """Slow: four commands are run, each with a connection of its own."""
    async with start("platform", "platform-2") as rig:
        configure(desk, rig, clean_redis)
        rig.simulator.play("status=429 retry_after=300 account=platform-1", "status=401 account=platform-2")
        assert await ask(rig) in (429, 503)
        await rig.nothing_is_held()
        code, shown = await asyncio.to_thread(desk.types, "list")
        assert code == 0
        cooling, quarantined = (line.split() for line in shown.splitlines() if line.startswith("platform"))
        assert cooling[:4] == ["platform", "platform", "cooling", "rate_limited"]
        assert 290 <= int(cooling[4]) <= 300
        assert quarantined[2:4] == ["quarantined", "unauthorized"]
        assert "  platform-2: the key was refused: check it" in shown, "what to do"
        assert quarantined[-1] == "0/8"
        rig.simulator.play()
        for name in ("platform", "platform-2"):
            code, shown = await asyncio.to_thread(desk.types, "reset", name)
            assert (code, "ready" in shown) == (0, True)
        assert await ask(rig) == 200


async def test_accounts_are_tested_by_calls_that_cost_no_chat(
    start: Start, desk: Desk, clean_redis: str
) -> None:
    async with start() as rig:
        configure(desk, rig, clean_redis)
        assert (await asyncio.to_thread(desk.types, "test"))[0] == 0
        rig.simulator.play("status=401 account=platform-2 endpoint=models")
        code, shown = await asyncio.to_thread(desk.types, "test")
        assert code == 1
        assert "[ ok ] account platform (platform)" in shown
        assert "[FAIL] account platform-2" in shown
        assert (await asyncio.to_thread(desk.types, "test", "platform"))[0] == 0
        assert not rig.simulator.record.of("chat_completions")


def test_unknown_account_and_absent_redis_are_told(desk: Desk) -> None:
    desk.write(mimo_accounts=[{"api_key": "sk-x"}], redis_url="redis://127.0.0.1:1")
    for words in (["list"], ["reset", "nobody"], ["test", "nobody"], ["remove", "nobody"]):
        code, shown = desk.types(*words)
        assert (code, "Redis does not answer" in shown) == (1, True)
    assert len(desk.entries()) == 1


# --- remove -------------------------------------------------------------------------------------------------


def test_account_of_the_file_is_taken_out_and_the_others_keep_their_names(
    desk: Desk, clean_redis: str
) -> None:
    """Entries without a name are called after their place, in Redis too."""
    desk.write(
        mimo_accounts=[{"api_key": "sk-1"}, OLD, {"api_key": "sk-3"}, {"name": "four", "api_key": "sk-4"}],
        redis_url=clean_redis,
        models=["mimo-v2.6-pro"],
    )
    before = [account.name for account in load(desk.file.read_bytes()).mimo_accounts]
    code, shown = desk.types("remove", "studio-2")
    assert (code, "removed account studio-2 from" in shown) == (0, True)
    after = load(desk.file.read_bytes())
    assert [account.name for account in after.mimo_accounts] == ["platform-1", "platform-3", "four"]
    assert [name for name in before if name != "studio-2"] == [one.name for one in after.mimo_accounts]
    assert desk.entries()[0] == {"api_key": "sk-1"}, "what stands before it is not touched"
    assert after.models == ("mimo-v2.6-pro",)
    assert stat.S_IMODE(desk.file.stat().st_mode) == 0o600
    assert desk.types("remove", "studio-2") == (1, "No account is called 'studio-2'.\n")


def test_account_of_the_file_is_taken_out_without_redis(desk: Desk) -> None:
    desk.write(mimo_accounts=[{"api_key": "sk-1"}, OLD], redis_url="redis://127.0.0.1:1")
    assert desk.types("remove", "studio-2")[0] == 0
    assert desk.entries() == [{"api_key": "sk-1"}]


def test_file_with_a_mistake_is_left_alone(desk: Desk) -> None:
    desk.file.write_text('{"mimo_accounts": 5}')
    assert desk.types("remove", "x")[0] == 2
    assert desk.file.read_text() == '{"mimo_accounts": 5}'


async def stored(clean_redis: str, name: str) -> None:
    """One account more in Redis."""
    store = connect(clean_redis, spawn=Background().spawn, settings=StoreSettings.within(PATIENCE_S))
    shelf = RedisStoredAccounts(store, server_secret="")
    (account,) = accounts([{"api_key": "sk-stored", "base_url": "http://127.0.0.1:9", "name": name}])
    await shelf.add(StoredAccount(account=account, created_at_s=1, secret_at_s=1, shown="sk-…"))
    await store.aclose()


def test_account_that_was_added_while_the_gateway_ran_is_listed_and_removed(
    desk: Desk, clean_redis: str
) -> None:
    desk.write(redis_url=clean_redis)
    asyncio.run(stored(clean_redis, "late"))
    code, shown = desk.types("list")
    assert (code, "late" in shown) == (0, True)
    assert desk.types("remove", "late")[1].startswith("removed account late from Redis\n")
    assert "late" not in desk.types("list")[1]
    assert desk.types("remove", "late")[0] == 1


def test_account_that_was_added_is_tested_and_examined_and_told_when_it_cannot_be_read(
    desk: Desk, clean_redis: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.write(redis_url=clean_redis, mimo_accounts=[])
    asyncio.run(stored(clean_redis, "late"))
    for words in (["test"], ["test", "late"]):
        assert "[FAIL] account late (platform) at" in desk.types(*words)[1]
    monkeypatch.setenv("MIMO_SECRET_KEY", "another")
    for words in (["test"], ["test", "late"], ["list"]):
        assert "late: it was sealed under another MIMO_SECRET_KEY" in desk.types(*words)[1].replace(
            "account late (platform)", "late"
        )
    assert main(["doctor", "--config", str(desk.file)]) == 1
    assert "it was sealed under another MIMO_SECRET_KEY" in capsys.readouterr().out


def test_accounts_of_the_file_are_tested_while_redis_is_away(desk: Desk) -> None:
    nowhere = {"api_key": "sk-x", "base_url": "http://127.0.0.1:9"}
    desk.write(mimo_accounts=[nowhere], redis_url="redis://127.0.0.1:1")
    code, shown = desk.types("test")
    assert (code, "are not known" in shown, "[FAIL] account platform-1" in shown) == (1, True, True)
