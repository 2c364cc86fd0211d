"""Which stages an answer passes."""

from __future__ import annotations

from service.core.cuts import SingleCall
from service.core.events import TextDelta
from service.core.mimoml.sieve import Sieve
from service.gateway.stages import most_held_chars
from tests.core.mimoml.test_held import TOOLS


def test_what_was_held_is_told_by_the_sieve_alone() -> None:
    assert most_held_chars([]) is None
    assert most_held_chars([SingleCall()]) is None
    sieve = Sieve(TOOLS, new_call_id=lambda: "call_1")
    sieve.feed(TextDelta("<tool"))
    assert most_held_chars([sieve, SingleCall()]) == 5
