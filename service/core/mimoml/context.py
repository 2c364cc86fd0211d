"""Where in the Markdown the text stands: in a fence, in inline code, at the start of a line.

Only what was given out as text is fed in, so nothing inside a call changes the context. CommonMark's rules,
as far as a reader that never looks ahead can keep them:

- A line of three or more backticks or tildes opens a fence; a backtick fence's info has no backtick (such a
  line is inline code). It is closed by a line of the same character, at least as many, and nothing else. A
  fence that is never closed runs to the end. Four blanks of indent make no fence, unless the line belongs to
  a list item that is indented so.
- A run of n backticks opens inline code, a run of exactly n closes it. A run that nothing closes ends with
  its paragraph: at a blank line, a fence, a heading or a list item. A backslash before a backtick takes its
  meaning away.
- Lines end at LF. U+2028 and U+0085 are characters like any other.

State: the code that is open (`_fence` or `_span`), a run of backticks or tildes that may go on (`_run`),
what the start of the line held so far (`_indent`, `_marker`), the open list's indent (`_list_indent`), and
whether the line may still turn out to be a fence (`_line`)."""

from __future__ import annotations

import re
from enum import Enum

from service.core.mimoml.characters import OPEN_BRACKETS
from service.core.mimoml.grammar import STARTERS
from service.core.mimoml.lanes import Lane, Lanes

_IN_TEXT = re.compile(f"[{OPEN_BRACKETS}`\n\\\\](?<!{STARTERS.never_tag})")
_IN_SPAN = re.compile("[`\n]")
_INDENT = re.compile("[ \t\r]+")
_LINE_CALL = "TO"  # how `TOOL_CALL:` begins


class _Line(Enum):
    """What is known of the current line."""

    START = "only indent and markers so far"
    MIDDLE = "text"
    OPENS = "opened a fence, unless a backtick follows"
    CLOSES = "closes the fence, unless anything but blanks follows"


# Bound once: a member looked up through its Enum costs twenty times a global.
_START, _MIDDLE, _OPENS, _CLOSES = _Line


