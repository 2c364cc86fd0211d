"""The routes of batches and files, over a whole gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aiohttp
import orjson
import pytest

from service.config import Batches, Security
from service.config_loader import api_keys
from tests.web.rig import Rig, Start

OTHER = {"Authorization": "Bearer sk-other"}
MODEL = "mimo-v2.6-pro"
URL = "/v1/messages/batches"


@pytest.fixture
async def own(start: Start, clean_redis: str) -> AsyncIterator[Rig]:
    """A gateway with two keys, and an empty Redis."""
    async with start("platform", api_keys=api_keys("sk-mimo,sk-other")) as rig:
        yield rig


def params(text: str = "Hello") -> dict:
    return {"model": MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": text}]}


def body_of(count: int, text: str = "Hello") -> dict:
    return {"requests": [{"custom_id": f"r{n}", "params": params(text)} for n in range(count)]}


async def call(rig: Rig, method: str, path: str, *, status: int = 200, **more: object) -> dict:
    async with rig.http.request(method, rig.url(path), **more) as response:
        text = await response.text()
        assert response.status == status, text
        assert response.headers["X-Request-Id"]
        return orjson.loads(text)


async def ended(rig: Rig, batch_id: str) -> dict:
    batch: dict = {}

    async def has_ended() -> bool:
        nonlocal batch
        batch = await call(rig, "GET", f"{URL}/{batch_id}")
        return batch["processing_status"] == "ended"

    await until(has_ended)
    return batch


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so; bounded."""
    for _ in range(1000):
        if await is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come so far in time")


# --- creating -----------------------------------------------------------------------------------------------


async def test_tasks_of_older_clients_are_taken(own: Rig) -> None:
    created = await call(own, "POST", URL, json={"tasks": [params("One"), params("Two")]})
    assert created["batch_id"] == created["id"]
    assert created["status"] == "processing"
    batch = await ended(own, created["batch_id"])
    assert batch["batch_details"]["status"] == "completed"
    assert batch["batch_details"]["batch_id"] == created["id"]
    listed = await call(own, "GET", URL)
    assert [one["batch_id"] for one in listed["batches"]] == [created["id"]]
    async with own.http.get(batch["results_url"]) as response:
        assert response.headers["Content-Type"] == "application/x-jsonl"
        rows = [orjson.loads(row) for row in (await response.text()).splitlines()]
    assert [row["custom_id"] for row in rows] == ["task-0", "task-1"]
    assert {row["result"]["type"] for row in rows} == {"succeeded"}
    told = await call(own, "POST", f"{URL}/{created['id']}/cancel")
    assert "cancelled" in told["message"]


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        pytest.param(b"", "not valid JSON", 400, id="empty"),
        pytest.param(b"{}", "requests", 400, id="nothing"),
        pytest.param(b'{"requests": []}', "requests", 400, id="no request"),
        pytest.param(b'{"requests": {}}', "requests", 400, id="not a list"),
        pytest.param(b'{"requests": [1]}', "must be a JSON object", 400, id="not an object"),
        pytest.param(b'{"requests": [{}]}', "requests.0.params", 400, id="no params"),
        pytest.param(
            b'{"requests": [{"params": {}, "custom_id": "a"}]}', "requests.0.params", 400, id="empty params"
        ),
        pytest.param(b'{"requests": [{"custom_id": "a"', "not valid JSON", 400, id="cut off"),
    ],
)
async def test_what_is_no_batch_is_refused_in_the_dialects_words(
    own: Rig, body: bytes, param: str, status: int
) -> None:
    told = await call(own, "POST", URL, data=body, status=status)
    assert told["type"] == "error"
    assert param in told["error"]["message"]
    await nothing_is_stored(own, "mgw:*:b:*:meta")


