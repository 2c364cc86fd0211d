"""The values of the shared state: closed sets, and defaults that cost nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from service.core.leases import (
    AccountHealth,
    AccountState,
    Admission,
    Allowance,
    Lease,
    OverLimit,
    Penalty,
    PenaltyKind,
)


def test_the_sets_are_closed() -> None:
    """Redis, metrics and the admin page hold these words: a new one is a change for all of them."""
    assert {str(kind) for kind in PenaltyKind} == {"cooldown", "quarantine", "failure"}
    assert {str(state) for state in AccountState} == {
        *("ready", "cooling", "open", "half_open", "quarantined", "expired", "disabled")
    }


def test_an_admission_without_limits_reserves_nothing() -> None:
    admission = Admission(key_id="k", request_id="r")
    assert (admission.reserved_tokens, admission.requests, admission.tokens) == (0, None, None)
    assert not admission.is_degraded


def test_values_are_equal_by_content_and_can_be_kept_in_sets() -> None:
    """Holdings keeps leases and admissions in sets until they end."""
    allowance = Allowance(limit=1, remaining=0, resets_in_s=2.5)
    assert len({Admission(key_id="k", request_id="r", requests=allowance) for _ in range(2)}) == 1
    assert len({Lease(lease_id="l", account_name="a"), Lease(lease_id="m", account_name="a")}) == 2
    assert Penalty(kind=PenaltyKind.FAILURE, reason="timeout").duration_s == 0
    assert AccountHealth(account_name="a", state=AccountState.READY).until_s is None


def test_values_cannot_be_changed() -> None:
    lease = Lease(lease_id="l", account_name="a")
    with pytest.raises(FrozenInstanceError):
        lease.lease_id = "m"  # type: ignore[misc]


def test_a_limit_that_was_met_says_what_is_left() -> None:
    left = Allowance(limit=10, remaining=0, resets_in_s=3.0)
    error = OverLimit("too many", code="requests_per_minute", retry_after_s=3.0, requests=left)
    assert (error.requests, error.tokens, error.retry_after_s) == (left, None, 3.0)
