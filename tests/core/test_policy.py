"""What a failure costs its account, and whether another account may do better."""

from __future__ import annotations

import inspect

import pytest

from service.core import errors, policy
from service.core.conversation import Conversation, Thinking
from service.core.errors import GatewayError
from service.core.leases import Penalty, PenaltyKind
from service.core.policy import (
    NextStep,
    RetryBudget,
    costs_budget,
    next_step,
    penalty_of,
    retry_pause_s,
    without_what_is_refused,
)
from service.core.web_search import WEB_SEARCH

COOLDOWN, QUARANTINE, FAILURE = PenaltyKind.COOLDOWN, PenaltyKind.QUARANTINE, PenaltyKind.FAILURE
FAIL_OVER, GIVE_UP = NextStep.FAIL_OVER, NextStep.GIVE_UP


def cost(kind: PenaltyKind, reason: str, duration_s: float = 0.0) -> Penalty:
    return Penalty(kind=kind, reason=reason, duration_s=duration_s)


RATE_LIMITED, ACCOUNT = errors.UpstreamRateLimited, errors.UpstreamAccountError
REFUSED, UNAVAILABLE = errors.UpstreamRefused, errors.UpstreamUnavailable

TABLE: list[tuple[str, GatewayError, NextStep, Penalty | None]] = [
    (
        "an answer that does not do",
        errors.AnswerUnmet("x", param="tool_choice", code="c", answer="", remedy=""),
        GIVE_UP,
        None,
    ),
    ("429 rests for the default", RATE_LIMITED("x"), FAIL_OVER, cost(COOLDOWN, "rate_limited", 20)),
    ("429 rests as told", RATE_LIMITED("x", retry_after_s=7), FAIL_OVER, cost(COOLDOWN, "rate_limited", 7)),
    ("429 says now", RATE_LIMITED("x", retry_after_s=0), FAIL_OVER, cost(COOLDOWN, "rate_limited", 0)),
    ("429 of a day", RATE_LIMITED("x", retry_after_s=86400), FAIL_OVER, cost(COOLDOWN, "rate_limited", 600)),
    (
        "an ended session",
        ACCOUNT("x", status=401, code=policy.SESSION_EXPIRED),
        FAIL_OVER,
        cost(QUARANTINE, "session_expired"),
    ),
    (
        "401: a bad key",
        ACCOUNT("x", status=401),
        FAIL_OVER,
        cost(QUARANTINE, "unauthorized"),
    ),
    ("402 may be a burst limit", ACCOUNT("x", status=402), FAIL_OVER, cost(COOLDOWN, "no_balance", 60)),
    ("403: region or risk control", ACCOUNT("x", status=403), FAIL_OVER, cost(QUARANTINE, "restricted")),
    ("451: banned for a while", ACCOUNT("x", status=451), FAIL_OVER, cost(QUARANTINE, "restricted")),
    ("461: banned for good", ACCOUNT("x", status=461), FAIL_OVER, cost(QUARANTINE, "restricted")),
    ("400 of risk control", ACCOUNT("x", status=400), FAIL_OVER, cost(QUARANTINE, "restricted")),
    ("5xx", UNAVAILABLE("x", status=503), FAIL_OVER, cost(FAILURE, "unavailable")),
    ("no connection", UNAVAILABLE("x"), FAIL_OVER, cost(FAILURE, "unavailable")),
    ("no answer of the wire", errors.UpstreamProtocolError("x"), FAIL_OVER, cost(FAILURE, "unavailable")),
    (
        "no byte in time",
        errors.UpstreamTimeout(waited_s=1, phase="idle"),
        FAIL_OVER,
        cost(FAILURE, "timeout"),
    ),
    ("400: the request is wrong", REFUSED("x", status=400), GIVE_UP, None),
    ("404: no such model", REFUSED("x", status=404), GIVE_UP, None),
    ("421: moderation", errors.ContentFiltered("x"), GIVE_UP, None),
    ("too long for the model", errors.ContextOverflow("x"), GIVE_UP, None),
    ("a request that cannot be encoded", errors.InvalidRequest("x"), GIVE_UP, None),
    ("no account left", errors.NoAccount("x"), GIVE_UP, None),
    ("the key's own limit", errors.RateLimited("x"), GIVE_UP, None),
    ("Redis is away", errors.StoreUnavailable("x"), GIVE_UP, None),
    ("the process sheds load", errors.Overloaded("x"), GIVE_UP, None),
    ("a defect of ours", errors.Internal(), GIVE_UP, None),
    ("no API key", errors.Unauthenticated("x"), GIVE_UP, None),
    ("a model outside the key's list", errors.PermissionDenied("x"), GIVE_UP, None),
    ("an unknown route", errors.NotFound("x"), GIVE_UP, None),
    ("a conflict", errors.Conflict("x"), GIVE_UP, None),
    ("another method", errors.MethodNotAllowed("x"), GIVE_UP, None),
    ("an unknown model", errors.ModelNotFound("x"), GIVE_UP, None),
    ("a huge body", errors.BodyTooLarge(max_bytes=1), GIVE_UP, None),
]


