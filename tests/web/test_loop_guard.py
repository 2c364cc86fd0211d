"""The loop guard over HTTP, in each dialect: on demand, and off by default."""

from __future__ import annotations

import pytest

from service.config import LoopGuard
from service.config_loader import api_keys
from tests.web.rig import Rig, Start

LOOP = "[[sim: no_tools say='x' ]]".replace("'x'", '"' + "Let me check that again. " * 4 + '" repeat=300')
PATHS = {
    "chat": ("/v1/chat/completions", "messages", '"length"'),
    "responses": ("/v1/responses", "input", "max_output_tokens"),
    "messages": ("/v1/messages", "messages", '"max_tokens"'),
}


async def post(rig: Rig, dialect: str, **more: object) -> tuple[int, str, str]:
    path, field, _ = PATHS[dialect]
    body = {"model": "mimo-v2.6-pro", field: [{"role": "user", "content": LOOP}], **more}
    if dialect == "messages":
        body["max_tokens"] = 20_000
    async with rig.http.post(rig.url(path), json=body) as response:
        return response.status, await response.text(), response.headers.get("x-mimo-gateway-notes", "")


@pytest.mark.slow
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
async def test_a_loop_ends_as_a_cut_answer_when_the_request_asks_for_the_guard(
    rig: Rig, dialect: str, streams: bool
) -> None:
    """Slow: thousands of events go through a whole gateway."""
    status, answer, notes = await post(rig, dialect, loop_guard=True, stream=streams)
    assert status == 200
    assert PATHS[dialect][2] in answer
    assert streams or "the loop guard ended the answer (text)" in notes
    assert streams or len(answer) < 4_000
    assert "loop_guard is not a parameter" not in notes
    text = rig.gateway.services.metrics.render().decode()
    assert 'mgw_sieve_events_total{event="loop_ended",format="text"} 1.0' in text
    entry = rig.simulator.record.requests[-1]
    assert "loop_guard" not in str(entry.body)


@pytest.mark.slow
async def test_a_loop_is_let_through_without_it(rig: Rig) -> None:
    """Slow: see above."""
    _, answer, _ = await post(rig, "chat")
    assert len(answer) > 20_000


@pytest.mark.slow
async def test_the_configuration_switches_it_on_and_a_request_off(start: Start) -> None:
    """Slow: see above."""
    async with start("platform", loop_guard=LoopGuard(enabled=True)) as rig:
        assert len((await post(rig, "chat"))[1]) < 4_000
        assert len((await post(rig, "chat", loop_guard=False))[1]) > 20_000


async def test_a_switch_that_is_no_boolean_is_400(rig: Rig) -> None:
    status, answer, _ = await post(rig, "chat", loop_guard="yes")
    assert (status, "'loop_guard'" in answer) == (400, True)


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_request_bounds_what_its_answer_may_think(start: Start, dialect: str) -> None:
    async with start("platform") as rig:
        path, field, cut = PATHS[dialect]
        thought = " ".join(f"step {number}," for number in range(200))
        body = {
            "model": "mimo-v2.6-pro",
            field: [{"role": "user", "content": f'Hi [[sim: reasoning="{thought}"]]'}],
        }
        body |= {"loop_guard": {"max_reasoning_tokens": 20}, "max_tokens": 20_000}
        async with rig.http.post(rig.url(path), json=body) as response:
            answer = await response.text()
            assert (response.status, cut in answer) == (200, True), answer
            assert "(reasoning_budget)" in response.headers["x-mimo-gateway-notes"]
        assert "step 5," in answer
        assert "step 20," not in answer


async def test_a_key_switches_it_on(start: Start) -> None:
    keys = api_keys([{"key": "sk-mimo", "loop_guard": True}])
    async with start("platform", api_keys=keys) as rig:
        assert len((await post(rig, "chat"))[1]) < 4_000
