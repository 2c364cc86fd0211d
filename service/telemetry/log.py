"""Structured logs: one JSON object a line on standard output, written by a thread: a full pipe never blocks.

Only named fields leave the process (an allow-list): prompts, answers, tool arguments, headers, cookies and
URLs are never fields. A last scrubber masks what looks like a credential all the same and counts its hits:
a hit is a bug. What libraries log is told by name, place and exception type, never by their text.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

from service import __version__
from service.config import Log
from service.telemetry.record import RequestRecord

SCHEMA = 1
_GATHER_S = 0.02
# In a line of JSON a quote within a value has a backslash before it.
_CREDENTIAL = re.compile(
    rb"(?<![A-Za-z0-9])(?:sk|tp|ttp)-[A-Za-z0-9_\-]{4,}"
    rb"|\bbearer +[^\s\"\\]+"
    rb"|(?:service_?token|pass_?token|xiaomichatbot_ph|api[-_]?key)\\*[\"']? *[:=] *\\*[\"']?[^\s\"';,\\&]+",
    re.IGNORECASE,
)
# Every match of the pattern holds one of these, in lower case.
_HINTS = (
    *(b"sk-", b"tp-", b"bearer ", b"servicetoken", b"service_token", b"passtoken", b"pass_token"),
    *(b"xiaomichatbot_ph", b"apikey", b"api-key", b"api_key"),
)
# Every field that any log line may carry. What is not here is dropped, and its name is told instead.
_FIELD_NAMES = """
ts level event service version schema
request_id route method status outcome error_kind error_origin error_type
trace_id span_id client_net user_agent disconnect_phase drained pod
key_id key_name model_requested model wire account attempts stream
bytes_in bytes_out chunks total_ms ttft_ms queue_ms admit_ms connect_ms overhead_ms longest_gap_ms
input_tokens output_tokens cached_tokens reasoning_tokens usage_estimated cost_micro_usd sticky
finish_reason tools_offered tools_called sieve notes
batch_id number wait_s shard
who action target detail
task host port ops_port redis accounts state reason signal library path line waited_s streams models demo
"""
_CONSTANT: dict[str, object] = {"service": "mimo-gateway", "version": __version__, "schema": SCHEMA}
if pod := os.environ.get("POD_NAME"):
    _CONSTANT["pod"] = pod
FIELDS = frozenset(_FIELD_NAMES.split())
# By OpenTelemetry's conventions (GenAI, HTTP; read 2026-11-20), as other gateways name them in access logs.
OPENTELEMETRY_NAMES: Mapping[str, str] = {
    "method": "http.request.method",
    "status": "http.response.status_code",
    "bytes_in": "http.request.body.size",
    "bytes_out": "http.response.body.size",
    "user_agent": "user_agent.original",
    "error_kind": "error.type",
    "model_requested": "gen_ai.request.model",
    "model": "gen_ai.response.model",
    "finish_reason": "gen_ai.response.finish_reason",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


class Scrubber:
    """Masks credentials in a finished line. `hits` counts them."""

    def __init__(self) -> None:
        self.hits = 0

    def clean(self, line: bytes) -> bytes:
        # Plain searches are a hundred times as fast as the pattern, and nearly every line passes them.
        lower = line.lower()
        if not any(hint in lower for hint in _HINTS):
            return line
        cleaned, count = _CREDENTIAL.subn(b"***", line)
        self.hits += count
        return cleaned


class LineWriter:
    """A bounded list of lines and one thread that writes them. A full list drops the line and counts it.

    The thread sleeps a moment after it was woken and then takes all that has gathered: handing over every
    line by itself cost a thread switch a request, which was more than making the line."""

    def __init__(self, stream: TextIO, *, max_lines: int = 10_000) -> None:
        self._stream = stream
        self._max_lines = max_lines
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self.dropped = 0
        self.scrubber = Scrubber()
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Never waits."""
        if len(self._lines) >= self._max_lines:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what is there, then end the thread (given two seconds: the pipe may be stuck)."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait()
            if not self._is_closing:
                time.sleep(_GATHER_S)
            self._wake.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        text = self.scrubber.clean(b"\n".join(lines)).decode("utf-8", "replace")
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += len(lines)


def _framed(_: object, method: str, fields: MutableMapping[str, Any]) -> bytes:
    """The line: when, who and how severe, then the fields that are allowed. One step: it is made for every
    request."""
    return orjson.dumps({**_frame(method), **_allowed(fields)}, default=str)


