"""How much the sieve held back at most: what a client had to wait for."""

from __future__ import annotations

import pytest

from service.core.conversation import ToolSpec
from service.core.events import Finish, FinishReason, TextDelta
from service.core.mimoml.sieve import Sieve

TOOLS = (ToolSpec(name="read", description="", parameters={"type": "object", "properties": {}}),)


@pytest.mark.parametrize(
    ("pieces", "held_chars"),
    [
        pytest.param(["Hello there", " and here"], 0, id="text passes by"),
        pytest.param(["a <too", "l_ca", "se"], len("<tool_ca"), id="half a tag waits until it is none"),
        pytest.param(["<tool_call>", "   ", "hm"], len("<tool_call>   "), id="a wrapper waits for its call"),
    ],
)
def test_the_most_that_was_held_at_once_is_known(pieces: list[str], held_chars: int) -> None:
    sieve = Sieve(TOOLS, new_call_id=lambda: "call_1")
    for piece in pieces:
        sieve.feed(TextDelta(piece))
    sieve.feed(Finish(FinishReason.STOP))
    assert sieve.most_held_chars == held_chars
