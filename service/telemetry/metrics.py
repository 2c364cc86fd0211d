"""Every metric, in one file. docs/metrics.md lists them; a test holds the two together.

Names are OpenTelemetry's GenAI ones where those exist, `mgw_` otherwise. Labels come from closed sets
(`labels.py`): never a path, a key or a model string as sent. Small sets have their series from the start, so
that the first failure is seen by `rate()`; the rest is bounded, 3,000 lines a process at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Generic, TypeVar, cast

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
from prometheus_client.core import CounterMetricFamily

from service import __version__
from service.core.leases import AccountHealth
from service.telemetry import labels
from service.telemetry.record import RequestRecord

# The conventions' buckets (OpenTelemetry's; for the first token Envoy's longer row), then our own.
_DURATION_S = tuple(0.01 * 2**power for power in range(17))
_FIRST_TOKEN_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60, 120),
)
_OUTPUT_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
_TOKENS = tuple(4**power for power in range(14))
_QUEUE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_REDIS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_OVERHEAD_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
_GAP_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 180)
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

# More kinds of markup than the sieve knows: a mistake there must not become an endless row of series.
_MAX_SIEVE_SERIES = 88

disable_created_metrics()  # type: ignore[no-untyped-call]

_Metric = TypeVar("_Metric", bound=Counter | Gauge | Histogram)


class Family(dict[tuple[str, ...], _Metric], Generic[_Metric]):
    """One metric with labels. `family[values]` is its child, made on first use: `labels()` of the library
    takes four times as long as this look-up. `closed` lists each label's values, to have all children now.
    """

    def __init__(self, metric: _Metric, *closed: Sequence[str]) -> None:
        super().__init__()
        self.metric = metric
        if closed:
            for values in product(*closed):
                self[values]

    def __missing__(self, values: tuple[str, ...]) -> _Metric:
        child = cast("_Metric", self.metric.labels(*values))
        self[values] = child
        return child

    def labels(self, *values: str) -> _Metric:
        return self[values]

    def forget(self, *values: str) -> None:
        """The series ends here."""
        if self.pop(values, None) is not None:
            self.metric.remove(*values)


class Watched:
    """A counter that is kept elsewhere: `read` is called when somebody asks."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self.read: Callable[[], int] = lambda: 0

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self.read())


