"""Modes of a call written as JSON: its head, its arguments as they come, or the whole of it at once."""

from __future__ import annotations

import re

from service.core.mimoml.arguments import Tool, members_of
from service.core.mimoml.callheads import JSON_BEGINNING, JSON_HEAD, JSON_NAME
from service.core.mimoml.callmodes import CallModes
from service.core.mimoml.grammar import STRUCTURE
from service.core.mimoml.jsonstream import JSONStream
from service.core.mimoml.jsontext import JSONValue, decode_loose
from service.core.mimoml.linecall import Nesting, StringDecoder
from service.core.mimoml.patterns import MAYBE, NO
from service.core.mimoml.state import Mode
from service.core.mimoml.tags import Tag

_STRING_BEGINS_OBJECT = re.compile(r'"(?:[ \t\r\n]|\\[nrt])*\{')
_STRING_BEGINS_BLANK = re.compile(r'"(?:[ \t\r\n]|\\[nrt])*\\?\Z')
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")


class JSONModes(CallModes):
    """HEAD, JSON_BODY, JSON, STRING, TAIL, BUFFERED and SKIP."""

    def _head(self) -> None:
        """`{` behind a wrapper: is it a call?"""
        buffer, position = self._buffer, self._position
        head = JSON_HEAD.ask(buffer, position, is_final=self._ahead.is_final)
        if isinstance(head, re.Match):
            self._head_found(head)
            return
        beginning = JSON_BEGINNING.ask(buffer, position, is_final=self._ahead.is_final)
        if head is MAYBE or beginning is MAYBE:
            return
        if beginning is NO:
            self._release("false_start")
        else:
            self._buffer_begins()

    def _head_found(self, head: re.Match[str]) -> None:
        name = JSON_NAME.search(head.group())
        tool = self._toolbox.find(name[1] if name else None)
        self._markup = "foreign" if self._markup == "foreign" else self._json_markup()
        if not self._may_call(head.end()):
            self._release()
        elif tool is None:
            self._outlet.notice("call_rejected", self._markup)
            self._release()
            self._nesting = Nesting('"')
            self._mode = Mode.SKIP
        else:
            self._arguments_begin(tool, head.end())

    def _json_markup(self) -> str:
        held = "".join(text for _, text in self._raw[:1])
        return "function_call" if "unction" in held.lower() else "hermes"

    def _arguments_begin(self, tool: Tool, position: int) -> None:
        rest = self._buffer[position : position + 64]
        if not rest:
            if self._ahead.is_final:
                self._release("false_start")
            return
        is_string = rest[0] == '"'
        if rest[0] != "{" and not is_string:
            self._buffer_begins()
            return
        if is_string and not tool.is_custom and not _STRING_BEGINS_OBJECT.match(rest):
            if _STRING_BEGINS_BLANK.match(rest) and not self._ahead.is_final and len(rest) < 64:
                return
            self._buffer_begins()
            return
        if tool.is_custom and is_string:
            self._buffer_begins()
            return
        self._is_wrapped = self._is_json_call = True
        self._announce(tool, position + is_string)
        self._has_json = True
        self._stream = JSONStream(self._outlet.fragment, tool.schema, names=tool.names)
        self._decoder = StringDecoder()
        self._mode = Mode.STRING if is_string else Mode.JSON

    def _json_body(self) -> None:
        """`{` behind a call's opening tag: its arguments as JSON."""
        tool = self._tool
        if tool is None:
            self._nesting = Nesting('"')
            self._mode = Mode.SKIP
            return
        is_exact = self._tag.is_exact
        names = None if is_exact else tool.names
        self._has_json = True
        self._stream = JSONStream(self._outlet.fragment, tool.schema, names=names, is_exact=is_exact)
        self._mode = Mode.JSON

    def _json(self) -> None:
        stream = self._stream
        self._position = stream.feed(self._buffer, self._position)
        if stream.is_done:
            self._json_ends()
        elif stream.is_broken:
            self._json_cut()
        elif self._position < len(self._buffer):
            answer = self._recognise(STRUCTURE, self._position)
            if answer is MAYBE:
                return
            if isinstance(answer, Tag) and answer.is_close:
                self._json_cut()
            else:
                stream.fault()
                self._position += 1

    def _json_ends(self) -> None:
        self._is_repaired |= self._stream.is_repaired
        if not self._is_json_call:
            self._mode = Mode.BODY
        else:
            self._nesting = Nesting('"')
            self._nesting.depth = 1
            self._mode = Mode.TAIL

    def _json_cut(self) -> None:
        """A closing tag before the object is closed: complete it, if that leaves no value cut."""
        if self._stream.can_close:
            self._stream.close()
            self._json_ends()
        else:
            is_seen = self._outlet.is_seen
            self._abandon()
            self._mode = Mode.AFTER if is_seen else Mode.PLAIN

    def _string(self) -> None:
        decoder, stream = self._decoder, self._stream
        text, self._position = decoder.feed(self._buffer, self._position)
        position = 0
        while (position := stream.feed(text, position)) < len(text) and not stream.is_over:
            stream.fault()
            position += 1  # a "<" between tokens: nothing that JSON knows
        if decoder.is_done:
            if stream.is_done:
                self._json_ends()
            else:
                self._json_cut()

    def _tail(self) -> None:
        end = self._nesting.feed(self._buffer, self._position, stops_at_tags=True)
        self._position = end
        if not self._nesting.depth:
            self._complete()
        elif end < len(self._buffer):
            answer = self._recognise(STRUCTURE, end)
            if isinstance(answer, Tag):
                self._is_repaired = True
                self._complete()
            elif answer is NO:
                self._position = end + 1

    def _skip(self) -> None:
        end = self._nesting.feed(self._buffer, self._position, stops_at_tags=True)
        is_over = not self._nesting.depth or end < len(self._buffer)
        self._say(end)
        if is_over:
            self._mode = Mode.PLAIN

    # --- a call that is known all at once -------------------------------------------------------------------

    def _buffer_begins(self) -> None:
        self._nesting = Nesting('"')
        self._json_from = len(self._raw)
        self._mode = Mode.BUFFERED

    def _buffered(self) -> None:
        nesting = self._nesting
        end = nesting.feed(self._buffer, self._position, stops_at_tags=True)
        is_over = not nesting.depth
        self._keep(end)
        if self._is_over_cap():
            self._release()
        elif is_over:
            self._buffer_ends()
        elif end < len(self._buffer):
            answer = self._recognise(STRUCTURE, end)
            if isinstance(answer, Tag):
                self._buffer_ends()
            elif answer is NO:
                self._keep(end + 1)

    def _buffer_ends(self) -> None:
        text = "".join(text for _, text in self._raw[self._json_from :])
        self._markup = "foreign" if self._markup == "foreign" else self._json_markup()
        found = self._json_call(text)
        if found is None or not self._may_call(self._position + 1):
            self._release("call_rejected")
            return
        self._is_wrapped = self._is_json_call = True
        self._give_whole(*found)

    def _give_whole(self, tool: Tool, members: dict[str, JSONValue]) -> None:
        """A call that is known all at once."""
        self._announce(tool, self._position)
        arguments = self._arguments
        for name, value in members.items():
            arguments.give(name, value)
        self._loose = []
        self._complete()

    def _json_call(self, text: str) -> tuple[Tool, dict[str, JSONValue]] | None:
        """The call that a JSON object is, with its arguments by schema; None when it is none."""
        try:
            value = decode_loose(text)
        except ValueError:
            return None
        return self._call_of(value) if isinstance(value, dict) else None

    def _call_of(self, value: dict[str, JSONValue]) -> tuple[Tool, dict[str, JSONValue]] | None:
        inner = value.get("function")
        if isinstance(inner, dict):
            value = inner
        name = value.get("name") or value.get("tool")
        tool = self._toolbox.find(name) if isinstance(name, str) else None
        key = next((key for key in _ARGUMENT_KEYS if key in value), None)
        if tool is None or key is None:
            return None
        members = members_of(value[key], tool)
        return None if members is None else (tool, members)
