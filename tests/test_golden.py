"""Golden conversations: each answered in all three dialects, streamed and not, from both upstream kinds.

`make golden` rewrites what is expected; the diff is reviewed like code. What the folders hold stands in
tests/golden/conversation_cases.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import orjson
import pytest

from service.core.errors import GatewayError
from service.core.events import Event, Failed, Finish, Notice, Usage, UsageReport
from service.core.pipeline import joined
from tests.golden.accumulated import answer_of_stream, answer_of_whole, error_of_stream, error_of_whole
from tests.golden.conversation_cases import (
    CASES,
    DIALECTS,
    Asked,
    Case,
    asked,
    events_json,
    events_of,
    pretty,
    upstream_request,
)
from tests.grammar import anthropic_messages, openai_chat, openai_responses
from tests.grammar.events import check_events, normalised

REWRITES = os.environ.get("GOLDEN") == "rewrite"
CHECK_STREAM = {
    "chat": openai_chat.check_stream,
    "messages": anthropic_messages.check_stream,
    "responses": openai_responses.check_stream,
}
CASE = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


def produced(case: Case) -> dict[str, bytes]:
    """Every expected file of the case, by name, as the code makes it now."""
    files: dict[str, bytes] = {}
    for wire in case.wires:
        bodies = {d: pretty(upstream_request(asked(case, d, streams=True), wire)) for d in DIALECTS}
        _shared(files, f"request.{wire}", ".json", bodies)
    _shared(files, "events", ".json", {wire: _events(case, wire) for wire in case.wires})
    for dialect in DIALECTS:
        _shared(files, dialect, ".json", {wire: pretty(whole(case, dialect, wire)) for wire in case.wires})
        streams = {wire: streamed(case, dialect, wire) for wire in case.wires}
        _shared(files, dialect, ".sse", {wire: raw for wire, raw in streams.items() if raw is not None})
    return files


def _shared(files: dict[str, bytes], stem: str, suffix: str, contents: dict[str, bytes]) -> None:
    """The first content under the plain name, every other one that differs from it under its own."""
    first = next(iter(contents.values()), None)
    for name, content in contents.items():
        files[f"{stem}{suffix}" if content == first else f"{stem}.{name}{suffix}"] = content


def _events(case: Case, wire: str) -> bytes:
    try:
        return events_json(events_of(case, asked(case, "messages", streams=True), wire, streams=True))
    except GatewayError as error:
        return events_json([Failed(error)])


def streamed(case: Case, dialect: str, wire: str) -> bytes | None:
    """The stream that a client of `dialect` gets; None when it gets a status instead."""
    one = asked(case, dialect, streams=True)
    try:
        events = events_of(case, one, wire, streams=True)
    except GatewayError:
        return None
    if isinstance(events[0], Failed):
        return None
    return b"".join(map(one.encoder().feed, shown(events)))


def shown(events: list[Event]) -> list[Event]:
    """As the gateway shows them: no notices, and usage where a cut took it away (its own estimate there)."""
    kept = [event for event in events if not isinstance(event, Notice)]
    if isinstance(kept[-1], Finish) and not any(isinstance(event, UsageReport) for event in kept):
        kept.insert(-1, UsageReport(Usage(input_tokens=30, output_tokens=6, is_estimated=True)))
    return kept


def whole(case: Case, dialect: str, wire: str) -> bytes:
    """The body of the answer that did not stream."""
    one = asked(case, dialect, streams=False)
    try:
        events = events_of(case, one, wire, streams=False)
    except GatewayError as error:
        return one.refusal(error)
    return one.whole(shown(events))


def every_stream(case: Case) -> Iterator[tuple[str, str, bytes]]:
    for dialect in DIALECTS:
        for wire in case.wires:
            if (raw := streamed(case, dialect, wire)) is not None:
                yield dialect, wire, raw


@CASE
def test_conversation_is_answered_as_written_down(case: Case) -> None:
    files = produced(case)
    if REWRITES:
        for name in {path.name for path in case.folder.iterdir()} - case.inputs:
            (case.folder / name).unlink()
        for name, content in files.items():
            (case.folder / name).write_bytes(content)
    found = {path.name for path in case.folder.iterdir()} - case.inputs
    assert found == set(files), "files that are missing or unused; `make golden` rewrites them"
    for name, content in files.items():
        assert content == case.read(name), f"{case.name}/{name}"


@CASE
def test_every_stream_keeps_its_dialect_s_grammar(case: Case) -> None:
    for dialect, _, raw in every_stream(case):
        CHECK_STREAM[dialect](raw)


def is_refusal(body: bytes) -> bool:
    return set(orjson.loads(body)) == {"status", "body"}


@CASE
@DIALECT
def test_whole_answer_is_what_the_official_package_makes_of_the_stream(case: Case, dialect: str) -> None:
    checked: set[bytes] = set()
    for wire in case.wires:
        body, raw = whole(case, dialect, wire), streamed(case, dialect, wire)
        if raw is None or raw in checked:
            continue
        checked.add(raw)
        request = case.meta["requests"][dialect]
        if is_refusal(body):
            told = error_of_stream(dialect, request, raw)
            # What broke is said in the wire's own words, and those differ for a body that was cut.
            assert told == error_of_whole(dialect, body) or case.name == "cut"
        else:
            assert answer_of_stream(dialect, request, raw) == answer_of_whole(dialect, body)


@CASE
def test_any_cut_of_the_upstream_s_bytes_gives_the_same_answer(case: Case) -> None:
    for wire in case.wires:
        if case.meta["statuses"][wire] != 200:
            continue
        one = asked(case, "messages", streams=True)
        at_once = _normal(events_of(case, one, wire, streams=True))
        for cut in (1, 7, 64):
            assert _normal(events_of(case, one, wire, streams=True, cut=cut)) == at_once


def _normal(events: list[Event]) -> bytes:
    return events_json(normalised(events))


@CASE
def test_events_keep_their_laws(case: Case) -> None:
    for dialect in DIALECTS:
        one: Asked = asked(case, dialect, streams=True)
        for wire in case.wires:
            if case.meta["statuses"][wire] == 200:
                events = events_of(case, one, wire, streams=True)
                check_events(joined(events))


def test_no_conversation_goes_missing() -> None:
    assert {
        *("text", "thinking", "one_call", "two_calls", "parallel_calls", "text_round_a_call", "tool_result"),
        *("image", "tool_result_media", "stop_sequence", "max_tokens", "content_filter", "empty"),
        *("reasoning_only", "error_before", "overflow", "cut", "error_inside", "web_search"),
    } == {case.name for case in CASES}
