"""Names, labels and bookings of the metrics. No client can make a series."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from service.core.errors import ContentFiltered, GatewayError, InvalidRequest, UpstreamTimeout
from service.core.events import Usage
from service.core.leases import AccountHealth, AccountState
from service.core.models import CURRENT_MODELS
from service.core.notes import Note, NoteKind
from service.telemetry import labels
from service.telemetry.metrics import Metrics
from service.telemetry.record import AttemptRecord, RequestRecord
from service.web.routes import route_name

PRO = CURRENT_MODELS[0]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labelled: str) -> float:
    """The sample's value; 0 when there is no such series."""
    return metrics.registry.get_sample_value(name, labelled) or 0.0


def lines(metrics: Metrics) -> int:
    return sum(not line.startswith(b"#") for line in metrics.render().splitlines())


def a_record(**fields: Any) -> RequestRecord:
    given_fields = {"request_id": "r", "route": "chat", "started_at_s": 10.0, "status": 200} | fields
    return RequestRecord(**given_fields)


# --- names --------------------------------------------------------------------------------------------------

# What the dashboard and the alerts ask for. A name that goes missing here breaks them silently.
ASKED_FOR = {
    "mgw_requests_total": {"route", "model", "stream", "outcome", "code"},
    "gen_ai_server_request_duration_seconds": {"gen_ai_operation_name", "gen_ai_request_model", "stream"},
    "gen_ai_server_time_to_first_token_seconds": {"gen_ai_operation_name", "gen_ai_request_model"},
    "gen_ai_server_time_per_output_token_seconds": {"gen_ai_operation_name", "gen_ai_request_model"},
    "gen_ai_client_token_usage": {"gen_ai_request_model", "gen_ai_token_type"},
    "mgw_usage_estimated_total": {"model"},
    "mgw_overhead_seconds": {"phase"},
    "mgw_queue_wait_seconds": {"result"},
    "mgw_inflight_requests": {"route"},
    "mgw_streams_open": {"route"},
    "mgw_upstream_attempts_total": {"wire", "result", "attempt"},
    "mgw_stream_gap_seconds": {"wire"},
    "mgw_account_state": {"account", "state"},
    "mgw_account_leases": {"account"},
    "mgw_account_lease_limit": {"account"},
    "mgw_account_cooldowns_total": {"account", "reason"},
    "mgw_lease_events_total": {"event"},
    "mgw_limit_rejections_total": {"limit", "scope"},
    "mgw_limiter_degraded": set(),
    "mgw_sieve_events_total": {"event", "format"},
    "mgw_answer_repairs_total": {"demand", "result"},
    "mgw_client_disconnects_total": {"phase"},
    "mgw_redis_op_seconds": {"op"},
    "mgw_redis_errors_total": {"kind"},
    "mgw_event_loop_lag_seconds": set(),
    "mgw_sticky_total": {"result"},
    "mgw_upstream_connect_seconds": {"wire"},
    "mgw_retries_refused_total": set(),
    "mgw_sieve_held_bytes": set(),
    "mgw_translation_warnings_total": {"from", "to", "kind"},
    "mgw_slow_client_cut_total": set(),
    "mgw_redis_pool_in_use": {"pool"},
    "mgw_auth_failures_total": {"reason"},
    "mgw_build_info": {"version"},
}


def test_what_dashboards_ask_for_is_there(metrics: Metrics) -> None:
    _use_everything(metrics)
    names = set(metrics.names())
    assert ASKED_FOR.keys() <= names
    for family in text_string_to_metric_families(metrics.render().decode()):
        name = next(
            (n for n in (family.name, f"{family.name}_total", f"{family.name}_info") if n in ASKED_FOR), ""
        )
        for sample in family.samples if name else ():
            assert sample.labels.keys() - {"le"} == ASKED_FOR[name], name


def test_names_are_prefixed_and_tell_their_unit(metrics: Metrics) -> None:
    assert list(metrics.names()) == sorted(set(metrics.names()))
    for name in metrics.names():
        assert re.fullmatch(r"(mgw|gen_ai)_[a-z_]+", name)
    kinds = {family.name: family.type for family in metrics.registry.collect()}
    histograms = [name for name, kind in kinds.items() if kind == "histogram"]
    assert all(name.endswith(("_seconds", "_token_usage", "_bytes")) for name in histograms)


def test_no_series_tells_when_it_was_created(metrics: Metrics) -> None:
    assert b"_created" not in metrics.render()


def test_small_sets_are_there_before_the_first_failure(metrics: Metrics) -> None:
    """Else rate() does not see the step from nothing to one."""
    shown = metrics.render().decode()
    for series in (
        'mgw_upstream_attempts_total{attempt="1",result="upstream_timeout",wire="studio"} 0.0',
        'mgw_client_disconnects_total{phase="streaming"} 0.0',
        'mgw_auth_failures_total{reason="invalid_api_key"} 0.0',
        'mgw_limit_rejections_total{limit="rpm",scope="key"} 0.0',
        'mgw_redis_errors_total{kind="timed_out"} 0.0',
    ):
        assert series in shown


