"""Every metric, in one file. docs/metrics.md lists them; a test holds the two together.

Names are OpenTelemetry's GenAI ones where those exist, `mgw_` otherwise. Labels come from closed sets
(`labels.py`): never a path, a key or a model string as sent. Small sets have their series from the start, so
that the first failure is seen by `rate()`; the rest is bounded, 3,000 lines a process at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

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
)

from service import __version__
from service.telemetry import labels
from service.telemetry.families import Family, QuickHistogram, Watched

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
_CONNECT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_HELD = tuple(4**power for power in range(1, 13))
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Declared:
    """The process's registry, with everything that is ever counted in it."""

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
        self.web_searches = Family(
            self._counter("mgw_web_searches", "Searches of MiMo's own, billed apart from tokens.", ["model"])
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
        self.slow_client_cuts = self._counter(
            "mgw_slow_client_cut", "Clients that were cut off since they did not read."
        )
        self.translation_warnings = Family(
            self._counter(
                "mgw_translation_warnings",
                "What of a request had to be left out or changed for the wire, by what was done.",
                ["from", "to", "kind"],
            ),
            *(labels.CHAT_ROUTES, labels.WIRES, labels.NOTE_KINDS),
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
        self.upstream_connect_s = Family(
            self._histogram(
                "mgw_upstream_connect_seconds", "Making a connection to an upstream.", _CONNECT_S, ["wire"]
            ),
            labels.WIRES,
        )
        self.studio_conversations = Family(
            self._counter(
                "mgw_studio_conversations",
                "Requests that might go on from a studio conversation: went on, found none, found it lost.",
                ("result",),
            ),
            labels.THREAD_RESULTS,
        )
        self.retries_refused = self._counter(
            "mgw_retries_refused",
            "Failed attempts without a next one, since the budget of retries was spent.",
        )
        self.sieve_held_bytes = self._histogram(
            "mgw_sieve_held_bytes", "The most that the sieve held back at once, in characters.", _HELD
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
        self.repairs = Family(
            self._counter(
                "mgw_answer_repairs",
                "Answers that were not what the request demanded, by what asking the model once more gave.",
                ["demand", "result"],
            ),
            *(labels.DEMANDS, labels.REPAIRS),
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
        self.sticky = Family(
            self._counter(
                "mgw_sticky",
                "Conversations that went on, by whether they met their account again.",
                ["result"],
            ),
            labels.STICKY_RESULTS,
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
        self.account_token_expiry_s = Family(
            self._gauge(
                "mgw_account_token_expiry_seconds",
                "Until the account's session ends, about; below 0 when it should have ended.",
                ["account"],
            )
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
        self.redis_in_use = Family(
            self._gauge("mgw_redis_pool_in_use", "Redis commands that wait for their reply.", ["pool"]),
            labels.REDIS_LINES,
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
        return QuickHistogram(name, text, names, buckets=buckets, registry=self.registry)

    def _info(self, name: str, text: str) -> Info:
        return Info(name, text, registry=self.registry)