async def nothing_is_stored(rig: Rig, pattern: str) -> None:
    """Forgetting runs behind the answer."""
    store = rig.gateway.services.store_health._store

    async def is_gone() -> bool:
        return not await store.command("KEYS", pattern)

    await until(is_gone)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"custom_id": "bad id"}, "requests.1.custom_id", id="custom_id's form"),
        pytest.param({"custom_id": "r0"}, "requests.1.custom_id", id="twice"),
        pytest.param({"params": {**params(), "stream": True}}, "requests.1.params.stream", id="streams"),
        pytest.param({"params": {**params(), "model": "gone-9"}}, "requests.1.params.model", id="no model"),
        pytest.param({"params": {**params(), "messages": []}}, "requests.1.params.messages", id="no message"),
    ],
)
async def test_the_field_at_fault_is_named_by_its_path(own: Rig, change: dict, path: str) -> None:
    body = body_of(2)
    body["requests"][1] |= change
    told = await call(own, "POST", URL, json=body, status=400)
    assert told["error"]["message"].startswith(f"{path}: "), told
    await nothing_is_stored(own, "mgw:*:b:*:meta")


async def test_bodies_past_the_limits_are_refused(start: Start, clean_redis: str) -> None:
    batches = Batches(max_items=3, max_bytes=4096)
    async with start("platform", batches=batches) as rig:
        told = await call(rig, "POST", URL, json=body_of(4), status=400)
        assert "at most 3" in told["error"]["message"]
        await call(rig, "POST", URL, json=body_of(2, "x" * 4096), status=413)

        async def unsized() -> AsyncIterator[bytes]:
            yield orjson.dumps(body_of(2, "x" * 4096))

        await call(rig, "POST", URL, data=unsized(), status=413)


async def test_results_url_has_the_scheme_a_trusted_proxy_tells(start: Start, clean_redis: str) -> None:
    headers = {"X-Forwarded-Proto": "https", "Host": "gateway.example"}
    for trusts, scheme in ((False, "http"), (True, "https")):
        security = Security(trusts_forwarded_proto=trusts)
        async with start("platform", security=security) as rig:
            created = await call(rig, "POST", URL, json=body_of(1))
            await ended(rig, created["id"])
            shown = await call(rig, "GET", f"/anthropic{URL}/{created['id']}", headers=headers)
            wanted = f"{scheme}://gateway.example/anthropic{URL}/{created['id']}/results"
            assert shown["results_url"] == wanted


# --- owners, states -----------------------------------------------------------------------------------------


