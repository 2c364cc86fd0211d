"""The sieve as a stage: ends, failures, events that are none of its business, policies."""

from __future__ import annotations

import pytest

from service.core.conversation import ToolSpec
from service.core.errors import UpstreamUnavailable
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
from service.core.mimoml import SievePolicy
from tests.core.mimoml.sieving import shape_of, sieve, sieved
from tests.grammar.events import check_events

CALL = "<tool_call><function=exec><parameter=command>ls</parameter></function></tool_call>"
CUT = "<tool_call><function=exec><parameter=command>ls"
NATIVE: list[Event] = [
    ToolCallStart(3, "n1", "exec"),
    ToolCallDelta(3, '{"command":"ls"}'),
    ToolCallEnd(3),
]


def _notices(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.detail) for event in events if isinstance(event, Notice)]


def test_without_tools_every_event_comes_out_as_it_went_in() -> None:
    events: list[Event] = [
        ReasoningDelta("<tool_call>"),
        TextDelta(CALL),
        *NATIVE,
        UsageReport(Usage()),
        Finish(FinishReason.TOOL_CALLS),
    ]
    stage = sieve(tools=())
    given = [out for event in events for out in stage.feed(event)]
    assert all(one is other for one, other in zip(given, events, strict=True))


def test_a_failure_flushes_text_and_comes_last() -> None:
    failed = Failed(UpstreamUnavailable("gone"))
    events = sieved(["Hello <tool_ca", failed])
    assert events[-2:] == [TextDelta("<tool_ca"), failed]


def test_a_failure_leaves_an_announced_call_open() -> None:
    failed = Failed(UpstreamUnavailable("gone"))
    events = sieved([CUT, failed])
    assert not any(isinstance(event, ToolCallEnd) for event in events)
    assert events[-1] is failed
    check_events(events, checks_arguments=False)


def test_usage_stands_right_before_the_end_and_the_last_counts() -> None:
    report = UsageReport(Usage(output_tokens=2))
    events = sieved(["a <", UsageReport(Usage()), report, Finish(FinishReason.STOP)])
    assert events[-2:] == [report, Finish(FinishReason.STOP)]
    assert events[-3] == TextDelta("<")


def test_citations_and_notices_pass() -> None:
    events = sieved(["a", Citation(url="u"), Notice("input_truncated"), "b"])
    assert events[:4] == [TextDelta("a"), Citation(url="u"), Notice("input_truncated"), TextDelta("b")]


def test_the_stop_sequence_is_kept() -> None:
    assert sieved([CALL, Finish(FinishReason.STOP, "END")])[-1] == Finish(FinishReason.TOOL_CALLS, "END")


def test_native_calls_are_numbered_beside_found_ones() -> None:
    events = sieved([CALL, *NATIVE, CALL])
    starts = [(event.index, event.call_id) for event in events if isinstance(event, ToolCallStart)]
    assert starts == [(0, "call_0"), (1, "n1"), (2, "call_1")]
    check_events(events)


def test_a_native_call_ends_text_that_is_held() -> None:
    assert sieved(["a <tool_", *NATIVE])[:2] == [TextDelta("a "), TextDelta("<tool_")]


def test_a_native_call_ends_a_call_in_text() -> None:
    assert shape_of([CUT, *NATIVE]) == [
        'cut exec {"command": "ls',
        'call exec {"command":"ls"}',
        "end length",
    ]


def test_a_native_call_without_its_end_is_unfinished() -> None:
    assert shape_of(NATIVE[:2]) == ['cut exec {"command":"ls"}', "end length"]
    assert shape_of([*NATIVE[:2], *NATIVE]) == [
        'cut exec {"command":"ls"}',
        'call exec {"command":"ls"}',
        "end length",
    ]


def test_native_fragments_without_a_call_are_ignored() -> None:
    assert sieved(NATIVE[1:]) == [Finish(FinishReason.STOP)]