def _framed_as_opentelemetry(_: object, method: str, fields: MutableMapping[str, Any]) -> bytes:
    """The same in OpenTelemetry's words."""
    renamed = {OPENTELEMETRY_NAMES.get(name, name): value for name, value in _allowed(fields).items()}
    return orjson.dumps({**_frame(method), **renamed}, default=str)


def _frame(method: str) -> dict[str, object]:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"ts": now, **_CONSTANT, "level": method}


def _allowed(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if FIELDS.issuperset(fields):
        return fields
    unknown = fields.keys() - FIELDS
    kept = {name: value for name, value in fields.items() if name not in unknown}
    kept["notes"] = [f"dropped field {name[:32]}" for name in sorted(unknown)]
    return kept


class _Logger:
    """structlog's last step: the rendered line into the writer."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def msg(self, line: bytes) -> None:
        self._writer.write(line)

    debug = info = warning = error = critical = exception = log = msg


class _LibraryHandler(logging.Handler):
    """Warnings of libraries, as lines of ours. Their text is left out: it may quote a URL, a header or a
    body."""

    def emit(self, record: logging.LogRecord) -> None:
        error_type = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        structlog.get_logger().warning(
            "library_warned",
            library=record.name,
            path=record.pathname.rpartition("site-packages/")[2],
            line=record.lineno,
            error_type=error_type,
        )


def _hear_libraries() -> None:
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, _LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler(logging.WARNING))


def configure(config: Log, stream: TextIO | None = None) -> LineWriter:
    """Point structlog at `stream` (standard output by default). The caller closes the writer."""
    writer = LineWriter(stream or sys.stdout)
    _hear_libraries()
    structlog.configure(
        processors=[_framed_as_opentelemetry if config.opentelemetry_names else _framed],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(config.level.upper())),
        logger_factory=lambda *_: _Logger(writer),
        cache_logger_on_first_use=False,
    )
    return writer


def request_fields(record: RequestRecord, *, duration_s: float) -> dict[str, object]:
    """The fields of the `request_ended` line."""
    fields: dict[str, object] = {
        "request_id": record.request_id,
        "route": record.route,
        "method": record.method,
        "status": record.status,
        "outcome": record.outcome,
        "key_id": record.key_id,
        "key_name": record.key_name,
        "stream": record.streams,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "total_ms": round(duration_s * 1000, 1),
    }
    if record.trace.trace_id:
        fields["trace_id"] = record.trace.trace_id
        if record.trace.span_id:
            fields["span_id"] = record.trace.span_id
    if record.client_net:
        fields |= {"client_net": record.client_net, "user_agent": record.user_agent}
    if record.is_cancelled:
        fields["disconnect_phase"] = record.disconnect_phase
    if record.is_drained:
        fields["drained"] = True
    if record.error is not None:
        fields |= {"error_kind": str(record.error.kind), "error_origin": str(record.error.origin)}
    if record.model_requested:
        fields |= _answer_fields(record, duration_s)
    return fields


def _answer_fields(record: RequestRecord, duration_s: float) -> dict[str, object]:
    fields: dict[str, object] = {
        "model_requested": record.model_requested[:64],
        "model": record.model,
        "wire": record.wire,
        "account": record.account,
        "attempts": [
            {"account": a.account, "result": a.result, "ms": round(a.duration_s * 1000, 1)}
            for a in record.attempts
        ],
        "queue_ms": round(record.queued_s * 1000, 1),
        "admit_ms": round(record.admit_s * 1000, 2),
        "connect_ms": round(record.connect_s * 1000, 1),
        "overhead_ms": round(record.own_s(ended_at_s=record.started_at_s + duration_s) * 1000, 2),
        "finish_reason": record.finish_reason,
        "tools_offered": record.tools_offered,
        "tools_called": record.tools_called,
    }
    if record.first_event_at_s is not None:
        fields["ttft_ms"] = round((record.first_event_at_s - record.started_at_s) * 1000, 1)
        if record.streams:
            fields["chunks"] = record.chunks
            fields["longest_gap_ms"] = round(record.longest_gap_s * 1000, 1)
    if record.sticky:
        fields["sticky"] = record.sticky
    if record.sieve:
        fields["sieve"] = {f"{name}:{detail}": count for (name, detail), count in record.sieve.items()}
    if usage := record.usage:
        fields |= {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "usage_estimated": usage.is_estimated,
            "cost_micro_usd": record.cost_micro_usd,
        }
    return fields
