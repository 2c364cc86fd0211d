"""A request's spans, for OpenTelemetry. Only `tracing.py` imports this module, and only when it is wanted.

A span is made of what the request's record knows when it ends, so a request costs nothing extra while it runs
and no ending can forget one:

    SERVER    `chat <model>`            the request, from its head to its last byte
      INTERNAL  `admit`                 the key's limits
      INTERNAL  `lease`                 waiting for an account, of each attempt
      CLIENT    `chat <model>`          one try at one account; event `first_token` on the one that answered
      INTERNAL  `stream`                from the first event to the last byte

Names of attributes: OpenTelemetry's GenAI conventions (read 2026-11-20), `mgw.` for what they do not have.
Never content: the attributes below are all there are. The exporter, sampler, resource and queue are set by
the standard OTEL_ variables; without OTEL_TRACES_SAMPLER every request is sampled, whatever its caller's
flags say, since callers are strangers (`parentbased_…` honours them)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.status import Status, StatusCode

from service import __version__
from service.telemetry.labels import CHAT_ROUTES
from service.telemetry.record import AttemptRecord, RequestRecord
from service.telemetry.trace import Trace, continued

_SCOPE = InstrumentationScope("mimo-gateway", __version__)
_PROVIDER = "xiaomi_mimo"  # the conventions' list of providers has none of that name
_FAILURES = ("upstream_error", "gateway_error", "truncated")
_NS = 1_000_000_000
_CLOSE_S = 5.0

Attributes = dict[str, str | bool | int | float | tuple[str, ...]]


def exporting(environ: Mapping[str, str], *, unix_s: Callable[[], float]) -> Spans:
    """Spans to the collector that the environment names, in batches, by a thread with a bounded queue."""
    provider = TracerProvider(shutdown_on_exit=False)
    sampler = provider.sampler if environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON
    resource = provider.resource
    if not environ.get("OTEL_SERVICE_NAME") and "service.name" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        resource = resource.merge(Resource({"service.name": "mimo-gateway", "service.version": __version__}))
    return Spans(BatchSpanProcessor(OTLPSpanExporter()), sampler=sampler, resource=resource, unix_s=unix_s)


class Spans:
    """Fits tracing.Tracing."""

    makes_spans = True

    def __init__(
        self, processor: SpanProcessor, *, sampler: Sampler, resource: Resource, unix_s: Callable[[], float]
    ) -> None:
        self._processor = processor
        self._sampler = sampler
        self._resource = resource
        self._unix_s = unix_s

    def begin(self, traceparent: str, tracestate: str) -> Trace:
        caller = continued(traceparent, tracestate)
        trace_id = caller.trace_id or secrets.token_hex(16)
        is_sampled = (
            self._sampler.should_sample(
                set_span_in_context(NonRecordingSpan(_context(caller, caller.parent_id, is_remote=True)))
                if caller.trace_id
                else None,
                int(trace_id, 16),
                "request",
                SpanKind.SERVER,
            ).decision
            is not Decision.DROP
        )
        return replace(
            caller,
            trace_id=trace_id,
            span_id=secrets.token_hex(8),
            flags="01" if is_sampled else "00",
            is_sampled=is_sampled,
        )

    def inside(self, trace: Trace) -> Trace:
        return replace(trace, parent_id=trace.span_id, span_id=secrets.token_hex(8))

    def finish(self, record: RequestRecord, *, duration_s: float) -> None:
        if record.trace.is_sampled:
            for span in self._spans(record, duration_s):
                self._processor.on_end(span)

    def close(self) -> None:
        # The SDK would wait for half a minute for a collector that does not answer.
        closing = threading.Thread(target=self._processor.shutdown, name="spans-close", daemon=True)
        closing.start()
        closing.join(timeout=_CLOSE_S)

    # --- what there is to tell ------------------------------------------------------------------------------

    def _spans(self, record: RequestRecord, duration_s: float) -> list[ReadableSpan]:
        """The parts before the whole, in the order in which they began."""
        trace = record.trace
        own = _context(trace, trace.span_id)
        ended_s = record.started_at_s + duration_s
        ended_ns = round(self._unix_s() * _NS)

        def at_ns(at_s: float) -> int:
            return ended_ns - round((ended_s - at_s) * _NS)

        def part(
            name: str, began_s: float, until_s: float, attributes: Attributes | None = None
        ) -> ReadableSpan:
            return self._span(
                name, _context(trace, secrets.token_hex(8)), own, (at_ns(began_s), at_ns(until_s)), attributes
            )

        spans: list[ReadableSpan] = []
        if record.admit_at_s is not None:
            spans.append(part("admit", record.admit_at_s, record.admit_at_s + record.admit_s))
        for number, attempt in enumerate(_attempts(record, ended_s), 1):
            began_s, until_s = attempt.began_at_s, attempt.began_at_s + attempt.duration_s
            waited: Attributes = {"mgw.account": attempt.account}
            spans.append(part("lease", began_s - attempt.queued_s, began_s, waited))
            first_s = record.first_event_at_s
            events = (
                [Event("first_token", timestamp=at_ns(first_s))]
                if first_s is not None and began_s <= first_s <= until_s
                else []
            )
            spans.append(
                self._span(
                    _name(record),
                    _context(trace, attempt.span_id),
                    own,
                    (at_ns(began_s), at_ns(until_s)),
                    _attempt_attributes(record, attempt, number),
                    kind=SpanKind.CLIENT,
                    events=events,
                    is_failed=attempt.result not in ("ok", "cancelled"),
                )
            )
        if record.streams and record.first_event_at_s is not None:
            sent: Attributes = {"mgw.chunks": record.chunks, "mgw.bytes_out": record.bytes_out}
            spans.append(part("stream", record.first_event_at_s, ended_s, sent))
        caller = _context(trace, trace.parent_id, is_remote=True) if trace.parent_id else None
        whole = self._span(
            _name(record),
            own,
            caller,
            (at_ns(record.started_at_s), ended_ns),
            _request_attributes(record),
            kind=SpanKind.SERVER,
            is_failed=record.outcome in _FAILURES,
        )
        return [*spans, whole]

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times_ns: tuple[int, int],
        attributes: Attributes | None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        events: list[Event] | None = None,
        is_failed: bool = False,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes or {},
            events=events or (),
            kind=kind,
            status=Status(StatusCode.ERROR) if is_failed else Status(StatusCode.UNSET),
            start_time=times_ns[0],
            end_time=times_ns[1],
            instrumentation_scope=_SCOPE,
        )


def _context(trace: Trace, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(int(trace.flags, 16)),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )


def _name(record: RequestRecord) -> str:
    """`chat <model>` by the conventions; a model only once it is one of ours, so names stay few."""
    if record.model:
        return f"{_operation(record)} {record.model}"
    return f"{record.method} {record.route}"


def _operation(record: RequestRecord) -> str:
    return "chat" if record.route in (*CHAT_ROUTES, "batches") else record.route


def _attempts(record: RequestRecord, ended_s: float) -> list[AttemptRecord]:
    """Those that ended, and the one that the request's own end cut off."""
    if record.open_attempt is None:
        return record.attempts
    cut = record.open_attempt
    rest = AttemptRecord(
        account=record.account,
        wire=record.wire,
        result="cancelled",
        duration_s=ended_s - cut.began_at_s,
        began_at_s=cut.began_at_s,
        queued_s=cut.queued_s,
        span_id=cut.span_id,
    )
    return [*record.attempts, rest]


