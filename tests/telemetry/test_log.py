"""What a log line may hold, what it may never hold, and that writing it never waits."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from service.config import Log, LogLevel, Secret
from service.core.errors import UpstreamTimeout
from service.core.events import Usage
from service.telemetry.log import (
    FIELDS,
    OPENTELEMETRY_NAMES,
    LineWriter,
    Scrubber,
    configure,
    request_fields,
)
from service.telemetry.record import AttemptRecord, RequestRecord
from service.telemetry.trace import Trace

CANARY = "canary1234567890"


class Sink:
    """Logging configured onto a string; `lines()` closes the writer and reads what it wrote."""

    def __init__(self, level: LogLevel = LogLevel.INFO) -> None:
        self.stream = io.StringIO()
        self.writer = configure(Log(level=level), self.stream)
        self.log = structlog.get_logger()

    def text(self) -> str:
        self.writer.close()
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.writer.close()
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [known for known in root.handlers if type(known).__name__ == "_LibraryHandler"]:
        root.removeHandler(handler)


# --- lines --------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_its_frame_first(sink: Sink) -> None:
    sink.log.info("started", port=8080)
    sink.log.error("background_failed", task="settle\nrelease")
    first, second = sink.lines()
    assert list(first)[:4] == ["ts", "service", "version", "schema"]
    assert (first["event"], first["level"], first["port"]) == ("started", "info", 8080)
    assert first["ts"].endswith("Z")
    assert (second["level"], second["task"]) == ("error", "settle\nrelease")


def test_only_listed_fields_leave(sink: Sink) -> None:
    sink.log.info("odd", prompt=CANARY, Authorization=CANARY, url=CANARY, port=1)
    (line,) = sink.lines()
    assert line["port"] == 1
    assert line["notes"] == [f"dropped field {name}" for name in ("Authorization", "prompt", "url")]
    assert CANARY not in orjson.dumps(line).decode()


def test_no_field_is_named_after_content() -> None:
    forbidden = (
        "prompt",
        "text",
        "message",
        "header",
        "cookie",
        "url",
        "token",
        "secret",
        "argument",
        "body",
    )
    counts = {"input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"}
    assert not [name for name in FIELDS - counts if any(word in name for word in forbidden)]


def test_lines_below_the_level_are_not_made(sink: Sink) -> None:
    quiet = Sink(LogLevel.WARNING)
    quiet.log.info("started")
    quiet.log.warning("library_warned")
    assert [line["event"] for line in quiet.lines()] == ["library_warned"]


def test_a_value_that_is_no_json_is_shown_by_its_name(sink: Sink) -> None:
    sink.log.info("started", reason=Secret(CANARY), redis={1})
    (line,) = sink.lines()
    assert (line["reason"], line["redis"]) == ("Secret(***)", "{1}")


def test_fields_can_have_opentelemetrys_names() -> None:
    stream = io.StringIO()
    writer = configure(Log(opentelemetry_names=True), stream)
    structlog.get_logger().info("request_ended", **request_fields(_full(), duration_s=2.0), prompt=CANARY)
    writer.close()
    (line,) = map(orjson.loads, stream.getvalue().splitlines())
    assert (line["gen_ai.response.model"], line["gen_ai.usage.output_tokens"]) == ("mimo-v2.6-pro", 2)
    assert (line["error.type"], line["total_ms"]) == ("upstream_timeout", 2000.0)
    assert line["notes"] == ["dropped field prompt"]
    assert not OPENTELEMETRY_NAMES.keys() & line.keys()
    assert CANARY not in stream.getvalue()


def test_every_renamed_field_is_one() -> None:
    assert OPENTELEMETRY_NAMES.keys() < FIELDS
    assert len(set(OPENTELEMETRY_NAMES.values())) == len(OPENTELEMETRY_NAMES)


# --- libraries ----------------------------------------------------------------------------------------------


def test_a_librarys_warning_is_told_without_its_text(sink: Sink) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("aiohttp.server").error("Error handling %s", CANARY, exc_info=True)
    logging.getLogger("asyncio").info("nothing")
    (line,) = sink.lines()
    assert (line["event"], line["library"], line["error_type"]) == (
        "library_warned",
        "aiohttp.server",
        "ValueError",
    )
    assert line["path"].endswith("tests/telemetry/test_log.py")
    assert CANARY not in orjson.dumps(line).decode()


def test_libraries_are_heard_once_however_often_logging_is_configured(sink: Sink) -> None:
    again = Sink()
    logging.getLogger("asyncio").warning("x")
    assert len(again.lines()) == 1
    assert sink.lines() == []


# --- the scrubber -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-{CANARY}",
        f"tp-{CANARY}",
        f"ttp-{CANARY}",
        f"SK-{CANARY}",
        f"Bearer {CANARY}",
        f"authorization: bearer {CANARY}",
        f"serviceToken={CANARY}",
        f'serviceToken="{CANARY}"',
        f"xiaomichatbot_serviceToken={CANARY}; userId=1",
        f"service_token: {CANARY}",
        f"passToken={CANARY}",
        f"?xiaomichatbot_ph={CANARY}&x=1",
        f"api-key: {CANARY}",
        f"x-api-key: {CANARY}",
        f'{{"api_key": "{CANARY}"}}',
        f"{{'apiKey': '{CANARY}'}}",
    ],
)
def test_credentials_are_masked_and_counted(sink: Sink, secret: str) -> None:
    sink.log.info("started", reason=f"x {secret} y")
    text = sink.text()
    assert CANARY not in text
    assert sink.writer.scrubber.hits == 1
    assert orjson.loads(text)["event"] == "started", "the line is still JSON"


@pytest.mark.parametrize(
    "words",
    [
        "task-settlement",
        "disk-pressure",
        "http-proxy",
        "sk-1",
        "missing_api_key",
        "an API key was not sent",
        "bearer",
        "desk-1234",
        "the serviceToken has ended",
        '"error_kind":"invalid_api_key","status":401',
    ],
)
def test_ordinary_words_are_left_alone(words: str) -> None:
    """A hit is a bug report: it must not come from a name."""
    scrubber = Scrubber()
    assert scrubber.clean(words.encode()) == words.encode()
    assert scrubber.hits == 0


# --- the writer ---------------------------------------------------------------------------------------------


class Stuck(io.StringIO):
    """A pipe that nobody reads, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.released.wait(10)
        return super().write(text)


