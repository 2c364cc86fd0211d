"""Spans made of a request's record: which there are, when they began, what they tell, and what never."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import StatusCode

from service.core.errors import UpstreamTimeout
from service.core.events import Usage
from service.telemetry.record import RequestRecord
from service.telemetry.spans import Spans

NOW_S = 1_800_000_000.0
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{CALLER}-01"


class Kit:
    """Spans into memory. The request began at 100 s of the monotonic clock and ends NOW, ten seconds on."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.spans = Spans(
            SimpleSpanProcessor(self.exporter),
            sampler=sampler,
            resource=Resource({"service.name": "mimo-gateway"}),
            unix_s=lambda: NOW_S,
        )

    def record(self, traceparent: str = "", **fields: Any) -> RequestRecord:
        known = {"request_id": "req_1", "route": "messages", "method": "POST", "status": 200} | fields
        return RequestRecord(started_at_s=100.0, trace=self.spans.begin(traceparent, ""), **known)

    def finished(self, record: RequestRecord) -> list[ReadableSpan]:
        self.spans.finish(record, duration_s=10.0)
        return list(self.exporter.get_finished_spans())


def answered(kit: Kit, traceparent: str = "") -> RequestRecord:
    """A stream whose first account failed."""
    record = kit.record(
        traceparent,
        key_id="k1",
        model_requested="claude-sonnet-4-6",
        model="mimo-v2.6-pro",
        streams=True,
        first_event_at_s=104.0,
        admit_at_s=100.5,
        admit_s=0.25,
        finish_reason="stop",
        sticky="hit",
        usage=Usage(input_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=2),
        chunks=3,
        bytes_out=900,
    )
    record.account, record.wire = "one", "platform"
    record.begin_attempt(at_s=101.0, queued_s=0.25)
    record.end_attempt(at_s=102.0, result="upstream_timeout")
    record.account = "two"
    record.begin_attempt(at_s=103.0, queued_s=0.5)
    record.end_attempt(at_s=109.0, result="ok")
    return record


def began_s(span: ReadableSpan) -> float:
    """On the monotonic clock of the request."""
    return round((span.start_time - round((NOW_S - 110.0) * 1e9)) / 1e9, 3)


def lasted_s(span: ReadableSpan) -> float:
    return round((span.end_time - span.start_time) / 1e9, 3)


def test_a_request_is_a_tree_of_spans() -> None:
    kit = Kit()
    spans = kit.finished(answered(kit))
    shape = [(span.name, span.kind, began_s(span), lasted_s(span)) for span in spans]
    assert shape == [
        ("admit", SpanKind.INTERNAL, 100.5, 0.25),
        ("lease", SpanKind.INTERNAL, 100.75, 0.25),
        ("chat mimo-v2.6-pro", SpanKind.CLIENT, 101.0, 1.0),
        ("lease", SpanKind.INTERNAL, 102.5, 0.5),
        ("chat mimo-v2.6-pro", SpanKind.CLIENT, 103.0, 6.0),
        ("stream", SpanKind.INTERNAL, 104.0, 6.0),
        ("chat mimo-v2.6-pro", SpanKind.SERVER, 100.0, 10.0),
    ]
    *parts, whole = spans
    assert whole.parent is None
    assert all(span.parent.span_id == whole.context.span_id for span in parts)
    assert len({span.context.trace_id for span in spans}) == 1
    assert len({span.context.span_id for span in spans}) == len(spans)


def test_attempts_tell_their_account_and_result() -> None:
    kit = Kit()
    first, second = (span for span in kit.finished(answered(kit)) if span.kind is SpanKind.CLIENT)
    assert (first.attributes["mgw.account"], first.attributes["error.type"]) == ("one", "upstream_timeout")
    assert first.status.status_code is StatusCode.ERROR
    assert first.events == ()
    assert (second.attributes["mgw.account"], second.attributes["mgw.result"]) == ("two", "ok")
    assert second.status.status_code is StatusCode.UNSET
    assert [event.name for event in second.events] == ["first_token"]


