"""`python -m bench.telemetry`: what booking and logging one streamed request costs, in microseconds of CPU.

Three parts: metrics, fields of the log line, the line itself (with the thread that scrubs and writes it).
With the extra `otel`, also its spans, up to the exporter's queue."""

from __future__ import annotations

import gc
import importlib.util
import io
import statistics
import time
from collections.abc import Callable

import structlog

from service.config import Log
from service.core.events import Usage
from service.telemetry.log import configure, request_fields
from service.telemetry.metrics import Metrics
from service.telemetry.record import RequestRecord
from service.telemetry.tracing import PASSING_ON, Tracing

REQUESTS, ROUNDS = 2000, 9


class Nowhere(io.StringIO):
    """A pipe that swallows all."""

    def write(self, text: str) -> int:
        return len(text)


def a_record(number: int, tracing: Tracing) -> RequestRecord:
    """An answer of two seconds, first time lucky."""
    record = RequestRecord(
        request_id=f"req_{number}",
        route="chat",
        method="POST",
        started_at_s=100.0,
        status=200,
        key_id="0123456789abcdef",
        key_name="bench",
        model_requested="mimo-v2.6-pro",
        model="mimo-v2.6-pro",
        streams=True,
        bytes_in=1000,
        bytes_out=20_000,
        chunks=50,
        client_net="10.0.0.0",
        user_agent="OpenAI/Python 3.52.0",
        body_at_s=100.001,
        decoded_at_s=100.002,
        admit_at_s=100.002,
        first_event_at_s=100.4,
        first_write_at_s=100.401,
        finished_at_s=101.99,
        finish_reason="stop",
        usage=Usage(input_tokens=100, output_tokens=50, cached_tokens=20, reasoning_tokens=10),
        trace=tracing.begin("", ""),
    )
    record.account, record.wire = "platform-1", "platform"
    record.begin_attempt(at_s=100.003, queued_s=0.001)
    record.end_attempt(at_s=101.99, result="ok")
    return record


def spans_to_nowhere() -> Tracing | None:
    """None where OpenTelemetry is not installed."""
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        return None
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from service.telemetry.spans import Spans

    return Spans(SpanProcessor(), sampler=ALWAYS_ON, resource=Resource({}), unix_s=lambda: 1.8e9)


def cost_us(work: Callable[[RequestRecord], object], tracing: Tracing) -> float:
    """The median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        records = [a_record(number, tracing) for number in range(REQUESTS)]
        gc.collect()
        began_ns = time.process_time_ns()
        for record in records:
            work(record)
        rounds.append((time.process_time_ns() - began_ns) / REQUESTS / 1000)
    return statistics.median(rounds)


def main() -> None:
    writer = configure(Log(), Nowhere())
    log, metrics = structlog.get_logger(), Metrics()
    fields = request_fields(a_record(0, PASSING_ON), duration_s=2.0)
    gc.freeze()
    print(f"metrics      {cost_us(lambda one: metrics.observe(one, duration_s=2.0), PASSING_ON):6.1f} us")
    print(f"log fields   {cost_us(lambda one: request_fields(one, duration_s=2.0), PASSING_ON):6.1f} us")
    print(f"log line     {cost_us(lambda _: log.info('request_ended', **fields), PASSING_ON):6.1f} us")
    if (spans := spans_to_nowhere()) is not None:
        print(f"spans        {cost_us(lambda one: spans.finish(one, duration_s=2.0), spans):6.1f} us")
    writer.close()


if __name__ == "__main__":
    main()
