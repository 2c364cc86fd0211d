"""What callers read when there is no account for them."""

from __future__ import annotations

import pytest

from service.core.errors import Kind
from service.store.refusals import NotLeased, Refusal, no_candidates, refused


@pytest.mark.parametrize(
    ("outcome", "kind", "code", "retry_after_s", "words"),
    [
        (NotLeased(refusal=Refusal.BUSY, busy=2), Kind.RATE_LIMITED, "accounts_busy", 1.0, "2 accounts busy"),
        (
            NotLeased(refusal=Refusal.BUSY, busy=1, retry_after_s=0.2),
            *(Kind.RATE_LIMITED, "accounts_busy", 0.2, "busy"),
        ),
        (
            NotLeased(refusal=Refusal.BUSY, busy=1, retry_after_s=50),
            *(Kind.RATE_LIMITED, "accounts_busy", 1.0, "busy"),
        ),
        (
            NotLeased(refusal=Refusal.BUSY, retry_after_s=12, why="rate_limited"),
            *(Kind.RATE_LIMITED, "accounts_resting", 12, "resting (rate_limited)"),
        ),
        (NotLeased(refusal=Refusal.FULL, busy=2), Kind.RATE_LIMITED, "queue_full", 1.0, "queue is full"),
        (
            NotLeased(refusal=Refusal.NONE, why="unauthorized"),
            *(Kind.NO_ACCOUNT, "no_account", None, "out of service (unauthorized)"),
        ),
    ],
)
def test_each_refusal_says_why_and_when(
    outcome: NotLeased, kind: Kind, code: str, retry_after_s: float | None, words: str
):
    error = refused(outcome, candidates=2)
    assert (error.kind, error.code, error.retry_after_s) == (kind, code, retry_after_s)
    assert words in error.message


def test_how_long_somebody_waited_is_told():
    assert "for 5.0 s" in refused(NotLeased(refusal=Refusal.BUSY, busy=1), candidates=1, waited_s=5).message


def test_nobody_to_ask():
    assert "all 3 are disabled" in no_candidates(disabled=3).message
    assert "none is configured" in no_candidates(disabled=0).message