# --- labels are closed --------------------------------------------------------------------------------------


def _use_everything(metrics: Metrics) -> None:
    """One request of every outcome on every route, and one account."""
    errors: list[GatewayError | None] = [None, InvalidRequest("x"), UpstreamTimeout(waited_s=1, phase="idle")]
    for route in {route_name(path) for path in ("/v1/chat/completions", "/v1/messages", "/v1/x", "/healthz")}:
        for error in errors:
            for model in ("", PRO, "elsewhere"):
                metrics.observe(
                    a_record(
                        route=route,
                        model=model,
                        streams=True,
                        wire="studio",
                        first_event_at_s=10.5,
                        error=error,
                        usage=Usage(output_tokens=9, is_estimated=True),
                        attempts=[AttemptRecord(account="a", wire="studio", result="ok", duration_s=1)],
                        sieve={("call_found", "mimoml"): 1},
                    ),
                    duration_s=1.0,
                )
    metrics.observe_accounts([AccountHealth(account_name="a", state=AccountState.READY, max_concurrency=2)])
    metrics.account_cooldowns["a", "timeout"].inc()


@pytest.mark.slow
def test_ten_thousand_random_models_and_paths_add_no_series(metrics: Metrics) -> None:
    """Slow: ten thousand requests. A scanner once made 17,700 series of a server that used raw paths."""
    _use_everything(metrics)
    before = lines(metrics)
    letters = string.ascii_letters + '/-.%\n"é'
    for number in range(10_000):
        text = "".join(letters[(number * 31 + step * 7) % len(letters)] for step in range(number % 40))
        metrics.observe(
            a_record(
                route=route_name(f"/{text}"),
                model=f"{text}{number}",
                model_requested=text,
                request_id=text,
                method=text,
                key_id=text,
                user_agent=text,
                streams=True,
                wire="studio",
                first_event_at_s=10.5,
                usage=Usage(output_tokens=9, is_estimated=True),
            ),
            duration_s=1.0,
        )
        metrics.observe_redis(text, 0.001, "ok")
    assert lines(metrics) == before
    assert lines(metrics) < 3_000


@given(st.text(max_size=30))
def test_labels_of_client_text_are_of_closed_sets(text: str) -> None:
    assert labels.model_label(text) in labels.MODELS | {"other", "none"}
    assert labels.redis_op(text) in labels.REDIS_OPS
    assert route_name(text) in {
        *("ops", "other", "admin", "models", "count_tokens", "batches"),
        *labels.GENERATION_ROUTES,
    }


@given(st.integers(1, 99))
@settings(max_examples=20)
def test_a_late_attempt_is_the_third(number: int) -> None:
    assert labels.attempt_label(number) == str(min(number, 3))


def test_markup_that_nobody_knows_is_one_series(metrics: Metrics) -> None:
    for number in range(500):
        metrics.observe(a_record(model=PRO, sieve={(f"event{number}", "x"): 1}), duration_s=1.0)
    assert len(metrics.sieve_events) < 100
    assert value(metrics, "mgw_sieve_events_total", event="other", format="other") > 400


def test_every_refusal_of_ours_has_its_label() -> None:
    assert set(labels.LIMITS.values()) >= {
        ("rpm", "key"),
        ("tpm", "key"),
        ("concurrency", "key"),
        ("pool", "global"),
    }


# --- bookings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "ok"),
        ({"is_cancelled": True, "status": 499}, "cancelled"),
        ({"error": InvalidRequest("x"), "status": 400}, "client_error"),
        ({"error": UpstreamTimeout(waited_s=1, phase="idle"), "status": 504}, "upstream_error"),
        ({"error": ContentFiltered("x"), "status": 400}, "upstream_error"),
    ],
)
def test_a_request_is_counted_by_its_outcome(metrics: Metrics, fields: dict[str, Any], outcome: str) -> None:
    record = a_record(model=PRO, **fields)
    metrics.observe(record, duration_s=1.0)
    labelled = {
        "route": "chat",
        "model": PRO,
        "stream": "false",
        "outcome": outcome,
        "code": str(record.status),
    }
    assert value(metrics, "mgw_requests_total", **labelled) == 1


def test_a_request_that_reached_no_model_has_no_duration(metrics: Metrics) -> None:
    metrics.observe(a_record(status=401), duration_s=1.0)
    assert b"gen_ai_server_request_duration_seconds_count" not in metrics.render()


