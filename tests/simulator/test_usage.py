"""Token counts and the prefix cache."""

import pytest

from service.simulator.usage import BLOCK_TOKENS, PrefixCache, count_tokens


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("北京", 2)])
def test_four_bytes_are_a_token(text, tokens):
    assert count_tokens(text) == tokens


def test_prefix_is_cached_in_whole_blocks_per_account():
    cache = PrefixCache()
    prompt = b"x" * (BLOCK_TOKENS * 4 * 2 + 10)
    assert cache.cached_tokens("a", prompt) == 0
    assert cache.cached_tokens("a", prompt + b"more") == 2 * BLOCK_TOKENS
    assert cache.cached_tokens("b", prompt) == 0
    assert cache.cached_tokens("a", b"y" + prompt) == 0


def test_cache_forgets_the_oldest_blocks():
    cache = PrefixCache(max_blocks=2)
    block = BLOCK_TOKENS * 4
    cache.cached_tokens("a", b"x" * block)
    cache.cached_tokens("a", b"y" * block)
    cache.cached_tokens("a", b"z" * block)
    assert cache.cached_tokens("a", b"x" * block) == 0
    assert cache.cached_tokens("a", b"z" * block) == BLOCK_TOKENS
