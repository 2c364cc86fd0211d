"""The loop guard: a stage that ends an answer which repeats itself. Opt-in; see docs/loop-guard.md.

What counts as a loop is a true period: the last L characters are one piece of p characters again and again,
to the character. Near repetitions are not: they are what tables, logs and poems are made of. How long L
must be:

    piece                     plain text                    loose text
    p <= 8 (rules, "hahaha")  2048                          32768
    p <= 256                  the larger of 1024 and 6 p    32768
    p <= 1984                 4 p                           32768

Loose is text inside a code fence, indented code, a table's row, or data without blanks (base64), the
arguments of calls, and an answer that was asked for as JSON: there long regular pieces are meant at times.
So a loop in plain text ends within 8 KB of its beginning.

How it is found, in bounded memory and linear time: each channel keeps its last 8 KB. After every 256
characters (positions of the text, not of the reads: any cut of the input ends at the same character), the
last 48 characters are searched backwards in the window; the distance to where they stood before is a
candidate for p, tried by comparing two slices. At most 32 candidates are tried, the smallest first. A loop
longer than the window is a count of steps at which the whole window had the same period.

Calls that come again are a loop too: the fifth call with the same name and arguments in a row ends the
answer, and so does the fourth round of up to eight different ones.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass

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
)

WINDOW_CHARS = 8192
STEP_CHARS = 256
MAX_PERIOD_CHARS = 1984  # four of them, found at the next step, are still within 8 KB
LOOSE_RUN_CHARS = 4 * WINDOW_CHARS
MAX_EQUAL_CALLS = 5
MAX_ROUND_CALLS = 8
MAX_ROUNDS = 4
CHARS_PER_TOKEN = 4
_NEEDLE_CHARS = 48
_MAX_CANDIDATES = 32
_SHORTEST_RUN_CHARS = 1024
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
# A table's row; code that is indented, which a list's items are too.
_LOOSE_LINE = re.compile(r"[ \t]*\||[ \t]{8}|(?: {4}|\t)[ \t]*[^\s*+\-\d]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPolicy:
    """`max_reasoning_tokens` None: thinking may take as long as the model likes. Estimated, not the
    upstream's. `expects_data`: the answer was asked for as JSON."""

    max_reasoning_tokens: int | None = None
    expects_data: bool = False


class _Channel:
    """The last 8 KB of one kind of text, and how long it has been periodic. `is_always_loose`: see above."""

    def __init__(self, *, is_always_loose: bool = False) -> None:
        self._window = ""
        self._pieces: list[str] = []
        self._step_chars = 0
        self._is_always_loose = is_always_loose
        self._in_fence = False
        self._in_loose_line = False
        self._line = ""
        self._whole_period = 0
        self._run_chars = 0

    def loop_end(self, text: str) -> int | None:
        """How much of `text` there is until a loop is certain; None when there is none."""
        start = 0
        while start < len(text):
            end = min(start + STEP_CHARS - self._step_chars, len(text))
            piece = text[start:end]
            self._pieces.append(piece)
            self._step_chars += len(piece)
            start = end
            if self._step_chars == STEP_CHARS and self._step():
                return start
        return None

    def _step(self) -> bool:
        step = "".join(self._pieces)
        self._pieces, self._step_chars = [], 0
        self._window = (self._window + step)[-WINDOW_CHARS:]
        self._follow_lines(step)
        period, run_chars = _period(self._window)
        if run_chars < WINDOW_CHARS:
            self._whole_period, self._run_chars = 0, run_chars
        elif period == self._whole_period:
            self._run_chars += STEP_CHARS
        else:
            self._whole_period, self._run_chars = period, run_chars
        return period > 0 and self._run_chars >= self._needed(period)

    def _needed(self, period: int) -> int:
        if self._is_loose():
            return LOOSE_RUN_CHARS
        if period <= 8:
            return 2 * _SHORTEST_RUN_CHARS
        return max(_SHORTEST_RUN_CHARS, 6 * period) if period <= 256 else 4 * period

    def _is_loose(self) -> bool:
        if self._is_always_loose or self._in_fence or self._in_loose_line:
            return True
        recent = self._window[-STEP_CHARS:]
        return not any(sign.isspace() for sign in recent) and recent.isascii() and _looks_like_data(recent)

    def _follow_lines(self, step: str) -> None:
        """Whether the text stands in a code fence, and how its last line begins."""
        *whole, last = step.split("\n")
        for line in whole:
            if _FENCE.match(self._line + line[:8]):
                self._in_fence = not self._in_fence
            self._in_loose_line = _LOOSE_LINE.match(self._line + line[:8]) is not None
            self._line = ""
        self._line = (self._line + last[:8])[:8]
        if self._line.strip() or len(self._line) == 8:
            self._in_loose_line = _LOOSE_LINE.match(self._line) is not None


