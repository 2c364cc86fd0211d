"""What the local limits do beyond the contract that test_limits.py holds them to."""

from __future__ import annotations

import pytest

from service.core.errors import RateLimited
from service.core.leases import Admission
from service.store.local_limits import LocalLimits, over_limit
from tests.fakes.clock import FakeClock
from tests.store.conftest import api_key


def test_limits_are_shared_among_workers():
    limits = LocalLimits(share_of=lambda limit: limit // 3, monotonic_s=FakeClock().monotonic_s)
    key = api_key(requests_per_minute=6)
    for number in range(2):
        limits.admit(key, request_id=f"r{number}", estimated_tokens=0)
    with pytest.raises(RateLimited):
        limits.admit(key, request_id="more", estimated_tokens=0)
    assert limits.in_flight(key.key_id) == 2


def test_settling_what_is_unknown_does_nothing():
    limits = LocalLimits(share_of=lambda limit: limit, monotonic_s=FakeClock().monotonic_s)
    limits.settle(Admission(key_id="k", request_id="r"), used_tokens=3)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("requests", "6 requests per minute"),
        ("tokens", "100 tokens per minute"),
        ("too_large", "this request alone needs about 500"),
        ("concurrency", "2 requests at the same time"),
        ("budget", "1.5 USD"),
    ],
)
def test_each_refusal_names_whose_limit_and_which(which: str, words: str):
    key = api_key(requests_per_minute=6, tokens_per_minute=100, max_concurrency=2, budget_usd=1.5)
    error = over_limit(key, which, estimated_tokens=500, retry_after_s=12)
    assert words in error.message
    assert "gateway's limit of this API key" in error.message
    assert "12.0 s" in error.message
