"""A client that leaves, in each phase on each route: within a second nothing is held, and usage is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from service.gateway.background import Background
from service.store import keys
from service.store.client import Store, StoreSettings, connect
from tests.web.dialects import DIALECTS, Dialect
from tests.web.rig import PATIENCE_S, Rig, Start

# A second, in looks that are 20 ms apart and ask Redis: when the machine stands still, so do they.
PROMISED_LOOKS = 50
PHASES = {
    "before the headers": ("delay_ms=20000", True),
    "before the first token": ("first_delay_ms=20000", True),
    "in mid-stream": ("stall_after=6", True),
    "before a whole answer": ("delay_ms=20000", False),
}

pytestmark = pytest.mark.slow


@pytest.fixture
async def store(clean_redis: str) -> AsyncIterator[Store]:
    found = connect(clean_redis, spawn=Background().spawn, settings=StoreSettings.within(PATIENCE_S))
    yield found
    await found.aclose()


async def looks_until(what: str, holds: Callable[[], Awaitable[bool]]) -> int:
    """How many looks it took; more than a machine can be busy for are a failure."""
    for looks in range(1500):
        if await holds():
            return looks
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


@pytest.mark.parametrize("kind", ["platform", "studio"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_client_that_leaves_costs_nothing_a_second_later(
    start: Start, store: Store, dialect: Dialect, phase: str, kind: str
) -> None:
    """Slow: each waits until its request hangs at the upstream."""
    words, stream = PHASES[phase]
    async with start(kind) as rig:
        body = dialect.ask(f"[[sim: {words}]] Tell me a long story", stream=stream)
        seen = bytearray()
        client = asyncio.ensure_future(_everything(rig, dialect, body, seen))
        has_seen_text = "stall" in words

        async def hangs() -> bool:
            is_asked = any(one.method == "POST" for one in rig.simulator.record.requests)
            return is_asked and await rig.leases() == 1 and (b"delta" in seen or not has_seen_text)

        await looks_until("the request has an account", hangs)
        await asyncio.sleep(0.1)
        assert not client.done()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)

        async def is_free() -> bool:
            return await rig.leases() == 0

        async def is_closed() -> bool:
            chats = [one for one in rig.simulator.record.requests if one.method == "POST"]
            return bool(chats) and all(one.client_closed for one in chats)

        async def is_booked() -> bool:
            return bool(await booked(rig, store))

        looks = await looks_until("the lease is given back", is_free)
        looks += await looks_until("the usage is booked", is_booked)
        looks += await looks_until("the upstream is closed", is_closed)
        assert looks <= PROMISED_LOOKS
        usage = await booked(rig, store)
        assert usage["requests"] == 1
        assert (usage.get("output_tokens", 0) > 0) == has_seen_text, "what was generated is booked"
        assert not rig.gateway.services.chat.holdings.leases
        assert not rig.gateway.services.chat.holdings.admissions


async def booked(rig: Rig, store: Store) -> dict[str, int]:
    """Today's usage of the key, by field."""
    key = rig.gateway.config.api_keys[0]
    fields = await store.hash(keys.usage(key.key_id, datetime.now(UTC).date()))
    return {name.decode().partition(":")[0]: int(value) for name, value in fields.items()}


async def _everything(rig: Rig, dialect: Dialect, body: dict, seen: bytearray) -> None:
    async with rig.http.post(rig.url(dialect.path), json=body) as response:
        async for piece in response.content.iter_any():
            seen += piece