def _looks_like_data(text: str) -> bool:
    """Base64, hexadecimal, a minified line: digits and capitals beside small letters, or one sign alone."""
    kinds = (any(map(str.isdigit, text)), any(map(str.isupper, text)), any(map(str.islower, text)))
    return sum(kinds) >= 2 or (text.isalnum() and len(set(text)) == 1)


def _period(window: str) -> tuple[int, int]:
    """The smallest period of the window's end that lasts a kilobyte or four times itself, and how long it
    lasts; (0, 0) when there is none."""
    size = len(window)
    needle = window[-_NEEDLE_CHARS:]
    found = size - len(needle)
    for _ in range(_MAX_CANDIDATES):
        found = window.rfind(needle, max(size - MAX_PERIOD_CHARS - _NEEDLE_CHARS, 0), found + len(needle) - 1)
        if found < 0:
            return 0, 0
        period = size - len(needle) - found
        least_chars = max(_SHORTEST_RUN_CHARS, 4 * period)
        if least_chars <= size and window[size - least_chars + period :] == window[-least_chars:-period]:
            return period, _run(window, period, least_chars)
    return 0, 0


def _run(window: str, period: int, known_chars: int) -> int:
    """How many of the window's last characters have the period, at least `known_chars`."""
    low, high = known_chars, len(window)
    while low < high:
        middle = (low + high + 1) // 2
        if window[-middle + period :] == window[-middle:-period]:
            low = middle
        else:
            high = middle - 1
    return low


class _Calls:
    """The last calls, by name and arguments."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._last: deque[bytes] = deque(maxlen=MAX_ROUND_CALLS * MAX_ROUNDS)

    def start(self, name: str) -> None:
        self._digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass") + b"\0", digest_size=16)

    def add(self, fragment: str) -> None:
        self._digest.update(fragment.encode("utf-8", "surrogatepass"))

    def is_loop(self) -> bool:
        """The call is complete: whether it was one too many."""
        self._last.append(self._digest.digest())
        last = tuple(self._last)
        if len(last) >= MAX_EQUAL_CALLS and len(set(last[-MAX_EQUAL_CALLS:])) == 1:
            return True
        rounds = ((last[-period:], last[-period * MAX_ROUNDS :]) for period in range(2, MAX_ROUND_CALLS + 1))
        return any(len(set(one)) > 1 and several == one * MAX_ROUNDS for one, several in rounds)


class LoopGuard:
    """A `pipeline.Stage`. What is known when a loop is certain was shown; nothing after it is."""

    def __init__(self, policy: LoopPolicy) -> None:
        self._policy = policy
        self._text = _Channel(is_always_loose=policy.expects_data)
        self._reasoning = _Channel()
        self._arguments = _Channel(is_always_loose=True)
        self._calls = _Calls()
        self._reasoning_chars = 0
        self._has_ended = False

    def feed(self, event: Event) -> list[Event]:
        if self._has_ended:
            return []
        match event:
            case TextDelta():
                end = self._text.loop_end(event.text)
                return [event] if end is None else self._end("text", TextDelta(event.text[:end]))
            case ReasoningDelta():
                return self._thought(event)
            case ToolCallStart():
                self._arguments = _Channel(is_always_loose=True)
                self._calls.start(event.name)
            case ToolCallDelta():
                self._calls.add(event.fragment)
                end = self._arguments.loop_end(event.fragment)
                if end is not None:
                    return self._end("arguments", ToolCallDelta(event.index, event.fragment[:end]))
            case ToolCallEnd():
                if self._calls.is_loop():
                    return self._end("calls", event)
            case Finish() | Failed():
                self._has_ended = True
            case _:
                pass
        return [event]

    def _thought(self, event: ReasoningDelta) -> list[Event]:
        end = self._reasoning.loop_end(event.text)
        room = self._room()
        if room is not None and room < (len(event.text) if end is None else end):
            return self._end("reasoning_budget", ReasoningDelta(event.text[:room]) if room else None)
        if end is not None:
            return self._end("reasoning", ReasoningDelta(event.text[:end]))
        self._reasoning_chars += len(event.text)
        return [event]

    def _room(self) -> int | None:
        """How many characters of thinking are left of the budget."""
        budget = self._policy.max_reasoning_tokens
        if budget is None:
            return None
        return max(budget * CHARS_PER_TOKEN - self._reasoning_chars, 0)

    def _end(self, where: str, last: Event | None) -> list[Event]:
        self._has_ended = True
        shown: list[Event] = [] if last is None else [last]
        return [*shown, Notice("loop_ended", where), Finish(FinishReason.LENGTH)]