def test_text_inside_a_native_call_waits_for_its_end() -> None:
    events = sieved([NATIVE[0], "a", ReasoningDelta("b"), *NATIVE[1:]])
    check_events(events)
    assert shape_of([NATIVE[0], "a", ReasoningDelta("b"), *NATIVE[1:]]) == [
        'call exec {"command":"ls"}',
        'text "a"',
        'reasoning "b"',
        "end tool_calls",
    ]


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        (CALL, [("call_found", "native")]),
        ('<tool_calls><invoke name="ping"></invoke></tool_calls>', [("call_found", "mimoml")]),
        ('<tml:function_calls><invoke name="ping"></invoke>', [("call_found", "foreign")]),
        ('<tool_call>{"name": "ping", "arguments": {}}</tool_call>', [("call_found", "hermes")]),
        ('<function_call>{"name": "ping", "arguments": {}}', [("call_found", "function_call")]),
        ("TOOL_CALL: ping()", [("call_found", "tool_call_line")]),
        ('{"name": "ping", "arguments": {}}', [("call_found", "bare_json")]),
        ('<tool_call>{"name": "ping", "arguments": {},', [("call_repaired", "hermes")]),
        ("<tool_call><function=nope></function>", [("call_rejected", "native")]),
        ('<tool_call>{"name": "nope", "arguments": {}}', [("call_rejected", "hermes")]),
        ("TOOL_CALL: nope()", [("call_rejected", "tool_call_line")]),
        (CUT, [("call_rejected", "native")]),
        ("<tool_calls> x", [("false_start", "mimoml")]),
    ],
)
def test_operators_are_told(text: str, notices: list[tuple[str, str]]) -> None:
    assert _notices(sieved([text])) == notices


def test_a_leak_and_a_duplicate_are_counted() -> None:
    leak = sieved([CALL, *NATIVE], policy=SievePolicy(native_calls=True))
    assert _notices(leak) == [("call_found", "native"), ("leak_removed", "native")]
    policy = SievePolicy(drops_duplicate_calls=True, max_identical_calls=1)
    assert ("duplicate_dropped", "native") in _notices(sieved([CALL, CALL], policy=policy))


