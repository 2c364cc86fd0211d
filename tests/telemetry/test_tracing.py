"""Whether spans are made, and that nothing of OpenTelemetry is there when they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from service.telemetry.record import RequestRecord
from service.telemetry.trace import NO_TRACE
from service.telemetry.tracing import PASSING_ON, is_wanted, tracing_of

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        pytest.param({}, False, id="off unless asked for"),
        pytest.param(ENDPOINT, True, id="an endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True, id="one for traces"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, True, id="at the standard's default place"),
        pytest.param({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False, id="metrics and logs only"),
        pytest.param({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False, id="switched off"),
    ],
)
def test_the_environment_decides(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


def test_without_spans_a_trace_is_passed_on() -> None:
    tracing = tracing_of({}, unix_s=lambda: 0.0)
    assert tracing is PASSING_ON
    assert tracing.begin("", "lonely=1") is NO_TRACE
    trace = tracing.begin(f"00-{'a' * 32}-{'b' * 16}-01", "v=1")
    assert (trace.trace_id, trace.parent_id, trace.span_id, trace.state) == ("a" * 32, "b" * 16, "", "v=1")
    assert tracing.inside(trace) is trace
    tracing.finish(RequestRecord(request_id="r", route="chat", started_at_s=0.0), duration_s=1.0)
    tracing.close()


def test_wanted_and_not_installed_is_said_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.telemetry.spans", None)
    with capture_logs() as logs:
        assert tracing_of(ENDPOINT, unix_s=lambda: 0.0) is PASSING_ON
    assert logs[0]["event"] == "tracing_unavailable"


def test_another_protocol_is_told_as_ignored() -> None:
    with capture_logs() as logs:
        tracing = tracing_of({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, unix_s=lambda: 0.0)
    tracing.close()
    assert tracing.makes_spans
    assert [line["event"] for line in logs] == ["tracing_protocol_ignored"]


WHO_IMPORTS = """
import builtins, sys
from pathlib import Path
real, ours = builtins.__import__, set()
def watched(name, globals=None, *rest, **more):
    is_theirs, importer = name.partition(".")[0] == "opentelemetry", (globals or {}).get("__name__", "")
    if is_theirs and importer.startswith("service"):
        ours.add(importer)
    if is_theirs and HIDES:
        raise ModuleNotFoundError(name)
    return real(name, globals, *rest, **more)
builtins.__import__ = watched
import service.__main__, service.app
from service.telemetry.tracing import tracing_of
tracing_of({}, unix_s=lambda: 0.0)
assert not ours, ours
assert "service.telemetry.spans" not in sys.modules
assert not [name for name in sys.modules if name.startswith("opentelemetry.exporter")]
assert not HIDES or not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


@pytest.mark.slow
@pytest.mark.parametrize("hides", [True, False], ids=["not installed", "installed"])
def test_nothing_of_opentelemetry_is_imported_when_it_is_off(hides: bool) -> None:
    """Slow: a process. (Where it is installed, redis-py imports OpenTelemetry's API by itself.)"""
    code = WHO_IMPORTS.replace("HIDES", str(hides))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
