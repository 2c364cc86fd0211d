"""The decisions about batches: what a failed item does next, and who gets the free slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.batches import (
    Batch,
    BatchKind,
    BatchState,
    ContentUnreadable,
    Counts,
    Later,
    after_failure,
    apportion,
    free_slots,
)
from service.core.errors import (
    ContentFiltered,
    ContextOverflow,
    GatewayError,
    Internal,
    InvalidRequest,
    Kind,
    ModelNotFound,
    NoAccount,
    Overloaded,
    PermissionDenied,
    RateLimited,
    StoreUnavailable,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)


def later(error: GatewayError, *, tries: int = 0) -> Later | None:
    return after_failure(error, tries=tries, max_tries=3, jitter=0.5)


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        pytest.param(RateLimited("busy", retry_after_s=4), 4.5, id="the key's limit, as told"),
        pytest.param(UpstreamRateLimited("429", retry_after_s=2), 2.25, id="429 waits as told"),
        pytest.param(UpstreamRateLimited("429"), 5.625, id="429 without a time"),
        pytest.param(RateLimited("busy", retry_after_s=0.001), 0.28125, id="never at once"),
        pytest.param(UpstreamRateLimited("429", retry_after_s=9999), 337.5, id="never for hours"),
        pytest.param(NoAccount("none"), 5.625, id="no account"),
        pytest.param(Overloaded("drains"), 5.625, id="overloaded"),
        pytest.param(StoreUnavailable("away"), 5.625, id="redis away"),
    ],
)
def test_who_only_lacks_time_waits_and_burns_no_try(error: GatewayError, wait_s: float) -> None:
    for tries in (0, 2, 99):
        assert later(error, tries=tries) == Later(wait_s=wait_s, burns_try=False, pauses_batch=True)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamUnavailable("503"),
        UpstreamTimeout(waited_s=1, phase="idle"),
        UpstreamProtocolError("cut"),
        UpstreamAccountError("401"),
        Internal(),
    ],
    ids=lambda error: str(error.kind),
)
def test_what_broke_is_tried_again_ever_later_and_not_for_ever(error: GatewayError) -> None:
    assert later(error) == Later(wait_s=1.0)
    assert later(error, tries=1) == Later(wait_s=2.0)
    assert later(error, tries=2) is None
    far = after_failure(error, tries=50, max_tries=99, jitter=0.5)
    assert far == Later(wait_s=60.0)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("wrong"),
        ModelNotFound("x"),
        PermissionDenied("no"),
        ContextOverflow("long"),
        ContentFiltered("no"),
        UpstreamRefused("400"),
        RateLimited("the budget is spent", code="insufficient_quota"),
    ],
    ids=lambda error: f"{error.kind} {error.code}",
)
def test_what_would_fail_again_is_over(error: GatewayError) -> None:
    assert later(error) is None


def test_what_cannot_be_read_is_our_fault() -> None:
    assert ContentUnreadable().kind is Kind.INTERNAL


@pytest.mark.parametrize(
    ("capacity", "in_use", "own", "expected"),
    [
        pytest.param(16, 0, 0, 8, id="an idle pool: as many as the worker may"),
        pytest.param(16, 10, 0, 2, id="live traffic leaves two"),
        pytest.param(16, 12, 3, 0, id="the reserve is the live requests'"),
        pytest.param(16, 16, 0, 1, id="an idle worker may begin one all the same"),
        pytest.param(0, 0, 0, 1, id="no account is ready: one item finds out"),
        pytest.param(0, 0, 1, 0, id="and no more"),
        pytest.param(100, 0, 8, 0, id="the worker is full"),
        pytest.param(100, 0, 5, 3, id="the worker has room for three"),
    ],
)
def test_free_slots(capacity: int, in_use: int, own: int, expected: int) -> None:
    found = free_slots(capacity=capacity, in_use=in_use, reserve_ratio=0.25, own=own, max_own=8)
    assert found == expected


@pytest.mark.parametrize(
    ("room", "weights", "turn", "expected"),
    [
        pytest.param(8, [1, 1, 0, 2], 0, [2, 2, 0, 4], id="by weight"),
        pytest.param(1, [1, 0, 1], 0, [1, 0, 0], id="one for the first"),
        pytest.param(1, [1, 0, 1], 1, [0, 0, 1], id="then for the next"),
        pytest.param(5, [0, 0], 3, [0, 0], id="nobody waits"),
        pytest.param(0, [1, 2], 0, [0, 0], id="no room"),
    ],
)
def test_apportion(room: int, weights: list[int], turn: int, expected: list[int]) -> None:
    assert apportion(room, weights, turn=turn) == expected


@given(st.integers(0, 40), st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_apportion_gives_all_away_and_nothing_to_who_wants_none(
    room: int, weights: list[int], turn: int
) -> None:
    shares = apportion(room, weights, turn=turn)
    assert sum(shares) == (room if sum(weights) else 0)
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if not weight)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8).filter(any))
def test_apportion_of_single_slots_is_fair_in_the_long_run(weights: list[int]) -> None:
    given_out = [0] * len(weights)
    for turn in range(sum(weights) * 3):
        for place, share in enumerate(apportion(1, weights, turn=turn)):
            given_out[place] += share
    assert given_out == [weight * 3 for weight in weights]


def test_counts_and_states_tell_what_is_left() -> None:
    counts = Counts(total=10, succeeded=4, errored=1, canceled=2, expired=1)
    assert (counts.ended, counts.processing) == (8, 2)
    batch = Batch(
        batch_id="batch_1",
        key_id="k",
        kind=BatchKind.CHAT,
        state=BatchState.CANCELING,
        counts=counts,
        created_at_s=0,
        expires_at_s=1,
    )
    assert not batch.is_over
