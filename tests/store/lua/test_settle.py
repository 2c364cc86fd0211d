"""lua/settle.lua, reply by reply."""

from __future__ import annotations

from service.store.client import Store
from tests.store.lua.conftest import NOW, Run, lifetimes
from tests.store.lua.test_admit import KEYS, admit

GUARD, USAGE = "mgw:{k}:settled:r", "mgw:{k}:usage:day"


async def settle(
    run: Run, request_id: str = "r", reserved: int = 10, real: int = 4, *, now: int = NOW
) -> int:
    keys = [f"mgw:{{k}}:settled:{request_id}", *KEYS, USAGE]
    counts = ("requests", 1, "input_tokens", real, "output_tokens", 0)
    return await run("settle", keys, now, request_id, reserved, real, 7, 300_000, 600_000, "m", *counts)


async def test_it_books_once(run: Run, store: Store):
    await admit(run, tokens=100)
    assert [await settle(run), await settle(run)] == [1, 0]
    assert await store.hash(USAGE) == {b"requests:m": b"1", b"input_tokens:m": b"4"}
    assert await store.command("HGET", KEYS[1], "spent") == b"7"


async def test_real_tokens_replace_the_estimate_at_the_estimates_time(run: Run, store: Store):
    await admit(run, "r", 10, tokens=100)
    await settle(run, reserved=10, real=4, now=NOW + 5000)
    assert await store.command("ZRANGE", KEYS[0], 0, -1, "WITHSCORES") == [b"4:r", str(NOW).encode()]
    assert await store.command("HGET", KEYS[1], "window_tokens") == b"4"


async def test_a_long_answer_is_charged_what_it_used_beyond_its_estimate(run: Run, store: Store):
    await admit(run, "r", 10, tokens=100)
    await admit(run, "other", 1, now=NOW + 61_000, tokens=100)
    await settle(run, reserved=10, real=50, now=NOW + 62_000)
    assert await store.command("HGET", KEYS[1], "window_tokens") == b"41"


async def test_no_upstream_takes_the_request_out_again(run: Run, store: Store):
    await admit(run, "r", 10, requests=1, tokens=10, slots=1)
    keys = [GUARD, *KEYS, USAGE]
    assert await run("settle", keys, NOW, "r", 10, -1, 0, 300_000, 600_000, "m") == 1
    assert await admit(run, "r2", 10, requests=1, tokens=10, slots=1) == [1, 0, 0]
    assert await store.hash(USAGE) == {}


async def test_every_key_has_a_lifetime(run: Run, store: Store):
    await admit(run, "r", 10, requests=5, tokens=100, slots=5)
    await settle(run)
    await settle(run, "another")
    assert min((await lifetimes(store)).values()) > 0
