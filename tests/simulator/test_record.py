"""What the simulator remembers, in process and over HTTP."""

import asyncio

import pytest

from service.simulator import SimulatorOptions


async def test_entry_holds_what_the_upstream_received(call):
    await call.chat("Hello", temperature=1, headers={"User-Agent": "test/1"})
    entry = call.record.last
    assert (entry.method, entry.path, entry.endpoint) == ("POST", "/v1/chat/completions", "chat_completions")
    assert entry.headers["user-agent"] == "test/1"
    assert entry.body["temperature"] == 1
    assert (entry.account, entry.model, entry.status) == ("platform-1", "mimo-v2.6-pro", 200)
    assert entry.outcome == "answered"
    assert entry.usage.output_tokens > 0
    assert not entry.client_closed
    assert entry.client_closed_after_s is None


async def test_totals_add_up_and_refusals_are_told_apart(call):
    for text in ("One", "Two", "[[sim: status=500]]"):
        await call.chat(text)
    await call.studio("Three")
    totals = call.record.account("platform-1")
    entries = call.record.of("chat_completions")
    assert (totals.requests, totals.completed, totals.refused) == (3, 2, 1)
    assert totals.output_tokens == sum(entry.usage.output_tokens for entry in entries if entry.usage)
    assert call.record.outcomes == {"answered": 3, "refused": 1}
    assert [entry.number for entry in call.record.requests] == [1, 2, 3, 4]


async def test_record_is_read_and_cleared_over_http(call):
    await call.chat("Hello")
    await call.post("/v1/chat/completions", b"\xff", call.key())
    shown = (await call.get("/simulator/record")).json
    assert [request["status"] for request in shown["requests"]] == [200, 400]
    assert shown["requests"][0]["body"]["messages"][0]["content"] == "Hello"
    assert shown["requests"][1]["body"] == "<1 bytes>"
    assert shown["accounts"]["platform-1"]["completed"] == 1
    assert shown["open_requests"] == 0
    async with call.session.delete(f"{call.sim.base_url}/simulator/record") as response:
        assert response.status == 204
    assert (await call.get("/simulator/record")).json["requests"] == []


async def test_record_is_bounded_in_entries_and_bytes(start):
    async with start(SimulatorOptions(max_records=3, max_record_bytes=1_000)) as call:
        for number in range(5):
            await call.chat(f"{number}" + "x" * 400)
        assert [entry.number for entry in call.record.requests] == [3, 4, 5]
        assert [entry.body is None for entry in call.record.requests] == [True, False, False]
        assert call.record.account("platform-1").requests == 5


async def test_clearing_forgets_open_requests_too(call):
    async with asyncio.TaskGroup() as group:
        group.create_task(call.chat("[[sim: delay_ms=40]]"))
        await call.record.wait(lambda record: record.open_requests == 1)
        call.record.clear()
    assert call.record.open_requests == 0
    assert call.record.outcomes == {}


async def test_waiting_ends_with_a_timeout(call):
    with pytest.raises(TimeoutError):
        await call.record.wait(lambda record: record.open_requests > 5, timeout_s=0.01)
    await call.record.wait_idle(timeout_s=0.01)


async def test_bytes_that_are_no_utf_8_are_shown_all_the_same(call):
    host, _, port = call.sim.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\napi-key: \xff\xfe\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 401")
    writer.close()
    await writer.wait_closed()
    shown = (await call.get("/simulator/record")).json
    assert shown["requests"][0]["headers"]["api-key"] == "??"


async def test_too_large_a_body_is_413_and_counts_as_failed(start):
    async with start(SimulatorOptions(max_body_bytes=100)) as call:
        assert (await call.chat("x" * 200)).status == 413
        assert call.record.last.outcome == "failed"
        assert call.record.open_requests == 0