def test_a_full_pipe_never_blocks_and_what_is_lost_is_counted() -> None:
    stuck = Stuck()
    writer = LineWriter(stuck, max_lines=5)
    writer.write(b"first")
    assert stuck.entered.wait(10)
    for _ in range(100):
        writer.write(b"more")
    assert writer.dropped == 95
    stuck.released.set()
    writer.close()
    assert stuck.getvalue().count("more") == 5


def test_closing_writes_what_is_queued() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.write(b"%d" % number)
    writer.close()
    assert stream.getvalue().splitlines() == [str(number) for number in range(1000)]
    assert writer.dropped == 0


def test_a_closed_pipe_costs_the_lines_and_nothing_else() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LineWriter(stream)
    writer.write(b"x")
    writer.close()
    assert writer.dropped == 1


# --- the line of a request ----------------------------------------------------------------------------------


def a_record(**fields: Any) -> RequestRecord:
    return RequestRecord(request_id="req_1", route="chat", started_at_s=100.0, **fields)


def test_every_field_of_a_request_is_on_the_list() -> None:
    fields = request_fields(_full(), duration_s=2.0)
    assert fields.keys() <= FIELDS


def _full() -> RequestRecord:
    return a_record(
        method="POST",
        key_id="k",
        key_name="Ann",
        model_requested="gpt-4o" * 100,
        model="mimo-v2.6-pro",
        wire="platform",
        account="paid",
        streams=True,
        status=200,
        first_event_at_s=100.25,
        error=UpstreamTimeout(waited_s=1, phase="idle"),
        usage=Usage(input_tokens=1, output_tokens=2, cached_tokens=3, reasoning_tokens=4, is_estimated=True),
        attempts=[AttemptRecord(account="paid", wire="platform", result="ok", duration_s=0.5)],
        trace=Trace(trace_id="t" * 32, span_id="s" * 16),
        sticky="moved",
        admit_s=0.001,
        queued_s=0.5,
        connect_s=0.0213,
        body_at_s=100.01,
        decoded_at_s=100.0125,
        first_write_at_s=100.2505,
        finished_at_s=101.999,
        chunks=7,
        cost_micro_usd=870,
        sieve={("call_found", "mimoml"): 2},
        notes=[CANARY],
    )


def test_a_request_in_full() -> None:
    fields = request_fields(_full(), duration_s=2.0)
    shown = {
        name: fields[name]
        for name in ("total_ms", "ttft_ms", "error_kind", "error_origin", "usage_estimated")
    }
    assert shown == {
        "total_ms": 2000.0,
        "ttft_ms": 250.0,
        "error_kind": "upstream_timeout",
        "error_origin": "upstream",
        "usage_estimated": True,
    }
    times = {name: fields[name] for name in ("admit_ms", "queue_ms", "connect_ms", "overhead_ms")}
    assert times == {"admit_ms": 1.0, "queue_ms": 500.0, "connect_ms": 21.3, "overhead_ms": 5.0}
    assert (fields["chunks"], fields["cost_micro_usd"], fields["sticky"]) == (7, 870, "moved")
    assert (fields["trace_id"], fields["span_id"]) == ("t" * 32, "s" * 16)
    assert fields["attempts"] == [{"account": "paid", "result": "ok", "ms": 500.0}]
    assert fields["sieve"] == {"call_found:mimoml": 2}
    assert len(str(fields["model_requested"])) == 64


def test_a_request_that_never_reached_a_model_says_nothing_of_one() -> None:
    fields = request_fields(a_record(status=401), duration_s=0.01)
    assert fields.keys() & {"model", "attempts", "ttft_ms", "input_tokens", "error_kind"} == set()


def test_no_content_of_a_request_reaches_its_line(sink: Sink) -> None:
    """Notes quote the client; an error's message may quote the upstream."""
    record = a_record(model_requested="m", notes=[CANARY], error=UpstreamTimeout(waited_s=1, phase=CANARY))
    sink.log.info("request_ended", **request_fields(record, duration_s=1.0))
    (line,) = sink.lines()
    assert CANARY not in orjson.dumps(line).decode()
    assert line["event"] == "request_ended"
    assert "notes" not in line, "nothing was dropped"
