"""Cost grows with length, in every dialect, in prose, and in what is made to hurt.

Ratios within one run and with room: four times the input, less than eight times the CPU time. The smallest of
several runs is compared, so a busy machine does not decide.
"""

# ruff: noqa: E501 - one kind of input a line
from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from service.core.events import Finish, FinishReason, TextDelta
from tests.core.mimoml.sieving import sieve

_CALL = '<tool_calls><invoke name="exec"><parameter name="command">'
_END = "</parameter></invoke></tool_calls>"

INPUTS: dict[str, Callable[[int], str]] = {
    "prose": lambda n: "some words of prose, on and on\n" * (n // 31),
    "one endless line": lambda n: "word " * (n // 5),
    "CDATA": lambda n: _CALL + "<![CDATA[" + "x = a[b] < c;\n" * (n // 14) + "]]>" + _END,
    "plain string": lambda n: _CALL + "x = a & b < c;\n" * (n // 15) + _END,
    "native": lambda n: "<tool_call><function=exec><parameter=command>"
    + "x = a < c;\n" * (n // 11)
    + "</parameter></function></tool_call>",
    "hermes": lambda n: '<tool_call>{"name": "exec", "arguments": {"command": "' + "a\\n" * (n // 3) + '"}}</tool_call>',
    "hermes as a string": lambda n: '<tool_call>{"name": "exec", "arguments": "{\\"command\\": \\"'
    + "a\\\\n" * (n // 4)
    + '\\"}"}</tool_call>',
    "hermes, arguments first": lambda n: '<tool_call>{"arguments": {"command": "' + "a" * n + '"}, "name": "exec"}',
    "bare JSON": lambda n: '{"name": "exec", "arguments": {"command": "' + "a" * n + '"}}',
    "bare JSON that is none": lambda n: '{"name": "exec", "arguments": {"command": "' + "a" * n + '"}} no',
    "TOOL_CALL line": lambda n: 'TOOL_CALL: exec(command="' + "a" * n + '")',
    "TOOL_CALL lines without an end": lambda n: 'TOOL_CALL: exec(command="a\n' * (n // 25),
    "typed value": lambda n: '<tool_calls><invoke name="edit"><parameter name="edits">['
    + '{"old": "a", "new": "b"},' * (n // 25)
    + "1]"
    + _END,
    "elements": lambda n: '<tool_calls><invoke name="edit"><parameter name="edits">'
    + "<item><old>a</old></item>" * (n // 25)
    + _END,
    "small calls": lambda n: (_CALL + "ls" + _END) * (n // 90),
    "small calls without parameter closers": lambda n: ('<function=exec><parameter=command>ls</function>\n') * (n // 44),
    "parameters": lambda n: '<tool_calls><invoke name="note">'
    + "".join(f'<parameter name="k{i}">1</parameter>' for i in range(n // 35)),
    "brackets": lambda n: "<" * n,
    "brackets apart": lambda n: "< " * (n // 2),
    "half tags": lambda n: "<tool_call " * (n // 11),
    "wrappers": lambda n: "<tool_call>" * (n // 11),
    "backticks": lambda n: "`" * n,
    "backticks apart": lambda n: "` " * (n // 2),
    "backslashes": lambda n: "\\" * n,
    "square brackets in CDATA": lambda n: _CALL + "<![CDATA[" + "]" * n,
    "section ends in CDATA": lambda n: _CALL + "<![CDATA[" + "]]>" * (n // 3),
    "section beginnings": lambda n: '<tool_calls><invoke name="edit"><parameter name="edits">' + "<![CDATA[" * (n // 9),
    "closers in CDATA": lambda n: _CALL + "<![CDATA[" + "</parameter>" * (n // 12),
    "calls in a value": lambda n: _CALL + '<invoke name="ping">' * (n // 20),
    "calls without any closer": lambda n: (_CALL + "x\n") * (n // 60),
    "calls without any closer, wrapper closed": lambda n: "<tool_calls>"
    + '<invoke name="exec"><parameter name="command">x\n' * (n // 50)
    + "</tool_calls>",
    "calls with an unclosed section": lambda n: (_CALL + "<![CDATA[x" + _END) * (n // 100),
    "native calls without parameter closers": lambda n: "<function=exec><parameter=command>x\n" * (n // 36),
    "ampersands": lambda n: _CALL + "&" * n + _END,
    "blanks behind a wrapper": lambda n: "<tool_calls>" + " " * n + "x",
    "blanks in a value": lambda n: _CALL + "\n" + " " * n + "x" + _END,
    "blank lines": lambda n: _CALL + "\n" * n + "x" + _END,
    "deep JSON": lambda n: '<tool_call>{"name": "note", "arguments": {"any": ' + "[" * n,
    "deep elements": lambda n: '<tool_calls><invoke name="edit"><parameter name="edits">' + "<item>" * (n // 6) + _END,
    "JSON that is none": lambda n: ('<tool_call>{"name": "note", "arguments": {' + "3," * 40) * (n // 122),
    "a key again and again": lambda n: '<tool_call>{"name": "note", "arguments": {' + '"a":1,' * (n // 6),
    "quotes in a JSON string": lambda n: '<tool_call>{"name": "exec", "arguments": {"command": "' + '"' * n,
    "tags of others in a string": lambda n: _CALL + "</a><b>" * (n // 7),
    "entities": lambda n: _CALL + "&lt;&am" * (n // 7),
    "nested calls in a typed value": lambda n: '<tool_calls><invoke name="edit"><parameter name="edits">' + "<function=exec>" * (n // 15),
    "a refused call of brackets": lambda n: '<tool_calls><invoke name="nope"><parameter name="a">' + "<i<t</" * (n // 6),
    "lines that begin with T": lambda n: "\nT" * (n // 2),
    "odd brackets": lambda n: _CALL + "＜〈" * (n // 2),
    "odd beginnings": lambda n: _CALL + "<<｜\u200b" * (n // 4),
    "zero-width characters": lambda n: "<" + "\u200b" * n,
    "CJK brackets": lambda n: "《书》" * (n // 3),
    "list markers": lambda n: "1" * n + "\n- a" * (n // 8),
}  # fmt: skip


def _seconds(text: str, piece: int) -> float:
    events = [TextDelta(text[start : start + piece]) for start in range(0, len(text), piece)]
    stage = sieve()
    started = time.process_time()
    for event in events:
        stage.feed(event)
    stage.feed(Finish(FinishReason.STOP))
    return time.process_time() - started


@pytest.mark.slow
@pytest.mark.parametrize("piece", [4, 1 << 30], ids=["in fours", "whole"])
@pytest.mark.parametrize("kind", INPUTS)
def test_four_times_the_input_takes_less_than_eight_times_as_long(kind: str, piece: int) -> None:
    """Slow because a cost that grows too fast shows only where there is some length."""
    make = INPUTS[kind]
    small, large = make(8_000), make(32_000)
    for _ in range(4):
        quick = min(_seconds(small, piece) for _ in range(3))
        slow = min(_seconds(large, piece) for _ in range(2))
        if slow < 8 * quick + 0.002:
            return
    raise AssertionError(f"{quick:.4f} s, then {slow:.4f} s for four times as much")


@pytest.mark.slow
@pytest.mark.no_cover
def test_a_megabyte_costs_per_byte_what_ten_kilobytes_cost() -> None:
    """Arguments of 10 KB, 100 KB and 1 MB in 4-character pieces; with room for a busy machine."""
    per_byte = [
        min(_seconds(INPUTS["CDATA"](size), 4) / size for _ in range(3))
        for size in (10_000, 100_000, 1_000_000)
    ]
    assert max(per_byte) < 1.8 * min(per_byte)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "kind", ["prose", "lines that begin with T", "native", "CDATA", "plain string", "small calls"]
)
def test_a_megabyte_at_once_is_not_copied_for_each_line(kind: str) -> None:
    """What copies the rest of the text for each line of it shows only at such a length."""
    for _ in range(4):
        small = min(_seconds(INPUTS[kind](100_000), 1 << 30) for _ in range(2))
        large = min(_seconds(INPUTS[kind](1_000_000), 1 << 30) for _ in range(2))
        if large < 20 * small + 0.01:
            return
    raise AssertionError(f"{small:.4f} s, then {large:.4f} s for ten times as much")


@pytest.mark.no_cover  # the tracer's own notes would be counted
@pytest.mark.parametrize("kind", ["prose", "CDATA", "brackets", "backticks", "square brackets in CDATA"])
def test_nothing_piles_up(kind: str) -> None:
    """What the sieve keeps of a streamed megabyte is not a part of it."""
    text = INPUTS[kind](200_000)
    stage = sieve()
    events = [TextDelta(text[start : start + 40]) for start in range(0, len(text), 40)]
    tracemalloc.start()
    for event in events:
        stage.feed(event)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 40_000
