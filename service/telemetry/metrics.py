"""How requests, accounts and calls of Redis are booked, and how the registry is shown.

What is counted stands in `declared.py`, every metric of it; where labels come from in `labels.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from service.core.leases import AccountHealth
from service.core.notes import Note
from service.telemetry import labels
from service.telemetry.declared import Declared
from service.telemetry.record import RequestRecord

# More kinds of markup than the sieve knows: a mistake there must not become an endless row of series.
_MAX_SIEVE_SERIES = 88


class Metrics(Declared):
    """The process's metrics, and what is booked in them. `also` is told of every finished request, too."""

    also: Callable[[RequestRecord], None] | None = None

    # --- booking --------------------------------------------------------------------------------------------

    def observe(self, record: RequestRecord, *, duration_s: float) -> None:
        """Book one finished request."""
        if self.also is not None:
            self.also(record)
        model = labels.model_of(record.route, record.model)
        stream = "true" if record.streams else "false"
        self.requests[record.route, model, stream, record.outcome, str(record.status)].inc()
        if record.is_cancelled:
            self.disconnects[record.disconnect_phase,].inc()
        if not record.model:
            return
        if record.route in labels.GENERATION_ROUTES:  # an item of a batch has nobody waiting for it
            self.duration_s[record.route, model, stream].observe(duration_s, record.trace.exemplar)
        self._observe_stream(record, model, duration_s)
        self._observe_attempts(record)
        self._observe_reasoning(record)
        if record.repair is not None:
            self.repairs[record.repair].inc()
        self._observe_usage(record, model)
        self._observe_notes(record)
        for phase, spent_s in record.overheads(ended_at_s=record.started_at_s + duration_s):
            self.overhead_s[phase,].observe(spent_s)

    def _observe_stream(self, record: RequestRecord, model: str, duration_s: float) -> None:
        if not record.streams or record.first_event_at_s is None:
            return
        first_s = record.first_event_at_s - record.started_at_s
        self.first_token_s[record.route, model].observe(first_s, record.trace.exemplar)
        if record.wire:
            self.stream_gap_s[record.wire,].observe(record.longest_gap_s)
        if record.route in labels.CHAT_ROUTES and record.usage is not None and record.usage.output_tokens > 1:
            per_token_s = max(duration_s - first_s, 0.0) / (record.usage.output_tokens - 1)
            self.output_token_s[record.route, model].observe(per_token_s)

    def _observe_attempts(self, record: RequestRecord) -> None:
        for number, attempt in enumerate(record.attempts, 1):
            self.attempts[attempt.wire, attempt.result, labels.attempt_label(number)].inc()
        for (event, detail), count in record.sieve.items():
            known = (event, detail) in self.sieve_events or len(self.sieve_events) < _MAX_SIEVE_SERIES
            self.sieve_events[(event, detail) if known else ("other", "other")].inc(count)
        if record.sieve_held_chars is not None:
            self.sieve_held_bytes.observe(record.sieve_held_chars)
        if record.connect_s:
            self.upstream_connect_s[record.wire,].observe(record.connect_s)
        if record.thread_result:
            self.studio_conversations[record.thread_result,].inc()
        if record.retries_refused:
            self.retries_refused.inc(record.retries_refused)

    def _observe_notes(self, record: RequestRecord) -> None:
        if record.wire and record.route in labels.CHAT_ROUTES:
            for note in record.notes:
                if isinstance(note, Note):
                    self.translation_warnings[record.route, record.wire, note.kind].inc()

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
        if usage.searches:
            self.web_searches[model,].inc(usage.searches)
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

    def observe_sessions(self, left_s: Mapping[str, float]) -> None:
        """How long the sessions of accounts last, as far as that is known."""
        for (name,) in tuple(self.account_token_expiry_s):
            if name not in left_s:
                self.account_token_expiry_s.forget(name)
        for name, seconds in left_s.items():
            self.account_token_expiry_s[name,].set(seconds)

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

    def render_openmetrics(self) -> bytes:
        """The same with exemplars, which the older form cannot carry."""
        text: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text

    def names(self) -> Iterable[str]:
        """Our own metrics as a query names them (counters end in `_total`, infos in `_info`)."""
        suffixes = {"counter": "_total", "info": "_info"}
        return sorted(
            family.name + suffixes.get(family.type, "")
            for family in self.registry.collect()
            if family.name.startswith(("mgw_", "gen_ai_"))
        )
