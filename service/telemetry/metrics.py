"""Every metric, in one file. docs/metrics.md lists them; a test holds the two together.

Names are OpenTelemetry's GenAI ones where those exist, `mgw_` otherwise. Labels come from closed sets:
never a path,
a key or a model string as sent (docs/decisions/0005-metrics.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from service import __version__
from service.core.models import FACTS
from service.telemetry.record import RequestRecord

_DURATION_S = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
    163.84,
    327.68,
    655.36,
)
_FIRST_TOKEN_S = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    15,
    20,
    30,
    45,
    60,
    120,
)
_TOKENS = tuple(4**power for power in range(14))
_QUEUE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

disable_created_metrics()  # type: ignore[no-untyped-call]


_REDIS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Metrics:
    """The process's registry. Children of closed label sets exist from the start where that is cheap."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self.build = Info("mgw_build", "The running version.", registry=self.registry)
        self.build.info({"version": __version__})
        self.requests = Counter(
            "mgw_requests",
            "Requests by how they ended.",
            ["route", "model", "stream", "outcome", "code"],
            registry=self.registry,
        )
        self.duration_s = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From the request's head read to its last byte written.",
            ["gen_ai_operation_name", "gen_ai_request_model", "stream"],
            buckets=_DURATION_S,
            registry=self.registry,
        )
        self.first_token_s = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request's head read to the first event that the client sees.",
            ["gen_ai_operation_name", "gen_ai_request_model"],
            buckets=_FIRST_TOKEN_S,
            registry=self.registry,
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of one answer, by type.",
            ["gen_ai_request_model", "gen_ai_token_type"],
            buckets=_TOKENS,
            registry=self.registry,
        )
        self.usage_estimated = Counter(
            "mgw_usage_estimated", "Answers whose upstream told no usage.", ["model"], registry=self.registry
        )
        self.queue_wait_s = Histogram(
            "mgw_queue_wait_seconds", "Waiting for a free account.", buckets=_QUEUE_S, registry=self.registry
        )
        self.inflight = Gauge(
            "mgw_inflight_requests", "Requests being handled now.", ["route"], registry=self.registry
        )
        self.attempts = Counter(
            "mgw_upstream_attempts",
            "Tries at an upstream account.",
            ["wire", "result", "attempt"],
            registry=self.registry,
        )
        self.sieve_events = Counter(
            "mgw_sieve_events", "What the sieve found.", ["event", "format"], registry=self.registry
        )
        self.disconnects = Counter(
            "mgw_client_disconnects", "Clients that left before the end.", ["phase"], registry=self.registry
        )
        self.auth_failures = Counter(
            "mgw_auth_failures", "Requests without a valid API key.", registry=self.registry
        )
        self.redis_op_s = Histogram(
            "mgw_redis_op_seconds",
            "One round trip to Redis.",
            ["op"],
            buckets=_REDIS_S,
            registry=self.registry,
        )
        self.redis_errors = Counter(
            "mgw_redis_errors", "Redis calls that did not succeed, by how.", ["kind"], registry=self.registry
        )
        self.degraded = Gauge(
            "mgw_limiter_degraded", "1 while limits and leases are counted locally.", registry=self.registry
        )

    def observe(self, record: RequestRecord, *, duration_s: float) -> None:
        """Book one finished request."""
        model = record.model if record.model in FACTS else ("other" if record.model else "none")
        stream = "true" if record.streams else "false"
        self.requests.labels(record.route, model, stream, record.outcome, str(record.status)).inc()
        if not record.model:
            return
        self.duration_s.labels(record.route, model, stream).observe(duration_s)
        self.queue_wait_s.observe(record.queued_s)
        if record.first_event_at_s is not None:
            self.first_token_s.labels(record.route, model).observe(
                record.first_event_at_s - record.started_at_s
            )
        elif record.is_cancelled:
            self.disconnects.labels("before_first").inc()
        if record.is_cancelled and record.first_event_at_s is not None:
            self.disconnects.labels("streaming" if record.streams else "nonstream").inc()
        self._observe_attempts(record)
        self._observe_usage(record, model)

    def _observe_attempts(self, record: RequestRecord) -> None:
        for number, attempt in enumerate(record.attempts, 1):
            self.attempts.labels(attempt.wire, attempt.result, str(number)).inc()
        for (event, detail), count in record.sieve.items():
            self.sieve_events.labels(event, detail).inc(count)

    def _observe_usage(self, record: RequestRecord, model: str) -> None:
        usage = record.usage
        if usage is None:
            return
        self.tokens.labels(model, "input").observe(usage.input_tokens)
        self.tokens.labels(model, "output").observe(usage.output_tokens)
        self.tokens.labels(model, "cached_input").observe(usage.cached_tokens)
        self.tokens.labels(model, "reasoning").observe(usage.reasoning_tokens)
        if usage.is_estimated:
            self.usage_estimated.labels(model).inc()

    def observe_redis(self, operation: str, took_s: float, outcome: str) -> None:
        """Book one call. `operation` and `outcome` are of closed sets: script names, and the store's
        Outcome.
        """
        self.degraded.set(1 if outcome in ("degraded", "shed") else 0)
        if outcome == "ok":
            self.redis_op_s.labels(operation).observe(took_s)
        else:
            self.redis_errors.labels(outcome).inc()

    def render(self) -> bytes:
        """The exposition text. Called in a thread: a large registry takes milliseconds."""
        return generate_latest(self.registry)

    def names(self) -> Iterable[str]:
        """The names of our own metrics, for the test that compares them with docs/metrics.md."""
        return sorted(
            family.name for family in self.registry.collect() if family.name.startswith(("mgw_", "gen_ai_"))
        )
