"""Faults on the socket: pace, stall, cut, reset, garbage, slices. And the client that leaves."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from service.simulator import SimulatorOptions, create_simulator
from service.simulator.playback import GARBAGE, HUGE_LINE_BYTES
from service.simulator.world import WORLD

URL = "/v1/chat/completions"
SLACK_S = 10  # of a busy machine: what is asserted is that no timeout or stall had to end first


def body(text, *, stream=True):
    return {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], "stream": stream}


async def events_until_break(call, text):
    """How many whole events came, and the error that ended the answer."""
    received = b""
    try:
        async with call.session.post(
            call.sim.base_url + URL, json=body(text), headers=call.key()
        ) as response:
            async for chunk in response.content.iter_any():
                received += chunk
    except (aiohttp.ClientError, ConnectionError) as error:
        return received.count(b"\n\n"), type(error)
    return received.count(b"\n\n"), None


async def test_cut_closes_the_socket_after_that_many_events(call):
    count, error = await events_until_break(call, "[[sim: cut_after=3]]")
    assert count == 3
    assert error is aiohttp.ClientPayloadError
    assert call.record.last.outcome == "faulted"
    assert call.record.last.events_sent == 3


async def test_cut_at_once_sends_the_headers_only(call):
    assert await events_until_break(call, "[[sim: cut_after=0]]") == (0, aiohttp.ClientPayloadError)


async def test_reset_is_told_from_an_end(call):
    count, error = await events_until_break(call, "[[sim: cut_after=3 rst]]")
    assert count <= 3  # a reset may overtake what was sent
    assert error is not None


async def test_end_after_is_a_clean_end_without_done(call):
    count, error = await events_until_break(call, "[[sim: end_after=3]]")
    assert (count, error) == (3, None)
    assert call.record.last.outcome == "faulted"


async def test_drop_closes_before_any_answer(call):
    for words in ("drop", "drop rst"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await call.chat(f"[[sim: {words}]]")
        await call.record.wait_idle()
        assert call.record.last.outcome == "faulted"
        assert not call.record.last.client_closed


async def test_body_of_an_answer_that_does_not_stream_breaks_too(call):
    with pytest.raises(aiohttp.ClientPayloadError):
        await call.chat("[[sim: cut_after=1]]")


async def test_one_byte_slices_carry_the_same_answer(call):
    plain = (await call.chat('[[sim: say="Grüße"]]', stream=True)).chunks
    sliced = (await call.chat('[[sim: say="Grüße" slice=1 pieces=8]]', stream=True)).chunks
    assert [chunk["choices"] for chunk in sliced] == [chunk["choices"] for chunk in plain]


async def test_comments_and_crlf_do_not_change_the_events(call):
    plain = (await call.chat('[[sim: say="x"]]', stream=True)).chunks
    dressed = await call.chat('[[sim: say="x" comments crlf]]', stream=True)
    assert b"\r\n\r\n" in dressed.body
    assert b": comment" in dressed.body
    assert [chunk["choices"] for chunk in dressed.chunks] == [chunk["choices"] for chunk in plain]


@pytest.mark.parametrize("kind", sorted(GARBAGE))
async def test_garbage_stands_after_that_many_events(call, kind):
    reply = await call.chat(f"[[sim: garbage_after=2 garbage={kind}]]", stream=True)
    before, _, after = reply.body.partition(GARBAGE[kind])
    if kind != "blank":
        assert before.count(b"\n\n") == 2
    assert after.endswith(b"data: [DONE]\n\n")


async def test_garbage_alone_stands_after_the_first_event(call):
    reply = await call.chat("[[sim: garbage_bytes=100]]", stream=True)
    assert reply.body.count(b"x" * 100) == 1
    reply = await call.chat("[[sim: garbage=comment]]", stream=True)
    assert reply.body.index(GARBAGE["comment"]) == reply.body.index(b"\n\n") + 2


async def test_huge_line_never_ends(call):
    reply = await call.chat("[[sim: garbage=huge_line garbage_after=1 end_after=1]]", stream=True)
    assert len(reply.body) > HUGE_LINE_BYTES


async def test_delays_and_pace_hold_back_what_they_name(call):
    loop = asyncio.get_running_loop()
    started_at_s = loop.time()
    async with call.session.post(
        call.sim.base_url + URL,
        json=body('[[sim: delay_ms=30 first_delay_ms=30 pace_ms=5 say="x" reasoning=""]]'),
        headers=call.key(),
    ) as response:
        headers_at_s = loop.time()
        await response.content.readany()
        first_at_s = loop.time()
        await response.read()
    assert headers_at_s - started_at_s >= 0.03
    assert first_at_s - headers_at_s >= 0.025
    assert loop.time() - first_at_s >= 0.015


async def test_burst_writes_several_events_at_once(call):
    plain = await call.chat('[[sim: say="abcdef" pieces=1]]', stream=True)
    burst = await call.chat('[[sim: say="abcdef" pieces=1 burst=4]]', stream=True)
    assert len(burst.events) == len(plain.events)
    assert [entry.events_sent for entry in call.record.requests] == [
        len(plain.events),
        -(-len(plain.events) // 4),
    ]


async def test_body_may_end_early_and_cleanly(call):
    reply = await call.chat('[[sim: end_after=1 say="%s"]]' % ("x" * 600))
    assert len(reply.body) == 256


async def test_broken_studio_stream_is_not_held_open(start):
    """The default hold is 30 s: these would time out."""
    async with start(SimulatorOptions()) as caller:
        async with asyncio.timeout(20):
            await caller.studio("[[sim: end_after=2]]")
            with pytest.raises(aiohttp.ClientPayloadError):
                await caller.studio("[[sim: cut_after=2]]")
        assert not any(entry.client_closed for entry in caller.record.requests)


@pytest.mark.parametrize(
    ("words", "stream"),
    [
        pytest.param("delay_ms=30000", True, id="before the headers"),
        pytest.param("delay_ms=30000", False, id="before the headers, no stream"),
        pytest.param("first_delay_ms=30000", True, id="before the first event"),
        pytest.param("stall_after=2", True, id="stalled in the stream"),
        pytest.param("stall_after=1", False, id="stalled in the body"),
        pytest.param("pace_ms=40 tokens=1000", True, id="between events"),
        pytest.param("tokens=200000 pieces=4", True, id="writing as fast as it can"),
    ],
)
async def test_client_that_leaves_is_noticed_within_100_ms(call, words, stream):
    asked = body(f"[[sim: {words}]]", stream=stream)
    left_at_s = await leave_early(call.sim.base_url, call.record, asked)
    await call.record.wait_idle()
    entry = call.record.last
    assert entry.client_closed
    assert entry.outcome == "client_closed"
    assert entry.usage is None
    assert entry.finished_at_s - left_at_s < 0.1 + SLACK_S
    assert call.record.account("platform-1").in_flight == 0


async def leave_early(base_url, record, asked):
    """Ask, read for a moment, close the connection; returns when that was."""
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        task = group.create_task(read_all(session, base_url, asked))
        await record.wait(lambda record: record.open_requests == 1)
        await asyncio.sleep(0.02)
        task.cancel()
    return asyncio.get_running_loop().time()


async def read_all(session, base_url, asked):
    async with session.post(base_url + URL, json=asked, headers={"api-key": "sk-simulator-1"}) as response:
        async for _ in response.content.iter_any():
            pass


async def test_leaving_is_noticed_without_handler_cancellation_too():
    """`web.run_app` does not cancel handlers unless told to: the watch must do."""
    app = create_simulator()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    record = app[WORLD].record
    left_at_s = await leave_early(f"http://127.0.0.1:{port}", record, body("[[sim: stall_after=2]]"))
    await record.wait_idle()
    await runner.cleanup()
    assert record.last.outcome == "client_closed"
    assert record.last.finished_at_s - left_at_s < 0.1 + SLACK_S
