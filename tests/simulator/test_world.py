"""Limits per account, and the counting of what is in flight."""

import asyncio

from service.simulator import Limits, PlatformAccount, SimulatorOptions, StudioSession


def options(limits, **more):
    return SimulatorOptions(
        platform=(PlatformAccount(name="a", api_key="sk-a", limits=limits),),
        studio=(StudioSession(name="s", service_token="t", user_id="1", ph="p/+=", limits=limits),),
        studio_hold_s=0,
        **more,
    )


async def gathered(*calls):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


async def test_without_limits_many_answers_run_at_once(call):
    await gathered(*(call.chat("[[sim: delay_ms=20]]") for _ in range(8)))
    assert call.record.max_in_flight_by_account == {"platform-1": 8}
    assert call.record.account("platform-1").in_flight == 0


async def test_over_the_concurrency_is_429_and_takes_nothing(start):
    async with start(options(Limits(max_concurrency=2))) as call:
        replies = await gathered(*(call.chat("[[sim: delay_ms=30]]") for _ in range(5)))
        assert sorted(reply.status for reply in replies) == [200, 200, 429, 429, 429]
        assert all("Retry-After" not in reply.headers for reply in replies)
        assert call.record.account("a").max_in_flight == 2
        assert (await call.chat()).status == 200


async def test_studio_has_limits_too(start):
    async with start(options(Limits(max_concurrency=1, retry_after_s=1.5))) as call:
        replies = await gathered(*(call.studio("[[sim: delay_ms=30]]") for _ in range(2)))
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["code"] == 429
    assert refused.headers["Retry-After"] == "1.5"


async def test_requests_per_minute_are_counted_per_account(start):
    async with start(options(Limits(requests_per_minute=2, retry_after_s=7))) as call:
        replies = [await call.chat() for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].headers["Retry-After"] == "7"
        assert (await call.get("/v1/models", call.key())).status == 200  # a models call is no health check
        call.sim.reset()
        assert (await call.chat()).status == 200


async def test_one_after_the_other_never_counts_as_two(start):
    """A new connection each time: the end of the old answer is always counted before the new one begins."""
    async with start(options(Limits(max_concurrency=1))) as call:
        for number in range(40):
            reply = await call.chat(f"[[sim: say=x{number}]]", stream=True, headers={"Connection": "close"})
            assert reply.status == 200
    assert call.record.account("a").max_in_flight == 1


async def test_closing_early_frees_the_account_before_the_next_request(start):
    async with start(options(Limits(max_concurrency=1))) as call:
        for _ in range(20):
            url = f"{call.sim.base_url}/v1/chat/completions"
            body = {
                "model": "mimo-v2.6-pro",
                "messages": [{"role": "user", "content": "[[sim: stall_after=1]]"}],
                "stream": True,
            }
            async with call.session.post(url, json=body, headers=call.key()) as response:
                await response.content.readany()
                response.close()
            assert (await call.chat()).status == 200
