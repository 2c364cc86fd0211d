"""Tool call deltas as upstreams send them, and the one order in which they are given out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.dialects.openai_chat.calls import CallAssembler
from service.core.events import (
    Event,
    Finish,
    FinishReason,
    Notice,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tests.grammar.events import check_events, normalised
from tests.strategies import argument_texts, names


def delta(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    """One entry of `tool_calls` as OpenAI shapes it; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in fields.items() if value is not None}


def call(index: int, call_id: str, name: str, *fragments: str) -> list[Event]:
    pieces: list[Event] = [ToolCallDelta(index, fragment) for fragment in fragments]
    return [ToolCallStart(index, call_id, name), *pieces, ToolCallEnd(index)]


def assembled(items: list[Any], *, is_whole: bool = True) -> list[Event]:
    """Deltas, and texts between them, through a fresh assembler."""
    assembler = CallAssembler()
    events: list[Event] = []
    for item in items:
        if isinstance(item, str):
            assembler.other(TextDelta(item), events)
        else:
            assembler.delta(item, events, answer_id="a1")
    assembler.flush(events, answer_id="a1", is_whole=is_whole)
    return events


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(
            [delta(0, "c", "f", ""), delta(0, None, None, '{"a":'), delta(0, None, None, "1}")],
            call(0, "c", "f", '{"a":', "1}"),
            id="as OpenAI sends it",
        ),
        pytest.param([delta(0, "c", "f", '{"a":1}')], call(0, "c", "f", '{"a":1}'), id="all at once"),
        pytest.param(
            [delta(0, "c", "f", "{"), delta(0, "c", "f", "}")],
            call(0, "c", "f", "{", "}"),
            id="id and name in every delta",
        ),
        pytest.param(
            [delta(0, "c", "f", "{"), delta(0, "", "", "}")],
            call(0, "c", "f", "{", "}"),
            id="then empty ones",
        ),
        pytest.param(
            [
                delta(0, "c", "f", "{"),
                {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": "}"}},
            ],
            call(0, "c", "f", "{", "}"),
            id="then null ones",
        ),
        pytest.param(
            [delta(None, "c", "f", "{"), delta(None, None, None, "}")],
            call(0, "c", "f", "{", "}"),
            id="no index: more of the last call",
        ),
        pytest.param(
            [delta(None, "c", "f", "{}"), delta(None, "d", "g", "{}"), delta(None, "d", None, " ")],
            [*call(0, "c", "f", "{}"), *call(1, "d", "g", "{}", " ")],
            id="no index: told apart by the id",
        ),
        pytest.param(
            [delta(None, None, "f", "{}"), delta(None, None, "g", "{}")],
            [*call(0, "call_a1_0", "f", "{}"), *call(1, "call_a1_1", "g", "{}")],
            id="neither index nor id: told apart by the name",
        ),
        pytest.param(
            [delta(0, "c", "f", "{}"), delta(0, "d", "g", "{}")],
            [*call(0, "c", "f", "{}"), *call(1, "d", "g", "{}")],
            id="every call has index 0",
        ),
        pytest.param(
            [delta(7, "c", "f", "{}"), delta(9, "d", "g", "{}")],
            [*call(0, "c", "f", "{}"), *call(1, "d", "g", "{}")],
            id="indexes with gaps",
        ),
        pytest.param(
            [
                delta(0, "c", "f", ""),
                delta(1, "d", "g", ""),
                delta(0, None, None, "{}"),
                delta(1, None, None, "{}"),
            ],
            [*call(0, "c", "f", "{}"), *call(1, "d", "g", "{}")],
            id="interleaved from the start",
        ),
        pytest.param(
            [
                delta(0, "c", "f", '{"a"'),
                delta(1, "d", "g", '{"b"'),
                "text",
                delta(0, None, None, ":1}"),
                delta(1, None, None, ":2}"),
            ],
            [*call(0, "c", "f", '{"a"', ":1}"), *call(1, "d", "g", '{"b"', ":2}"), TextDelta("text")],
            id="interleaved half way, text among them",
        ),
        pytest.param(
            [delta(0, "c", "f", "{}"), "text", delta(1, "d", "g", "{}")],
            [*call(0, "c", "f", "{}"), TextDelta("text"), *call(1, "d", "g", "{}")],
            id="text between calls",
        ),
        pytest.param(
            [delta(0, "c", "f", "{}"), "text", delta(0, None, None, " ")],
            [*call(0, "c", "f", "{}"), TextDelta("text")],
            id="blanks after a call that was complete are dropped",
        ),
        pytest.param(
            [delta(0, "c", "f", "{"), "one", "two", delta(0, None, None, "}")],
            [*call(0, "c", "f", "{", "}"), TextDelta("one"), TextDelta("two")],
            id="text inside a call waits for its end",
        ),
        pytest.param([delta(0, "c", "f")], call(0, "c", "f", "{}"), id="no arguments at all"),
        pytest.param([delta(0, "c", "f", "")], call(0, "c", "f", "{}"), id="empty arguments"),
        pytest.param(
            [delta(0, "c", "f", {"a": 1})], call(0, "c", "f", '{"a":1}'), id="arguments as an object"
        ),
        pytest.param(
            [{"index": 0, "id": "c"}, delta(0, None, "f", "{}")],
            call(0, "c", "f", "{}"),
            id="the id alone first",
        ),
        pytest.param(
            [delta(0, None, "f"), {"index": 0, "id": "c"}, delta(0, None, None, "{}")],
            call(0, "call_a1_0", "f", "{}"),
            id="an id that comes after the start is too late",
        ),
        pytest.param(
            [
                {"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": '*** "'}},
                {"index": 0, "custom": {"input": "x"}},
            ],
            call(0, "c", "p", '{"input":"*** \\"x"}'),
            id="a freeform call is wrapped when it is whole",
        ),
        pytest.param(
            [{"index": 0, "id": "c", "custom": {"name": "p", "input": "x"}}, "text"],
            [*call(0, "c", "p", '{"input":"x"}'), TextDelta("text")],
            id="nobody can tell whether a freeform call is whole before the end",
        ),
        pytest.param(
            ["?", 5, None],
            [TextDelta("?"), *[Notice("garbage_skipped", "tool_call")] * 2],
            id="what is no delta",
        ),
        pytest.param(
            [{"index": 0, "function": "f"}],
            [Notice("garbage_skipped", "tool_call")],
            id="a function that is none",
        ),
        pytest.param(
            [delta(0, "c", None, "{}"), delta(1, "d", "g", "{}")],
            [Notice("garbage_skipped", "tool_call"), *call(0, "d", "g", "{}")],
            id="a call that never told its name",
        ),
    ],
)
def test_deltas_become_calls(items: list[Any], expected: list[Event]) -> None:
    assert assembled(items) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param(
            [delta(0, "c", "f", '{"a"')],
            [ToolCallStart(0, "c", "f"), ToolCallDelta(0, '{"a"')],
            id="half a call",
        ),
        pytest.param([delta(0, "c", "f", '{"a":1}')], call(0, "c", "f", '{"a":1}'), id="whole by its looks"),
        pytest.param(
            [delta(0, "c", "f", "[1]")], [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "[1]")], id="no object"
        ),
        pytest.param([delta(0, "c", "f")], [ToolCallStart(0, "c", "f")], id="nothing but the name"),
        pytest.param(
            [{"index": 0, "id": "c", "custom": {"name": "p", "input": "x"}}],
            [ToolCallStart(0, "c", "p")],
            id="a freeform call shows no half input",
        ),
        pytest.param(
            [delta(0, "c", "f", "{"), delta(1, "d", "g", "{}")],
            [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{"), *call(1, "d", "g", "{}")],
            id="each by itself",
        ),
    ],
)
def test_an_answer_that_was_cut_ends_only_whole_calls(items: list[Any], expected: list[Event]) -> None:
    assert assembled(items, is_whole=False) == expected


