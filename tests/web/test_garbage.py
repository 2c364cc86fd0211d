"""What a request leaves behind: nothing that only the garbage collector could find.

A cycle keeps a whole prompt in memory until a collection, and collections stop the event loop."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.web.dialects import DIALECTS, MODEL, Dialect
from tests.web.rig import Rig, Start

_ROUNDS = 10
TOOL = {"name": "look", "description": "d", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile, and what is collected at the end is kept for a look. What was there
    before is left out: to look at all that a run of thousands of tests holds takes seconds."""
    gc.disable()
    gc.freeze()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.unfreeze()
    gc.enable()


def tools(dialect: Dialect) -> list[dict]:
    if dialect.name == "messages":
        return [{"name": "look", "input_schema": TOOL["parameters"]}]
    return [
        {"type": "function", **TOOL}
        if dialect.name == "responses"
        else {"type": "function", "function": TOOL}
    ]


def left_behind() -> Counter[str]:
    """Our own objects that were unreachable, by class; the simulator and the test are not the product."""
    gc.collect()
    kinds = (type(one) for one in gc.garbage)
    own = (kind for kind in kinds if kind.__module__.startswith("service."))
    return Counter(kind.__qualname__ for kind in own if not kind.__module__.startswith("service.simulator"))


async def ask(rig: Rig, dialect: Dialect, text: str, *, streams: bool) -> None:
    body = dialect.ask(text, stream=streams, tools=tools(dialect))
    assert body["model"] == MODEL
    async with rig.http.post(rig.url(dialect.path), json=body) as response:
        await response.read()
        assert response.status == 200


@pytest.mark.parametrize("kind", ["platform", "studio"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_an_answer_leaves_no_cycle(
    start: Start, dialect: Dialect, kind: str, streams: bool, request: pytest.FixtureRequest
) -> None:
    async with start(kind) as rig:
        await ask(rig, dialect, "warm up", streams=streams)
        await rig.nothing_is_held()
        request.getfixturevalue("uncollected")
        for number in range(_ROUNDS):
            await ask(rig, dialect, f"go {number}", streams=streams)
        await rig.nothing_is_held()
        await asyncio.sleep(0)
        assert not {kind: count for kind, count in left_behind().items() if count >= _ROUNDS}
