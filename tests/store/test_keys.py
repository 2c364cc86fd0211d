"""The table of keys: tags for a Cluster, no secrets in names, every key documented."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from redis.crc import key_slot

from service.store import keys


def slots(*names: str) -> set[int]:
    return {key_slot(name.encode()) for name in names}


def test_the_pool_is_one_slot_whatever_accounts_are_called():
    strange = keys.account("a}b{c} d:ü")
    assert slots(
        *(keys.TURNS, keys.QUEUE, keys.WAITERS, keys.WORKERS),
        *(keys.sticky(None), keys.sticky("conversation")),
        *(strange.leases, strange.state, strange.window),
    ) == slots(keys.TURNS)


def test_an_api_key_is_one_slot():
    one = keys.api_key("0123")
    day = date(2026, 11, 20)
    names = (one.window, one.meter, one.slots, keys.settled("0123", "r"), keys.usage("0123", day))
    assert len(slots(*names)) == 1
    assert slots(one.window) != slots(keys.api_key("4567").window)


def test_an_accounts_threads_are_one_slot():
    names = (keys.thread("a}b{c} d:ü", "0123", "4567"), keys.threads_due("a}b{c} d:ü"))
    assert len(slots(*names)) == 1


def test_a_conversation_shows_as_a_digest_only():
    assert "prompt" not in keys.sticky("secret prompt")
    assert keys.sticky("a") != keys.sticky("b")
    assert keys.sticky("\ud800")  # a lone surrogate is no reason to fail


@pytest.mark.parametrize(
    "name",
    [
        *("turns", "queue", "waiters", "workers", "sticky:", ":leases", ":state", ":window"),
        *(":meter", ":slots", ":settled:", ":usage:", ":reasoning:", "catalogue"),
        *(":thread:", ":due", "{turn:"),
    ],
)
def test_operators_find_every_key_in_the_docs(name: str):
    page = Path(__file__).parents[2] / "docs" / "redis.md"
    assert name in page.read_text()
