"""The budget of a process: 3,000 lines, when all happened that can, whatever clients send after that."""

from __future__ import annotations

import random
import string
from itertools import product

import pytest

from service.core.dialects.anthropic_messages import errors as anthropic_messages
from service.core.dialects.openai_chat import errors as openai_chat
from service.core.dialects.openai_responses import errors as openai_responses
from service.core.errors import Kind
from service.core.events import Usage
from service.core.leases import AccountHealth, AccountState
from service.core.models import FACTS
from service.telemetry import labels
from service.telemetry.metrics import Metrics
from service.telemetry.record import AttemptRecord, RequestRecord
from service.web.routes import route_name

MAX_LINES = 3000
ACCOUNTS = 20
STATUSES = (openai_chat.STATUS, openai_responses.STATUS, anthropic_messages.STATUS)
CLIENT = {"invalid_request", "unauthenticated", "permission_denied", "not_found", "model_not_found"}
LIMITED = {"rate_limited", "upstream_rate_limited"}
USAGE = Usage(input_tokens=10, output_tokens=10, is_estimated=True)


def lines(metrics: Metrics) -> int:
    return sum(not line.startswith(b"#") for line in metrics.render().splitlines())


def endings() -> set[tuple[str, str]]:
    """Every pair of outcome and code that the dialects' tables allow."""

    def outcome(kind: Kind) -> str:
        if kind in LIMITED:
            return "limited"
        if kind.startswith("upstream") or kind is Kind.CONTENT_FILTERED:
            return "upstream_error"
        return "client_error" if kind in CLIENT else "gateway_error"

    told = {(outcome(kind), str(status[kind])) for kind in Kind for status in STATUSES}
    return told | {("ok", "200"), ("truncated", "200"), ("cancelled", "499")}


def answered(model: str, *, streams: bool = True, route: str = "chat") -> RequestRecord:
    return RequestRecord(
        request_id="r",
        route=route,
        started_at_s=100.0,
        status=200,
        model=model,
        wire="platform",
        streams=streams,
        first_event_at_s=100.5,
        usage=USAGE,
    )


def all_that_can_be() -> Metrics:
    """The busiest process there is: every route, model, ending, attempt and state was met."""
    metrics = Metrics()
    models = [*FACTS, "a-model-of-next-year"]
    for route, model, streams in product(labels.GENERATION_ROUTES, models, (True, False)):
        metrics.observe(answered(model, streams=streams, route=route), duration_s=1.6)
        metrics.cost[labels.model_label(model),].inc()
        for outcome, code in endings():
            for label in (labels.model_label(model), "none"):
                metrics.requests[route, label, str(streams).lower(), outcome, code].inc()
    for route, (outcome, code) in product(("models", "batches", "files", "admin", "other"), endings()):
        metrics.requests[route, "none", "false", outcome, code].inc()
        metrics.inflight[route,].inc()
    for wire, kind in product(labels.WIRES, Kind):
        attempt = AttemptRecord(account="a", wire=wire, result=str(kind), duration_s=0.1)
        told = answered("mimo-v2.6-pro")
        told.attempts = [attempt] * 9
        metrics.observe(told, duration_s=1)
    states = [AccountHealth(account_name=f"account-{n}", state=AccountState.READY) for n in range(ACCOUNTS)]
    metrics.observe_accounts(states)
    return metrics


@pytest.mark.slow
def test_hundred_thousand_random_requests_stay_within_the_budget() -> None:
    """Slow: a hundred thousand requests. First all that can be is; then clients try for more."""
    metrics, dice = all_that_can_be(), random.Random(1)
    half_way = 0

    def word() -> str:
        return "".join(dice.choices(string.printable, k=dice.randint(1, 40)))

    for turn in range(100_000):
        if turn % 2:
            told = answered(word(), route=route_name("/v1/chat/completions" + word()))
            told.sieve = {(word(), word()): 1}
        else:
            told = RequestRecord(
                request_id=word(), route=route_name("/" + word()), started_at_s=0.0, status=404
            )
        told.method, told.model_requested, told.notes = word(), word(), [word()]
        metrics.observe(told, duration_s=dice.random())
        metrics.observe_redis(word(), 0.001, "ok")
        if turn == 50_000:
            half_way = lines(metrics)
    assert lines(metrics) == half_way
    assert half_way <= MAX_LINES
