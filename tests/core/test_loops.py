"""The loop guard: loops end within 8 KB, nothing else ends, any cut gives the same, and time is linear."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import UpstreamTimeout
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.loops import LOOSE_RUN_CHARS, WINDOW_CHARS, LoopGuard, LoopPolicy

ROOT = Path(__file__).parent.parent.parent
STOP = Finish(FinishReason.STOP)
CUT = Finish(FinishReason.LENGTH)


def guarded(*events: Event, max_reasoning_tokens: int | None = None) -> list[Event]:
    guard = LoopGuard(LoopPolicy(max_reasoning_tokens=max_reasoning_tokens))
    return [out for event in events for out in guard.feed(event)]


def kept_chars(text: str) -> int | None:
    """How much of the text passed before it was ended; None when it was not."""
    out = guarded(TextDelta(text), STOP)
    return len(out[0].text) if out[-1] == CUT else None  # type: ignore[union-attr]


def words(seed: str, size: int) -> str:
    """Text without a period: words made of digests."""
    digits = hashlib.shake_256(seed.encode()).hexdigest(size // 2 + 1).translate(_LETTERS)
    return " ".join(digits[start : start + 7] for start in range(0, len(digits), 7))[:size]


_LETTERS = str.maketrans("0123456789", "ghijklmnop")

# --- loops --------------------------------------------------------------------------------------------------

LOOPS = {
    "a sentence": "I need to check the file again. ",
    "a word": "again ",
    "one sign": "!",
    "a thought": "Wait, let me look at that once more. Actually, the file is fine.\n\n",
    "a list item": "- Update the documentation of the function\n",
    "an item of an inner list": "    - Update the documentation of the function\n",
    "Chinese": "我需要再检查一下这个文件。",
    "a paragraph": words("paragraph", 700) + "\n\n",
    "a page": words("page", 1_984),
    "a fenced block and words": "Run this now, please:\n```sh\nmake test\n```\nand then see what it says.\n"
    * 4,
}


@pytest.mark.parametrize("piece", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("lead", [0, 1, 100, 5_003])
def test_a_loop_ends_within_8_kb_of_its_beginning(piece: str, lead: int) -> None:
    text = words("lead", lead) + piece * (20_000 // len(piece))
    kept = kept_chars(text)
    assert kept is not None
    assert kept <= lead + WINDOW_CHARS + 64


@given(
    st.lists(st.text("abcdefghij,.", min_size=1, max_size=9), min_size=2, max_size=300).map(" ".join),
    st.integers(0, 600),
)
@settings(max_examples=60, deadline=None)
def test_any_words_again_and_again_are_a_loop(piece: str, lead: int) -> None:
    piece = piece[:1_900] + ". "
    kept = kept_chars(words("lead", lead) + piece * (24_000 // len(piece)))
    assert kept is not None
    assert kept <= lead + WINDOW_CHARS + 64


def test_a_loop_in_a_code_fence_ends_later() -> None:
    text = "```\n" + "0x00, 0x00, 0x00, 0x00,\n" * 3_000
    kept = kept_chars(text)
    assert kept is not None
    assert LOOSE_RUN_CHARS <= kept <= LOOSE_RUN_CHARS + 2 * WINDOW_CHARS


@pytest.mark.parametrize("channel", [ReasoningDelta, TextDelta])
def test_thinking_loops_as_text_does(channel: type) -> None:
    out = guarded(channel("Hmm, wait. " * 1_000), TextDelta("never shown"), STOP)
    where = "reasoning" if channel is ReasoningDelta else "text"
    assert out[1:] == [Notice("loop_ended", where), CUT]
    assert type(out[0]) is channel


def call(index: int, arguments: str) -> list[Event]:
    return [ToolCallStart(index, f"c{index}", "read"), ToolCallDelta(index, arguments), ToolCallEnd(index)]


def test_the_fifth_equal_call_ends_the_answer() -> None:
    out = guarded(*(event for index in range(30) for event in call(index, '{"path": "a"}')), STOP)
    assert sum(isinstance(event, ToolCallEnd) for event in out) == 5
    assert out[-2:] == [Notice("loop_ended", "calls"), CUT]


def test_calls_that_differ_are_no_loop() -> None:
    events = [event for index in range(40) for event in call(index, f'{{"page": {index}}}')]
    assert guarded(*events, STOP) == [*events, STOP]


@pytest.mark.parametrize("period", [2, 3, 8])
def test_the_fourth_round_of_calls_ends_the_answer(period: int) -> None:
    events = [event for index in range(60) for event in call(index, f'{{"page": {index % period}}}')]
    out = guarded(*events, STOP)
    assert sum(isinstance(event, ToolCallEnd) for event in out) == 4 * period
    assert out[-2:] == [Notice("loop_ended", "calls"), CUT]


def test_calls_that_come_again_now_and_then_are_no_loop() -> None:
    pages = [0, 0, 0, 0, 1, 2, 1, 2, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 6]
    events = [event for index, page in enumerate(pages) for event in call(index, f'{{"page": {page}}}')]
    assert guarded(*events, STOP) == [*events, STOP]


def test_an_answer_asked_for_as_json_may_hold_long_rows() -> None:
    zeros = '{"row": [' + "0, " * 4_000 + "0]}"
    events: list[Event] = [TextDelta(zeros), STOP]
    assert kept_chars(zeros) is not None
    guard = LoopGuard(LoopPolicy(expects_data=True))
    assert [out for event in events for out in guard.feed(event)] == events


def test_arguments_that_never_end_are_a_loop() -> None:
    out = guarded(ToolCallStart(0, "c", "write"), *(ToolCallDelta(0, "\\n\\t") for _ in range(20_000)))
    assert out[-2:] == [Notice("loop_ended", "arguments"), CUT]
    assert sum(len(event.fragment) for event in out if isinstance(event, ToolCallDelta)) < 50_000


# --- the budget ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_thinking_past_its_budget_ends_the_answer(size: int) -> None:
    text = words("thought", 1_000)
    pieces = [ReasoningDelta(text[i : i + size]) for i in range(0, len(text), size)]
    out = guarded(*pieces, TextDelta("never shown"), max_reasoning_tokens=100)
    assert "".join(event.text for event in out if isinstance(event, ReasoningDelta)) == text[:400]
    assert out[-2:] == [Notice("loop_ended", "reasoning_budget"), CUT]


def test_thinking_within_its_budget_is_let_through() -> None:
    events: list[Event] = [ReasoningDelta("x" * 400), TextDelta("y" * 900), STOP]
    assert guarded(*events, max_reasoning_tokens=100) == events


def test_a_loop_before_the_budget_is_told_as_one() -> None:
    out = guarded(ReasoningDelta("Hmm, wait. " * 2_000), max_reasoning_tokens=5_000)
    assert out[1] == Notice("loop_ended", "reasoning")


# --- what is none -------------------------------------------------------------------------------------------


def table(rows: int) -> str:
    head = "| name | state | size |\n|------|-------|------|\n"
    return head + "".join(f"| file-{i % 7} | ok | {i * 37 % 1000} |\n" for i in range(rows))


VERSE = (
    "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\n"
    "Life is but a dream.\n\n"
)
CLEAN = {
    "a table": table(800),
    "a table of equal rows": "| 0 | 0 | 0 |\n" * 400,
    "a poem with refrains": "".join(words(f"v{i}", 160) + "\n" + VERSE for i in range(40)),
    "a round of four": VERSE * 6,
    "laughing": "ha" * 400,
    "a rule": "-" * 1_000 + "\n" + "=" * 1_000,
    "a log": "".join(f"2026-11-20 12:{i // 60 % 60:02}:{i % 60:02} INFO request ended\n" for i in range(900)),
    "equal lines in a fence": "```\n" + "ok test passed\n" * 400 + "```\n",
    "base64 of bytes": base64.b64encode(hashlib.shake_256(b"x").digest(30_000)).decode(),
    "base64 of nothing": base64.b64encode(bytes(20_000)).decode(),
    "hexadecimal zeros": "00" * 12_000,
    "indented code": "Like this:\n\n" + "    nop\n" * 1_500 + "\tmov eax, 0\n" * 500,
    "deeply indented code": "            nop\n" * 1_500,
    "Python": "".join(path.read_text() for path in sorted((ROOT / "service/core").glob("*.py"))),
    "Markdown": "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))),
    "Chinese prose": "".join(
        chr(0x4E00 + int(sign, 16) * 97) for sign in hashlib.shake_256(b"c").hexdigest(9_000)
    ),
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_what_only_looks_alike_is_let_through(text: str) -> None:
    assert kept_chars(text) is None


@given(st.lists(st.text(min_size=1, max_size=400), max_size=40))
@settings(max_examples=60, deadline=None)
def test_text_that_does_not_repeat_is_let_through_whole(pieces: list[str]) -> None:
    events: list[Event] = [TextDelta(f"{piece}{number}") for number, piece in enumerate(pieces)]
    assert guarded(*events, STOP) == [*events, STOP]


def test_other_events_pass_and_nothing_follows_the_end() -> None:
    usage = UsageReport(Usage(input_tokens=1))
    failed = Failed(UpstreamTimeout(waited_s=1, phase="idle"))
    assert guarded(usage, STOP, TextDelta("x")) == [usage, STOP]
    assert guarded(TextDelta("x"), failed, STOP) == [TextDelta("x"), failed]


# --- the laws -----------------------------------------------------------------------------------------------


def cut(text: str, sizes: Iterator[int]) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + next(sizes)
        yield text[start:end]
        start = end


@given(st.sampled_from([*LOOPS.values()]), st.integers(0, 3_000), st.lists(st.integers(1, 700), min_size=1))
@settings(max_examples=20, deadline=None)
def test_any_cut_of_the_text_ends_at_the_same_character(piece: str, lead: int, sizes: list[int]) -> None:
    text = words("lead", lead) + piece * (14_000 // len(piece))
    endless = (size for _ in iter(int, 1) for size in sizes)
    out = guarded(*map(TextDelta, cut(text, endless)), STOP)
    kept = sum(len(event.text) for event in out if isinstance(event, TextDelta))
    assert (kept, out[-1]) == (kept_chars(text), CUT)


def spent_s(text: str) -> float:
    guard = LoopGuard(LoopPolicy())
    pieces = [TextDelta(text[i : i + 6]) for i in range(0, len(text), 6)]
    began_s = time.process_time()
    for piece in pieces:
        guard.feed(piece)
    return time.process_time() - began_s


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "needles", "fenced zeros"])
def test_four_times_the_text_takes_less_than_eight_times_as_long(kind: str) -> None:
    """A quarter of a megabyte and a whole one, each the best of three: anything smaller measures the
    clock."""
    texts = {
        "words": words("long", 1 << 18),
        "needles": ("-" * 60 + "x\n" + "-" * 61 + "y\n" + "-" * 700 + "z ") * 1_400,
        "fenced zeros": "```\n" + "".join("0, " * 2_000 + f"{i}\n" for i in range(200)),
    }
    text = texts[kind][: 1 << 18]
    short_s = min(spent_s(text[: len(text) // 4]) for _ in range(3))
    assert min(spent_s(text) for _ in range(3)) < 8 * short_s