async def test_a_foreign_batch_and_file_do_not_exist(own: Rig) -> None:
    created = await call(own, "POST", URL, json=body_of(1))
    await ended(own, created["id"])
    file_id = await upload(own, b'{"custom_id": "a"}\n')
    paths = [
        ("GET", f"{URL}/{created['id']}"),
        ("GET", f"{URL}/{created['id']}/results"),
        ("POST", f"{URL}/{created['id']}/cancel"),
        ("DELETE", f"{URL}/{created['id']}"),
        ("GET", f"{URL}?after_id={created['id']}"),
        ("GET", f"/v1/files/{file_id}"),
        ("GET", f"/v1/files/{file_id}/content"),
        ("DELETE", f"/v1/files/{file_id}"),
    ]
    for method, path in paths:
        told = await call(own, method, path, headers=OTHER, status=404)
        assert "No " in told["error"]["message"]
    assert (await call(own, "GET", URL, headers=OTHER))["data"] == []
    assert (await call(own, "GET", "/v1/files", headers=OTHER))["data"] == []
    told = await call(
        own,
        "POST",
        "/v1/batches",
        headers=OTHER,
        status=400,
        json={"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
    )
    assert told["error"]["param"] == "input_file_id"
    assert (await call(own, "GET", f"{URL}/{created['id']}"))["id"] == created["id"]


@pytest.mark.parametrize(
    "batch_id", ["msgbatch_0000000000000000", "nonsense", "..%2f..", "msgbatch_%00", "batch_0000000000000000"]
)
async def test_ids_that_never_were_are_not_found(own: Rig, batch_id: str) -> None:
    await call(own, "GET", f"{URL}/{batch_id}", status=404)
    await call(own, "GET", f"{URL}/{batch_id}/results", status=404)


async def test_a_running_batch_has_no_results_and_cannot_be_deleted(own: Rig) -> None:
    created = await call(own, "POST", URL, json=body_of(2, "Hi [[sim: delay_ms=300]]"))
    path = f"{URL}/{created['id']}"
    assert "not ended" in (await call(own, "GET", f"{path}/results", status=400))["error"]["message"]
    assert "cancel" in (await call(own, "DELETE", path, status=400))["error"]["message"]
    await ended(own, created["id"])
    assert await call(own, "DELETE", path) == {"id": created["id"], "type": "message_batch_deleted"}
    await call(own, "GET", path, status=404)


@pytest.mark.slow
async def test_a_batch_expires_at_its_time_without_anybody_at_work(start: Start, clean_redis: str) -> None:
    """Lazily, when it is looked at: no worker runs here. Slow: the shortest time is what is waited for."""
    batches = replace(Batches(runs_in_serve=False), open_s=1)
    async with start("platform", batches=batches) as rig:
        created = await call(rig, "POST", URL, json=body_of(3))
        batch = await ended(rig, created["id"])
        assert batch["request_counts"]["expired"] == 3
        async with rig.http.get(batch["results_url"]) as response:
            rows = [orjson.loads(row) for row in (await response.text()).splitlines()]
        assert rows == [{"custom_id": f"r{n}", "result": {"type": "expired"}} for n in range(3)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after_id=a&before_id=b"])
async def test_wrong_pages_are_refused(own: Rig, query: str) -> None:
    await call(own, "GET", f"{URL}?{query}", status=400)


# --- files --------------------------------------------------------------------------------------------------


async def upload(
    rig: Rig, content: bytes, *, purpose: str = "batch", status: int = 200, first: str = "file"
) -> str:
    form = aiohttp.FormData()
    fields = {
        "file": lambda: form.add_field("file", content, filename="name.jsonl", content_type="text/plain"),
        "purpose": lambda: form.add_field("purpose", purpose),
    }
    for name in sorted(fields, key=lambda name: name != first):
        fields[name]()
    told = await call(rig, "POST", "/v1/files", data=form, status=status)
    return told["id"] if status == 200 else told["error"]["message"]


@pytest.mark.parametrize("first", ["file", "purpose"])
async def test_a_file_comes_back_byte_for_byte(own: Rig, first: str) -> None:
    content = bytes(range(256)) * 4000 + b"end"  # some pieces, and what is left
    file_id = await upload(own, content, first=first)
    shown = await call(own, "GET", f"/v1/files/{file_id}")
    assert (shown["bytes"], shown["filename"], shown["object"]) == (len(content), "name.jsonl", "file")
    assert shown["expires_at"] > shown["created_at"]
    async with own.http.get(own.url(f"/v1/files/{file_id}/content")) as response:
        assert await response.read() == content
    assert await call(own, "DELETE", f"/v1/files/{file_id}") == {
        "id": file_id,
        "object": "file",
        "deleted": True,
    }
    await call(own, "GET", f"/v1/files/{file_id}/content", status=404)


async def test_files_that_cannot_be_used_are_refused(start: Start, clean_redis: str) -> None:
    async with start("platform", batches=Batches(max_bytes=2048)) as rig:
        assert "vision" in await upload(rig, b"x", purpose="vision", status=400)
        assert "2048" in await upload(rig, b"x" * 3000, status=413)
        form = aiohttp.FormData({"purpose": "batch"}, default_to_multipart=True)
        told = await call(rig, "POST", "/v1/files", data=form, status=400)
        assert told["error"]["param"] == "file"
        told = await call(rig, "POST", "/v1/files", json={"purpose": "batch"}, status=400)
        assert "multipart" in told["error"]["message"]
        await nothing_is_stored(rig, "mgw:*:f:*")


async def test_a_file_may_go_sooner(own: Rig) -> None:
    def form(seconds: str) -> aiohttp.FormData:
        fields = {"purpose": "batch", "expires_after[anchor]": "created_at"}
        form = aiohttp.FormData({**fields, "expires_after[seconds]": seconds, "purpose ": "x" * 5000})
        form.add_field("file", b"content", filename="f")
        return form

    file = await call(own, "POST", "/v1/files", data=form("3600"))
    assert file["expires_at"] - file["created_at"] == 3600
    for wrong in ("3599", "x", "2592001"):
        told = await call(own, "POST", "/v1/files", data=form(wrong), status=400)
        assert told["error"]["param"] == "expires_after[seconds]"


async def test_a_form_that_breaks_off_leaves_nothing(own: Rig) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    await call(own, "POST", "/v1/files", data=body, headers=headers, status=400)
    await nothing_is_stored(own, "mgw:*:f:*")


async def test_files_are_listed_in_pages(own: Rig) -> None:
    ids = [await upload(own, b"x") for _ in range(3)]
    listed = await call(own, "GET", "/v1/files?limit=2")
    assert len(listed["data"]) == 2
    assert listed["has_more"]
    rest = await call(own, "GET", f"/v1/files?limit=2&after={listed['last_id']}")
    assert not rest["has_more"]
    assert {file["id"] for file in listed["data"] + rest["data"]} == set(ids)
    assert (await call(own, "GET", "/v1/files?purpose=batch_output"))["data"] == []
    ascending = await call(own, "GET", "/v1/files?order=asc")
    descending = await call(own, "GET", "/v1/files?order=desc")
    assert [f["id"] for f in ascending["data"]] == [f["id"] for f in descending["data"]][::-1]
    for query in ("order=up", "limit=0", "limit=10001"):
        await call(own, "GET", f"/v1/files?{query}", status=400)
    await call(own, "GET", "/v1/files?after=file-0000000000000000", status=404)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": None}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
    ],
)
async def test_wrong_openai_batches_are_refused(own: Rig, change: dict, param: str) -> None:
    body = {"input_file_id": "file-x", "endpoint": "/v1/responses", "completion_window": "24h"} | change
    told = await call(own, "POST", "/v1/batches", json=body, status=400)
    assert told["error"]["param"] == param


