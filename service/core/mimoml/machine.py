"""The sieve's state machine: characters of two channels in; text and calls out, through an outlet.

Modes, and what leads from one to the next (held back in brackets):

    PLAIN      text. A wrapper -> WRAPPED; a call without one -> PENDING; `TOOL_CALL: name(` -> LINE; JSON at the
               beginning of the answer -> WHOLE; `<think>` at the start of a line -> THINK [a tag's beginning]
    WRAPPED    behind a wrapper [all]: a call -> BODY, announced; `{` -> HEAD; else text -> PLAIN
    PENDING    behind a call without wrapper [all]: a structural tag or `{` confirms it -> BODY; else -> PLAIN
    BODY       between parameters: a parameter -> VALUE; `{` -> JSON; a closer -> AFTER; other text is read as a
               value without a name and sorted out when the call closes
    VALUE      inside a parameter: values.ValueReader
    HEAD       `{"name": …, "arguments": ` [all]: announced -> JSON or STRING; another order of keys -> BUFFER
    JSON       arguments that are an object, STRING: the same, written as a JSON string
    TAIL       behind the arguments, up to the object's end
    BUFFER     a JSON call whose name does not come first [all]
    LINE       inside the parentheses of `TOOL_CALL:` [all]
    WHOLE      an answer that is JSON so far [all]: a call if nothing else comes
    AFTER      behind a call: another one, stray closers (swallowed), or text -> PLAIN [blanks]
    SKIP       inside JSON that names no declared tool: text
    THINK      inside `<think>` in the text: text

A call that names no declared tool goes through BODY and VALUE like any other, so that what stands inside it is
not taken for a call; but every character of it leaves as text (`_is_refused`).

`_buffer` holds what was fed and not yet used; every mode moves `_position` and says so, or waits. What a mode
holds beyond a tag's length is kept in lists (`_raw`), so nothing is read again for each piece. `_seam` is the
part of the buffer that came by the reasoning channel.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from service.core.mimoml.arguments import Arguments, Parameter, Scraps, Tool, Toolbox
from service.core.mimoml.context import Context
from service.core.mimoml.elements import value_of_elements
from service.core.mimoml.grammar import (
    CLOSE_BRACKETS,
    JSON_BEGINNING,
    JSON_HEAD,
    JSON_NAME,
    LINE_HEAD,
    OPEN_BRACKETS,
    STARTERS,
    STRUCTURE,
    THINK_END,
    WHOLE_BEGINNING,
    Answer,
    Kind,
    Tag,
    Vocabulary,
    decode_entities,
)
from service.core.mimoml.jsonstream import JSONStream
from service.core.mimoml.jsontext import JSONValue, Number, decode_loose
from service.core.mimoml.linecall import Nesting, StringDecoder, arguments_of_line
from service.core.mimoml.outlet import Outlet, SievePolicy
from service.core.mimoml.schema import coerced, value_of_text
from service.core.mimoml.values import Status, ValueReader

_BLANKS = re.compile("[ \t\r\n]+")
_BRACKET = re.compile(f"[{OPEN_BRACKETS}]")
_BRACKET_RUN = re.compile(f"[{OPEN_BRACKETS}]{{3,}}")
_STRING_BEGINS_OBJECT = re.compile(r'"(?:[ \t\r\n]|\\[nrt])*\{')
_STRING_BEGINS_BLANK = re.compile(r'"(?:[ \t\r\n]|\\[nrt])*\\?\Z')
_EMPTY_STRING = re.compile(r'"[ \t]*"')
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")


class Machine:
    """See above. `feed` takes a channel's text, `finish` ends it; what comes out goes to `outlet`."""

    def __init__(self, toolbox: Toolbox, outlet: Outlet, policy: SievePolicy) -> None:
        self._toolbox = toolbox
        self._outlet = outlet
        self._policy = policy
        self._text_context = Context()
        self._reasoning_context = Context()
        self._is_reasoning = False
        self._buffer = ""
        self._position = 0
        self._seam = 0
        self._is_final = False
        self._waits = False  # the mode needs more than there is
        self._mode: Callable[[Machine], None] = Machine._plain
        self._raw: list[tuple[bool, str]] = []
        self._raw_length = 0
        self._fed: list[str] | None = None  # all text since a call that nobody has seen began
        self._is_fresh = True  # nothing but blanks so far: the answer may be one JSON call
        self._finds_lines = True
        # The call that is being read.
        self._tool: Tool | None = None
        self._tag: Tag | None = None
        self._markup = ""
        self._is_wrapped = False
        self._is_refused = False
        self._is_flat = False
        self._is_repaired = False
        self._has_json = False
        self._arguments: Arguments | None = None
        self._sink: Parameter | Scraps = Scraps(keeps=False)
        self._reader: ValueReader | None = None
        self._loose: list[tuple[bool, str]] = []
        self._stream: JSONStream | None = None
        self._decoder: StringDecoder | None = None
        self._nesting = Nesting()
        self._skips_bracket = False

    # --- the outside -------------------------------------------------------------------------------------------

    def is_quiet(self, *, is_reasoning: bool) -> bool:
        """Text of this channel without a bracket, backtick, backslash or line end is just text."""
        if self._buffer or self._mode is not Machine._plain or self._is_fresh:
            return False
        return (self._reasoning_context if is_reasoning else self._text_context).is_quiet

    def is_lane(self) -> bool:
        """Inside a string argument with nothing pending: text without a character that means something here, or
        that JSON escapes, is the next fragment as it stands."""
        if self._buffer or self._fed is not None:
            return False
        if self._mode is Machine._value:
            return self._reader is not None and self._reader.is_lane and not self._is_refused
        return self._mode is Machine._json and self._stream is not None and self._stream.is_lane

    @property
    def has_open_call(self) -> bool:
        """A call is being read that may already be announced."""
        return self._tool is not None

    def feed(self, text: str, *, is_reasoning: bool = False) -> None:
        """More text of a channel."""
        if is_reasoning is not self._is_reasoning:
            self._turn_to(is_reasoning)
        if self._fed is not None:
            self._fed.append(text)
        self._buffer = self._buffer + text if self._buffer else text
        self._run()

    def finish(self, *, is_normal: bool) -> None:
        """The end of the text: what is held becomes what it is. `is_normal`: the upstream was not cut."""
        self._is_final = True
        while True:
            self._run()
            if not self._end(is_normal=is_normal):
                break
        self._is_final = False
        self._seam = 0
        self._mode = Machine._plain

    def _turn_to(self, is_reasoning: bool) -> None:
        if self._tool is None or not self._policy.finds_calls_in_reasoning:
            if is_reasoning and self._tool is None:
                self.finish(is_normal=False)
            elif not is_reasoning:
                self._seam = len(self._buffer)
        self._is_reasoning = is_reasoning

    def _run(self) -> None:
        self._waits = False
        while self._position < len(self._buffer) and not self._waits:
            position, mode, buffer = self._position, self._mode, self._buffer
            mode(self)
            if self._position == position and self._mode is mode and self._buffer is buffer:
                break
        if self._position:
            self._buffer = self._buffer[self._position :]
            self._seam = max(0, self._seam - self._position)
            self._position = 0

    def _recognise(self, vocabulary: Vocabulary, position: int) -> Tag | Answer:
        answer = vocabulary.recognise(self._buffer, position, is_final=self._is_final)
        self._waits = answer is Answer.MAYBE
        return answer

    # --- giving out text ---------------------------------------------------------------------------------------

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
        if not is_reasoning and self._is_fresh and text.strip():
            self._is_fresh = False
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
        self._mode = Machine._plain

    def _read_again(self) -> None:
        """What was held back is to be read again, as text."""
        held = "".join(text for _, text in self._raw)
        self._buffer = held + self._buffer[self._position :]
        self._position = 0
        self._raw, self._raw_length = [], 0
        self._mode = Machine._plain

    def _dropped_raw(self) -> None:
        self._raw, self._raw_length = [], 0

    # --- plain text --------------------------------------------------------------------------------------------

    def _plain(self) -> None:
        buffer, position = self._buffer, self._position
        if position < self._seam:
            context, limit = self._reasoning_context, buffer[: self._seam]
        else:
            context, limit = (self._reasoning_context if self._is_reasoning else self._text_context), buffer
            if self._is_fresh and not self._is_reasoning and self._whole_begins():
                return
            position = self._position
        found = context.scan(limit, position)
        if found > position:
            self._say(found, is_tracked=True)
            return
        if limit[found] == "T":
            self._line_begins(context)
            return
        run = _BRACKET_RUN.match(limit, found)
        if run is not None:  # a tag opens with two at most
            context.skip()
            self._say(run.end() - 2, is_tracked=True)
            return
        answer = self._recognise(STARTERS, found)
        if isinstance(answer, Tag):
            self._tag_in_text(answer, context)
        elif answer is Answer.NO:
            context.skip()
            self._say(found + 1, is_tracked=True)

    def _tag_in_text(self, tag: Tag, context: Context) -> None:
        is_line_start = context.is_line_start
        self._markup = _markup(tag)
        if tag.kind is Kind.NONE:
            self._position = tag.end
        elif tag.kind is Kind.THINK:
            context.skip()
            self._say(tag.end)
            if is_line_start and not self._is_reasoning:
                self._mode = Machine._think
        elif tag.kind is Kind.WRAPPER:
            self._keep(tag.end)
            self._skips_bracket = tag.is_doubled
            self._mode = Machine._wrapped
        else:
            self._call_begins(tag, is_wrapped=tag.is_wrapping)

    def _think(self) -> None:
        match = _BRACKET.search(self._buffer, self._position)
        if match is None:
            self._say(len(self._buffer), is_tracked=True)
            return
        if match.start() > self._position:
            self._say(match.start(), is_tracked=True)
        answer = self._recognise(THINK_END, self._position)
        if answer is Answer.NO:
            self._say(self._position + 1, is_tracked=True)
        elif isinstance(answer, Tag):
            self._say(answer.end, is_tracked=True)
            self._text_context.leave_code()
            self._text_context.skip()
            self._mode = Machine._plain

    # --- behind an opening tag ---------------------------------------------------------------------------------

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
        blank = _BLANKS.match(self._buffer, position)
        if blank is None:
            return False
        self._keep(blank.end())
        return True

    def _wrapped(self) -> None:
        if self._skipped_layout():
            if self._is_over_cap():
                self._release()
            return
        character = self._buffer[self._position]
        if character == "[":
            self._keep(self._position + 1)
        elif character == "{":
            self._mode = Machine._head
        elif character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
            if isinstance(answer, Tag):
                self._tag_in_wrapper(answer)
            elif answer is Answer.NO:
                self._release("false_start")
        else:
            self._release("false_start")

    def _tag_in_wrapper(self, tag: Tag) -> None:
        is_opening = not tag.is_close
        if tag.kind is Kind.CALL and is_opening:
            self._call_begins(tag, is_wrapped=True)
        elif tag.kind is Kind.WRAPPER and is_opening:
            self._keep(tag.end)
        elif tag.kind is Kind.NONE:
            self._dropped_raw()
            self._position = tag.end
            self._is_wrapped, self._is_refused = True, False
            self._mode = Machine._after
        else:
            self._release("false_start")

    def _call_begins(self, tag: Tag, *, is_wrapped: bool) -> None:
        """A call's opening tag. Under a wrapper it counts at once."""
        self._tag = tag
        if self._markup != "foreign" or tag.is_foreign:
            self._markup = _markup(tag)
        self._skips_bracket = tag.is_doubled
        self._is_wrapped = is_wrapped
        if (is_wrapped or tag.is_empty) and self._may_call(tag.end):
            self._enter(tag, self._toolbox.find(tag.name), tag.end)
        else:
            self._keep(tag.end)
            self._mode = Machine._pending

    def _may_call(self, end: int) -> bool:
        """Calls made inside the thinking are text, unless the policy says otherwise."""
        if self._policy.finds_calls_in_reasoning:
            return True
        return not self._is_reasoning and end > self._seam

    def _enter(self, tag: Tag, tool: Tool | None, end: int) -> None:
        """Begin the call: announced, or refused and shown."""
        if tool is None:
            self._outlet.notice("call_rejected", self._markup)
            self._keep(end)
            self._release()
            self._is_refused = True
            self._arguments = Arguments(_NO_TOOL, _nowhere)
        else:
            self._announce(tool, end)
        self._loose = []
        self._is_flat = False
        self._mode = Machine._body
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
        assert self._tag is not None
        character = self._buffer[self._position]
        if character == "{":
            self._confirm(self._position + 1)
            return
        answer: Tag | Answer = Answer.NO
        if character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
        if answer is Answer.NO:
            self._release("false_start")
        elif isinstance(answer, Tag):
            if answer.kind is Kind.PARAMETER or (answer.kind is not Kind.CDATA and answer.is_close):
                self._confirm(answer.end)
            else:
                self._release("false_start")

    def _confirm(self, end: int) -> None:
        assert self._tag is not None
        if not self._may_call(end):
            self._release()
            return
        self._enter(self._tag, self._toolbox.find(self._tag.name), self._position)

    # --- between parameters ------------------------------------------------------------------------------------

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
        blank = _BLANKS.match(self._buffer, position)
        if blank is not None:
            self._use(blank.end())
            return
        character = self._buffer[position]
        if character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, position)
            if answer is Answer.MAYBE:
                return
            if isinstance(answer, Tag) and answer.kind is not Kind.CDATA:
                self._tag_in_body(answer)
                return
        elif character == "{" and self._takes_json():
            self._json_body()
            return
        self._value_begins(None, is_native=False)

    def _takes_json(self) -> bool:
        assert self._arguments is not None
        return not self._arguments.given and not self._has_json and not self._loose and not self._is_custom()

    def _is_custom(self) -> bool:
        return self._tool is not None and self._tool.is_custom

    def _tag_in_body(self, tag: Tag) -> None:
        if tag.kind is Kind.PARAMETER:
            if not tag.is_close and tag.name is not None:
                self._use(tag.end)
                self._skips_bracket = tag.is_doubled
                self._value_begins(tag.name, is_native=tag.is_native or self._is_native())
                if tag.is_empty:
                    self._value_ends()
            else:
                if tag.is_close and self._loose:
                    self._settle_loose(is_end=False)
                self._use(tag.end)
        elif tag.kind is Kind.NONE:
            self._use(tag.end)
        elif tag.is_close:
            is_wrapper = tag.kind is Kind.WRAPPER
            self._use(tag.end)
            self._skips_bracket = tag.is_doubled
            self._complete()
            if is_wrapper:
                self._is_wrapped = False
                if self._is_refused:
                    self._mode = Machine._plain
        else:
            self._complete()  # its closer is missing: the next call, or a wrapper, begins here

    def _is_native(self) -> bool:
        return self._tag is not None and self._tag.is_native

    def _complete(self) -> None:
        """The call is closed."""
        arguments = self._arguments
        assert arguments is not None
        self._mode = Machine._after
        if self._is_refused:
            if not self._is_wrapped:
                self._mode = Machine._plain
            return
        rest = self._settle_loose(is_end=True) if self._loose else ""
        if not self._has_json:
            arguments.close()
        self._outlet.close_call(is_repaired=self._is_repaired)
        self._tool, self._fed = None, None
        if rest:
            self._speak(False, rest)

    # --- inside a parameter ------------------------------------------------------------------------------------

    def _value_begins(self, name: str | None, *, is_native: bool) -> None:
        arguments = self._arguments
        assert arguments is not None
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
            is_native=is_native,
            is_typed=is_typed,
            is_flat=self._is_flat,
            may_hold=not self._is_refused,
            expects=arguments.expects,
            max_held=self._policy.max_buffered_bytes,
        )
        self._mode = Machine._value

    def _value(self) -> None:
        reader = self._reader
        assert reader is not None
        if self._skips_bracket and self._position < len(self._buffer):
            self._skips_bracket = False
            if self._buffer[self._position] in CLOSE_BRACKETS:
                self._use(self._position + 1)
                return
        end = reader.read(self._buffer, self._position, is_final=self._is_final)
        if reader.is_capped:
            reader.is_capped = False
            self._outlet.notice("buffer_cap", self._markup)
        if reader.status is Status.REWIND:
            self._buffer, self._position = reader.rewound(self._buffer)
            self._is_flat = self._is_repaired = True
            self._value_ends()
            return
        self._use(end)
        self._waits = reader.status is Status.OPEN
        if reader.status is Status.DONE:
            self._is_repaired |= not reader.is_closed
            self._value_ends()

    def _value_ends(self) -> None:
        self._mode = Machine._body
        self._skips_bracket = self._reader is not None and self._reader.skips_bracket
        if self._is_refused:
            return
        if isinstance(self._sink, Parameter):
            self._sink.end()
        else:
            self._loose.extend(self._sink.parts)

    def _settle_loose(self, *, is_end: bool) -> str:
        """What text without a parameter's tag means; the text itself where it means nothing."""
        parts, self._loose = self._loose, []
        text = "".join(text for _, text in parts)
        raw = text
        tool, arguments = self._tool, self._arguments
        if tool is None or arguments is None or not text.strip():
            return ""
        self._is_repaired = True
        if is_end and not arguments.given and not self._has_json:
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

    # --- JSON --------------------------------------------------------------------------------------------------

    def _head(self) -> None:
        """`{` behind a wrapper: is it a call?"""
        buffer, position = self._buffer, self._position
        head = JSON_HEAD.ask(buffer, position, is_final=self._is_final)
        if isinstance(head, re.Match):
            self._head_found(head)
            return
        beginning = JSON_BEGINNING.ask(buffer, position, is_final=self._is_final)
        if head is Answer.MAYBE or beginning is Answer.MAYBE:
            return
        if beginning is Answer.NO:
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
            self._mode = Machine._skip
        else:
            self._arguments_begin(tool, head.end())

    def _json_markup(self) -> str:
        held = "".join(text for _, text in self._raw[:1])
        return "function_call" if "unction" in held.lower() else "hermes"

    def _arguments_begin(self, tool: Tool, position: int) -> None:
        rest = self._buffer[position : position + 64]
        if not rest:
            if self._is_final:
                self._release("false_start")
            return
        is_string = rest[0] == '"'
        if rest[0] != "{" and not is_string:
            self._buffer_begins()
            return
        if is_string and not tool.is_custom and not _STRING_BEGINS_OBJECT.match(rest):
            if _STRING_BEGINS_BLANK.match(rest) and not self._is_final and len(rest) < 64:
                return
            self._buffer_begins()
            return
        if tool.is_custom and is_string:
            self._buffer_begins()
            return
        self._is_wrapped, self._tag = True, None
        self._announce(tool, position + is_string)
        self._has_json = True
        self._stream = JSONStream(self._outlet.fragment, tool.schema, names=tool.names)
        self._decoder = StringDecoder() if is_string else None
        self._mode = Machine._string if is_string else Machine._json

    def _json_body(self) -> None:
        """`{` behind a call's opening tag: its arguments as JSON."""
        tag, tool = self._tag, self._tool
        if tool is None:
            self._nesting = Nesting('"')
            self._mode = Machine._skip
            return
        is_exact = tag is not None and tag.is_exact
        names = None if is_exact else tool.names
        self._has_json = True
        self._decoder = None
        self._stream = JSONStream(self._outlet.fragment, tool.schema, names=names, is_exact=is_exact)
        self._mode = Machine._json

    def _json(self) -> None:
        stream = self._stream
        assert stream is not None
        self._position = stream.feed(self._buffer, self._position)
        if stream.is_done:
            self._json_ends()
        elif self._position < len(self._buffer):
            answer = self._recognise(STRUCTURE, self._position)
            if answer is Answer.MAYBE:
                return
            if isinstance(answer, Tag) and answer.is_close:
                self._json_cut()
            else:
                self._position += 1

    def _json_ends(self) -> None:
        assert self._stream is not None
        self._is_repaired |= self._stream.is_repaired
        if self._tag is not None:
            self._mode = Machine._body
        else:
            self._nesting = Nesting('"')
            self._nesting.depth = 1
            self._mode = Machine._tail

    def _json_cut(self) -> None:
        """A closing tag before the object is closed: complete it, if that leaves no value cut."""
        assert self._stream is not None
        if self._stream.can_close:
            self._stream.close()
            self._json_ends()
        else:
            is_seen = self._outlet.lane_is_open
            self._abandon()
            self._mode = Machine._after if is_seen else Machine._plain

    def _string(self) -> None:
        decoder, stream = self._decoder, self._stream
        assert decoder is not None
        assert stream is not None
        text, self._position = decoder.feed(self._buffer, self._position)
        position = 0
        while not stream.is_done and (position := stream.feed(text, position)) < len(text):
            position += 1  # a "<" between tokens: nothing that JSON knows
        if decoder.is_done:
            if stream.is_done:
                self._json_ends()
            else:
                self._json_cut()

    def _tail(self) -> None:
        end = self._nesting.feed(self._buffer, self._position, stop="<")
        self._position = end
        if not self._nesting.depth:
            self._complete()
        elif end < len(self._buffer):
            answer = self._recognise(STRUCTURE, end)
            if isinstance(answer, Tag):
                self._is_repaired = True
                self._complete()
            elif answer is Answer.NO:
                self._position = end + 1

    def _skip(self) -> None:
        end = self._nesting.feed(self._buffer, self._position, stop="<")
        is_over = not self._nesting.depth or end < len(self._buffer)
        self._say(end)
        if is_over:
            self._mode = Machine._plain

    def _buffer_begins(self) -> None:
        self._nesting = Nesting('"')
        self._json_from = len(self._raw)
        self._mode = Machine._buffered

    def _buffered(self) -> None:
        nesting = self._nesting
        end = nesting.feed(self._buffer, self._position, stop="<")
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
            elif answer is Answer.NO:
                self._keep(end + 1)

    def _buffer_ends(self) -> None:
        text = "".join(text for _, text in self._raw[self._json_from :])
        self._markup = "foreign" if self._markup == "foreign" else self._json_markup()
        found = self._json_call(text)
        if found is None or not self._may_call(self._position + 1):
            self._release("call_rejected")
            return
        self._is_wrapped, self._tag = True, None
        self._give_whole(*found)

    def _give_whole(self, tool: Tool, members: dict[str, JSONValue]) -> None:
        """A call that is known all at once."""
        self._announce(tool, self._position)
        arguments = self._arguments
        assert arguments is not None
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
        return self._call_of(value)

    def _call_of(self, value: JSONValue) -> tuple[Tool, dict[str, JSONValue]] | None:
        if not isinstance(value, dict):
            return None
        inner = value.get("function")
        if isinstance(inner, dict):
            value = inner
        name = value.get("name") or value.get("tool")
        tool = self._toolbox.find(name) if isinstance(name, str) else None
        key = next((key for key in _ARGUMENT_KEYS if key in value), None)
        if tool is None or key is None:
            return None
        members = _argument_members(value[key], tool)
        return None if members is None else (tool, members)

    # --- `TOOL_CALL:` lines --------------------------------------------------------------------------------------

    def _line_begins(self, context: Context) -> None:
        answer: re.Match[str] | Answer = Answer.NO
        if self._finds_lines and self._may_call(self._position + 1):
            answer = LINE_HEAD.ask(self._buffer, self._position, is_final=self._is_final)
        if answer is Answer.MAYBE:
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
        self._mode = Machine._line

    def _line(self) -> None:
        end = self._nesting.feed(self._buffer, self._position)
        is_over = not self._nesting.depth
        self._keep(end)
        if is_over:
            self._line_ends()
        elif self._is_over_cap():
            self._finds_lines = False
            self._read_again()

    def _line_ends(self) -> None:
        text = "".join(text for _, text in self._raw)
        tool = self._line_tool
        try:
            members = _line_members(text[text.index("(") + 1 : -1], tool)
        except ValueError:
            self._release("call_rejected")
            return
        self._is_wrapped = False
        self._tag = None
        self._give_whole(tool, members)

    # --- an answer that is one JSON call -------------------------------------------------------------------------

    def _whole_begins(self) -> bool:
        """At the beginning of the answer; True when it waits or has begun."""
        blank = _BLANKS.match(self._buffer, self._position)
        if blank is not None:
            self._say(blank.end())
            return True
        if self._buffer[self._position] not in "{`~":
            self._is_fresh = False
            return False
        answer = WHOLE_BEGINNING.ask(self._buffer, self._position, is_final=self._is_final)
        if answer is Answer.MAYBE:
            return True
        self._is_fresh = False
        if answer is Answer.NO:
            return False
        assert isinstance(answer, re.Match)
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
        self._mode = Machine._whole
        return True

    def _whole(self) -> None:
        if not self._is_closed:
            self._keep(self._nesting.feed(self._buffer, self._position))
            self._is_closed = not self._nesting.depth
            self._json_to = len(self._raw)
        else:
            position = self._position
            blank = _BLANKS.match(self._buffer, position)
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
        self._is_wrapped, self._tag = False, None
        self._give_whole(*found)
        return False

    # --- behind a call -------------------------------------------------------------------------------------------

    def _after(self) -> None:
        if self._skips_bracket and self._buffer[self._position] in CLOSE_BRACKETS:
            self._skips_bracket = False
            self._use(self._position + 1)
            return
        if self._skipped_layout():
            return
        character = self._buffer[self._position]
        if character in ",[]}" and self._is_wrapped and self._tag is None:
            self._keep(self._position + 1)
        elif character == "{" and self._is_wrapped and self._tag is None:
            self._dropped_raw()
            self._mode = Machine._head
        elif character in OPEN_BRACKETS:
            answer = self._recognise(STRUCTURE, self._position)
            if isinstance(answer, Tag):
                self._tag_after(answer)
            elif answer is Answer.NO:
                self._leave()
        else:
            self._leave()

    def _leave(self) -> None:
        """Text goes on. At the very end, the beginning of a closer is swallowed like the closer."""
        if self._is_final and not self._is_refused and self._buffer[self._position] in OPEN_BRACKETS:
            if STRUCTURE.recognise(self._buffer, self._position) is Answer.MAYBE:
                self._position = len(self._buffer)
                return
        self._release()

    def _tag_after(self, tag: Tag) -> None:
        if self._is_refused and (tag.is_close or tag.kind is not Kind.CALL):
            self._release()
        elif tag.is_close or tag.kind is Kind.NONE:
            self._is_wrapped = self._is_wrapped and tag.kind is not Kind.WRAPPER
            self._skips_bracket = tag.is_doubled
            self._position = tag.end
        elif tag.kind is Kind.CALL:
            if not self._is_refused:
                self._dropped_raw()
            self._call_begins(tag, is_wrapped=self._is_wrapped or tag.is_wrapping)
        elif tag.kind is Kind.WRAPPER:
            self._dropped_raw()
            self._tag_in_text(tag, self._text_context)
        else:
            self._release()

    # --- the end of the text -------------------------------------------------------------------------------------

    def _end(self, *, is_normal: bool) -> bool:
        """What the mode holds at the end; True when there is text to read again."""
        mode = self._mode
        if mode is Machine._value:
            self._value()
            if self._mode is Machine._body:
                return True
            self._give_up()
        elif mode is Machine._whole:
            return self._whole_ends()
        elif mode is Machine._line:
            self._finds_lines = False
            self._outlet.notice("call_rejected", self._markup)
            self._read_again()
            return True
        elif mode in (Machine._body, Machine._tail):
            self._end_of_call(is_normal=is_normal)
        elif mode in (Machine._json, Machine._string):
            self._give_up()
        elif mode in (Machine._wrapped, Machine._pending, Machine._head, Machine._buffered):
            self._release("call_rejected")
        elif mode is Machine._after:
            if self._is_refused:
                self._release()
            self._dropped_raw()
        if self._buffer:
            self._say(len(self._buffer))
            self._buffer, self._position = "", 0
        return False

    def _end_of_call(self, *, is_normal: bool) -> None:
        if self._is_refused or self._tool is None:
            return
        assert self._arguments is not None
        given = self._stream.keys if self._has_json and self._stream is not None else self._arguments.given
        if is_normal and set(self._tool.required) <= set(given) and not self._loose:
            self._is_repaired = True
            self._complete()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._buffer, self._position = "", 0
        if not self._is_refused:
            self._abandon()

    def _abandon(self) -> None:
        raw = "".join(self._fed or ())
        unread = len(self._buffer) - self._position
        self._outlet.abandon_call(raw[: len(raw) - unread])
        self._tool, self._fed = None, None