def _attempt_attributes(record: RequestRecord, attempt: AttemptRecord, number: int) -> Attributes:
    told: Attributes = {
        "gen_ai.operation.name": _operation(record),
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.request.model": record.model,
        "mgw.account": attempt.account,
        "mgw.wire": attempt.wire,
        "mgw.attempt": number,
        "mgw.result": attempt.result,
    }
    if attempt.result != "ok":
        told["error.type"] = attempt.result
    return told


def _request_attributes(record: RequestRecord) -> Attributes:
    told: Attributes = {
        "http.request.method": record.method,
        "http.response.status_code": record.status,
        "mgw.route": record.route,
        "mgw.outcome": record.outcome,
        "mgw.request_id": record.request_id,
        "mgw.key_id": record.key_id,
    }
    if record.error is not None:
        told["error.type"] = str(record.error.kind)
    if record.batch_id:
        told["mgw.batch_id"] = record.batch_id
    if record.model:
        told |= _answer_attributes(record)
    return told


def _answer_attributes(record: RequestRecord) -> Attributes:
    told: Attributes = {
        "gen_ai.operation.name": _operation(record),
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.request.model": record.model_requested[:64],
        "gen_ai.response.model": record.model,
        "mgw.stream": record.streams,
        "mgw.attempts": len(record.attempts),
    }
    if record.sticky:
        told["mgw.sticky"] = record.sticky
    if record.finish_reason:
        told["gen_ai.response.finish_reasons"] = (record.finish_reason,)
    if record.first_event_at_s is not None and record.streams:
        told["gen_ai.response.time_to_first_chunk"] = record.first_event_at_s - record.started_at_s
    if (usage := record.usage) is not None:
        told |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    return told