def test_an_unmatched_call_waits_for_the_end_on_a_platform() -> None:
    stage = sieve(policy=SievePolicy(native_calls=True))
    assert not any(isinstance(event, ToolCallStart) for event in stage.feed(TextDelta(CALL + " x")))
    events = stage.feed(Finish(FinishReason.TOOL_CALLS))
    assert [type(event) for event in events] == [ToolCallStart, ToolCallDelta, ToolCallEnd, TextDelta, Finish]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_calls>" + " " * 50,
        "<function=exec>" + " " * 50,
        '<tool_call>{"arguments": {"command": "' + "a" * 50,
        'TOOL_CALL: exec(command="' + "a" * 50,
        '{"name": "exec", "arguments": {"command": "' + "a" * 50,
    ],
)
def test_past_the_cap_text_is_given_out_and_counted(text: str) -> None:
    events = sieved(list(text), policy=SievePolicy(max_buffered_bytes=40))
    assert "buffer_cap" in [name for name, _ in _notices(events)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text


def test_past_the_cap_a_doubtful_value_is_data() -> None:
    text = (
        '<tool_calls><invoke name="exec"><parameter name="command"><![CDATA[a</parameter></invoke>' + "b" * 50
    )
    events = sieved([*text, "]]></parameter></invoke>"], policy=SievePolicy(max_buffered_bytes=40))
    assert ("buffer_cap", "mimoml") in _notices(events)
    assert events[-1] == Finish(FinishReason.TOOL_CALLS)


def test_addresses_are_put_back_by_policy() -> None:
    policy = SievePolicy(restores_urls=True)
    text = "See https[:]//a.b and [:] or https[:"
    for pieces in ([text], list(text)):
        assert shape_of(pieces, policy=policy) == ['text "See https://a.b and [:] or https[:"', "end stop"]
    call = CALL.replace("ls", "curl https[:]//a.b [x]")
    assert shape_of(list(call), policy=policy)[0] == 'call exec {"command": "curl https://a.b [x]"}'
    assert shape_of([ReasoningDelta("a[:]/"), "/b"], policy=policy) == [
        'reasoning "a[:]/"',
        'text "/b"',
        "end stop",
    ]


def test_reasoning_passes_by_unchanged() -> None:
    stage = sieve()
    stage.feed(ReasoningDelta("Hmm"))
    event = ReasoningDelta(" well")
    (given,) = stage.feed(event)
    assert given is event


def test_a_cut_native_runaway_is_dropped() -> None:
    policy = SievePolicy(drops_duplicate_calls=True, max_identical_calls=1)
    assert shape_of([*NATIVE, *NATIVE[:2]], policy=policy) == ['call exec {"command":"ls"}', "end tool_calls"]
    bare: list[Event] = [ToolCallStart(0, "n", "ping"), ToolCallEnd(0)]
    assert shape_of([*NATIVE, *bare, *bare], policy=policy)[1:] == ["call ping", "end tool_calls"]


def test_a_native_call_without_arguments_that_waited_is_given() -> None:
    policy = SievePolicy(drops_duplicate_calls=True, max_identical_calls=1)
    pieces: list[str | Event] = ["<function=ping></function>", ToolCallStart(0, "n", "ping"), ToolCallEnd(0)]
    assert shape_of(pieces, policy=policy) == ["call ping {}", "call ping", "end tool_calls"]


def test_json_that_cannot_be_read_is_text() -> None:
    text = '<tool_call>{"arguments": ' + "x" * 300_000 + "}</tool_call>"
    assert shape_of([text]) == [f'text "{text}"'.replace('{"arguments"', '{\\"arguments\\"'), "end stop"]


def test_a_cut_copy_behind_its_native_call_is_removed() -> None:
    policy = SievePolicy(native_calls=True)
    assert shape_of([*NATIVE, CUT], policy=policy) == ['call exec {"command":"ls"}', "end tool_calls"]


@pytest.mark.parametrize("arguments", ["no JSON", "[1]"])
def test_native_arguments_that_are_no_object_match_nothing(arguments: str) -> None:
    policy = SievePolicy(native_calls=True)
    native: list[Event] = [ToolCallStart(0, "n", "exec"), ToolCallDelta(0, arguments), ToolCallEnd(0)]
    assert shape_of([CALL, *native], policy=policy)[:2] == [
        f"call exec {arguments}",
        'call exec {"command": "ls"}',
    ]


def test_hermes_inside_the_reasoning_is_text() -> None:
    text = '<tool_call>{"name": "exec", "arguments": {"command": "ls"}}</tool_call>'
    assert [line.split(" ")[0] for line in shape_of([ReasoningDelta(text)])] == ["reasoning", "end"]
    other = '<tool_call>{"arguments": {"command": "ls"}, "name": "exec"}</tool_call>'
    assert [line.split(" ")[0] for line in shape_of([ReasoningDelta(other)])] == ["reasoning", "end"]


def test_empty_deltas_vanish() -> None:
    assert sieved(["", "a", "", ReasoningDelta("")]) == [TextDelta("a"), Finish(FinishReason.STOP)]


def test_a_custom_schema_that_is_none_is_no_failure() -> None:
    tools = [ToolSpec(name="odd", parameters={"properties": [1], "required": "x", "type": 7})]
    text = '<tool_calls><invoke name="odd"><parameter name="a">1</parameter></invoke></tool_calls>'
    assert shape_of([text], tools=tools) == ['call odd {"a": 1}', "end tool_calls"]


@pytest.mark.parametrize(
    ("opening", "rest"),
    [
        ('<tool_call>{"name": "note", "arguments": {', "nonsense, " * 40 + "and more"),
        ('<tool_call>{"name": "note", "arguments": {"any": ', "[" * 300 + " and more"),
        ('<tool_call>{"name": "note", "arguments": {', "<a" * 40 + " and more"),
        ('<tool_calls><invoke name="note">{', "nonsense, " * 40 + "and more"),
    ],
)
def test_a_call_whose_json_is_none_is_cut_before_the_text_behind_it(opening: str, rest: str) -> None:
    for pieces in ([opening + rest], list(opening + rest)):
        events = sieved(pieces)
        check_events(events)
        assert any(isinstance(event, ToolCallCut) for event in events)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)).endswith(" and more")
        assert ("call_rejected", "hermes") in _notices(events) or ("call_rejected", "mimoml") in _notices(
            events
        )
        assert events[-1] == Finish(FinishReason.LENGTH)


def test_a_json_string_that_is_no_json_is_swallowed_with_its_call() -> None:
    text = '<tool_call>{"name": "note", "arguments": "{' + "nonsense, <a " * 40 + '"}</tool_call> and more'
    for pieces in ([text], list(text)):
        events = sieved(pieces)
        check_events(events)
        assert shape_of(pieces)[1:] == ['text "} and more"', "end length"]


def test_markup_that_is_none_behind_arguments_is_passed_over() -> None:
    text = '<tool_call>{"name": "ping", "arguments": {}, <parametric>}</tool_call> end'
    for pieces in ([text], list(text)):
        assert shape_of(pieces) == ["call ping {}", 'text " end"', "end tool_calls"]
