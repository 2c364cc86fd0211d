"""lua/swap_field.lua, reply by reply."""

from __future__ import annotations

import pytest

from service.store.client import Store
from tests.store.lua.conftest import Run


@pytest.mark.parametrize(
    ("before", "seen", "wanted", "reply", "after"),
    [
        pytest.param("1", "1", "2", 1, {b"a": b"2"}, id="changed"),
        pytest.param("", "", "2", 1, {b"a": b"2"}, id="made"),
        pytest.param("1", "1", "", 1, {}, id="taken out"),
        pytest.param("3", "1", "2", 0, {b"a": b"3"}, id="somebody was faster"),
        pytest.param("3", "", "2", 0, {b"a": b"3"}, id="somebody made it"),
        pytest.param("", "1", "2", 0, {}, id="what was removed does not come back"),
        pytest.param("2", "1", "2", 1, {b"a": b"2"}, id="repeated after a lost reply"),
        pytest.param("", "1", "", 1, {}, id="taken out twice"),
    ],
)
async def test_field_is_swapped_only_as_it_was_seen(
    run: Run, store: Store, before: str, seen: str, wanted: str, reply: int, after: dict[bytes, bytes]
) -> None:
    if before:
        await store.command("HSET", "mgw:h", "a", before)
    assert await run("swap_field", ["mgw:h"], "a", seen, wanted) == reply
    assert await store.hash("mgw:h") == after
