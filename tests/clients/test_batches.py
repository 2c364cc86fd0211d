"""Batches by the real `anthropic` and `openai` packages, over running processes."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import httpx2
import openai
import orjson
import pytest
import redis

from tests.clients.processes import API_KEY, PLATFORM, Running, gateway_process, started, write_config
from tests.clients.workers import fleet_of, until

pytestmark = pytest.mark.slow  # real processes, and batches that run

MODEL = "mimo-v2.6-pro"
STRANGER = "sk-stranger"


def params(text: str) -> dict:
    return {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}


def requests(count: int, text: str = "Hello") -> list[dict]:
    return [{"custom_id": f"r-{n:05d}", "params": params(f"{text} {n:05d}")} for n in range(count)]


@pytest.fixture
def claude(gateway: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def client(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key=API_KEY, max_retries=0) as client:
        yield client


# --- anthropic ----------------------------------------------------------------------------------------------


def ended(
    claude: anthropic.Anthropic, batch_id: str, *, timeout_s: float = 100
) -> anthropic.types.messages.MessageBatch:
    until(
        lambda: claude.messages.batches.retrieve(batch_id).processing_status == "ended", timeout_s=timeout_s
    )
    return claude.messages.batches.retrieve(batch_id)


def test_message_batch_lives_its_whole_life(claude: anthropic.Anthropic, gateway: Running) -> None:
    created = claude.messages.batches.create(
        requests=[
            *requests(20),
            {"custom_id": "broken", "params": params("Hi [[sim: status=400 message=no]]")},
        ]
    )
    assert created.processing_status == "in_progress"
    assert created.request_counts.processing == 21
    assert created.results_url is None
    assert (created.expires_at - created.created_at).total_seconds() == 86400
    batch = ended(claude, created.id)
    counts = batch.request_counts
    assert (counts.succeeded, counts.errored, counts.processing) == (20, 1, 0)
    assert batch.results_url == f"{gateway.base_url}/v1/messages/batches/{batch.id}/results"
    results = list(claude.messages.batches.results(batch.id))
    assert [result.custom_id for result in results] == [*(f"r-{n:05d}" for n in range(20)), "broken"]
    first, last = results[0].result, results[-1].result
    assert first.type == "succeeded"
    assert "Hello 00000" in next(block.text for block in first.message.content if block.type == "text")
    assert first.message.usage.output_tokens > 0
    assert last.type == "errored"
    assert last.error.error.type == "invalid_request_error"
    assert batch.id in [one.id for one in claude.messages.batches.list(limit=5)]
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve(batch.id)


def test_message_batch_works_under_the_anthropic_prefix(gateway: Running) -> None:
    base_url = f"{gateway.base_url}/anthropic"
    with anthropic.Anthropic(base_url=base_url, api_key=API_KEY, max_retries=0) as claude:
        batch = ended(claude, claude.messages.batches.create(requests=requests(2)).id)
        assert batch.results_url is not None
        assert batch.results_url.startswith(f"{base_url}/v1/messages/batches/")
        assert [result.result.type for result in claude.messages.batches.results(batch.id)] == [
            "succeeded"
        ] * 2


def test_tools_and_thinking_come_through_a_batch(claude: anthropic.Anthropic) -> None:
    tool = {
        "name": "get_weather",
        "description": "The weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    request = {**params("What is the weather in Beijing?"), "tools": [tool]}
    batch = claude.messages.batches.create(requests=[{"custom_id": "t", "params": request}])
    ended(claude, batch.id)
    (result,) = claude.messages.batches.results(batch.id)
    assert result.result.message.stop_reason == "tool_use"
    call = next(block for block in result.result.message.content if block.type == "tool_use")
    assert call.input == {"city": "Beijing"}


def test_canceled_batch_ends_with_a_result_for_every_request(claude: anthropic.Anthropic) -> None:
    batch = claude.messages.batches.create(requests=requests(200, "Slow [[sim: delay_ms=400]]"))
    canceling = claude.messages.batches.cancel(batch.id)
    assert canceling.processing_status in ("canceling", "ended")
    assert canceling.cancel_initiated_at is not None
    counts = ended(claude, batch.id).request_counts
    assert counts.canceled > 100
    assert counts.canceled + counts.succeeded == 200
    kinds = Counter(result.result.type for result in claude.messages.batches.results(batch.id))
    assert kinds == Counter(canceled=counts.canceled, succeeded=counts.succeeded) - Counter()


def test_pages_go_both_ways(claude: anthropic.Anthropic) -> None:
    ids = [claude.messages.batches.create(requests=requests(1)).id for _ in range(5)]
    newest_first = ids[::-1]
    page = claude.messages.batches.list(limit=2)
    assert [one.id for one in page.data] == newest_first[:2]
    assert page.has_more
    after = claude.messages.batches.list(limit=2, after_id=page.last_id)
    assert [one.id for one in after.data] == newest_first[2:4]
    before = claude.messages.batches.list(limit=2, before_id=after.first_id)
    assert [one.id for one in before.data] == newest_first[:2]
    assert [one.id for one in claude.messages.batches.list(limit=2)][:5] == newest_first


def test_a_wrong_request_is_named_by_its_place(claude: anthropic.Anthropic) -> None:
    wrong = requests(3)
    wrong[2]["params"]["messages"][0]["role"] = "nobody"
    with pytest.raises(anthropic.BadRequestError, match=r"requests\.2\.params\.messages\.0\.role"):
        claude.messages.batches.create(requests=wrong)
    with pytest.raises(anthropic.BadRequestError, match=r"requests\.1\.custom_id"):
        claude.messages.batches.create(requests=[*requests(1), *requests(1)])
    with pytest.raises(anthropic.BadRequestError, match="requests"):
        claude.messages.batches.create(requests=[])


# --- openai -------------------------------------------------------------------------------------------------


def line(custom_id: str, url: str, body: dict) -> bytes:
    return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def chat_line(custom_id: str, text: str) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    return line(custom_id, "/v1/chat/completions", body)


def over(client: openai.OpenAI, batch_id: str, *, timeout_s: float = 100) -> openai.types.Batch:
    words = ("completed", "failed", "cancelled", "expired")
    until(lambda: client.batches.retrieve(batch_id).status in words, timeout_s=timeout_s)
    return client.batches.retrieve(batch_id)


def test_chat_batch_lives_its_whole_life(client: openai.OpenAI) -> None:
    content = b"\n".join(
        [
            *(chat_line(f"c-{n}", f"Hello {n}") for n in range(10)),
            chat_line("bad", "Hi [[sim: status=400 message=no]]"),
            line("worse", "/v1/chat/completions", {"model": MODEL}),
        ]
    )
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    assert (file.bytes, file.filename, file.purpose) == (len(content), "batch.jsonl", "batch")
    assert client.files.content(file.id).content == content
    created = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"job": "nightly"},
    )
    assert created.status in ("validating", "in_progress")
    batch = over(client, created.id)
    assert batch.status == "completed"
    assert batch.metadata == {"job": "nightly"}
    assert (batch.request_counts.total, batch.request_counts.completed) == (12, 10)
    rows = [orjson.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
    assert [row["custom_id"] for row in rows] == [f"c-{n}" for n in range(10)]
    assert rows[3]["response"]["status_code"] == 200
    assert "Hello 3" in rows[3]["response"]["body"]["choices"][0]["message"]["content"]
    tokens = sum(row["response"]["body"]["usage"]["total_tokens"] for row in rows)
    assert batch.usage.total_tokens == tokens
    errors = [orjson.loads(row) for row in client.files.content(batch.error_file_id).text.splitlines()]
    assert [(row["custom_id"], row["response"]["status_code"]) for row in errors] == [
        ("bad", 400),
        ("worse", 400),
    ]
    output = client.files.retrieve(batch.output_file_id)
    assert output.bytes == len(client.files.content(batch.output_file_id).content)
    assert output.purpose == "batch_output"
    assert batch.id in [one.id for one in client.batches.list(limit=3)]
    assert {file.id, batch.output_file_id, batch.error_file_id} <= {one.id for one in client.files.list()}
    for file_id in (file.id, batch.output_file_id):
        assert client.files.delete(file_id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file_id)
    assert client.batches.retrieve(batch.id).status == "completed"


def test_responses_batch_runs(client: openai.OpenAI) -> None:
    content = b"\n".join(
        line(f"x-{n}", "/v1/responses", {"model": MODEL, "input": f"Hello {n}"}) for n in range(3)
    )
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    created = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    batch = over(client, created.id)
    assert batch.request_counts.completed == 3
    rows = [orjson.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
    assert {row["response"]["body"]["object"] for row in rows} == {"response"}
    assert {row["response"]["body"]["status"] for row in rows} == {"completed"}


def test_a_file_that_is_not_valid_fails_the_batch_with_its_lines(client: openai.OpenAI) -> None:
    content = b"\n".join(
        [
            chat_line("a", "Hello"),
            b"{no json",
            chat_line("a", "again"),
            line("b", "/v1/responses", {}),
            b'{"custom_id": "c"}',
        ]
    )
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    created = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = over(client, created.id)
    assert batch.status == "failed"
    assert [(fault.line, fault.code) for fault in batch.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_endpoint"),
        (5, "missing_required_parameter"),
    ]
    assert batch.output_file_id is None


def test_cancelled_openai_batch_tells_each_line_in_the_error_file(client: openai.OpenAI) -> None:
    content = b"\n".join(chat_line(f"c-{n}", "Slow [[sim: delay_ms=400]]") for n in range(60))
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    created = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    until(lambda: client.batches.retrieve(created.id).status == "in_progress", timeout_s=60)
    assert client.batches.cancel(created.id).status in ("cancelling", "cancelled")
    batch = over(client, created.id)
    assert batch.status == "cancelled"
    rows = [orjson.loads(row) for row in client.files.content(batch.error_file_id).text.splitlines()]
    assert len(rows) == 60 - batch.request_counts.completed > 30
    assert {row["error"]["code"] for row in rows} == {"batch_cancelled"}
    told = client.files.retrieve(batch.error_file_id).bytes
    assert told == len(client.files.content(batch.error_file_id).content)


def test_other_owners_batches_and_files_are_not_found(gateway: Running, client: openai.OpenAI) -> None:
    """The gateway of these tests has one key: another one is told that it is unknown, before any look-up.
    What two known keys see of one another is tested in tests/web/test_batches.py."""
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key=STRANGER).batches.list()


# --- workers that die ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Its counts are this module's alone."""
    folder = tmp_path_factory.mktemp("simulator-batches")
    with started(folder, "simulator", "simulator", ready_path="/simulator/record") as running:
        yield running


