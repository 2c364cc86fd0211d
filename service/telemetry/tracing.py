"""Whether spans are made, by OpenTelemetry's own environment variables. Nothing of it is imported when not.

On: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, or `OTEL_TRACES_EXPORTER` is
`otlp`. Off all the same: `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from service.telemetry.record import RequestRecord
from service.telemetry.trace import NO_TRACE, Trace, continued

log = structlog.get_logger()

_PROTOCOL = "http/protobuf"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing(Protocol):
    """Where requests begin and end. `makes_spans`: histograms carry exemplars then."""

    @property
    def makes_spans(self) -> bool: ...

    def begin(self, traceparent: str, tracestate: str) -> Trace:
        """The trace of a request, by what its caller sent ("": nothing)."""
        ...

    def inside(self, trace: Trace) -> Trace:
        """Work that a request began and does not wait for: its own span, in the same trace."""
        ...

    def finish(self, record: RequestRecord, *, duration_s: float) -> None:
        """The request has ended just now: its spans leave. Never waits."""
        ...

    def close(self) -> None:
        """Send what is there; for a few seconds at most. Blocks: call it in a thread."""
        ...


class PassingOn:
    """Fits Tracing: makes no spans. A caller's trace goes on to the upstream, and into the log."""

    makes_spans = False

    def begin(self, traceparent: str, tracestate: str) -> Trace:
        return continued(traceparent, tracestate) if traceparent else NO_TRACE

    def inside(self, trace: Trace) -> Trace:
        return trace

    def finish(self, record: RequestRecord, *, duration_s: float) -> None:
        """There is nothing to tell."""

    def close(self) -> None:
        """Nothing is open."""


PASSING_ON = PassingOn()


def is_wanted(environ: Mapping[str, str]) -> bool:
    """What the environment says."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    return exporter == "otlp" or any(environ.get(name) for name in _ENDPOINTS)


def tracing_of(environ: Mapping[str, str], *, unix_s: Callable[[], float]) -> Tracing:
    """Spans where the environment asks for them and the extra `otel` is installed; else none.

    `unix_s` is the clock that spans are stamped by."""
    if not is_wanted(environ):
        return PASSING_ON
    if any(environ.get(name, _PROTOCOL) != _PROTOCOL for name in _PROTOCOLS):
        log.warning("tracing_protocol_ignored", reason="spans leave by http/protobuf only")
    try:
        # Here, since it costs memory and may not be installed.
        from service.telemetry.spans import exporting
    except ImportError:
        log.warning("tracing_unavailable", reason="the extra `otel` is not installed")
        return PASSING_ON
    return exporting(environ, unix_s=unix_s)
