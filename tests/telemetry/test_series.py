"""The budget of a process: 3,000 lines, when all happened that can, whatever clients send after that."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from itertools import product

import pytest

from service.core.dialects.anthropic_messages import errors as anthropic_messages
from service.core.dialects.openai_chat import errors as openai_chat
from service.core.dialects.openai_responses import errors as openai_responses
from service.core.errors import GatewayError, Kind
from service.core.events import Usage
from service.core.leases import AccountHealth, AccountState
from service.core.models import FACTS
from service.telemetry import labels
from service.telemetry.metrics import Metrics
from service.telemetry.record import AttemptRecord, RequestRecord
from service.web.routes import route_name

MAX_LINES = 3000
ACCOUNTS = 10
MODELS = (*FACTS, "a-model-of-next-year")
USAGE = Usage(input_tokens=10, output_tokens=10, searches=1, is_estimated=True)
# What a request can end with before it is known which model is meant, and only then; or only afterwards.
BEFORE = {Kind.UNAUTHENTICATED, Kind.NOT_FOUND, Kind.METHOD_NOT_ALLOWED, Kind.BODY_TOO_LARGE}
AFTER = {
    Kind.RATE_LIMITED,
    Kind.NO_ACCOUNT,
    Kind.MODEL_NOT_FOUND,
    Kind.CONTEXT_OVERFLOW,
    Kind.CONTENT_FILTERED,
}
AFTER |= {kind for kind in Kind if kind.startswith("upstream")}
STATUS = {"responses": openai_responses.STATUS, "messages": anthropic_messages.STATUS}
OTHER_ROUTES = ("count_tokens", "models", "batches", "files", "admin", "ops", "other")


def error_classes() -> dict[Kind, type[GatewayError]]:
    """One class for each kind, for its origin."""
    found, classes = {}, [GatewayError]
    while classes:
        one = classes.pop()
        found[one.kind] = one
        classes += one.__subclasses__()
    return found


CLASSES = error_classes()


def lines(metrics: Metrics) -> int:
    return sum(not line.startswith(b"#") for line in metrics.render().splitlines())


def a_record(route: str, model: str, *, streams: bool = False) -> RequestRecord:
    told = RequestRecord(request_id="r", route=route, started_at_s=100.0, status=200, model=model)
    told.streams, told.wire = streams, "platform" if model else ""
    return told


def answered(model: str, *, streams: bool = True, route: str = "chat") -> RequestRecord:
    told = a_record(route, model, streams=streams)
    told.first_event_at_s, told.usage, told.connect_s, told.sieve_held_chars = 100.5, USAGE, 0.1, 5
    return told


def failed(route: str, model: str, kind: Kind, *, streams: bool = False) -> RequestRecord:
    told = a_record(route, model, streams=streams)
    told.status = STATUS.get(route, openai_chat.STATUS)[kind]
    told.error = CLASSES[kind].__new__(CLASSES[kind])
    GatewayError.__init__(told.error, "words", code="tool_choice_unmet")
    return told


def left(route: str, model: str, *, streams: bool = False) -> RequestRecord:
    told = a_record(route, model, streams=streams)
    told.status, told.is_cancelled = 499, True
    return told


def endings(route: str, *, streams: bool) -> Iterator[RequestRecord]:
    """Every way in which a request of the route may end."""
    yield left(route, "")
    for kind in set(Kind) - AFTER:
        yield failed(route, "", kind)
    for model in MODELS:
        for is_stream in (True, False) if streams else (False,):
            yield answered(model, streams=is_stream, route=route)
            yield left(route, model, streams=is_stream)
            for kind in set(Kind) - BEFORE:
                yield failed(route, model, kind, streams=is_stream)
        if streams:
            told = failed(route, model, Kind.UPSTREAM_PROTOCOL, streams=True)
            told.first_event_at_s, told.status = 101.0, 200
            yield told


def all_that_can_be() -> Metrics:
    """The busiest process there is: every route, model, ending, attempt and state was met."""
    metrics = Metrics()
    for route in (*labels.GENERATION_ROUTES, "batches"):
        for told in endings(route, streams=route not in ("batches", "transcriptions")):
            metrics.observe(told, duration_s=1.6)
    for route in OTHER_ROUTES:
        metrics.inflight[route,].inc()
        for kind in set(Kind) - AFTER:
            metrics.observe(failed(route, "", kind), duration_s=0.1)
        metrics.observe(a_record(route, ""), duration_s=0.1)
    for model in MODELS:
        metrics.cost[labels.model_label(model),].inc()
    for wire, result in product(labels.WIRES, labels.ATTEMPT_RESULTS):
        told = answered("mimo-v2.6-pro")
        told.attempts = [AttemptRecord(account="a", wire=wire, result=result, duration_s=0.1)] * 9
        told.wire = wire
        metrics.observe(told, duration_s=1)
    names = [f"account-{number}" for number in range(ACCOUNTS)]
    metrics.observe_accounts([AccountHealth(account_name=name, state=AccountState.READY) for name in names])
    metrics.observe_sessions(dict.fromkeys(names, 60.0))
    for name, reason in product(names, ("rate_limited", "unavailable")):
        metrics.account_cooldowns[name, reason].inc()
    return metrics


@pytest.mark.slow
@pytest.mark.no_cover
def test_a_hundred_thousand_random_requests_stay_within_the_budget() -> None:
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
        if turn == 10_000:
            half_way = lines(metrics)
    assert lines(metrics) == half_way
    assert half_way <= MAX_LINES