def test_the_request_tells_what_the_conventions_name() -> None:
    kit = Kit()
    whole = kit.finished(answered(kit))[-1]
    assert dict(whole.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "mgw.route": "messages",
        "mgw.outcome": "ok",
        "mgw.request_id": "req_1",
        "mgw.key_id": "k1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "xiaomi_mimo",
        "gen_ai.request.model": "claude-sonnet-4-6",
        "gen_ai.response.model": "mimo-v2.6-pro",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 4.0,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "mgw.stream": True,
        "mgw.attempts": 2,
        "mgw.sticky": "hit",
    }


def test_upstream_is_told_the_span_of_its_attempt() -> None:
    kit = Kit()
    record = kit.record(SENT, model="mimo-v2.6-pro")
    headers = record.begin_attempt(at_s=101.0, queued_s=0.0)
    record.end_attempt(at_s=102.0, result="ok")
    attempt = next(span for span in kit.finished(record) if span.kind is SpanKind.CLIENT)
    assert headers == {"traceparent": f"00-{TRACE}-{attempt.context.span_id:016x}-01"}


def test_callers_trace_goes_on() -> None:
    kit = Kit()
    whole = kit.finished(answered(kit, SENT))[-1]
    assert f"{whole.context.trace_id:032x}" == TRACE
    assert f"{whole.parent.span_id:016x}" == CALLER
    assert whole.parent.is_remote


def test_attempt_that_the_clients_leaving_cut_off_is_told() -> None:
    kit = Kit()
    record = kit.record(model="mimo-v2.6-pro", is_cancelled=True)
    record.account, record.wire = "one", "studio"
    record.begin_attempt(at_s=103.0, queued_s=0.0)
    attempt = next(span for span in kit.finished(record) if span.kind is SpanKind.CLIENT)
    assert (attempt.attributes["mgw.result"], lasted_s(attempt)) == ("cancelled", 7.0)
    assert record.attempts == [], "no result: the counters of attempts do not see it"


def test_failure_is_told_by_its_kind_and_never_by_its_words() -> None:
    kit = Kit()
    error = UpstreamTimeout(waited_s=5, phase="idle")
    whole = kit.finished(kit.record(model="m", status=504, error=error))[-1]
    assert whole.attributes["error.type"] == "upstream_timeout"
    assert whole.status.status_code is StatusCode.ERROR
    assert whole.status.description is None


def test_request_that_got_nowhere_has_one_span() -> None:
    kit = Kit()
    (whole,) = kit.finished(kit.record(route="other", status=404, batch_id="batch_1"))
    assert whole.name == "POST other"
    assert whole.attributes["mgw.batch_id"] == "batch_1"


@pytest.mark.parametrize(
    ("sampler", "flags", "is_sampled"),
    [
        pytest.param(ALWAYS_ON, "00", True, id="a stranger's flag is not asked"),
        pytest.param(ALWAYS_OFF, "01", False, id="nor can it make us trace"),
        pytest.param(ParentBased(ALWAYS_OFF), "01", True, id="unless the operator says so"),
        pytest.param(ParentBased(ALWAYS_ON), "00", False, id="both ways"),
    ],
)
def test_sampling_is_the_operators(sampler: Sampler, flags: str, is_sampled: bool) -> None:
    kit = Kit(sampler)
    record = kit.record(f"00-{TRACE}-{CALLER}-{flags}", model="m")
    assert (record.trace.flags, record.trace.exemplar is not None) == (f"0{int(is_sampled)}", is_sampled)
    assert bool(kit.finished(record)) is is_sampled
    assert record.trace.trace_id == TRACE


def test_work_that_goes_on_after_its_request_has_a_span_inside_it() -> None:
    kit = Kit()
    outer = kit.spans.begin("", "")
    inner = kit.spans.inside(outer)
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    kit.spans.close()


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Stuck(SpanProcessor):
        def shutdown(self) -> None:
            released.wait(60)

    monkeypatch.setattr("service.telemetry.spans._CLOSE_S", 0.01)
    spans = Spans(Stuck(), sampler=ALWAYS_ON, resource=Resource({}), unix_s=lambda: NOW_S)
    spans.close()
    assert not released.is_set(), "it was not waited for"
    released.set()
