"""The overview and the live requests of a fleet: two gateways on one Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.simulator import SimulatorOptions
from tests.web.admin import Fleet, Operator, fleet_of
from tests.web.rig import KEY

PRO = "mimo-v2.6-pro"
# A word now and then for as long as anybody reads: a stream that is still there when it is looked for.
ENDLESS = SimulatorOptions(script=('say="word " repeat=100000 pace_ms=50',))


@pytest.fixture
async def fleet(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(clean_redis, tmp_path, size=2) as found:
        yield found


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives once it is true; workers tell one another every second or two."""
    async with asyncio.timeout(60):
        while not (found := await look()):  # noqa: ASYNC110 - it happens in another worker
            await asyncio.sleep(0.05)
    return found


async def told(fleet: Fleet) -> None:
    """Every worker tells now what it would tell within two seconds."""
    for operator in fleet.operators:
        await operator.gateway.services.admin.fleet.beat()


async def ask(operator: Operator, **more: object) -> int:
    body = {"model": PRO, "messages": [{"role": "user", "content": "Hello"}], **more}
    url = operator.gateway.base_url + "/v1/chat/completions"
    async with operator.http.post(url, json=body, headers=KEY) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize(
    ("period", "points", "step"), [("hour", 60, 60), ("day", 96, 900), ("week", 84, 7200)]
)
async def test_numbers_of_all_workers_add_up(fleet: Fleet, period: str, points: int, step: int) -> None:
    """Once: both workers tell what they counted, none of it twice."""
    for operator in fleet.operators:
        assert await ask(operator) == 200
        assert await ask(operator, stream=True) == 200
        assert await ask(operator, model="nobody") == 404

    async def look() -> Any:
        await told(fleet)
        answer = await fleet.operator.ok("GET", f"/overview?period={period}")
        return answer if answer["totals"]["requests"] == 4 and answer["totals"]["cost_micro_usd"] else None

    answer = await eventually(look)
    assert answer["step_seconds"] == step
    assert len(answer["points"]) == points
    assert [one["time"] for one in answer["points"]] == sorted(one["time"] for one in answer["points"])
    for name in ("requests", "errors", "input_tokens", "output_tokens", "cost_micro_usd"):
        assert sum(one[name] for one in answer["points"]) == answer["totals"][name]
    assert answer["totals"]["errors"] == 0, "a client's mistake is none of ours"
    (timed,) = (one for one in answer["points"] if one["first_token_ms_p50"] is not None)
    assert 0 < timed["first_token_ms_p50"] <= timed["first_token_ms_p95"]
    assert answer["workers"] == 2
    assert answer["accounts"] == {"ready": 1, "cooling": 0, "quarantined": 0, "disabled": 0}
    assert answer["batches"] == {"waiting": 0, "in_progress": 0, "dead": 0, "oldest_seconds": 0}
    assert (answer["redis"]["is_up"], answer["redis"]["why"]) == (True, None)
    assert answer["redis"]["version"]
    assert answer["degraded"] == []


async def test_what_was_counted_last_is_told_before_the_end(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path) as fleet:
        assert await ask(fleet.operator) == 200
    async with fleet_of(clean_redis, tmp_path) as fleet:
        totals = (await fleet.operator.ok("GET", "/overview"))["totals"]
    assert totals["requests"] == 1
    assert totals["cost_micro_usd"] > 0, "it was settled, and then told"


async def test_accounts_tell_how_the_last_hour_went(fleet: Fleet) -> None:
    for operator in fleet.operators:
        await ask(operator)

    async def look() -> Any:
        await told(fleet)
        (account,) = (await fleet.operator.ok("GET", "/accounts"))["accounts"]
        return account["success_rate"] is not None and account

    account = await eventually(look)
    assert (account["success_rate"], account["last_error"]) == (1.0, None)


async def test_failures_are_counted_and_told_with_their_account(clean_redis: str, tmp_path: Path) -> None:
    async with fleet_of(clean_redis, tmp_path, options=SimulatorOptions(script=("status=500",))) as fleet:
        assert await ask(fleet.operator) == 502

        async def look() -> Any:
            await told(fleet)
            return (await fleet.operator.ok("GET", "/overview"))["totals"]["errors"]

        assert await eventually(look) == 1
        (account,) = (await fleet.operator.ok("GET", "/accounts"))["accounts"]
        assert account["success_rate"] == 0
        assert account["last_error"]["what"] == "upstream_unavailable"
        assert account["last_error"]["time"] > 1_000_000_000


async def test_period_must_be_known(fleet: Fleet) -> None:
    status, answer = await fleet.operator.call("GET", "/overview?period=year")
    assert (status, answer["error"]["param"]) == (400, "period")


async def test_redis_that_is_away_is_told_and_the_key_still_opens(tmp_path: Path) -> None:
    async with fleet_of(f"unix://{tmp_path}/nobody.sock", tmp_path) as fleet:
        answer = await fleet.operator.ok("GET", "/overview")
        assert answer["redis"]["is_up"] is False
        assert answer["workers"] == 1, "this one"
        assert {one["what"] for one in answer["degraded"]} >= {"redis", "limits"}
        assert str(tmp_path) not in str(answer)
        assert answer["totals"]["requests"] == 0
        assert len(answer["points"]) == 60
        status, answer = await fleet.operator.call("POST", "/keys", {"name": "x"})
        assert (status, answer["error"]["code"]) == (503, "store_unavailable")


