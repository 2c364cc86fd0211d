"""Modes outside tagged calls: text, thinking in the text, `TOOL_CALL:` lines, an answer that is one JSON
call."""

from __future__ import annotations

import re

from service.core.mimoml.arguments import Tool
from service.core.mimoml.callheads import JSON_NAME, LINE_HEAD, WHOLE_BEGINNING
from service.core.mimoml.callmodes import markup_of
from service.core.mimoml.context import Context
from service.core.mimoml.grammar import STARTERS, THINK_END
from service.core.mimoml.jsonmodes import JSONModes
from service.core.mimoml.jsontext import JSONValue
from service.core.mimoml.linecall import Nesting, arguments_of_line
from service.core.mimoml.patterns import MAYBE, NO, Answer
from service.core.mimoml.schema import coerced, value_of_text
from service.core.mimoml.state import BLANKS, Mode
from service.core.mimoml.tags import NONE, THINK, WRAPPER, Tag

_MAY_END_THINKING = re.compile(THINK_END.may_tag)


class TextModes(JSONModes):
    """PLAIN, THINK, LINE and WHOLE."""

    def _plain(self) -> None:
        buffer, position = self._buffer, self._position
        if position < self._seam:
            context, limit = self._reasoning_context, buffer[: self._seam]
        else:
            context, limit = (self._reasoning_context if self._is_reasoning else self._text_context), buffer
            if self._is_fresh and not self._is_reasoning and self._whole_begins():
                return
            position = self._position
        found, answer = self._next_tag(limit, position, context)
        if found > position:
            self._say(found, is_tracked=True)
        if isinstance(answer, Tag):
            self._tag_in_text(answer, context)
        elif found < len(limit) and limit[found] == "T":
            self._line_begins(context)

    def _next_tag(self, limit: str, position: int, context: Context) -> tuple[int, Tag | Answer]:
        """The next tag, or what may become one, or "T" at the start of a line: where, and what it is."""
        while (found := context.scan(limit, position)) < len(limit) and limit[found] != "T":
            answer = self._recognise(STARTERS, found)
            if answer is not NO:
                return found, answer
            context.skip()
            position = found + 1
        return found, NO

    def _tag_in_text(self, tag: Tag, context: Context) -> None:
        is_line_start = context.is_line_start
        self._markup = markup_of(tag)
        if tag.kind is NONE:
            self._position = tag.end
        elif tag.kind is THINK:
            context.skip()
            self._say(tag.end)
            if is_line_start and not self._is_reasoning:
                self._mode = Mode.THINK
        elif tag.kind is WRAPPER:
            self._wrapper_begins(tag)
        else:
            self._call_begins(tag, is_wrapped=tag.is_wrapping)

    def _think(self) -> None:
        match = _MAY_END_THINKING.search(self._buffer, self._position)
        if match is None:
            self._say(len(self._buffer), is_tracked=True)
            return
        if match.start() > self._position:
            self._say(match.start(), is_tracked=True)
        answer = self._recognise(THINK_END, self._position)
        if answer is NO:
            self._say(self._position + 1, is_tracked=True)
        elif isinstance(answer, Tag):
            self._say(answer.end, is_tracked=True)
            self._text_context.leave_code()
            self._text_context.skip()
            self._mode = Mode.PLAIN

    # --- `TOOL_CALL:` lines ---------------------------------------------------------------------------------

    def _line_begins(self, context: Context) -> None:
        answer: re.Match[str] | Answer = NO
        if self._finds_lines and self._may_call(self._position + 1):
            answer = LINE_HEAD.ask(self._buffer, self._position, is_final=self._ahead.is_final)
        if answer is MAYBE:
            return
        tool = None
        if isinstance(answer, re.Match):
            tool = self._toolbox.find(answer.group().partition(":")[2].strip(" \t("))
            if tool is None:
                self._outlet.notice("call_rejected", "tool_call_line")
        if tool is None or not isinstance(answer, re.Match):
            context.skip()
            self._say(self._position + 1, is_tracked=True)
            return
        self._markup = "tool_call_line"
        self._line_tool = tool
        self._keep(answer.end() - 1)
        self._nesting = Nesting()
        self._mode = Mode.LINE

    def _line(self) -> None:
        end = self._nesting.feed(self._buffer, self._position)
        is_over = not self._nesting.depth
        self._keep(end)
        if is_over:
            self._line_ends()
        elif self._is_over_cap():
            self._finds_lines = False
            self._read_again()

    def _line_is_cut(self) -> bool:
        """The answer ended inside the parentheses: it was text, and no other line is looked at so."""
        self._finds_lines = False
        self._outlet.notice("call_rejected", self._markup)
        self._read_again()
        return True

    def _line_ends(self) -> None:
        text = "".join(text for _, text in self._raw)
        tool = self._line_tool
        try:
            members = _line_members(text[text.index("(") + 1 : -1], tool)
        except ValueError:
            self._release("call_rejected")
            return
        self._is_wrapped = False
        self._give_whole(tool, members)

    # --- an answer that is one JSON call --------------------------------------------------------------------

    def _whole_begins(self) -> bool:
        """At the beginning of the answer; True when it waits or has begun."""
        blank = BLANKS.match(self._buffer, self._position)
        if blank is not None:
            self._say(blank.end())
            return True
        if self._buffer[self._position] not in "{`~":
            self._is_fresh = False
            return False
        answer = WHOLE_BEGINNING.ask(self._buffer, self._position, is_final=self._ahead.is_final)
        if answer is MAYBE:
            return True
        self._is_fresh = False
        if not isinstance(answer, re.Match):
            return False
        name = JSON_NAME.search(answer.group())
        if name is not None and self._toolbox.find(name[1]) is None:
            return False
        self._markup = "bare_json"
        text = answer.group()
        self._fence_mark = text[0] if text[0] in "`~" else ""
        self._fence_length = len(text) - len(text.lstrip(self._fence_mark)) if self._fence_mark else 0
        self._keep(self._position + text.index("{"))
        self._json_from = len(self._raw)
        self._nesting = Nesting('"')
        self._is_closed = False
        self._mode = Mode.WHOLE
        return True

    def _whole(self) -> None:
        if not self._is_closed:
            self._keep(self._nesting.feed(self._buffer, self._position))
            self._is_closed = not self._nesting.depth
            self._json_to = len(self._raw)
        else:
            position = self._position
            blank = BLANKS.match(self._buffer, position)
            if blank is not None:
                self._keep(blank.end())
            elif self._fence_mark and self._buffer[position] == self._fence_mark:
                self._fence_length -= 1
                self._keep(position + 1)
            else:
                self._read_again()
                return
        if self._is_over_cap():
            self._read_again()

    def _whole_ends(self) -> bool:
        """At the end of the answer; True when there is text to read again."""
        found = None
        if self._is_closed and self._fence_length <= 0:
            found = self._json_call("".join(text for _, text in self._raw[self._json_from : self._json_to]))
        if found is None:
            self._read_again()
            return True
        self._is_wrapped = False
        self._give_whole(*found)
        return False


def _line_members(text: str, tool: Tool) -> dict[str, JSONValue]:
    """Members of `TOOL_CALL: name(…)`; values without a key take the declared parameters in order."""
    members: dict[str, JSONValue] = {}
    unnamed = iter(tool.schema.property_names)
    for key, value, is_string in arguments_of_line(text):
        name = key if key is not None else next(unnamed, None)
        if name is None:
            raise ValueError("a value without a key")
        name = tool.names.resolved(name) or name
        schema = tool.schema.member(name)
        if is_string:
            members.setdefault(name, value_of_text(str(value), schema, is_cdata=True))
        else:
            members.setdefault(name, coerced(value, schema))
    return members
