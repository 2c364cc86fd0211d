"""The stream: its grammar, what openai's own accumulator makes of it, and that a whole answer is the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from service.core.completion import collect
from service.core.dialects.openai_responses.request import ResponsesRequest
from service.core.dialects.openai_responses.response import encode_completion
from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.errors import InvalidRequest, UpstreamRateLimited
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.pipeline import joined
from tests.core.dialects.openai_responses.samples import (
    HEAD,
    PATCH_UPSTREAM,
    TOOLS,
    counter,
    request_of,
    seal,
    without_ids,
)
from tests.grammar.openai_responses import check_stream
from tests.strategies import event_streams

# Whole streams are slow to draw and to check: fewer of them keep the folder within seconds.
_FEWER = settings(max_examples=50)
_ADAPTER: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_STOP = Finish(FinishReason.STOP)
_CALLS = Finish(FinishReason.TOOL_CALLS)
_NAMES = ["get_weather", "spawn", "apply_patch", "tool_call", "local_shell", "shell", PATCH_UPSTREAM, "ghost"]


def _encoder(request: ResponsesRequest | None = None) -> StreamEncoder:
    return StreamEncoder(HEAD, request or request_of(), new_id=counter(), seal=seal)


def _streamed(events: list[Event], request: ResponsesRequest | None = None) -> list[dict[str, Any]]:
    return check_stream(b"".join(map(_encoder(request).feed, events)))


def _short(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def _call(name: str, *fragments: str) -> list[Event]:
    return [ToolCallStart(0, "call_1", name), *[ToolCallDelta(0, f) for f in fragments], ToolCallEnd(0)]


@st.composite
def _streams_of_our_tools(draw: st.DrawFn, *, can_fail: bool = True) -> list[Event]:
    """Legal streams whose calls name the declared tools, some with arguments that these know."""
    arguments = st.sampled_from(
        [
            '{"input":"a\\nb"}',
            '{"command":["ls"]}',
            '{"commands":["ls"]}',
            '{"type":"delete_file","path":"a"}',
            "",
        ]
    )
    events: list[Event] = []
    for event in draw(event_streams(can_fail=can_fail)):
        if isinstance(event, ToolCallStart):
            event = ToolCallStart(event.index, event.call_id, draw(st.sampled_from(_NAMES)))
            events.append(event)
            text = draw(arguments)
            if text and draw(st.booleans()):
                events += [ToolCallDelta(event.index, text[:5]), ToolCallDelta(event.index, text[5:])]
        else:
            events.append(event)
    return events


# --- the sequence -------------------------------------------------------------------------------------------


def test_text() -> None:
    events = _streamed([TextDelta("He"), TextDelta("llo 100%\n"), UsageReport(Usage(input_tokens=3)), _STOP])
    assert _short(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[-1]["response"]["usage"]["input_tokens"] == 3
    assert events[5]["delta"] == "llo 100%\n"


def test_reasoning_then_text() -> None:
    events = _streamed([ReasoningDelta("Hm."), ReasoningDelta("!"), TextDelta("Hello"), _STOP])
    assert _short(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert events[6]["text"] == "Hm.!"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning", "message"]


def test_function_call() -> None:
    events = _streamed([*_call("spawn", '{"a"', ":1}"), _CALLS])
    assert _short(events)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert events[2]["item"]["arguments"] == ""
    assert events[-2]["item"] == {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "spawn",
        "namespace": "agents",
        "arguments": '{"a":1}',
    }


def test_custom_tool_call_streams_its_raw_input() -> None:
    events = _streamed([*_call("apply_patch", '{"in', 'put":"*** Begin', "\\", 'n+<a>&\\"\\n', '"}'), _CALLS])
    deltas = [event["delta"] for event in events if event["type"].endswith("input.delta")]
    assert deltas == ["*** Begin", '\n+<a>&"\n']
    assert events[-2]["item"]["input"] == '*** Begin\n+<a>&"\n'
    assert events[-2]["item"]["type"] == "custom_tool_call"


def test_custom_tool_call_of_another_form_comes_at_its_end() -> None:
    events = _streamed([*_call("apply_patch", "*** Begin", " Patch"), _CALLS])
    assert [event["delta"] for event in events if event["type"].endswith("input.delta")] == [
        "*** Begin Patch"
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("local_shell", '{"command":["ls"]}', "local_shell_call"),
        ("shell", '{"commands":["ls"]}', "shell_call"),
        (PATCH_UPSTREAM, '{"type":"delete_file","path":"a"}', "apply_patch_call"),
    ],
)
def test_call_without_deltas_comes_whole(name: str, arguments: str, kind: str) -> None:
    events = _streamed([*_call(name, arguments[:4], arguments[4:]), _CALLS])
    assert _short(events)[2:-1] == ["output_item.added", "output_item.done"]
    assert events[-2]["item"]["type"] == kind


@pytest.mark.parametrize("arguments", ["", "ls -l"])
def test_shell_call_that_says_nothing_usable_is_a_function_call(arguments: str) -> None:
    events = _streamed([*_call("shell", *([arguments] if arguments else [])), _CALLS])
    assert events[-2]["item"]["type"] == "function_call"
    assert events[-2]["item"]["arguments"] == (arguments or "{}")


def test_two_calls_and_text_after_them() -> None:
    second = [ToolCallStart(1, "call_2", "ghost"), ToolCallDelta(1, "{}"), ToolCallEnd(1)]
    events = _streamed([*_call("get_weather", "{}"), *second, TextDelta("Done."), _CALLS])
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "function_call", "message"]


def test_call_without_arguments_has_an_empty_object() -> None:
    events = _streamed([*_call("get_weather"), _CALLS])
    assert events[-2]["item"]["arguments"] == "{}"


@pytest.mark.parametrize("name", _NAMES)
def test_call_that_was_cut_is_never_done(name: str) -> None:
    """A client runs a call when it sees output_item.done: half of a command must not run."""
    events = _streamed(
        [ToolCallStart(0, "call_1", name), ToolCallDelta(0, '{"input":"a'), Finish(FinishReason.LENGTH)]
    )
    assert "output_item.done" not in _short(events)
    (item,) = events[-1]["response"]["output"]
    assert item["status"] == "incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_text_behind_a_call_that_was_cut_is_an_item_of_its_own() -> None:
    encoder = _encoder()
    cut: list[Event] = [ToolCallStart(0, "call_1", "get_weather"), ToolCallDelta(0, '{"a'), ToolCallCut(0)]
    raw = b"".join(map(encoder.feed, [*cut, TextDelta("Hi"), Finish(FinishReason.LENGTH)]))
    last = orjson.loads(raw.rstrip().rpartition(b"data: ")[2])
    assert [(item["type"], item["status"]) for item in last["response"]["output"]] == [
        ("function_call", "incomplete"),
        ("message", "incomplete"),
    ]


def test_text_that_was_cut_is_incomplete() -> None:
    events = _streamed([TextDelta("He"), Finish(FinishReason.CONTENT_FILTER)])
    assert _short(events)[-2:] == ["output_item.done", "incomplete"]
    assert events[-2]["item"]["status"] == "incomplete"


def test_empty_answer() -> None:
    assert _short(_streamed([_STOP])) == ["created", "in_progress", "completed"]


def test_sources_are_annotations_of_the_text_after_the_search() -> None:
    events = _streamed([Citation("https://example.com/a", "A"), TextDelta("Hi"), _STOP])
    assert "output_text.annotation.added" in _short(events)
    assert _short(events)[2:7] == [
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
    ]
    search, message = events[-1]["response"]["output"]
    assert search["action"] == {"type": "search", "query": ""}
    (content,) = message["content"]
    assert [annotation["url"] for annotation in content["annotations"]] == ["https://example.com/a"]


def test_failure_before_anything_else() -> None:
    events = _streamed([Failed(InvalidRequest("No."))])
    assert _short(events) == ["created", "in_progress", "failed"]
    assert events[-1]["response"]["error"] == {"code": "invalid_prompt", "message": "No."}


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([TextDelta("He")], id="in text"),
        pytest.param([ReasoningDelta("Hm")], id="in reasoning"),
        pytest.param(_call("get_weather", "{}")[:2], id="in a call"),
        pytest.param(_call("apply_patch", '{"input":"a"}')[:2], id="in a custom call"),
        pytest.param(_call("shell", "{}")[:2], id="in a call without deltas"),
    ],
)
def test_failure_closes_nothing(before: list[Event]) -> None:
    error = UpstreamRateLimited("Too fast.", retry_after_s=1.5)
    events = _streamed(
        [TextDelta("first"), ToolCallStart(0, "c", "ghost"), ToolCallEnd(0), *before, Failed(error)]
    )
    response = events[-1]["response"]
    assert [item["status"] for item in response["output"]] == ["completed", "completed", "incomplete"]
    assert response["error"] == {
        "code": "rate_limit_exceeded",
        "message": "Too fast. Please try again in 1.500s.",
    }


def test_background_stream_begins_queued() -> None:
    events = _streamed([TextDelta("a"), _STOP], request_of(background=True))
    assert _short(events)[:3] == ["created", "queued", "in_progress"]
    assert [event["response"]["status"] for event in events[:3]] == ["queued", "queued", "in_progress"]


def test_sealed_reasoning_for_clients_that_ask() -> None:
    request = request_of(include=["reasoning.encrypted_content"])
    events = _streamed([ReasoningDelta("Hm."), _STOP], request)
    assert events[-2]["item"]["encrypted_content"] == "sealed:Hm."


def test_nothing_is_sent_for_what_is_not_shown() -> None:
    encoder = _encoder()
    asides = [Notice("false_start"), Citation("u"), UsageReport(Usage()), ToolCallDelta(0, "x")]
    assert [encoder.feed(event) for event in asides] == [b""] * 4
    assert encoder.next_sequence_number == 0


def test_start_may_be_sent_ahead() -> None:
    encoder = _encoder()
    started = encoder.start()
    assert started.startswith(b"event: response.created\n")
    assert encoder.start() == b""
    check_stream(started + encoder.ping() + encoder.feed(TextDelta("a")) + encoder.feed(_STOP))


def test_ping_is_a_comment() -> None:
    assert _encoder().ping() == b": ping\n\n"


def test_state_for_the_store() -> None:
    encoder = _encoder()
    encoder.feed(ReasoningDelta("Hm."))
    assert encoder.response is None
    encoder.feed(TextDelta("He"))
    snapshot = encoder.snapshot("in_progress")
    assert snapshot["status"] == "in_progress"
    assert [item["type"] for item in snapshot["output"]] == ["reasoning"]  # type: ignore[attr-defined]
    encoder.feed(_STOP)
    assert encoder.response is not None
    assert encoder.response["output"] == encoder.output
    assert encoder.next_sequence_number == 15


# --- laws ---------------------------------------------------------------------------------------------------


@_FEWER
@given(_streams_of_our_tools())
def test_every_legal_stream_keeps_the_grammar(events: list[Event]) -> None:
    """And every event is what openai's own types expect."""
    for event in _streamed(events):
        _ADAPTER.validate_python(event)


