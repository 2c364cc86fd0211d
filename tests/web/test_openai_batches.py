"""OpenAI's batches over a whole gateway, items that fail, and owners beside one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from service.config import Batches, Limits
from service.config_loader import api_keys
from service.core.batches import Batch, BatchState
from service.core.errors import StoreUnavailable
from tests.web.rig import Rig, Start
from tests.web.test_batches import OTHER, URL, body_of, call, ended, until, upload

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MODEL = "mimo-v2.6-pro"


@pytest.fixture
async def own(start: Start, clean_redis: str) -> AsyncIterator[Rig]:
    async with start("platform", api_keys=api_keys("sk-mimo,sk-other")) as rig:
        yield rig


def chat(custom_id: str, text: str = "Hello") -> dict:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(*rows: dict) -> bytes:
    return b"\n".join(map(orjson.dumps, rows))


async def created(rig: Rig, content: bytes, endpoint: str = CHAT) -> dict:
    file_id = await upload(rig, content)
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"}
    return await call(rig, "POST", "/v1/batches", json=body)


async def over(rig: Rig, batch_id: str) -> dict:
    batch: dict = {}

    async def is_over() -> bool:
        nonlocal batch
        batch = await call(rig, "GET", f"/v1/batches/{batch_id}")
        return batch["status"] in ("completed", "failed", "cancelled", "expired")

    await until(is_over)
    return batch


async def rows_of(rig: Rig, file_id: str) -> list[dict]:
    async with rig.http.get(rig.url(f"/v1/files/{file_id}/content")) as response:
        assert response.status == 200
        return [orjson.loads(row) for row in (await response.text()).splitlines()]


async def test_answers_and_errors_come_in_files_of_their_own(own: Rig) -> None:
    wrong = {**chat("wrong"), "body": {"model": MODEL}}
    batch = await over(own, (await created(own, jsonl(chat("a"), wrong, chat("b"))))["id"])
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert [row["custom_id"] for row in await rows_of(own, batch["output_file_id"])] == ["a", "b"]
    (row,) = await rows_of(own, batch["error_file_id"])
    assert (row["custom_id"], row["response"]["status_code"]) == ("wrong", 400)
    assert row["response"]["body"]["error"]["param"] == "messages"
    for which in ("output_file_id", "error_file_id"):
        file = await call(own, "GET", f"/v1/files/{batch[which]}")
        async with own.http.get(own.url(f"/v1/files/{batch[which]}/content")) as response:
            assert file["bytes"] == len(await response.read())
    listed = await call(own, "GET", "/v1/files?purpose=batch_output")
    assert {file["id"] for file in listed["data"]} == {batch["output_file_id"], batch["error_file_id"]}
    await call(own, "DELETE", f"/v1/files/{batch['output_file_id']}")
    await call(own, "GET", f"/v1/files/{batch['output_file_id']}", status=404)
    assert len(await rows_of(own, batch["error_file_id"])) == 1


async def test_responses_are_answered_and_what_needs_the_store_is_told(own: Rig) -> None:
    rows = [
        {"custom_id": "a", "method": "POST", "url": RESPONSES, "body": {"model": MODEL, "input": "Hello"}},
        {
            "custom_id": "b",
            "method": "POST",
            "url": RESPONSES,
            "body": {"model": MODEL, "input": "x", "previous_response_id": "resp_1"},
        },
    ]
    batch = await over(own, (await created(own, jsonl(*rows), RESPONSES))["id"])
    (row,) = await rows_of(own, batch["output_file_id"])
    assert row["response"]["body"]["status"] == "completed"
    (row,) = await rows_of(own, batch["error_file_id"])
    assert row["response"]["body"]["error"]["param"] == "previous_response_id"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"\n \n", "empty_file", id="blank lines"),
        pytest.param(b"", "empty_file", id="nothing"),
        pytest.param(b"{", "invalid_json_line", id="no json"),
        pytest.param(jsonl(chat("a"), chat("a")), "duplicate_custom_id", id="twice"),
        pytest.param(jsonl(*(chat(f"{n}") for n in range(6))), "too_many_requests", id="too many"),
        pytest.param(b"x\n" * 50, "invalid_json_line", id="no more than twenty are told"),
    ],
)
async def test_a_file_that_is_not_valid_fails_the_batch(
    start: Start, clean_redis: str, content: bytes, code: str
) -> None:
    async with start("platform", batches=Batches(max_items=5)) as rig:
        batch = await over(rig, (await created(rig, content))["id"])
        assert batch["status"] == "failed"
        assert batch["errors"]["data"][0]["code"] == code
        assert len(batch["errors"]["data"]) <= 20
        assert batch["failed_at"]


async def test_a_file_that_went_away_fails_the_batch(start: Start, clean_redis: str) -> None:
    async with start("platform", batches=Batches(runs_in_serve=False)) as rig:
        file_id = await upload(rig, jsonl(chat("a")))
        body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
        batch = await call(rig, "POST", "/v1/batches", json=body)
        assert batch["status"] == "validating"
        await call(rig, "DELETE", f"/v1/files/{file_id}")
    async with start("platform") as rig:
        assert (await over(rig, batch["id"]))["status"] == "failed"


async def test_a_batch_cancelled_before_its_file_is_read_is_cancelled(start: Start, clean_redis: str) -> None:
    async with start("platform", batches=Batches(runs_in_serve=False)) as rig:
        batch = await created(rig, jsonl(chat("a"), chat("b")))
        told = await call(rig, "POST", f"/v1/batches/{batch['id']}/cancel")
        assert told["status"] == "cancelling"
    async with start("platform") as rig:
        batch = await over(rig, batch["id"])
        assert batch["status"] == "cancelled"
        assert [row["error"]["code"] for row in await rows_of(rig, batch["error_file_id"])] == [
            "batch_cancelled"
        ] * 2
        file = await call(rig, "GET", f"/v1/files/{batch['error_file_id']}")
        assert file["bytes"] > 100
        listed = await call(rig, "GET", "/v1/batches")
        assert [one["id"] for one in listed["data"]] == [batch["id"]]


# --- items that fail, owners beside one another -------------------------------------------------------------


@pytest.mark.slow
async def test_what_the_upstream_broke_is_tried_again(start: Start, clean_redis: str) -> None:
    """Slow: the second try comes after a second. Each request makes one attempt at the upstream only."""
    async with start("platform", limits=Limits(max_attempts=1)) as rig:
        batch = await call(rig, "POST", URL, json=body_of(2, "Hi [[sim: status=503 times=2]]"))
        assert (await ended(rig, batch["id"]))["request_counts"]["succeeded"] == 2


async def test_what_stays_broken_ends_as_an_error(start: Start, clean_redis: str) -> None:
    settings = Batches(max_tries=1)
    async with start("platform", limits=Limits(max_attempts=1), batches=settings) as rig:
        batch = await call(rig, "POST", URL, json=body_of(1, "Hi [[sim: status=503]]"))
        batch = await ended(rig, batch["id"])
        assert batch["request_counts"]["errored"] == 1
        async with rig.http.get(batch["results_url"]) as response:
            (row,) = [orjson.loads(row) for row in (await response.text()).splitlines()]
        assert row["result"]["error"]["error"]["type"] == "api_error"


@pytest.mark.slow
async def test_a_429_of_the_upstream_waits_and_burns_no_try(start: Start, clean_redis: str) -> None:
    """Slow: the 429 says a second."""
    settings = Batches(max_tries=1)
    async with start("platform", limits=Limits(max_attempts=1), batches=settings) as rig:
        batch = await call(rig, "POST", URL, json=body_of(2, "Hi [[sim: status=429 retry_after=1 times=2]]"))
        assert (await ended(rig, batch["id"]))["request_counts"]["succeeded"] == 2


@pytest.mark.slow
async def test_a_small_batch_is_not_starved_by_another_owners_huge_one(own: Rig) -> None:
    """Slow: a huge batch has to be under way."""
    huge = await call(own, "POST", URL, json=body_of(400, "Hi [[sim: delay_ms=50]]"))

    async def is_under_way() -> bool:
        batch = await call(own, "GET", f"{URL}/{huge['id']}")
        return batch["progress"]["succeeded"] > 5

    await until(is_under_way)
    small = await call(own, "POST", URL, json=body_of(5), headers=OTHER)

    async def is_done() -> bool:
        batch = await call(own, "GET", f"{URL}/{small['id']}", headers=OTHER)
        return batch["processing_status"] == "ended"

    await until(is_done)
    assert (await call(own, "GET", f"{URL}/{huge['id']}"))["progress"]["processing"] > 200
    await call(own, "POST", f"{URL}/{huge['id']}/cancel")


# --- downloads that break -----------------------------------------------------------------------------------


async def test_a_download_that_breaks_is_cut_and_not_ended(own: Rig) -> None:
    """Who reads it must not take a part for the whole."""
    batch = await call(own, "POST", URL, json=body_of(40))
    batch = await ended(own, batch["id"])
    store = own.gateway.services.batches._store
    results, given = store.results, 0

    async def breaking(key: object, of: Batch) -> AsyncIterator[list]:
        nonlocal given
        async for window in results(key, of):
            if given:
                raise StoreUnavailable("away")
            given += 1
            yield window

    store.results = breaking
    async with own.http.get(batch["results_url"]) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_clock_that_runs_ahead_expires_no_batch(start: Start, clean_redis: str) -> None:
    async with start("platform", batches=Batches(runs_in_serve=False)) as rig:
        batch = await created(rig, jsonl(chat("a")))
        services = rig.gateway.services
        key = services.keyring.known("sk-mimo")
        services.batches._clock = Later()
        assert (await services.batches.find(key, batch["id"], "openai")).state is BatchState.VALIDATING


class Later:
    """A clock that runs ahead: Redis, whose clock counts, does not believe it."""

    def unix_s(self) -> float:
        return 4e9


async def test_many_may_download_at_once(own: Rig) -> None:
    batch = await ended(own, (await call(own, "POST", URL, json=body_of(50)))["id"])

    async def read() -> bytes:
        async with own.http.get(batch["results_url"]) as response:
            return await response.read()

    bodies = await asyncio.gather(*(read() for _ in range(10)))
    assert len(set(bodies)) == 1
    assert bodies[0].count(b"\n") == 50