@pytest.mark.parametrize(("error", "step", "penalty"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_after_a_failure(error: GatewayError, step: NextStep, penalty: Penalty | None) -> None:
    assert next_step(error) is step
    assert penalty_of(error) == penalty


def test_the_table_has_a_row_for_every_error() -> None:
    classes = {
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, GatewayError) and cls not in (GatewayError, errors.UpstreamError)
    }
    assert classes == {type(row[1]) for row in TABLE}


def test_only_what_may_go_elsewhere_costs_the_account() -> None:
    assert all((step is FAIL_OVER) == (penalty is not None) for _, _, step, penalty in TABLE)


@pytest.mark.parametrize(
    ("attempt", "jitter", "pause_s"),
    [(2, 0.0, 0.025), (2, 0.5, 0.05), (3, 0.5, 0.1), (4, 0.5, 0.2)],
)
def test_pauses_double(attempt: int, jitter: float, pause_s: float) -> None:
    assert retry_pause_s(attempt, jitter) == pytest.approx(pause_s)


# --- the budget of retries ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "costs"),
    [
        (errors.UpstreamUnavailable("x"), True),
        (errors.UpstreamTimeout(waited_s=1, phase="idle"), True),
        (errors.UpstreamProtocolError("x"), True),
        (errors.UpstreamRateLimited("x"), False),
        (errors.UpstreamAccountError("x", status=401), False),
    ],
)
def test_only_failures_of_the_upstream_itself_cost_budget(error: GatewayError, costs: bool) -> None:
    assert costs_budget(error) is costs


def spent(budget: RetryBudget, *, now_s: float) -> int:
    count = 0
    while budget.spend(now_s=now_s):
        count += 1
    return count


def test_outage_is_met_with_a_tenth_more_traffic() -> None:
    budget = RetryBudget(now_s=0.0, floor_per_s=0.0)
    assert spent(budget, now_s=0.0) == 20, "what was saved"
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend(now_s=0.0)
    assert 99 <= retries <= 100


def test_quiet_process_may_retry_now_and_then() -> None:
    budget = RetryBudget(now_s=0.0)
    spent(budget, now_s=0.0)
    assert not budget.affords(now_s=1.9)
    assert budget.affords(now_s=2.0)
    assert spent(budget, now_s=10.0) == 5


def test_nothing_is_saved_beyond_the_bound() -> None:
    budget = RetryBudget(now_s=0.0)
    for _ in range(1000):
        budget.earn()
    assert spent(budget, now_s=10_000.0) == 20


SEARCHING = Conversation(model="m", turns=(), extra={WEB_SEARCH: {"type": "web_search"}, "user": "u"})
FORCED = Conversation(model="m", turns=(), extra={WEB_SEARCH: {"type": "web_search", "force_search": True}})


def refused(code: str | None) -> errors.UpstreamRefused:
    return errors.UpstreamRefused("x", status=400, code=code)


def test_thinking_goes_where_its_past_is_missing() -> None:
    amended, note = without_what_is_refused(SEARCHING, refused("reasoning_not_passed_back"))
    assert amended is not None
    assert amended.thinking is Thinking.DISABLED
    assert amended.extra == SEARCHING.extra
    assert "thinking was switched off" in note
    assert without_what_is_refused(amended, refused("reasoning_not_passed_back")) == (None, "")


def test_a_search_goes_that_the_account_has_not() -> None:
    amended, note = without_what_is_refused(SEARCHING, refused("web_search_unavailable"))
    assert amended is not None
    assert amended.extra == {"user": "u"}
    assert "web search was left out" in note
    assert without_what_is_refused(amended, refused("web_search_unavailable")) == (None, "")


def test_a_search_that_was_demanded_is_not_left_out() -> None:
    assert without_what_is_refused(FORCED, refused("web_search_unavailable")) == (None, "")


def test_what_is_refused_for_another_reason_stays_refused() -> None:
    assert without_what_is_refused(SEARCHING, refused(None)) == (None, "")
