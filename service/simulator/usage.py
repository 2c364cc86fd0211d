"""Token counts that repeat: four bytes of UTF-8 are a token; cached tokens by prefix reuse per account."""

from __future__ import annotations

from collections import OrderedDict

from service.core.events import Usage

TOKEN_BYTES = 4
BLOCK_TOKENS = 128  # the prefix cache knows whole blocks only
_BLOCK_BYTES = BLOCK_TOKENS * TOKEN_BYTES
ABSURD = Usage(input_tokens=-7, output_tokens=10**12, cached_tokens=10**13, reasoning_tokens=-1)


def count_tokens(text: str) -> int:
    """Bytes of UTF-8 over four, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return -(-size // TOKEN_BYTES)


class PrefixCache:
    """Which prompt prefixes each account has seen, by hashes of whole blocks; the oldest are forgotten."""

    def __init__(self, *, max_blocks: int = 4096) -> None:
        self._max_blocks = max_blocks
        self._known: OrderedDict[int, None] = OrderedDict()

    def cached_tokens(self, account: str, prompt: bytes) -> int:
        """Tokens at the prompt's start that this account sent before; from now on all of it is known."""
        chain = hash(account)
        cached = 0
        is_prefix = True
        for start in range(0, len(prompt) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
            chain = hash((chain, prompt[start : start + _BLOCK_BYTES]))
            is_prefix = is_prefix and chain in self._known
            if is_prefix:
                cached += BLOCK_TOKENS
                self._known.move_to_end(chain)
            else:
                self._known[chain] = None
        while len(self._known) > self._max_blocks:
            self._known.popitem(last=False)
        return cached