def test_a_stream_in_full(metrics: Metrics) -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=3)
    attempts = [
        AttemptRecord(account="a", wire="platform", result="upstream_timeout", duration_s=1.0),
        AttemptRecord(account="b", wire="platform", result="ok", duration_s=1.0),
    ]
    record = a_record(
        model=PRO, streams=True, wire="platform", first_event_at_s=11.0, usage=usage, attempts=attempts
    )
    metrics.observe(record, duration_s=3.0)
    named = {"gen_ai_operation_name": "chat", "gen_ai_request_model": PRO}
    first, each = "gen_ai_server_time_to_first_token_seconds", "gen_ai_server_time_per_output_token_seconds"
    assert value(metrics, f"{first}_sum", **named) == 1.0
    assert value(metrics, f"{each}_sum", **named) == 0.5
    assert value(metrics, "gen_ai_server_request_duration_seconds_sum", **named, stream="true") == 3.0
    for kind, count in {"input": 10, "output": 5, "cached_input": 4, "reasoning": 3}.items():
        sample = "gen_ai_client_token_usage_sum"
        assert value(metrics, sample, gen_ai_request_model=PRO, gen_ai_token_type=kind) == count
    tried = "mgw_upstream_attempts_total"
    assert value(metrics, tried, wire="platform", result="upstream_timeout", attempt="1") == 1
    assert value(metrics, tried, wire="platform", result="ok", attempt="2") == 1
    assert value(metrics, "mgw_usage_estimated_total", model=PRO) == 0


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        ({}, "before_headers"),
        ({"model": PRO}, "nonstream"),
        ({"model": PRO, "streams": True}, "before_first"),
        ({"model": PRO, "streams": True, "first_event_at_s": 11.0}, "streaming"),
    ],
)
def test_a_client_that_leaves_is_counted_by_how_far_it_got(
    metrics: Metrics, fields: dict[str, Any], phase: str
) -> None:
    metrics.observe(a_record(is_cancelled=True, status=499, **fields), duration_s=1.0)
    assert value(metrics, "mgw_client_disconnects_total", phase=phase) == 1


def test_accounts_that_go_take_their_series_along(metrics: Metrics) -> None:
    def health(name: str, state: AccountState) -> AccountHealth:
        return AccountHealth(account_name=name, state=state, leases=1, max_concurrency=2)

    metrics.observe_accounts([health("a", AccountState.READY), health("b", AccountState.EXPIRED)])
    metrics.account_cooldowns["b", "timeout"].inc()
    assert value(metrics, "mgw_account_state", account="b", state="expired") == 1
    assert value(metrics, "mgw_account_state", account="b", state="ready") == 0
    assert value(metrics, "mgw_account_lease_limit", account="a") == 2
    metrics.observe_accounts([health("a", AccountState.COOLING)])
    shown = metrics.render().decode()
    assert 'account="b"' not in shown
    assert value(metrics, "mgw_account_state", account="a", state="cooling") == 1


@pytest.mark.parametrize(
    ("outcomes", "is_degraded"),
    [(["ok"], 0), (["timed_out"], 0), (["degraded"], 1), (["shed"], 1), (["degraded", "ok"], 0)],
)
def test_redis(metrics: Metrics, outcomes: list[str], is_degraded: int) -> None:
    for outcome in outcomes:
        metrics.observe_redis("admit", 0.01, outcome)
    assert value(metrics, "mgw_limiter_degraded") == is_degraded
    assert value(metrics, "mgw_redis_op_seconds_count", op="admit") == outcomes.count("ok")
    failed = [outcome for outcome in outcomes if outcome != "ok"]
    assert sum(value(metrics, "mgw_redis_errors_total", kind=kind) for kind in failed) == len(failed)


def test_a_counter_kept_elsewhere_is_read_when_asked(metrics: Metrics) -> None:
    assert value(metrics, "mgw_log_dropped_total") == 0
    metrics.log_dropped.read = lambda: 3
    assert value(metrics, "mgw_log_dropped_total") == 3
    assert "mgw_log_dropped_total" in metrics.names()


def test_what_only_some_requests_have_is_booked_for_those(metrics: Metrics) -> None:
    plain = a_record(model=PRO, wire="platform")
    metrics.observe(plain, duration_s=1.0)
    names = ("mgw_upstream_connect_seconds_count", "mgw_sieve_held_bytes_count", "mgw_retries_refused_total")
    wires = ({"wire": "platform"}, {}, {})
    assert [value(metrics, name, **wire) for name, wire in zip(names, wires, strict=True)] == [0, 0, 0]
    plain.connect_s, plain.sieve_held_chars, plain.retries_refused = 0.02, 300, 2
    metrics.observe(plain, duration_s=1.0)
    assert [value(metrics, name, **wire) for name, wire in zip(names, wires, strict=True)] == [1, 1, 2]
    assert value(metrics, "mgw_sieve_held_bytes_bucket", le="256.0") == 0
    assert value(metrics, "mgw_sieve_held_bytes_bucket", le="1024.0") == 1


def test_notes_about_the_translation_are_counted_by_kind_and_others_are_not(metrics: Metrics) -> None:
    dropped = Note("logprobs was left out", NoteKind.FIELD_DROPPED)
    told = a_record(route="messages", model=PRO, wire="studio", notes=[dropped, dropped, "a word of the day"])
    metrics.observe(told, duration_s=1.0)
    told.route = "batches"
    metrics.observe(told, duration_s=1.0)
    labelled = {"from": "messages", "to": "studio", "kind": "field_dropped"}
    assert value(metrics, "mgw_translation_warnings_total", **labelled) == 2
    total = sum(
        sample.value
        for family in metrics.registry.collect()
        if family.name == "mgw_translation_warnings"
        for sample in family.samples
    )
    assert total == 2
