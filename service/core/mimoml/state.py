"""What all modes of the sieve's machine share: the buffer, what is held back, the call that is being read.

`_buffer` holds what was fed and not yet used; every mode moves `_position` on, or waits for more (`_waits`).
What a mode holds beyond a tag's length is kept in lists (`_raw`), so nothing is read again for each piece.
`_seam` is the length of the buffer's part that came by the reasoning channel.
"""

from __future__ import annotations

import re
from enum import IntEnum

from service.core.mimoml.arguments import Arguments, Parameter, Scraps, Tool, Toolbox
from service.core.mimoml.characters import CLOSE_BRACKETS
from service.core.mimoml.context import Context
from service.core.mimoml.grammar import Vocabulary
from service.core.mimoml.jsonstream import JSONStream
from service.core.mimoml.linecall import Nesting, StringDecoder
from service.core.mimoml.lookahead import Lookahead
from service.core.mimoml.outlet import Outlet, SievePolicy
from service.core.mimoml.patterns import MAYBE, Answer
from service.core.mimoml.schema import ANYTHING
from service.core.mimoml.tags import NONE, Tag
from service.core.mimoml.values import ValueReader

BLANKS = re.compile("[ \t\r\n]+")


class Mode(IntEnum):
    """Where the machine stands; machine.py says what leads from one to the next."""

    PLAIN = 0
    THINK = 1
    WRAPPED = 2
    PENDING = 3
    BODY = 4
    VALUE = 5
    HEAD = 6
    JSON_BODY = 7
    JSON = 8
    STRING = 9
    TAIL = 10
    BUFFERED = 11
    SKIP = 12
    LINE = 13
    WHOLE = 14
    AFTER = 15


def nowhere(_: str) -> None:
    """Takes what a refused call would have given out."""


_NO_TAG = Tag(NONE, 0)
NO_TOOL = Tool.unknown()
_NO_ARGUMENTS = Arguments(NO_TOOL, nowhere)
_NO_STREAM = JSONStream(nowhere, ANYTHING)
_NO_READER = ValueReader(
    Scraps(keeps=False),
    Lookahead(),
    is_native=False,
    is_typed=False,
    is_flat=False,
    may_hold=False,
    expects=_NO_ARGUMENTS.expects,
    max_held=0,
)


class State:
    """The machine's memory, and giving out or holding back what was read."""

    def __init__(self, toolbox: Toolbox, outlet: Outlet, policy: SievePolicy) -> None:
        self._toolbox = toolbox
        self._outlet = outlet
        self._policy = policy
        self._text_context = Context()
        self._reasoning_context = Context()
        self._is_reasoning = False
        self._buffer = ""
        self._position = 0
        self._offset = 0  # characters of the stream before the buffer
        self._flat_until = 0  # up to here the stream was read before: the first closer counts
        self._seam = 0
        self._ahead = Lookahead()
        self._waits = False  # the mode needs more than there is
        self._mode: Mode = Mode.PLAIN
        self._raw: list[tuple[bool, str]] = []
        self._raw_length = 0
        self.most_held_chars = 0  # at the end of a piece: what the client had to wait for
        self._fed: list[str] | None = None  # all text since a call that nobody has seen began
        self._is_fresh = True  # nothing but blanks so far: the answer may be one JSON call
        self._finds_lines = True
        # The call that is being read.
        self._tool: Tool | None = None
        self._tag = _NO_TAG
        self._is_json_call = False  # written as JSON behind a wrapper, not as tags
        self._markup = ""
        self._is_wrapped = False
        self._is_refused = False
        self._is_flat = False
        self._is_repaired = False
        self._has_json = False
        self._arguments = _NO_ARGUMENTS
        self._sink: Parameter | Scraps = Scraps(keeps=False)
        self._reader = _NO_READER
        self._loose: list[tuple[bool, str]] = []
        self._stream = _NO_STREAM
        self._decoder = StringDecoder()
        self._nesting = Nesting()
        self._skips_bracket = False

    # --- reading --------------------------------------------------------------------------------------------

    def _recognise(self, vocabulary: Vocabulary, position: int) -> Tag | Answer:
        answer = self._ahead.at(vocabulary, self._buffer, position)
        self._waits = answer is MAYBE
        return answer

    def _say(self, end: int, *, is_tracked: bool = False) -> None:
        """Give out the buffer up to `end` as text. `is_tracked`: the context has seen it."""
        start, self._position = self._position, end
        if start < self._seam:
            cut = min(self._seam, end)
            self._speak(True, self._buffer[start:cut], is_tracked=is_tracked)
            start = cut
        if start < end:
            text = self._buffer[start:end] if start or end < len(self._buffer) else self._buffer
            self._speak(self._is_reasoning, text, is_tracked=is_tracked)

    def _speak(self, is_reasoning: bool, text: str, *, is_tracked: bool = False) -> None:
        if not is_tracked:
            (self._reasoning_context if is_reasoning else self._text_context).pass_over(text)
        self._outlet.text(text, is_reasoning=is_reasoning)

    def _keep(self, end: int) -> None:
        """Hold the buffer up to `end` back."""
        start, self._position = self._position, end
        if start < self._seam:
            self._raw.append((True, self._buffer[start : min(self._seam, end)]))
            start = min(self._seam, end)
        if start < end:
            self._raw.append((self._is_reasoning, self._buffer[start:end]))
        self._raw_length += end - start

    def _release(self, notice: str = "") -> None:
        """What was held back is text."""
        if notice:
            self._outlet.notice(notice, self._markup)
        raw, self._raw, self._raw_length = self._raw, [], 0
        for is_reasoning, text in raw:
            self._speak(is_reasoning, text)
        self._tool = None
        self._fed = None
        self._mode = Mode.PLAIN

    def _read_again(self) -> None:
        """What was held back is to be read again, as text."""
        held = "".join(text for _, text in self._raw)
        self._buffer = held + self._buffer[self._position :]
        self._position = 0
        self._raw, self._raw_length = [], 0
        self._mode = Mode.PLAIN

    def _dropped_raw(self) -> None:
        self._raw, self._raw_length = [], 0

    def _is_over_cap(self) -> bool:
        if self._raw_length <= self._policy.max_buffered_bytes:
            return False
        self._outlet.notice("buffer_cap", self._markup)
        return True

    def _skipped_layout(self) -> bool:
        """Hold blanks (and the second ">" of a doubled tag) back; False when something else comes."""
        position = self._position
        if self._skips_bracket:
            self._skips_bracket = False
            if self._buffer[position] in CLOSE_BRACKETS:
                self._keep(position + 1)
                return True
        blank = BLANKS.match(self._buffer, position)
        if blank is None:
            return False
        self._keep(blank.end())
        return True

    def _may_call(self, end: int) -> bool:
        """Calls made inside the thinking are text, unless the policy says otherwise."""
        if self._policy.finds_calls_in_reasoning:
            return True
        return not self._is_reasoning and end > self._seam