def test_a_call_streams_while_it_comes() -> None:
    """Nothing is held back for a call that is alone: clients show arguments as they grow."""
    assembler = CallAssembler()
    events: list[Event] = []
    assert assembler.is_idle
    assembler.delta(delta(0, "c", "f", "{"), events, answer_id="a1")
    assert events == [ToolCallStart(0, "c", "f"), ToolCallDelta(0, "{")]
    assert not assembler.is_idle
    assert assembler.count == 1
    assembler.delta(delta(0, None, None, "}"), events, answer_id="a1")
    assert events[-1] == ToolCallDelta(0, "}")
    assembler.other(TextDelta("x"), events)
    assert events[-2:] == [ToolCallEnd(0), TextDelta("x")]
    assert assembler.is_idle


def test_arguments_too_deep_to_be_written_are_dropped() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    assert assembled([delta(0, "c", "f", deep)]) == call(0, "c", "f", "{}")


@given(st.data())
def test_any_interleaving_gives_each_call_its_own_arguments(data: st.DataObject) -> None:
    calls = data.draw(st.lists(st.tuples(names(), argument_texts()), min_size=1, max_size=4))
    queues = [
        [delta(i, f"c{i}", name, ""), *(delta(i, None, None, piece) for piece in _pieces(data, arguments))]
        for i, (name, arguments) in enumerate(calls)
    ]
    items = []
    while any(queues):
        items.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    events = assembled(items)
    check_events([*events, Finish(FinishReason.TOOL_CALLS)])
    by_id = {e.call_id: e for e in events if isinstance(e, ToolCallStart)}
    assert {call_id: e.name for call_id, e in by_id.items()} == {
        f"c{i}": name for i, (name, _) in enumerate(calls)
    }
    for i, (_, arguments) in enumerate(calls):
        index = by_id[f"c{i}"].index
        given_out = [e.fragment for e in events if isinstance(e, ToolCallDelta) and e.index == index]
        assert orjson.loads("".join(given_out)) == orjson.loads(arguments)
    assert normalised(events) == normalised(assembled(items))


def _pieces(data: st.DataObject, text: str) -> list[str]:
    cut = data.draw(st.integers(0, len(text)))
    return [text[:cut], text[cut:]]