# --- live ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def endless(clean_redis: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(clean_redis, tmp_path, size=2, options=ENDLESS) as found:
        yield found


async def live_of(operator: Operator, request_id: str) -> Any:
    shown = (await operator.ok("GET", "/live"))["requests"]
    return next((one for one in shown if one["request_id"] == request_id), None)


def streaming(operator: Operator, path: str = "/v1/chat/completions", **more: object) -> Any:
    body = {
        "model": PRO,
        "messages": [{"role": "user", "content": "a secret prompt"}],
        "stream": True,
        **more,
    }
    headers = {**KEY, "X-Request-Id": "req_watched"}
    return operator.http.post(operator.gateway.base_url + path, json=body, headers=headers)


@pytest.mark.parametrize("watcher", [0, 1], ids=["at its own worker", "at another worker"])
async def test_live_request_is_seen_and_stopped_from_any_worker(endless: Fleet, watcher: int) -> None:
    async with streaming(endless.operators[0]) as response:
        assert response.status == 200

        async def look() -> Any:
            await told(endless)
            found = await live_of(endless.operators[watcher], "req_watched")
            return found is not None and found["output_tokens"] > 0 and found

        seen = await eventually(look)
        assert (seen["model"], seen["account"], seen["key_name"]) == (PRO, "platform", "key-1")
        assert (seen["dialect"], seen["route"], seen["phase"]) == ("openai_chat", "chat", "answering")
        assert seen["is_streaming"] is True
        assert seen["worker"] == endless.operators[0].gateway.services.admin.fleet.worker
        assert "secret prompt" not in "".join(endless.operators[watcher].every)
        overview = await endless.operators[watcher].ok("GET", "/overview")
        assert overview["streams_open"] in (0, 1)

        stopped = await endless.operators[watcher].ok("DELETE", "/live/req_watched")
        assert stopped["is_here"] is (watcher == 0)
        await told(endless)
        async with asyncio.timeout(60):
            text = (await response.content.read()).decode()
    assert "ended_by_operator" in text
    assert "[DONE]" not in text

    async def is_gone() -> bool:
        await told(endless)
        return await live_of(endless.operators[watcher], "req_watched") is None

    assert await eventually(is_gone)
    chat = endless.operators[0].gateway.services.chat

    async def is_released() -> bool:
        healths = await chat.accounts.health(endless.operators[0].gateway.config.mimo_accounts)
        return not sum(health.leases for health in healths)

    assert await eventually(is_released)


async def test_stopped_message_ends_in_its_own_dialect(endless: Fleet) -> None:
    operator = endless.operator
    async with streaming(operator, "/v1/messages", max_tokens=100_000) as response:

        async def look() -> Any:
            return await live_of(operator, "req_watched")

        assert (await eventually(look))["dialect"] == "anthropic_messages"
        await operator.ok("DELETE", "/live/req_watched")
        async with asyncio.timeout(60):
            text = (await response.content.read()).decode()
    assert "event: error" in text
    assert "permission_error" in text
    assert "message_stop" not in text


async def test_request_without_a_stream_is_stopped_by_a_status(endless: Fleet) -> None:
    operator = endless.operator

    async def asked() -> tuple[int, Any]:
        async with streaming(operator, stream=False) as response:
            return response.status, await response.json()

    asking = asyncio.ensure_future(asked())

    async def look() -> Any:
        return await live_of(operator, "req_watched")

    assert (await eventually(look))["is_streaming"] is False
    await operator.ok("DELETE", "/live/req_watched")
    async with asyncio.timeout(60):
        status, answer = await asking
    assert (status, answer["error"]["code"]) == (403, "ended_by_operator")


async def test_unknown_request_is_asked_of_the_others(fleet: Fleet) -> None:
    assert (await fleet.operator.call("DELETE", "/live/req_nobody"))[0] == 202
    assert (await fleet.operator.call("DELETE", f"/live/{'x' * 129}"))[0] == 404
    (entry, *_) = (await fleet.operator.ok("GET", "/audit"))["entries"]
    assert (entry["action"], entry["target"], entry["who"]) == ("request_stopped", "req_nobody", "admin key")


async def test_nothing_is_shown_to_redis_while_nobody_watches(endless: Fleet) -> None:
    async with streaming(endless.operator) as response, Redis.from_url(endless.redis_url) as redis:
        await response.content.readany()
        fleet = endless.operator.gateway.services.admin.fleet
        await fleet.beat()
        await fleet.beat()
        assert [key async for key in redis.scan_iter("mgw:{fleet}:live:*")] == []
        await fleet.live()
        await fleet.beat()
        await fleet.beat()
        assert len([key async for key in redis.scan_iter("mgw:{fleet}:live:*")]) == 1
        response.close()
