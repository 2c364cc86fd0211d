"""Modes of a call written as tags: behind its opening, between its parameters, inside one, behind its end."""

from __future__ import annotations

from service.core.mimoml.arguments import Arguments, Parameter, Scraps, Tool, members_of
from service.core.mimoml.characters import CLOSE_BRACKETS, OPEN_BRACKETS
from service.core.mimoml.elements import value_of_elements
from service.core.mimoml.entities import decode_entities
from service.core.mimoml.grammar import STRUCTURE
from service.core.mimoml.jsontext import JSONValue, decode_loose
from service.core.mimoml.patterns import MAYBE, NO, Answer
from service.core.mimoml.state import BLANKS, NO_TOOL, Mode, State, nowhere
from service.core.mimoml.tags import CALL, CDATA, NONE, PARAMETER, WRAPPER, Tag
from service.core.mimoml.values import Status, ValueReader


class CallModes(State):
    """WRAPPED, PENDING, BODY, VALUE and AFTER."""

    # --- behind an opening tag ------------------------------------------------------------------------------

    def _wrapper_begins(self, tag: Tag) -> None:
        self._markup = markup_of(tag)
        self._keep(tag.end)
        self._skips_bracket = tag.is_doubled
        self._mode = Mode.WRAPPED

    def _wrapped(self) -> None:
        if self._skipped_layout():
            if self._is_over_cap():
                self._release()
            return
        character = self._buffer[self._position]
        if character == "[":
            self._keep(self._position + 1)
        elif character == "{":
            self._mode = Mode.HEAD
        elif character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
            if isinstance(answer, Tag):
                self._tag_in_wrapper(answer)
            elif answer is NO:
                self._release("false_start")
        else:
            self._release("false_start")

    def _tag_in_wrapper(self, tag: Tag) -> None:
        is_opening = not tag.is_close
        if tag.kind is CALL and is_opening:
            self._call_begins(tag, is_wrapped=True)
        elif tag.kind is WRAPPER and is_opening:
            self._keep(tag.end)
        elif tag.kind is NONE:
            self._dropped_raw()
            self._position = tag.end
            self._is_wrapped, self._is_refused = True, False
            self._mode = Mode.AFTER
        else:
            self._release("false_start")

    def _call_begins(self, tag: Tag, *, is_wrapped: bool) -> None:
        """A call's opening tag. Under a wrapper it counts at once."""
        self._tag, self._is_json_call = tag, False
        if self._markup != "foreign" or tag.is_foreign:
            self._markup = markup_of(tag)
        self._skips_bracket = tag.is_doubled
        self._is_wrapped = is_wrapped
        if (is_wrapped or tag.is_empty) and self._may_call(tag.end):
            self._enter(tag, self._toolbox.find(tag.name), tag.end)
        else:
            self._keep(tag.end)
            self._mode = Mode.PENDING

    def _enter(self, tag: Tag, tool: Tool | None, end: int) -> None:
        """Begin the call: announced, or refused and shown."""
        if tool is None:
            self._outlet.notice("call_rejected", self._markup)
            self._keep(end)
            self._release()
            self._is_refused = True
            self._arguments = Arguments(NO_TOOL, nowhere)
        else:
            self._announce(tool, end)
        self._loose = []
        self._is_flat = self._offset + self._position < self._flat_until
        self._mode = Mode.BODY
        if tag.is_empty:
            self._complete()

    def _announce(self, tool: Tool, end: int) -> None:
        if self._policy.native_calls:
            self._fed = [text for _, text in self._raw]
            self._fed.append(self._buffer[self._position :])
        self._dropped_raw()
        self._position = end
        self._seam = min(self._seam, end)
        self._tool = tool
        self._is_fresh = False
        self._is_refused = False
        self._is_repaired = False
        self._has_json = False
        self._outlet.open_call(tool.name, self._markup)
        self._arguments = Arguments(tool, self._outlet.fragment)

    def _pending(self) -> None:
        if self._skipped_layout():
            if self._is_over_cap():
                self._release()
            return
        character = self._buffer[self._position]
        if character == "{":
            self._confirm(self._position + 1)
            return
        answer: Tag | Answer = NO
        if character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
        if answer is NO:
            self._release("false_start")
        elif isinstance(answer, Tag):
            if answer.kind is PARAMETER or (answer.kind is not CDATA and answer.is_close):
                self._confirm(answer.end)
            else:
                self._release("false_start")

    def _confirm(self, end: int) -> None:
        if not self._may_call(end):
            self._release()
            return
        self._enter(self._tag, self._toolbox.find(self._tag.name), self._position)

    # --- between parameters ---------------------------------------------------------------------------------

    def _use(self, end: int) -> None:
        """Markup of the call: it disappears, or is shown where the call is refused."""
        if self._is_refused:
            self._say(end)
        else:
            self._position = end

    def _body(self) -> None:
        position = self._position
        if self._skips_bracket:
            self._skips_bracket = False
            if self._buffer[position] in CLOSE_BRACKETS:
                self._use(position + 1)
                return
        blank = BLANKS.match(self._buffer, position)
        if blank is not None:
            self._use(blank.end())
            return
        character = self._buffer[position]
        if character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, position)
            if answer is MAYBE:
                return
            if isinstance(answer, Tag) and answer.kind is not CDATA:
                self._tag_in_body(answer)
                return
        elif character == "{" and self._takes_json():
            self._mode = Mode.JSON_BODY
            return
        self._value_begins(None, is_native=False)

    def _takes_json(self) -> bool:
        return not self._arguments.given and not self._has_json and not self._loose and not self._is_custom()

    def _is_custom(self) -> bool:
        return self._tool is not None and self._tool.is_custom

    def _tag_in_body(self, tag: Tag) -> None:
        if tag.kind is PARAMETER:
            if not tag.is_close and tag.name is not None:
                self._use(tag.end)
                self._skips_bracket = tag.is_doubled
                self._value_begins(tag.name, is_native=tag.is_native or self._is_native())
                if tag.is_empty:
                    self._value_ends()
            else:
                self._use(tag.end)
        elif tag.kind is NONE:
            self._use(tag.end)
        elif tag.is_close:
            is_wrapper = tag.kind is WRAPPER
            self._use(tag.end)
            self._skips_bracket = tag.is_doubled
            self._complete()
            if is_wrapper:
                self._is_wrapped = False
                if self._is_refused:
                    self._mode = Mode.PLAIN
        else:
            self._complete()  # its closer is missing: the next call, or a wrapper, begins here

    def _is_native(self) -> bool:
        return self._tag.is_native and not self._is_json_call

    def _complete(self) -> None:
        """The call is closed."""
        self._mode = Mode.AFTER
        if self._is_refused:
            if not self._is_wrapped:
                self._mode = Mode.PLAIN
            return
        rest = self._settle_loose() if self._loose else ""
        if rest and not self._has_required():
            # What it was given could not be read: executing it without would be another call.
            self._mode = Mode.AFTER if self._outlet.is_seen else Mode.PLAIN
            self._abandon()
            return
        if not self._has_json:
            self._arguments.close()
        self._outlet.close_call(is_repaired=self._is_repaired)
        self._tool, self._fed = None, None
        if rest:
            self._speak(False, rest)

    def _has_required(self) -> bool:
        given = self._stream.keys if self._has_json else self._arguments.given
        return self._tool is not None and set(self._tool.required) <= set(given)

    # --- inside a parameter ---------------------------------------------------------------------------------

    def _value_begins(self, name: str | None, *, is_native: bool) -> None:
        arguments = self._arguments
        sink: Parameter | Scraps
        if name is None or self._is_refused or self._has_json:
            sink = Scraps(keeps=not self._is_refused)
            is_typed = name is None
        else:
            sink = arguments.parameter(name, is_native=is_native)
            is_typed = sink.is_typed
        self._sink = sink
        self._reader = ValueReader(
            sink,
            self._ahead,
            is_native=is_native,
            is_typed=is_typed,
            is_flat=self._is_flat,
            may_hold=not self._is_refused,
            expects=arguments.expects,
            max_held=self._policy.max_buffered_bytes,
        )
        self._mode = Mode.VALUE

    def _value(self) -> None:
        reader = self._reader
        if self._skips_bracket and self._position < len(self._buffer):
            self._skips_bracket = False
            if self._buffer[self._position] in CLOSE_BRACKETS:
                self._use(self._position + 1)
                return
        end = reader.read(self._buffer, self._position)
        if reader.back.is_capped:
            reader.back.is_capped = False
            self._outlet.notice("buffer_cap", self._markup)
        if reader.status is Status.REWIND:
            self._flat_until = self._offset + end
            length = len(self._buffer)
            self._buffer, self._position = reader.back.rewound(self._buffer)
            self._offset += length - len(self._buffer)
            self._is_flat = self._is_repaired = True
            self._value_ends()
            return
        self._use(end)
        self._waits = reader.status is Status.OPEN
        if reader.status is Status.DONE:
            self._is_repaired |= not reader.is_closed
            self._value_ends()

    def _value_ends(self) -> None:
        self._mode = Mode.BODY
        self._skips_bracket = self._reader is not None and self._reader.skips_bracket
        if self._is_refused:
            return
        if isinstance(self._sink, Parameter):
            self._sink.end()
        else:
            self._loose.extend(self._sink.parts)

    def _settle_loose(self) -> str:
        """What text without a parameter's tag means; the text itself where it means nothing."""
        parts, self._loose = self._loose, []
        text = "".join(text for _, text in parts)
        raw = text
        tool, arguments = self._tool, self._arguments
        if tool is None or not text.strip():
            return ""
        self._is_repaired = True
        if not arguments.given and not self._has_json:
            members = _members(text, tool)
            if members is not None:
                for name, value in members.items():
                    arguments.give(name, value)
                return ""
        sole = tool.sole_parameter
        if sole is None or sole in arguments.given or self._has_json:
            return raw
        if self._is_native():
            text = text.removeprefix("\r").removeprefix("\n").removesuffix("\n").removesuffix("\r")
        elif not any(is_cdata for is_cdata, _ in parts):
            text = decode_entities(text)
        parameter = arguments.parameter(sole, is_native=True)
        parameter.text(text)
        parameter.end()
        return ""

    # --- behind a call --------------------------------------------------------------------------------------

    def _after(self) -> None:
        if self._skips_bracket and self._buffer[self._position] in CLOSE_BRACKETS:
            self._skips_bracket = False
            self._use(self._position + 1)
            return
        if self._skipped_layout():
            return
        character = self._buffer[self._position]
        if character in ",[]}" and self._is_wrapped and self._is_json_call:
            self._keep(self._position + 1)
        elif character == "{" and self._is_wrapped and self._is_json_call:
            self._dropped_raw()
            self._mode = Mode.HEAD
        elif character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
            if isinstance(answer, Tag):
                self._tag_after(answer)
            elif answer is NO:
                self._leave()
        else:
            self._leave()

    def _leave(self) -> None:
        """Text goes on. At the very end, the beginning of a closer is swallowed like the closer."""
        is_tag = self._buffer[self._position] in OPEN_BRACKETS and not self._is_refused
        if is_tag and STRUCTURE.recognise(self._buffer, self._position) is MAYBE:
            self._position = len(self._buffer)
        else:
            self._release()

    def _tag_after(self, tag: Tag) -> None:
        if self._is_refused and (tag.is_close or tag.kind is not CALL):
            self._release()
        elif tag.is_close or tag.kind is NONE:
            self._is_wrapped = self._is_wrapped and tag.kind is not WRAPPER
            self._skips_bracket = tag.is_doubled
            self._position = tag.end
        elif tag.kind is CALL:
            if not self._is_refused:
                self._dropped_raw()
            self._call_begins(tag, is_wrapped=self._is_wrapped or tag.is_wrapping)
        elif tag.kind is WRAPPER:
            self._dropped_raw()
            self._wrapper_begins(tag)
        else:
            self._release()

    def _abandon(self) -> None:
        raw = "".join(self._fed or ())
        unread = len(self._buffer) - self._position
        self._outlet.abandon_call(raw[: len(raw) - unread])
        self._tool, self._fed = None, None


def markup_of(tag: Tag) -> str:
    """The format's name for operators."""
    if tag.is_foreign:
        return "foreign"
    return "native" if tag.is_native or (tag.kind is WRAPPER and "s" not in tag.word) else "mimoml"


def _members(text: str, tool: Tool) -> dict[str, JSONValue] | None:
    """Arguments from a call's text without parameters: a JSON object, or elements named like parameters."""
    if tool.is_custom and not text.lstrip().startswith('{"input"'):
        return None
    try:
        if text.lstrip().startswith("{"):
            return members_of(decode_loose(text), tool)
        value = value_of_elements(text, tool.schema)
    except ValueError:
        return None
    is_meant = isinstance(value, dict) and all(tool.names.resolved(name) for name in value)
    return members_of(value, tool) if is_meant else None