async def test_every_route_of_batches_wants_a_key(own: Rig) -> None:
    async with aiohttp.ClientSession() as nobody:
        for route in _batch_routes():
            async with nobody.request(route[0], own.url(route[1])) as response:
                assert response.status == 401, route


def _batch_routes() -> list[tuple[str, str]]:
    return [
        (method, path)
        for prefix in ("/v1", "/anthropic/v1")
        for method, path in [
            ("POST", f"{prefix}/messages/batches"),
            ("GET", f"{prefix}/messages/batches"),
            ("GET", f"{prefix}/messages/batches/x"),
            ("DELETE", f"{prefix}/messages/batches/x"),
            ("POST", f"{prefix}/messages/batches/x/cancel"),
            ("GET", f"{prefix}/messages/batches/x/results"),
        ]
    ] + [
        ("POST", "/v1/files"),
        ("GET", "/v1/files/x/content"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches"),
    ]


# --- beside live traffic ------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_live_request_does_not_wait_behind_a_batch(start: Start, clean_redis: str) -> None:
    """Slow: items that hang keep their share of the pool busy, and no more than that."""
    async with start("platform", batches=Batches(max_in_flight=50)) as rig:
        await call(rig, "POST", URL, json=body_of(200, "Slow [[sim: delay_ms=600000]]"))

        async def is_busy() -> bool:
            return await rig.leases() >= 6  # three quarters of eight slots

        await until(is_busy)
        for _ in range(5):
            await asyncio.wait_for(call(rig, "POST", "/v1/messages", json=params()), 60)
            assert 6 <= await rig.leases() <= 8, "no item has ended for it"


@pytest.mark.slow
async def test_a_keys_own_limit_makes_items_wait_not_fail(start: Start, clean_redis: str) -> None:
    """The 429s of the key's own concurrency burn no try: with two tries only, all ten succeed. Slow: each
    waits for its turn."""
    (key,) = api_keys("sk-mimo")
    limited = (replace(key, max_concurrency=1),)
    async with start("platform", api_keys=limited, batches=Batches(max_tries=1)) as rig:
        created = await call(rig, "POST", URL, json=body_of(4, "Hi [[sim: delay_ms=50]]"))
        batch = await ended(rig, created["id"])
        assert batch["request_counts"]["succeeded"] == 4


async def test_usage_is_booked_under_the_owners_key(own: Rig) -> None:
    created = await call(own, "POST", URL, json=body_of(3))
    await ended(own, created["id"])
    store = own.gateway.services.store_health._store

    async def is_booked() -> bool:
        keys = await store.command("KEYS", "mgw:{k:*}:usage:*")
        assert len(keys) <= 1  # the other key has used nothing
        counts = [await store.hash(key.decode()) for key in keys]
        return bool(counts) and counts[0].get(b"requests:mimo-v2.6-pro") == b"3"

    await until(is_booked)
