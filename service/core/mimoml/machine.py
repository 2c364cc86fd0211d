"""The sieve's state machine: characters of two channels in; text and calls out, through an outlet.

Modes, and what leads from one to the next (held back in brackets):

    PLAIN      text. A wrapper -> WRAPPED; a call without one -> PENDING; `TOOL_CALL: name(` -> LINE; JSON at
               the beginning of the answer -> WHOLE; `<think>` at the start of a line -> THINK [half a tag]
    WRAPPED    behind a wrapper [all]: a call -> BODY, announced; `{` -> HEAD; else text -> PLAIN
    PENDING    behind a call without wrapper [all]: a structural tag or `{` confirms it -> BODY; else -> PLAIN
    BODY       between parameters: a parameter -> VALUE; `{` -> JSON_BODY; a closer -> AFTER; other text is
               read as a value without a name and sorted out when the call closes
    VALUE      inside a parameter: values.ValueReader
    HEAD       `{"name": …, "arguments": ` [all]: announced -> JSON or STRING; other keys first -> BUFFERED
    JSON_BODY  `{` inside a tagged call -> JSON
    JSON       arguments that are an object; STRING: the same, written as a JSON string -> TAIL or BODY
    TAIL       behind the arguments, up to the object's end -> AFTER
    BUFFERED   a JSON call whose name does not come first [all] -> AFTER or PLAIN
    SKIP       inside JSON that names no declared tool: text -> PLAIN
    LINE       inside the parentheses of `TOOL_CALL:` [all] -> AFTER or PLAIN
    WHOLE      an answer that is JSON so far [all]: a call if nothing else comes
    AFTER      behind a call: another one, stray closers (swallowed), or text -> PLAIN [blanks]
    THINK      inside `<think>` in the text: text -> PLAIN

A call that names no declared tool goes through BODY and VALUE like any other, so that what stands inside it
is not taken for a call; but every character of it leaves as text (`_is_refused`).

textmodes.py, callmodes.py and jsonmodes.py hold the modes, state.py what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.core.mimoml.lanes import MAX_HELD, MAX_SPELT, Lane, Lanes
from service.core.mimoml.state import Mode
from service.core.mimoml.textmodes import TextModes

# Bound once: a member looked up through its Enum costs twenty times a global.
_PLAIN: Final = Mode.PLAIN
_VALUE: Final = Mode.VALUE
_JSON: Final = Mode.JSON
_STRING: Final = Mode.STRING


class Machine(TextModes):
    """See above. `feed` takes a channel's text, `finish` ends it; what comes out goes to the outlet."""

    @property
    def is_waiting(self) -> bool:
        """Something is held that the next piece must be read with."""
        return self._buffer != ""

    @property
    def is_spelling(self) -> bool:
        """A tag is being spelled out, and more of it is there than a lane would hold."""
        return self._ahead.asked is not None and len(self._buffer) > MAX_SPELT

    def take_back(self, lane: Lane, *, is_reasoning: bool) -> str | None:
        """What is held of the channel, if its lane can hold it as well; else None."""
        buffer = self._buffer
        if (
            self._seam
            or is_reasoning is not self._is_reasoning
            or len(buffer) > MAX_HELD
            or lane.held(buffer, 0) is None
        ):
            return None
        self._buffer, self._ahead.asked = "", None
        return buffer

    def text_lane(self, lanes: Lanes, *, is_reasoning: bool) -> Lane | None:
        """How more text of this channel passes as it is, with nothing pending."""
        if self._mode is not _PLAIN or (self._is_fresh and not is_reasoning):
            return None
        return (self._reasoning_context if is_reasoning else self._text_context).lane(lanes)

    def argument_lane(self, lanes: Lanes) -> Lane | None:
        """How more of a string argument passes into its call's fragments, with nothing pending."""
        if self._mode is _VALUE:
            return None if self._is_refused else self._reader.lane(lanes)
        if not self._stream.is_lane or self._decoder.is_escaped:
            return None
        if self._mode is _JSON:
            return lanes.json
        return lanes.json_in_string if self._mode is _STRING else None

    @property
    def has_open_call(self) -> bool:
        """A call is being read that may already be announced."""
        return self._tool is not None

    def goes_on(self, text: str, *, is_reasoning: bool) -> bool:
        """Take `text` in if it only goes on with a tag that is being spelled out: nothing leaves. Else False,
        and nothing happened."""
        asked = self._ahead.asked
        if asked is None or is_reasoning is not self._is_reasoning:
            return False
        buffer = self._buffer + text
        if not asked.goes_on(buffer, self._ahead.asked_at, text):
            return False
        self._buffer = buffer
        if self._fed is not None:
            self._fed.append(text)
        self._note_held()
        return True

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
        self._ahead.is_final = True
        while True:
            self._run()
            if not self._end(is_normal=is_normal):
                break
        self._ahead.is_final, self._ahead.asked = False, None
        self._seam = 0
        self._mode = Mode.PLAIN

    def _turn_to(self, is_reasoning: bool) -> None:
        if not is_reasoning:
            self._seam = len(self._buffer)
        elif self._tool is None:
            self.finish(is_normal=False)
        self._is_reasoning = is_reasoning

    def _run(self) -> None:
        ahead = self._ahead
        self._waits, ahead.asked = False, None
        while self._position < len(self._buffer) and not self._waits:
            position, mode, buffer = self._position, self._mode, self._buffer
            ahead.asked = None
            _READ[mode](self)
            if self._position == position and self._mode is mode and self._buffer is buffer:
                break
        end = self._position
        if end:
            self._offset += end
            self._buffer = self._buffer[end:]
            if self._seam:
                self._seam = max(0, self._seam - end)
            ahead.asked_at -= end
            self._position = 0
        if self._buffer or self._raw:
            self._note_held()

    def _note_held(self) -> None:
        held_chars = len(self._buffer) + self._raw_length
        if held_chars > self.most_held_chars:
            self.most_held_chars = held_chars

    def _end(self, *, is_normal: bool) -> bool:
        """What the mode holds at the end; True when there is text to read again."""
        mode = self._mode
        if mode is Mode.VALUE:
            self._value()
            if self._mode is Mode.BODY:
                return True
            self._give_up()
        elif mode is Mode.WHOLE:
            return self._whole_ends()
        elif mode is Mode.LINE:
            return self._line_is_cut()
        elif mode in (Mode.BODY, Mode.TAIL):
            self._end_of_call(is_normal=is_normal)
        elif mode in (Mode.JSON, Mode.STRING):
            self._give_up()
        elif mode in (Mode.WRAPPED, Mode.PENDING, Mode.HEAD, Mode.BUFFERED):
            self._release("call_rejected")
        elif mode is Mode.AFTER and self._is_refused:
            self._release()
        self._dropped_raw()
        return False

    def _end_of_call(self, *, is_normal: bool) -> None:
        if self._is_refused or self._tool is None:
            return
        if is_normal and self._has_required() and not self._loose:
            self._is_repaired = True
            self._complete()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._buffer, self._position = "", 0
        if not self._is_refused:
            self._abandon()


_READ: tuple[Callable[[Machine], None], ...] = tuple(
    getattr(Machine, f"_{mode.name.lower()}") for mode in Mode
)