class Context:
    """Fed with text as it is given out; tells where the next character that could begin a call stands."""

    __slots__ = (
        "_fence",
        "_fence_mark",
        "_indent",
        "_is_escaped",
        "_line",
        "_list_indent",
        "_mark",
        "_marker",
        "_run",
        "_span",
    )

    def __init__(self) -> None:
        self._fence = 0  # length of the run that opened the fence, and its character
        self._fence_mark = ""
        self._span = 0  # length of the run that opened inline code
        self._run = 0  # length of a run that may go on, and its character
        self._mark = ""
        self._line: _Line = _START
        self._indent = 0
        self._list_indent = 0
        self._marker = ""  # "-", "12" or "12." at the start of a line
        self._is_escaped = False

    def lane(self, lanes: Lanes) -> Lane | None:
        """How text passes that changes nothing here: in the midst of a line, with nothing pending."""
        if self._line is not _MIDDLE or self._run or self._is_escaped:
            return None
        if self._fence:
            return lanes.fenced
        if self._span:
            return lanes.span
        return lanes.text_in_list if self._list_indent else lanes.text

    @property
    def is_line_start(self) -> bool:
        return self._line is _START

    def scan(self, text: str, position: int) -> int:
        """Take text in up to the next character outside code that could begin a call, and return its
        position; len(text) when there is none. Asked again there, it answers the same."""
        end = len(text)
        while position < end:
            if self._run:
                position = self._after_run(text, position)
            elif self._line is _MIDDLE:
                position, is_found = self._middle(text, position)
                if is_found:
                    return position
            elif self._line is _START:
                position, is_found = self._start(text, position)
                if is_found:
                    return position
            else:
                position = self._fence_line(text, position)
        return end

    def skip(self) -> None:
        """The character found was text after all."""
        self._line = _MIDDLE
        self._is_escaped = False

    def pass_over(self, text: str) -> None:
        """Take in text in which nothing can begin a call."""
        position = 0
        while (position := self.scan(text, position)) < len(text):
            self.skip()
            position += 1

    def leave_code(self) -> None:
        """Forget open code: another speaker goes on."""
        self._fence = self._span = self._run = 0

    # --- one state each; all return the new position --------------------------------------------------------

    def _middle(self, text: str, position: int) -> tuple[int, bool]:
        if self._fence:
            found = text.find("\n", position)
            if found < 0:
                return len(text), False
            self._start_line()
            return found + 1, False
        if self._is_escaped:
            self._is_escaped = False
            if text[position] in "`\\":
                return position + 1, False
        match = (_IN_SPAN if self._span else _IN_TEXT).search(text, position)
        if match is None:
            return len(text), False
        position = match.start()
        character = text[position]
        if character == "\n":
            self._start_line()
        elif character == "`":
            self._run, self._mark = 1, "`"
        elif character == "\\":
            self._is_escaped = True
        else:
            return position, True
        return position + 1, False

    def _start_line(self) -> None:
        self._line, self._indent, self._marker = _START, 0, ""

    def _start(self, text: str, position: int) -> tuple[int, bool]:
        character = text[position]
        if self._marker:
            return self._after_marker(character, position), False
        if character == "\n":
            self._span = 0
            self._indent = 0
            return position + 1, False
        blank = _INDENT.match(text, position)
        if blank is not None:
            self._indent += len(blank.group().expandtabs(4))
            return blank.end(), False
        if self._fence:
            return self._start_in_fence(character, position), False
        return self._start_of_text(text, position)

    def _start_in_fence(self, character: str, position: int) -> int:
        if character == self._fence_mark:
            self._run, self._mark = 1, character
            return position + 1
        if character != ">":
            self._line = _MIDDLE
            return position
        return position + 1

    def _start_of_text(self, text: str, position: int) -> tuple[int, bool]:
        character = text[position]
        if self._indent < self._list_indent:
            self._list_indent = 0
        if character in "`~":
            self._run, self._mark = 1, character
        elif character == ">":
            self._indent = 0
        elif character in "-*+0123456789":
            self._marker = character
        elif not self._span and (character in OPEN_BRACKETS or self._may_be_line_call(text, position)):
            return position, True
        else:
            if character == "#":
                self._span = 0
            self._line = _MIDDLE
            return position, False
        return position + 1, False

    def _may_be_line_call(self, text: str, position: int) -> bool:
        is_cut = position == len(text) - 1 and text[position] == _LINE_CALL[0]
        return (is_cut or text.startswith(_LINE_CALL, position)) and self._indent - self._list_indent < 4

    def _after_marker(self, character: str, position: int) -> int:
        """A list marker is one of -*+, or up to nine digits and one of ".)", and a blank behind it."""
        marker = self._marker
        if character in " \t\n" and not marker[-1].isdigit():
            self._indent += len(marker) + 1
            self._list_indent = self._indent
            self._span, self._marker = 0, ""
            if character == "\n":
                self._start_line()
            return position + 1
        if marker.isdigit() and len(marker) < 10 and character in "0123456789.)":
            self._marker += character
            return position + 1
        self._marker, self._line = "", _MIDDLE
        return position

    def _after_run(self, text: str, position: int) -> int:
        """The run goes on here, or ended here: then it means something."""
        end = position
        while end < len(text) and text[end] == self._mark:
            end += 1
        self._run += end - position
        if end == len(text):
            return end
        run, self._run = self._run, 0
        if self._line is _START:
            self._run_at_start(run)
        else:
            self._run_in_line(run)
        return end

    def _run_at_start(self, run: int) -> None:
        self._line = _MIDDLE
        is_indented_code = self._indent - self._list_indent >= 4
        if self._fence:
            if run >= self._fence and not is_indented_code:
                self._line = _CLOSES
        elif run >= 3 and not is_indented_code:
            self._fence, self._fence_mark, self._span = run, self._mark, 0
            if self._mark == "`":
                self._line = _OPENS
        elif run < 3 or not is_indented_code:
            self._run_in_line(run)

    def _run_in_line(self, run: int) -> None:
        if self._mark == "`":
            if not self._span:
                self._span = run
            elif self._span == run:
                self._span = 0

    def _fence_line(self, text: str, position: int) -> int:
        """The rest of a line that opens or closes a fence."""
        if self._line is _OPENS:
            match = _IN_SPAN.search(text, position)
            if match is None:
                return len(text)
            if match.group() == "`":  # not a fence: inline code that this run opened
                self._span, self._fence = self._fence, 0
                self._line, self._run = _MIDDLE, 1
            else:
                self._start_line()
            return match.end()
        blank = _INDENT.match(text, position)
        if blank is not None:
            return blank.end()
        if text[position] == "\n":
            self._fence = 0
            self._start_line()
            return position + 1
        self._line = _MIDDLE
        return position