class Metrics:
    """The process's registry, and how requests, accounts and calls of Redis are booked in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self._info("mgw_build", "The running version.").info({"version": __version__})
        self._declare_requests()
        self._declare_upstreams()
        self._declare_accounts()
        self._declare_batches()
        self._declare_process()

    # --- what there is --------------------------------------------------------------------------------------

    def _declare_requests(self) -> None:
        self.requests = Family(
            self._counter(
                "mgw_requests",
                "Requests by how they ended.",
                ["route", "model", "stream", "outcome", "code"],
            )
        )
        for route, (outcome, code) in product(labels.GENERATION_ROUTES, labels.ENDINGS):
            self.requests[route, "none", "false", outcome, code]
        operation, model = "gen_ai_operation_name", "gen_ai_request_model"
        self.duration_s = Family(
            self._histogram(
                "gen_ai_server_request_duration_seconds",
                "From the request's head read to its last byte written.",
                _DURATION_S,
                [operation, model, "stream"],
            )
        )
        self.first_token_s = Family(
            self._histogram(
                "gen_ai_server_time_to_first_token_seconds",
                "From the request's head read to the first event that the client sees; streams only.",
                _FIRST_TOKEN_S,
                [operation, model],
            )
        )
        self.output_token_s = Family(
            self._histogram(
                "gen_ai_server_time_per_output_token_seconds",
                "From the first event to the end, for each output token after the first; streams only.",
                _OUTPUT_TOKEN_S,
                [operation, model],
            )
        )
        self.tokens = Family(
            self._histogram(
                "gen_ai_client_token_usage",
                "Tokens of one answer, by type.",
                _TOKENS,
                [model, "gen_ai_token_type"],
            )
        )
        self.usage_estimated = Family(
            self._counter("mgw_usage_estimated", "Answers whose upstream told no usage.", ["model"])
        )
        self.cost = Family(
            self._counter(
                "mgw_cost_micro_usd", "What answers cost by the price table, in 10^-6 USD.", ["model"]
            )
        )
        self.overhead_s = Family(
            self._histogram(
                "mgw_overhead_seconds", "The gateway's own time in a request.", _OVERHEAD_S, ["phase"]
            ),
            labels.PHASES,
        )
        self.stream_gap_s = Family(
            self._histogram("mgw_stream_gap_seconds", "The longest silence of a stream.", _GAP_S, ["wire"]),
            labels.WIRES,
        )
        self.inflight = Family(
            self._gauge("mgw_inflight_requests", "Requests being handled now.", ["route"]),
            labels.GENERATION_ROUTES,
        )
        self.streams_open = Family(
            self._gauge("mgw_streams_open", "Streams being written now.", ["route"]), labels.GENERATION_ROUTES
        )
        self.disconnects = Family(
            self._counter("mgw_client_disconnects", "Clients that left before the end.", ["phase"]),
            labels.DISCONNECT_PHASES,
        )
        self.auth_failures = Family(
            self._counter("mgw_auth_failures", "Requests without a valid API key.", ["reason"]),
            labels.AUTH_FAILURES,
        )
        self.limit_rejections = Family(
            self._counter(
                "mgw_limit_rejections", "Requests refused, by the limit they met.", ["limit", "scope"]
            )
        )
        for pair in labels.LIMITS.values():
            self.limit_rejections[pair]

    def _declare_upstreams(self) -> None:
        self.attempts = Family(
            self._counter(
                "mgw_upstream_attempts", "Tries at an upstream account.", ["wire", "result", "attempt"]
            ),
            *(labels.WIRES, labels.ATTEMPT_RESULTS, labels.ATTEMPTS),
        )
        self.sieve_events = Family(
            self._counter("mgw_sieve_events", "What the sieve found in answers.", ["event", "format"])
        )
        self.reasoning_replay = Family(
            self._counter(
                "mgw_reasoning_replay",
                "Earlier turns with calls sent to the platform, by where their reasoning came from.",
                ["source"],
            ),
            labels.REASONING_SOURCES,
        )
        self.reasoning_only = Family(
            self._counter("mgw_reasoning_only", "Answers that were thinking and nothing else.", ["wire"]),
            labels.WIRES,
        )

        self.ssrf_blocked = Family(
            self._counter("mgw_ssrf_blocked", "Media URLs that were refused, by why.", ["reason"]),
            labels.MEDIA_REFUSALS,
        )

    def _declare_accounts(self) -> None:
        self.queue_wait_s = Family(
            self._histogram("mgw_queue_wait_seconds", "Waiting for an account.", _QUEUE_S, ["result"]),
            labels.QUEUE_RESULTS,
        )
        self.queue_depth = self._gauge("mgw_queue_depth", "Requests that wait for an account now.")
        self.lease_events = Family(
            self._counter("mgw_lease_events", "What this process did with leases.", ["event"]),
            labels.LEASE_EVENTS,
        )
        self.account_state = Family(
            self._gauge("mgw_account_state", "1 for the state that the account is in.", ["account", "state"])
        )
        self.account_leases = Family(
            self._gauge("mgw_account_leases", "Leases of the account, of all workers.", ["account"])
        )
        self.account_lease_limit = Family(
            self._gauge("mgw_account_lease_limit", "The account's max_concurrency.", ["account"])
        )
        self.account_cooldowns = Family(
            self._counter(
                "mgw_account_cooldowns",
                "Times this process sent the account to rest, by why.",
                ["account", "reason"],
            )
        )

    def _declare_batches(self) -> None:
        self.batch_items = Family(
            self._counter("mgw_batch_items", "Items of batches that ended, by their result.", ["result"]),
            ("succeeded", "errored", "canceled", "expired"),
        )
        self.batch_lag_s = self._gauge(
            "mgw_batch_queue_lag_seconds",
            "How long the batch served least recently has waited for the turn of its next item.",
        )
        self.batch_in_progress = self._gauge("mgw_batch_in_progress", "Items this process runs now.")
        self.batch_retries = self._counter("mgw_batch_retries", "Items that went back for another try.")
        self.batch_reclaimed = self._counter(
            "mgw_batch_reclaimed", "Items taken over from workers that vanished."
        )
        self.batch_dead = self._counter(
            "mgw_batch_dead", "Items given up because worker after worker vanished with them."
        )

    def _declare_process(self) -> None:
        self.redis_op_s = Family(
            self._histogram("mgw_redis_op_seconds", "One round trip to Redis.", _REDIS_S, ["op"]),
            labels.REDIS_OPS,
        )
        self.redis_errors = Family(
            self._counter("mgw_redis_errors", "Redis calls that did not succeed, by how.", ["kind"]),
            labels.REDIS_ERRORS,
        )
        self.redis_breaker = self._gauge(
            "mgw_redis_breaker_open", "1 while Redis failed so often that it is not asked."
        )
        self.degraded = self._gauge(
            "mgw_limiter_degraded", "1 while limits and leases are counted by this process alone."
        )
        self.loop_lag_s = self._histogram(
            "mgw_event_loop_lag_seconds", "How late the event loop woke a task that slept.", _LAG_S
        )
        self.config_reloads = Family(
            self._counter("mgw_config_reloads", "Reloads of the configuration file.", ["result"]),
            labels.RELOAD_RESULTS,
        )
        self.config_info = self._info("mgw_config", "The start of the running configuration's SHA-256.")
        self.log_dropped = Watched("mgw_log_dropped", "Log lines that found no room.")
        self.log_scrubbed = Watched("mgw_log_scrubbed", "Credentials masked in log lines: each is a bug.")
        for watched in (self.log_dropped, self.log_scrubbed):
            self.registry.register(watched)
        self.draining = self._gauge("mgw_draining", "1 from the signal to stop until the end.")

    def _counter(self, name: str, text: str, names: Sequence[str] = ()) -> Counter:
        return Counter(name, text, names, registry=self.registry)

    def _gauge(self, name: str, text: str, names: Sequence[str] = ()) -> Gauge:
        return Gauge(name, text, names, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: Sequence[float], names: Sequence[str] = ()
    ) -> Histogram:
        return Histogram(name, text, names, buckets=buckets, registry=self.registry)

    def _info(self, name: str, text: str) -> Info:
        return Info(name, text, registry=self.registry)

    # --- booking --------------------------------------------------------------------------------------------

    def observe(self, record: RequestRecord, *, duration_s: float) -> None:
        """Book one finished request."""
        model = labels.model_label(record.model)
        stream = "true" if record.streams else "false"
        self.requests[record.route, model, stream, record.outcome, str(record.status)].inc()
        if record.is_cancelled:
            self.disconnects[record.disconnect_phase,].inc()
        if not record.model:
            return
        self.duration_s[record.route, model, stream].observe(duration_s)
        self._observe_stream(record, model, duration_s)
        self._observe_attempts(record)
        self._observe_reasoning(record)
        self._observe_usage(record, model)
        for phase, spent_s in record.overheads(ended_at_s=record.started_at_s + duration_s):
            self.overhead_s[phase,].observe(spent_s)

    def _observe_stream(self, record: RequestRecord, model: str, duration_s: float) -> None:
        if not record.streams or record.first_event_at_s is None:
            return
        first_s = record.first_event_at_s - record.started_at_s
        self.first_token_s[record.route, model].observe(first_s)
        if record.wire:
            self.stream_gap_s[record.wire,].observe(record.longest_gap_s)
        if record.usage is not None and record.usage.output_tokens > 1:
            per_token_s = max(duration_s - first_s, 0.0) / (record.usage.output_tokens - 1)
            self.output_token_s[record.route, model].observe(per_token_s)

    def _observe_attempts(self, record: RequestRecord) -> None:
        for number, attempt in enumerate(record.attempts, 1):
            self.attempts[attempt.wire, attempt.result, labels.attempt_label(number)].inc()
        for (event, detail), count in record.sieve.items():
            known = (event, detail) in self.sieve_events or len(self.sieve_events) < _MAX_SIEVE_SERIES
            self.sieve_events[(event, detail) if known else ("other", "other")].inc(count)

    def _observe_reasoning(self, record: RequestRecord) -> None:
        replay = record.reasoning_replay
        for source in labels.REASONING_SOURCES:
            if count := getattr(replay, source):
                self.reasoning_replay[source,].inc(count)
        if record.is_reasoning_only and record.wire:
            self.reasoning_only[record.wire,].inc()

    def _observe_usage(self, record: RequestRecord, model: str) -> None:
        usage = record.usage
        if usage is None:
            return
        self.tokens[model, "input"].observe(usage.input_tokens)
        self.tokens[model, "output"].observe(usage.output_tokens)
        self.tokens[model, "cached_input"].observe(usage.cached_tokens)
        self.tokens[model, "reasoning"].observe(usage.reasoning_tokens)
        if usage.is_estimated:
            self.usage_estimated[model,].inc()

    def observe_redis(self, operation: str, took_s: float, outcome: str) -> None:
        """Book one call. `outcome` is the store's; `degraded` is no call but work done without Redis."""
        if outcome == "ok":
            self.redis_op_s[labels.redis_op(operation),].observe(took_s)
            self.degraded.set(0)
            return
        self.redis_errors[outcome,].inc()
        if outcome in ("degraded", "shed"):
            self.degraded.set(1)

    def observe_accounts(self, healths: Sequence[AccountHealth]) -> None:
        """The pool as it stands. An account that is not among them any more has its series ended."""
        shown = {health.account_name for health in healths}
        for name in {name for (name,) in self.account_leases} - shown:
            self._forget_account(name)
        for health in healths:
            name = health.account_name
            self.account_leases[name,].set(health.leases)
            self.account_lease_limit[name,].set(health.max_concurrency)
            for state in labels.ACCOUNT_STATES:
                self.account_state[name, state].set(health.state == state)

    def _forget_account(self, name: str) -> None:
        self.account_leases.forget(name)
        self.account_lease_limit.forget(name)
        for family in (self.account_state, self.account_cooldowns):
            for account, second in tuple(family):
                if account == name:
                    family.forget(account, second)

    # --- showing --------------------------------------------------------------------------------------------

    def render(self) -> bytes:
        """The exposition text. Called in a thread: a large registry takes milliseconds."""
        return generate_latest(self.registry)

    def names(self) -> Iterable[str]:
        """Our own metrics as a query names them (counters end in `_total`, infos in `_info`)."""
        suffixes = {"counter": "_total", "info": "_info"}
        return sorted(
            family.name + suffixes.get(family.type, "")
            for family in self.registry.collect()
            if family.name.startswith(("mgw_", "gen_ai_"))
        )