def play(simulator: Running, *texts: str) -> None:
    httpx2.put(f"{simulator.base_url}/simulator/script", content=orjson.dumps(texts)).raise_for_status()
    simulator.forget()


def fleet_config(folder: Path, simulator: Running, *, silent_s: float) -> Path:
    path = write_config(folder, simulator, batches={"runs_in_serve": False, "silent_s": silent_s})
    config = orjson.loads(path.read_bytes())
    config["mimo_accounts"] = [{**PLATFORM, "base_url": simulator.base_url, "max_concurrency": 256}]
    path.write_bytes(orjson.dumps(config))
    return path


def ledger_tokens(folder: Path) -> int:
    """Output tokens that the ledger booked."""
    path = (folder / "data" / "redis.address").read_text().removeprefix("unix://")
    with redis.Redis(unix_socket_path=path) as connection:
        return sum(
            int(count)
            for key in connection.scan_iter("mgw:{k:*}:usage:*")
            for field, count in connection.hgetall(key).items()
            if field.startswith(b"output_tokens:")
        )


def test_nothing_is_lost_or_told_twice_when_workers_are_killed(
    tmp_path: Path, own_simulator: Running, record_property: Callable[[str, object], None]
) -> None:
    """2,000 items, three workers, kill -9 of a random one for every two hundred that have ended (some two
    seconds), every fifth call fails: half a minute."""
    count = 2000
    config = fleet_config(tmp_path, own_simulator, silent_s=3)
    play(own_simulator, "[[sim: delay_ms=120]]", "[[sim: status=503 every=5]]")
    with (
        gateway_process(tmp_path, config) as gateway,
        fleet_of(tmp_path, config, 3) as fleet,
        anthropic.Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as claude,
    ):
        began_s = time.monotonic()
        batch = claude.messages.batches.create(requests=requests(count, "Item"))
        kills = 0
        while (seen := claude.messages.batches.retrieve(batch.id)).processing_status != "ended":
            assert time.monotonic() - began_s < 600
            if count - seen.model_extra["progress"]["processing"] > 200 * (kills + 1):
                fleet.kill(secrets.randbelow(3))
                kills += 1
            time.sleep(0.1)
        took_s = time.monotonic() - began_s
        results = list(claude.messages.batches.results(batch.id))
        assert [result.custom_id for result in results] == [f"r-{n:05d}" for n in range(count)]
        assert {result.result.type for result in results} == {"succeeded"}
        for number, result in enumerate(results):
            text = next(block.text for block in result.result.message.content if block.type == "text")
            assert f"Item {number:05d}" in text
        tokens = sum(result.result.message.usage.output_tokens for result in results)
        accounts = own_simulator.record()["accounts"].values()
        completed_tokens = sum(account["output_tokens"] for account in accounts)
        # What was settled when the last worker said good-bye is booked by now, or its worker was killed.
        until(lambda: ledger_tokens(tmp_path) >= tokens - 8 * kills * 39, timeout_s=60)
        per_item = tokens / count
        reruns = round(completed_tokens / per_item) - count
        unbooked = round((completed_tokens - ledger_tokens(tmp_path)) / per_item)
        measured = (
            f"{count} items in {took_s:.0f} s, {kills} kills: {reruns} ran again, {unbooked} not booked"
        )
        record_property("measured", measured)
        assert kills >= 5
        assert 0 <= reruns <= 8 * kills
        # The usage that was booked is that of the results and of the answers that died with their worker, but
        # for those killed between the answer and the booking.
        assert 0 <= unbooked <= 8 * kills