def _markup(tag: Tag) -> str:
    """The format's name for operators."""
    if tag.is_foreign:
        return "foreign"
    return "native" if tag.is_native or (tag.kind is Kind.WRAPPER and "s" not in tag.word) else "mimoml"


def _nowhere(_: str) -> None:
    return None


def _members(text: str, tool: Tool) -> dict[str, JSONValue] | None:
    """Arguments from a call's text without parameters: a JSON object, or elements named like parameters."""
    if tool.is_custom and not text.lstrip().startswith('{"input"'):
        return None
    try:
        value = decode_loose(text)
        if isinstance(value, dict):
            return {str(name): item for name, item in value.items()}
    except ValueError:
        pass
    try:
        value = value_of_elements(text, tool.schema)
    except ValueError:
        return None
    if isinstance(value, dict) and all(tool.names.resolved(name) for name in value):
        return value
    return None


def _argument_members(value: JSONValue, tool: Tool) -> dict[str, JSONValue] | None:
    """What stands behind "arguments" as members: an object, an object as a string, or nothing."""
    if isinstance(value, str) and not isinstance(value, Number):
        try:
            inner = decode_loose(value) if value.strip() else {}
        except ValueError:
            inner = None
        if isinstance(inner, dict) and not (tool.is_custom and "input" not in inner):
            value = inner
        elif tool.sole_parameter is not None:
            value = {tool.sole_parameter: value}
    elif value is None:
        value = {}
    if not isinstance(value, dict):
        return None
    schema = tool.schema
    members: dict[str, JSONValue] = {}
    for key, item in value.items():
        name = tool.names.resolved(key) or key
        members.setdefault(name, coerced(item, schema.member(name)))
    return members


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
            assert isinstance(value, str)
            members.setdefault(name, value_of_text(value, schema, is_cdata=True))
        else:
            members.setdefault(name, coerced(value, schema))
    return members


_NO_TOOL = Tool.unknown()