@_FEWER
@given(_streams_of_our_tools(can_fail=False), st.booleans())
def test_stream_tells_what_the_whole_answer_does(events: list[Event], is_sealed: bool) -> None:
    request = request_of(include=["reasoning.encrypted_content"] if is_sealed else [])
    final = _streamed(events, request)[-1]["response"]
    whole = encode_completion(collect(events), HEAD, request, new_id=counter(), seal=seal)
    assert without_ids(final) == without_ids(whole.response)


@_FEWER
@given(_streams_of_our_tools(can_fail=False))
def test_joined_deltas_give_the_same_response(events: list[Event]) -> None:
    assert _streamed(joined(events))[-1]["response"] == _streamed(events)[-1]["response"]


@_FEWER
@given(_streams_of_our_tools())
def test_openai_accumulates_it(events: list[Event]) -> None:
    """`client.responses.stream()` feeds each event to this state: it must not raise, and end as we did."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=TOOLS, text_format=omit)
    streamed = _streamed(events)
    shown = [out for event in streamed for out in state.handle_event(_ADAPTER.validate_python(event))]
    assert shown[-1].type == streamed[-1]["type"]
    if shown[-1].type == "response.completed":
        kept = shown[-1].response.to_dict()
        assert [item["type"] for item in kept["output"]] == [  # type: ignore[attr-defined]
            item["type"] for item in streamed[-1]["response"]["output"]
        ]


def test_bytes_grow_linearly_with_the_text() -> None:
    """A delta tells its own text only, and the end tells the whole text five times."""
    encoder = _encoder()
    size = sum(len(encoder.feed(TextDelta("abcd"))) for _ in range(5_000))
    assert size < 5_000 * 260
    assert len(encoder.feed(_STOP)) < 5_000 * 4 * 5