def test_a_worker_told_to_stop_hands_its_items_back_at_once(tmp_path: Path, own_simulator: Running) -> None:
    """P4: no item waits for the time after which a silent worker counts as dead."""
    silent_s = 300
    config = fleet_config(tmp_path, own_simulator, silent_s=silent_s)
    play(own_simulator, "[[sim: delay_ms=1500 times=8]]")
    with (
        gateway_process(tmp_path, config) as gateway,
        fleet_of(tmp_path, config, 2) as fleet,
        anthropic.Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as claude,
    ):
        batch = claude.messages.batches.create(requests=requests(8))
        until(
            lambda: sum(worker.metric("mgw_batch_in_progress") for worker in fleet.workers) == 8,
            timeout_s=60,
        )
        busy = max(fleet.workers, key=lambda worker: worker.metric("mgw_batch_in_progress"))
        other = next(worker for worker in fleet.workers if worker is not busy)
        assert busy.stop() == 0
        assert ended(claude, batch.id, timeout_s=silent_s / 3).request_counts.succeeded == 8
        assert other.metric("mgw_batch_reclaimed_total") == 0


def test_a_gateway_that_is_restarted_goes_on_with_its_batches(tmp_path: Path, own_simulator: Running) -> None:
    """One process with its own Redis and worker: SIGTERM in the middle, and a new one on the same data."""
    silent_s = 300
    config = write_config(tmp_path, own_simulator, "platform", batches={"silent_s": silent_s})
    play(own_simulator, "[[sim: delay_ms=150]]")
    with (
        gateway_process(tmp_path, config) as gateway,
        anthropic.Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as claude,
    ):
        batch_id = claude.messages.batches.create(requests=requests(80)).id
        url = f"{gateway.base_url}/v1/messages/batches/{batch_id}"
        until(
            lambda: httpx2.get(url, headers={"x-api-key": API_KEY}).json()["progress"]["succeeded"] > 5,
            timeout_s=60,
        )
    with (
        gateway_process(tmp_path, config) as gateway,
        anthropic.Anthropic(base_url=gateway.base_url, api_key=API_KEY, max_retries=0) as claude,
    ):
        # Well within the time after which a silent worker counts as dead.
        assert ended(claude, batch_id, timeout_s=silent_s / 3).request_counts.succeeded == 80
        assert len(list(claude.messages.batches.results(batch_id))) == 80
        metrics = httpx2.get(f"{gateway.base_url}/metrics").text
        assert "mgw_batch_reclaimed_total 0.0" in metrics
