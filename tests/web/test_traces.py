"""Traces of a whole gateway: what goes on to the upstream, and spans at an OTLP receiver over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.config import Security
from tests.fakes.collector import Collector, collecting, environment, told
from tests.web.rig import Rig, Start

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{CALLER}-00", "tracestate": "vendor=1"}
PROMPT, ANSWER = "canary-prompt-77aa", "canary-answer-88bb"


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Runs, and the environment names it."""
    async with collecting() as collector:
        for name, value in environment(collector).items():
            monkeypatch.setenv(name, value)
        yield collector


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": text}], **more}


async def ask(rig: Rig, body: dict[str, Any], **headers: str) -> Any:
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body, headers=headers) as response:
        await response.read()
        return response


def at_upstream(rig: Rig) -> dict[str, str]:
    return {name.lower(): value for name, value in rig.simulator.record.requests[-1].headers.items()}


async def test_callers_trace_goes_on_to_the_platform_as_it_came(start: Start) -> None:
    async with start("platform") as rig:
        response = await ask(rig, chat("Hello"), **SENT)
        assert response.headers["x-trace-id"] == TRACE
        assert {name: at_upstream(rig)[name] for name in SENT} == SENT
        await ask(rig, chat("Hello"))
        assert not SENT.keys() & at_upstream(rig).keys(), "who sends no trace has none"


async def test_the_studio_and_whoever_the_operator_says_are_told_of_no_trace(start: Start) -> None:
    async with start("studio") as rig:
        await ask(rig, chat("Hello"), **SENT)
        assert not SENT.keys() & at_upstream(rig).keys()
    async with start("platform", security=Security(sends_trace_context=False)) as rig:
        response = await ask(rig, chat("Hello"), **SENT)
        assert not SENT.keys() & at_upstream(rig).keys()
        assert response.headers["x-trace-id"] == TRACE, "our own log has it all the same"


async def test_requests_arrive_as_spans_at_the_collector(start: Start, receiver: Collector) -> None:
    async with start("platform", "platform-2") as rig:
        body = chat(f"{PROMPT} [[sim: say={ANSWER}]]", stream=True)
        response = await ask(rig, body, **SENT)
        parent = at_upstream(rig)["traceparent"]
        await ask(rig, chat(f"{PROMPT} [[sim: status=400 message={ANSWER}]]"))
        async with rig.http.get(rig.url("/healthz")) as probe:
            assert "x-trace-id" not in probe.headers
    servers = [span for span in receiver.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert [span.name for span in servers] == ["chat mimo-v2.6-pro"] * 2, "and none for the probe"
    first, second = servers
    assert response.headers["x-trace-id"] == first.trace_id.hex() == TRACE
    assert first.parent_span_id.hex() == CALLER
    mine = [span for span in receiver.spans if span.parent_span_id == first.span_id]
    assert [span.name for span in mine] == ["admit", "lease", "chat mimo-v2.6-pro", "stream"]
    attempt = mine[2]
    assert parent == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert [event.name for event in attempt.events] == ["first_token"]
    assert first.start_time_unix_nano <= attempt.start_time_unix_nano <= attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= first.end_time_unix_nano
    facts = told(first)
    assert (facts["gen_ai.response.finish_reasons"], facts["mgw.outcome"]) == (["stop"], "ok")
    assert facts["gen_ai.usage.output_tokens"] > 0
    assert told(second)["error.type"] == "upstream_refused"
    assert receiver.resources[0]["service.name"] == "mimo-gateway"
    sent = b"".join(receiver.raw)
    assert not [word for word in (PROMPT, ANSWER, "sk-mimo", "sk-simulator") if word.encode() in sent]


async def test_client_that_leaves_has_its_spans(start: Start, receiver: Collector) -> None:
    async with start("platform") as rig:
        body = chat("[[sim: tokens=100000 pace_ms=20]] go", stream=True)
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            await response.content.readany()
        await rig.nothing_is_held()
    whole = next(span for span in receiver.spans if span.kind == Span.SPAN_KIND_SERVER)
    attempt = next(span for span in receiver.spans if span.kind == Span.SPAN_KIND_CLIENT)
    assert (told(whole)["mgw.outcome"], told(attempt)["mgw.result"]) == ("cancelled", "cancelled")


async def test_background_response_has_a_span_inside_its_requests(start: Start, receiver: Collector) -> None:
    async with start("platform") as rig:
        body = {"model": "mimo-v2.6-pro", "input": "Hello", "background": True}
        async with rig.http.post(rig.url("/v1/responses"), json=body) as response:
            created = await response.json()
        status = created["status"]
        async with asyncio.timeout(20):
            while status in ("queued", "in_progress"):
                async with rig.http.get(rig.url(f"/v1/responses/{created['id']}")) as response:
                    status = (await response.json())["status"]
                await asyncio.sleep(0.02)
    runs = [span for span in receiver.spans if told(span).get("gen_ai.usage.output_tokens")]
    (run,) = [span for span in runs if span.kind == Span.SPAN_KIND_SERVER]
    (creating,) = [span for span in receiver.spans if span.span_id == run.parent_span_id]
    assert (creating.kind, creating.trace_id) == (Span.SPAN_KIND_SERVER, run.trace_id)


async def test_histograms_carry_exemplars_for_scrapers_that_take_them(
    start: Start, receiver: Collector
) -> None:
    async with start("platform") as rig:
        response = await ask(rig, chat("Hello", stream=True))
        trace_id = response.headers["x-trace-id"]
        asked = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5"}
        async with rig.http.get(rig.url("/metrics"), headers=asked) as scraped:
            text = await scraped.text()
            assert scraped.headers["Content-Type"].startswith("application/openmetrics-text")
        async with rig.http.get(rig.url("/metrics")) as scraped:
            assert "# {" not in await scraped.text()
    carrying = [line for line in text.splitlines() if f'trace_id="{trace_id}"' in line]
    assert {line.partition("{")[0] for line in carrying} == {
        "gen_ai_server_request_duration_seconds_bucket",
        "gen_ai_server_time_to_first_token_seconds_bucket",
    }
    assert text.endswith("# EOF\n")


async def test_collector_that_is_away_harms_no_request(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with start("platform") as rig:
        assert (await ask(rig, chat("Hello"))).status == 200


async def test_speech_is_traced_as_chats_are(start: Start, receiver: Collector) -> None:
    async with start("platform") as rig:
        body = {"model": "tts-1", "input": PROMPT, "voice": "alloy", "response_format": "wav"}
        async with rig.http.post(rig.url("/v1/audio/speech"), json=body, headers=SENT) as response:
            assert response.status == 200
            await response.read()
        at_platform = at_upstream(rig)["traceparent"]
    attempt = next(span for span in receiver.spans if span.kind == Span.SPAN_KIND_CLIENT)
    assert at_platform == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert attempt.name.startswith("speech ")
