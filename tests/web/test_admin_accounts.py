"""Accounts by way of the admin: added, changed, tested and removed on every worker, their secrets nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from service.config import Secret
from service.config_loader import accounts
from service.telemetry.log import configure
from tests.web.admin import SECRET_KEY, Fleet, Operator, fleet_of
from tests.web.rig import KEY

KEY_2 = "sk-simulator-2"
COOKIE = 'serviceToken="simulator-token-2"; userId=10002; xiaomichatbot_ph="c2ltdWxhdG9yLTI/+w=="'
CURL = f"curl 'https://aistudio.xiaomimimo.com/open-apis/bot/chat' \\\n  -H 'accept: */*' \\\n  -b '{COOKIE}'"
CMD = 'curl ^"https://aistudio.xiaomimimo.com/^" ^\n  -b ^"' + COOKIE.replace('"', '\\^"') + '^"'
SECRETS = (KEY_2, "simulator-token-2", "c2ltdWxhdG9yLTI/+w==")
PATH = "/accounts"
NOWHERE = {"base_url": "http://127.0.0.1:9"}  # nobody listens there, and no key leaves the machine


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(clean_redis, tmp_path, size=2) as found:
        yield found


@pytest.fixture
def operator(fleet: Fleet) -> Operator:
    return fleet.operator


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await look()):  # noqa: ASYNC110 - it happens in another worker
            await asyncio.sleep(0.05)
    return found


def names(accounts: Any) -> list[str]:
    return [account["name"] for account in accounts["accounts"]]


async def looked(operator: Operator) -> None:
    """The worker looks now, as it does every two seconds and a half."""
    await operator.gateway.services.admin.accounts.book.look()


async def ask(operator: Operator, **headers: str) -> tuple[int, str]:
    body = {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}
    url = operator.gateway.base_url + "/v1/chat/completions"
    async with operator.http.post(url, json=body, headers={**KEY, **headers}) as response:
        return response.status, await response.text()


# --- seeing -------------------------------------------------------------------------------------------------


async def test_account_of_the_file_is_shown_with_its_state_and_without_its_key(operator: Operator) -> None:
    (account,) = (await operator.ok("GET", PATH))["accounts"]
    assert (account["name"], account["source"], account["kind"]) == ("platform", "config", "platform")
    assert (account["plan"], account["region"], account["secret"]) == ("pay-as-you-go", None, "sk-…or-1")
    assert (account["state"], account["reason"], account["until"]) == ("ready", None, None)
    assert (account["leases"], account["max_concurrency"], account["weight"]) == (0, 8, 1)
    assert "mimo-v2.6-pro" in account["models"]


RECOGNISED = [
    pytest.param({"api_key": "sk-0123456789"}, "platform", "pay-as-you-go", None, "api", id="pay as you go"),
    pytest.param({"api_key": "tp-0123456789"}, "platform", "token-plan", "cn", "token-plan-cn", id="a plan"),
    pytest.param(
        {"api_key": "ttp-0123456789", "region": "sgp"},
        "platform",
        "token-plan",
        "sgp",
        "token-plan-sgp",
        id="sgp",
    ),
    pytest.param(
        {"curl": "curl https://token-plan-ams.xiaomimimo.com/v1/models -H 'api-key: tp-0123456789'"},
        *("platform", "token-plan", "ams", "token-plan-ams"),
        id="the host of a cURL command",
    ),
    pytest.param({"cookie": COOKIE}, "studio", None, None, "aistudio", id="a Cookie header"),
    pytest.param({"curl": CURL}, "studio", None, None, "aistudio", id="cURL of a POSIX shell"),
    pytest.param({"curl": CMD}, "studio", None, None, "aistudio", id="cURL of cmd"),
]


@pytest.mark.parametrize(("body", "kind", "plan", "region", "host"), RECOGNISED)
async def test_what_was_pasted_is_recognised_and_not_kept(
    operator: Operator, body: dict[str, str], kind: str, plan: str | None, region: str | None, host: str
) -> None:
    found = await operator.ok("POST", f"{PATH}/recognise", body)
    assert (found["kind"], found["plan"], found["region"]) == (kind, plan, region)
    assert found["base_url"] == f"https://{host}.xiaomimimo.com"
    assert found["name"] == ("platform-1" if kind == "platform" else "studio-1")
    assert not [secret for secret in (*SECRETS, "0123456789") if secret in "".join(operator.every)]
    assert names(await operator.ok("GET", PATH)) == ["platform"]


REFUSED = [
    pytest.param({}, "api_key", id="nothing"),
    pytest.param({"api_key": "sk-1", "cookie": COOKIE}, "api_key", id="two at once"),
    pytest.param({"cookie": "userId=5"}, "cookie", id="half a session"),
    pytest.param({"curl": "curl https://example.com"}, "curl", id="a request without credentials"),
    pytest.param({"api_key": 5}, "api_key", id="a number"),
    pytest.param({"api_key": "sk-a b"}, "api_key", id="a blank within"),
    pytest.param({"api_key": "sk-1", "name": "<img src=x>"}, "name", id="markup for a name"),
    pytest.param({"api_key": "sk-1", "weight": 99}, "weight", id="too heavy"),
    pytest.param({"api_key": "sk-1", "region": "cn"}, "region", id="a region without a plan"),
    pytest.param({"api_key": "tp-1", "region": "mars"}, "region", id="no such region"),
    pytest.param({"api_key": "sk-1", "name": ".."}, "name", id="a name that is no place in a URL"),
    pytest.param({"api_key": "sk-1", "base_url": "javascript:alert(1)"}, "base_url", id="no URL"),
    pytest.param({"api_key": "sk-1", "base_url": "http://169.254.169.254"}, "base_url", id="metadata"),
    pytest.param({"cookie": COOKIE, "base_url": "http://proxy.example"}, "base_url", id="in the clear"),
    pytest.param(
        {"curl": "curl http://metadata.google.internal/v1 -H 'api-key: sk-123'"},
        "base_url",
        id="a cURL's host",
    ),
    pytest.param({"api_key": "sk-1", "max_concurrency": 0}, "max_concurrency", id="no room"),
    pytest.param({"api_key": "sk-1", "is_enabled": "yes"}, "is_enabled", id="no boolean"),
    pytest.param({"api_key": "sk-1", "secret": "x"}, "secret", id="a field that is not known"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/recognise"])
async def test_what_cannot_be_an_account_is_refused_by_its_field(
    operator: Operator, path: str, body: dict[str, Any], param: str
) -> None:
    status, answer = await operator.call("POST", path, body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert COOKIE not in answer["error"]["message"]


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"', "null"])
async def test_body_must_be_an_object(operator: Operator, body: str) -> None:
    assert (await operator.call("POST", PATH, data=body))[0] == 400


@pytest.mark.parametrize("path", [PATH, "/session"])
async def test_body_that_is_too_long_is_not_read(operator: Operator, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 1024

    for body in ('{"name": "%s"}' % ("x" * 140_000), endless()):
        assert (await operator.call("POST", path, data=body))[0] == 413


# --- adding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"api_key": KEY_2}, "platform"), ({"cookie": COOKIE}, "studio"), ({"curl": CURL}, "studio")],
)
async def test_added_account_serves_on_every_worker_and_is_gone_when_removed(
    fleet: Fleet, body: dict[str, Any], kind: str
) -> None:
    first, second = fleet.operators
    asked = {"name": "mine", "base_url": fleet.simulator.base_url, "max_concurrency": 3, **body}
    added = await first.ok("POST", PATH, asked)
    assert (added["name"], added["kind"], added["source"]) == ("mine", kind, "admin")
    assert (added["state"], added["max_concurrency"]) == ("ready", 3)
    assert (added["session_expires_at"] is not None) is (kind == "studio")
    assert (await first.ok("POST", f"{PATH}/mine/test"))["is_ok"]

    async def is_there() -> bool:
        return names(await second.ok("GET", PATH)) == ["platform", "mine"]

    assert await eventually(is_there), "without being told, within its own interval"
    for operator in fleet.operators:
        await operator.ok("PATCH", f"{PATH}/platform", {"is_enabled": False})
        await looked(operator)
        assert (await ask(operator))[0] == 200, "the added account serves alone"
        await operator.ok("PATCH", f"{PATH}/platform", {"is_enabled": True})
    assert (await second.call("DELETE", f"{PATH}/mine"))[0] == 204
    await looked(first)
    assert names(await first.ok("GET", PATH)) == ["platform"]
    assert (await first.call("DELETE", f"{PATH}/mine"))[0] == 404


async def test_name_is_given_once(fleet: Fleet) -> None:
    first, second = fleet.operators
    for name in ("platform", "mine"):
        await first.call("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
        status, answer = await second.call("POST", PATH, {"name": name, "api_key": KEY_2, **NOWHERE})
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (409, "conflict", "name")


async def test_account_without_a_name_gets_a_free_one(operator: Operator) -> None:
    assert (await operator.ok("POST", PATH, {"api_key": KEY_2, **NOWHERE}))["name"] == "platform-1"
    assert (await operator.ok("POST", PATH, {"api_key": KEY_2, **NOWHERE}))["name"] == "platform-2"


async def test_account_outlives_its_gateway(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path) as fleet:
        await fleet.operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    async with fleet_of(clean_redis, tmp_path) as fleet:
        assert names(await fleet.operator.ok("GET", PATH)) == ["platform", "mine"]


async def test_without_a_secret_key_nothing_is_stored(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path, secret_key=Secret("")) as fleet:
        status, answer = await fleet.operator.call("POST", PATH, {"api_key": KEY_2, **NOWHERE})
        assert (status, answer["error"]["code"]) == (503, "secret_key_missing")
        assert "MIMO_SECRET_KEY" in answer["error"]["message"]
        assert names(await fleet.operator.ok("GET", PATH)) == ["platform"]


# --- changing -----------------------------------------------------------------------------------------------


async def test_settings_lie_over_those_of_the_file_on_every_worker(fleet: Fleet) -> None:
    first, second = fleet.operators
    changes = {"max_concurrency": 2, "requests_per_minute": 30, "weight": 5, "models": ["mimo-v2.6-flash"]}
    changed = await first.ok("PATCH", f"{PATH}/platform", changes)
    assert {name: changed[name] for name in changes} == changes
    assert changed["is_changed"] is True
    await looked(second)
    (seen,) = (await second.ok("GET", PATH))["accounts"]
    assert {name: seen[name] for name in changes} == changes
    assert second.gateway.services.models.offered == ("mimo-v2.6-flash",)
    back = await second.ok("PATCH", f"{PATH}/platform", {"requests_per_minute": None, "models": []})
    assert (back["requests_per_minute"], back["weight"]) == (None, 5)


async def test_changes_outlive_a_reload_of_the_file(operator: Operator) -> None:
    await operator.ok("PATCH", f"{PATH}/platform", {"max_concurrency": 2})
    await operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    config = operator.gateway.config
    other = replace(config.mimo_accounts[0], name="other")
    operator.gateway.reconfigure(replace(config, mimo_accounts=(*config.mimo_accounts, other)))
    found = (await operator.ok("GET", PATH))["accounts"]
    assert [(one["name"], one["max_concurrency"]) for one in found] == [
        ("platform", 2),
        ("other", 8),
        ("mine", 8),
    ]


async def test_disabled_account_leaves_the_pool(operator: Operator) -> None:
    disabled = await operator.ok("PATCH", f"{PATH}/platform", {"is_enabled": False})
    assert (disabled["state"], disabled["is_enabled"]) == ("disabled", False)
    assert (await ask(operator))[0] in (404, 503)
    assert (await operator.ok("PATCH", f"{PATH}/platform", {"is_enabled": True}))["state"] == "ready"
    assert (await ask(operator))[0] == 200


async def test_added_account_is_given_another_credential(fleet: Fleet) -> None:
    operator = fleet.operator
    asked = {"name": "mine", "api_key": "sk-simulator-no", "base_url": fleet.simulator.base_url}
    await operator.ok("POST", PATH, asked)
    tested = await operator.ok("POST", f"{PATH}/mine/test")
    assert (tested["is_ok"], "401" in tested["what"]) == (False, True)
    renewed = await operator.ok("PATCH", f"{PATH}/mine", {"api_key": KEY_2, "weight": 2})
    assert (renewed["secret"], renewed["weight"]) == ("sk-…or-2", 2)
    assert renewed["base_url"] == fleet.simulator.base_url
    assert (await operator.ok("POST", f"{PATH}/mine/test"))["is_ok"]
    assert (await operator.call("PATCH", f"{PATH}/mine", {"cookie": COOKIE}))[0] == 409, "another kind"
    status, answer = await operator.call("PATCH", f"{PATH}/mine", {"base_url": "https://other.example"})
    assert (status, answer["error"]["param"]) == (400, "base_url"), (
        "no credential goes where it was not given for"
    )
    assert (await operator.call("PATCH", f"{PATH}/platform", {"api_key": KEY_2}))[0] == 409, "the file's"


async def test_change_at_one_worker_does_not_undo_that_at_another(fleet: Fleet) -> None:
    one, other = fleet.operators
    await one.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    for name in ("mine", "platform"):  # an added one, and one of the file
        await other.ok("PATCH", f"{PATH}/{name}", {"weight": 3})
        await one.ok("PATCH", f"{PATH}/{name}", {"max_concurrency": 5})
        changed = await other.ok("PATCH", f"{PATH}/{name}", {"is_enabled": False})
        assert (changed["weight"], changed["max_concurrency"], changed["is_enabled"]) == (3, 5, False)
    await other.ok("PATCH", f"{PATH}/mine", {"api_key": "sk-renewed-9876"})
    assert (await one.ok("PATCH", f"{PATH}/mine", {"weight": 2}))["secret"] == "sk-…9876"


async def test_changes_side_by_side_are_all_there(fleet: Fleet) -> None:
    one, other = fleet.operators
    await one.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    for name in ("mine", "platform"):
        wanted: list[dict[str, int]] = [{"weight": 4}, {"max_concurrency": 7}, {"requests_per_minute": 50}]
        asked = [
            worker.ok("PATCH", f"{PATH}/{name}", change)
            for worker, change in zip((one, other, one), wanted, strict=True)
        ]
        await asyncio.gather(*asked)
        seen = next(
            account for account in (await other.ok("GET", PATH))["accounts"] if account["name"] == name
        )
        assert all(seen[field] == value for change in wanted for field, value in change.items())


async def test_what_one_worker_was_told_the_next_one_knows(fleet: Fleet) -> None:
    one, other = fleet.operators
    await one.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    assert "mine" in names(await other.ok("GET", PATH))
    await one.ok("POST", PATH, {"name": "mine-2", "api_key": KEY_2, **NOWHERE})
    assert (await other.ok("POST", f"{PATH}/mine-2/test"))["is_ok"] is False, "nobody listens there"
    await one.ok("DELETE", f"{PATH}/mine-2")
    assert (await other.call("POST", f"{PATH}/mine-2/reset"))[0] == 404


async def test_account_of_the_file_is_not_removed(operator: Operator) -> None:
    assert (await operator.call("DELETE", f"{PATH}/platform"))[0] == 409


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{PATH}/nobody", {"weight": 1}),
        ("DELETE", f"{PATH}/nobody", None),
        ("POST", f"{PATH}/nobody/test", None),
        ("POST", f"{PATH}/nobody/reset", None),
    ],
)
async def test_account_that_is_not_there_is_not_found(
    operator: Operator, method: str, path: str, body: Any
) -> None:
    assert (await operator.call(method, path, body))[0] == 404


async def test_quarantined_account_is_shown_and_reset(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path) as fleet:
        operator = fleet.operator
        (bad,) = accounts(
            [{"name": "bad", "api_key": "sk-wrong-key-1", "base_url": fleet.simulator.base_url}]
        )
        operator.gateway.reconfigure(replace(operator.gateway.config, mimo_accounts=(bad,)))
        assert (await ask(operator))[0] == 503

        async def is_out() -> bool:
            (account,) = (await operator.ok("GET", PATH))["accounts"]
            return (account["state"], account["reason"]) == ("quarantined", "unauthorized")

        assert await eventually(is_out)
        assert (await operator.ok("POST", f"{PATH}/bad/reset"))["state"] == "ready"


# --- secrets ------------------------------------------------------------------------------------------------


async def test_credentials_are_in_no_answer_no_log_and_nowhere_in_redis(
    fleet: Fleet, clean_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = configure(fleet.operator.gateway.config.log)
    try:
        first, second = fleet.operators
        base_url = fleet.simulator.base_url
        await first.ok("POST", PATH, {"name": "key", "api_key": KEY_2, "base_url": base_url})
        await first.ok("POST", PATH, {"name": "web", "curl": CURL, "base_url": base_url})
        await first.call("POST", PATH, {"name": "web", "curl": CURL})
        await first.call("POST", PATH, {"name": "bad name", "api_key": KEY_2})
        await first.ok("PATCH", f"{PATH}/web", {"cookie": COOKIE})
        for name in ("key", "web"):
            await first.ok("POST", f"{PATH}/{name}/test")
        await looked(second)
        for path in (PATH, "/overview", "/audit", "/live"):
            await second.ok("GET", path)
        await ask(second)
    finally:
        writer.close()
    said = "".join(first.every + second.every) + capsys.readouterr().out
    async with Redis.from_url(clean_redis) as redis:
        stored = await redis.hgetall("mgw:{admin}:accounts")
        dump = b"".join([key + (await redis.dump(key) or b"") async for key in redis.scan_iter()])
    assert set(stored) == {b"added:key", b"added:web"}
    for secret in (*SECRETS, SECRET_KEY + "!"):
        assert secret not in said
        assert secret.encode() not in dump


async def test_another_secret_key_cannot_read_and_says_so(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path) as fleet:
        base_url = fleet.simulator.base_url
        await fleet.operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, "weight": 3})
    async with fleet_of(clean_redis, tmp_path, secret_key=Secret("another")) as fleet:
        operator = fleet.operator
        mine = (await operator.ok("GET", PATH))["accounts"][1]
        assert (mine["name"], mine["state"], mine["is_enabled"]) == ("mine", "disabled", False)
        assert "cannot be read" in mine["reason"]
        assert mine["secret"] == "sk-…or-2"
        assert "account mine" in [one["what"] for one in (await operator.ok("GET", "/overview"))["degraded"]]
        for method, path, body in (
            ("PATCH", f"{PATH}/mine", {"is_enabled": True}),
            ("POST", f"{PATH}/mine/test", None),
        ):
            status, answer = await operator.call(method, path, body)
            assert (status, answer["error"]["code"]) == (409, "account_unreadable")
        assert (await ask(operator))[0] == 200, "the others serve"
        renewed = await operator.ok("PATCH", f"{PATH}/mine", {"api_key": KEY_2, **NOWHERE})
        assert (renewed["state"], renewed["weight"]) == ("ready", 3)
    assert base_url


async def test_sealed_credential_is_bound_to_its_name_and_host(clean_redis: str, tmp_path: Path) -> None:
    """Whoever can write to Redis can neither move it to another name nor have it sent elsewhere."""
    async with fleet_of(clean_redis, tmp_path) as fleet:
        await fleet.operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
        async with Redis.from_url(clean_redis) as redis:
            found = orjson.loads(await redis.hget("mgw:{admin}:accounts", "added:mine"))
            found["base_url"] = "http://127.0.0.1:10"
            for name in ("mine", "theirs"):
                await redis.hset("mgw:{admin}:accounts", f"added:{name}", orjson.dumps(found))
        await looked(fleet.operator)
        seen = {one["name"]: one for one in (await fleet.operator.ok("GET", PATH))["accounts"]}
        assert seen["mine"]["base_url"] == NOWHERE["base_url"]
        assert seen["theirs"]["state"] == "disabled"
        asked = {"api_key": "tp-simulator", "region": "sgp", "is_enabled": False}
        renewed = await fleet.operator.ok("PATCH", f"{PATH}/theirs", asked)
        assert renewed["base_url"] == "https://token-plan-sgp.xiaomimimo.com", "not what Redis says"


async def test_entry_that_cannot_be_understood_does_not_hide_the_others(
    clean_redis: str, tmp_path: Path
) -> None:
    """As another version of the gateway may write it."""
    async with fleet_of(clean_redis, tmp_path) as fleet:
        await fleet.operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
        async with Redis.from_url(clean_redis) as redis:
            for field, value in (("added:odd", "{}"), ("added:odder", "["), ("changed:platform", "5")):
                await redis.hset("mgw:{admin}:accounts", field, value)
        assert names(await fleet.operator.ok("GET", PATH)) == ["platform", "mine"]


async def test_every_change_is_noted(operator: Operator) -> None:
    await operator.ok("POST", PATH, {"name": "mine", "api_key": KEY_2, **NOWHERE})
    await operator.ok("PATCH", f"{PATH}/mine", {"weight": 2, "is_enabled": False})
    await operator.call("DELETE", f"{PATH}/mine")
    await operator.ok("POST", f"{PATH}/platform/reset")
    entries = (await operator.ok("GET", "/audit?limit=4"))["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [
        ("account_reset", "platform"),
        ("account_removed", "mine"),
        ("account_changed", "mine"),
        ("account_added", "mine"),
    ]
    assert entries[2]["detail"] == "is_enabled, weight"
    assert {entry["who"] for entry in entries} == {"admin key"}
    assert [(await operator.call("GET", f"/audit?limit={limit}"))[0] for limit in ("0", "x", "1001")] == [
        400
    ] * 3
