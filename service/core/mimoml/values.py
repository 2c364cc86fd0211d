"""One parameter's value, read as it comes: where its text ends, and what of it is data.

States: LEADING (blanks behind the opening tag), TEXT, CDATA, INNER (a CDATA section in the midst of text),
DONE.

What ends a value. In CDATA: "]]>" with a tag, another section or the end behind it; with anything else behind
it, it is data. In text: the parameter's closer, if a structural tag or the end follows (a closer that is
merely written about is data); a parameter tag, where the closer is missing; a call's or wrapper's closer
likewise. A typed value ends at its closer at once.

What may turn out either way is held, with the way back remembered (wayback.py):
- a closer inside CDATA: the section was never closed, if no "]]>" comes;
- a call that opens inside text: data if it is balanced and the value's closer follows, the next call if not.
When the end shows that the value had ended there, the machine goes back to it (`_REWIND`) and reads on
with `is_flat`, in which the first closer counts, so nothing is read more than twice.

Held back otherwise: an unfinished tag, entity or "]]", and in text the last line end with the blanks behind
it (layout, if the closer is missing; native values lose one line end at either side)."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from service.core.mimoml.characters import CLOSE_BRACKETS, OPEN_BRACKETS
from service.core.mimoml.entities import ENTITY, decode_entities, entity_beginning
from service.core.mimoml.grammar import CLOSERS, STRUCTURE
from service.core.mimoml.jsontext import past
from service.core.mimoml.lanes import Lane, Lanes
from service.core.mimoml.lookahead import Lookahead
from service.core.mimoml.patterns import MAYBE, NO, Answer
from service.core.mimoml.tags import CALL, CDATA, NONE, PARAMETER, WRAPPER, Kind, Tag
from service.core.mimoml.wayback import Sink, WayBack

_BLANKS = re.compile("[ \t\r\n]*")
_MAX_NESTED = 64
_BRACKET = re.compile(STRUCTURE.may_tag)
_BRACKET_OR_ENTITY = re.compile(f"[{OPEN_BRACKETS}&](?<!{STRUCTURE.never_tag}|&(?=[^#a-zA-Z]))")
_IN_CDATA = re.compile(rf"[{OPEN_BRACKETS}\]](?<!{CLOSERS.never_tag})")
_SQUARE = re.compile(r"\]+")


class Status(Enum):
    OPEN = "more must come"
    DONE = "the value ended"
    REWIND = "it ended earlier: read `rewind_text` again, behind it"


class _State(Enum):
    LEADING = "blanks behind the opening tag"
    TEXT = "text"
    CDATA = "a CDATA section that began the value"
    INNER = "a CDATA section in the midst of text"


# Bound once: a member looked up through its Enum costs twenty times a global.
_LEADING, _TEXT, _CDATA, _INNER = _State
_OPEN, _DONE, _REWIND = Status


class ValueReader:
    """Reads one value out of the stream into `sink`."""

    def __init__(
        self,
        sink: Sink,
        ahead: Lookahead,
        *,
        is_native: bool,
        is_typed: bool,
        is_flat: bool,
        may_hold: bool,
        expects: Callable[[str], bool],
        max_held: int,
    ) -> None:
        self._sink = sink
        self._ahead = ahead
        self._is_native = is_native
        self._is_typed = is_typed
        self._is_flat = is_flat
        self._expects = expects
        self._state = _LEADING
        self._waits = False  # more text is needed to go on
        self._search = _BRACKET_OR_ENTITY if sink.wants_plain and not is_native else _BRACKET
        self._tail: list[str] = []  # the last line end and the blanks behind it
        self._lead: list[str] = []
        self._nested: list[Kind] = []
        self.back = WayBack(sink, may_hold=may_hold and not is_flat, max_held=max_held)
        self.status = _OPEN
        self.skips_bracket = False  # a second ">" may follow
        self.is_closed = False  # ended by a closer of its own, not by what came next

    def read(self, text: str, position: int) -> int:
        """Read on; the position up to which text was used. What is behind it must be given again."""
        self.back.begin(position)
        self._waits = False
        while position < len(text) and not self._waits and self.status is _OPEN:
            before, state = position, self._state
            if state is _TEXT:
                position = self._text(text, position)
            elif state is _CDATA:
                position = self._cdata(text, position)
            elif state is _LEADING:
                position = self._leading(text, position)
            else:
                position = self._inner(text, position)
            if position == before and state is self._state:
                break
        if self.status is _OPEN:
            if self._ahead.is_final and self.back.holds:
                self.status = _REWIND
            elif self.back.holds:
                self.back.end(text, position)
        return position

    def lane(self, lanes: Lanes) -> Lane | None:
        """How data passes straight on to the sink, where it does."""
        if self.back.holds or self._tail or not self._sink.is_streaming:
            return None
        if self._state is _TEXT:
            return lanes.data if self._search is _BRACKET else lanes.data_with_entities
        looks_for_closers = self.back.may or self._is_flat
        return lanes.cdata if self._state is _CDATA and looks_for_closers else None

    # --- states ---------------------------------------------------------------------------------------------

    def _leading(self, text: str, position: int) -> int:
        end = past(_BLANKS, text, position)
        if end > position:
            self._lead.append(text[position:end])
            return end
        if text[position] in OPEN_BRACKETS:
            answer = self._ahead.at(STRUCTURE, text, position)
            if answer is MAYBE:
                self._waits = True
                return position
            if isinstance(answer, Tag) and answer.kind is CDATA:
                self._state = _CDATA
                return answer.end
        lead = "".join(self._lead)
        if self._is_native:
            lead = lead.removeprefix("\r").removeprefix("\n")
        self._state = _TEXT
        self._give_text(lead)
        return position

    def _text(self, text: str, position: int) -> int:
        answer: Tag | Answer = NO
        found = position
        while (match := self._search.search(text, found)) is not None:
            found = match.start()
            if text[found] == "&" or (answer := self._ahead.at(STRUCTURE, text, found)) is not NO:
                break
            found += 1
        else:
            found = len(text)
        if found > position:
            self._give_text(text[position:found])
        if answer is MAYBE:
            self._waits = True
        elif isinstance(answer, Tag):
            return self._tag(answer, text, found)
        elif match is not None:
            self._give_text("", is_data=True)
            return self._entity(text, found)
        return found

    def _entity(self, text: str, position: int) -> int:
        match = ENTITY.match(text, position)
        if match is not None:
            self._give_text(decode_entities(match.group()), is_data=True)
            return match.end()
        if not self._ahead.is_final and entity_beginning(text) == position:
            return position
        self._give_text("&")
        return position + 1

    def _cdata(self, text: str, position: int) -> int:
        match = _IN_CDATA.search(text, position)
        if match is None:
            self._give_cdata(text[position:])
            return len(text)
        found = match.start()
        if found > position:
            self._give_cdata(text[position:found])
        if match.group() == "]":
            return self._squares(text, found)
        if self.back.holds or not (self.back.may or self._is_flat):
            self._give_cdata(text[found])
            return found + 1
        answer = self._ahead.at(CLOSERS, text, found)
        follows = self._ahead.behind(answer, text) if isinstance(answer, Tag) else answer
        if follows is MAYBE:
            self._waits = True
            return found
        if isinstance(answer, Tag) and follows is not NO:
            if self._is_flat:
                return self._end_at(answer, found)
            self.back.hold_from(found)
        self._give_cdata(text[found])
        return found + 1

    def _squares(self, text: str, position: int) -> int:
        """A run of "]" that may begin the section's end."""
        end = past(_SQUARE, text, position)
        if end == len(text) and not self._ahead.is_final:
            kept = max(position, end - 2)
            self._give_cdata(text[position:kept])
            self._waits = True
            return kept
        if end - position < 2 or text[end : end + 1] not in CLOSE_BRACKETS or end == len(text):
            self._give_cdata(text[position:end])
            return end
        if end - position > 2:
            self._give_cdata(text[position : end - 2])
        follows = self._ahead.next_from(text, end + 1)
        if follows is MAYBE:
            self._waits = True
            return end - 2
        if follows is NO:
            self._give_cdata(text[end - 2 : end + 1])
            return end + 1
        return self._end_of_section(follows, end + 1)

    def _end_of_section(self, follows: Tag | None, end: int) -> int:
        self.back.release()
        if follows is None:
            self.status, self.is_closed = _DONE, True
            return end
        if follows.kind is CDATA:
            return follows.end
        self.status, self.is_closed = _DONE, True
        if follows.kind is PARAMETER and follows.is_close:
            self.skips_bracket = follows.is_doubled
            return follows.end
        return end

    def _inner(self, text: str, position: int) -> int:
        found = text.find("]]>", position)
        if found >= 0:
            self._give_cdata(text[position:found])
            self._state = _TEXT
            return found + 3
        kept = len(text) if self._ahead.is_final else max(position, len(text.rstrip("]")), len(text) - 2)
        self._give_cdata(text[position:kept])
        return kept

    # --- structural tags inside text ------------------------------------------------------------------------

    def _tag(self, tag: Tag, text: str, position: int) -> int:
        if tag.kind is CDATA:
            if self._is_native:
                self._give_text(text[position : tag.end])
            else:
                self._give_text("", is_data=True)
                self._state = _INNER
            return tag.end
        if tag.is_close:
            return self._closer(tag, text, position)
        if self._ends_before(tag):
            self._tail = []
            self.status = _DONE
            return position
        is_nesting = not self._is_flat and tag.kind is not NONE
        if is_nesting and not self._nest(tag, text, position):
            self._waits = True
            return position
        self._give_text(text[position : tag.end])
        return tag.end

    def _nest(self, tag: Tag, text: str, position: int) -> bool:
        """Markup inside the value opens: its closers are not the value's. False: more text must tell."""
        if tag.kind is WRAPPER and not self.back.holds:
            follows = self._ahead.behind(tag, text)
            if follows is MAYBE:
                return False
            if isinstance(follows, Tag) and follows.kind is CALL and not follows.is_close:
                self.back.hold_from(position)
        elif tag.kind is CALL:
            self.back.hold_from(position)
        is_counted = tag.kind is not PARAMETER or CALL in self._nested
        if is_counted and not tag.is_empty and len(self._nested) < _MAX_NESTED:
            self._nested.append(tag.kind)
        return True

    def _ends_before(self, tag: Tag) -> bool:
        """The value's closer is missing: this opening tag is already the next parameter or call."""
        if CALL in self._nested:
            return False
        if tag.kind is PARAMETER:
            if not self._is_native:
                return tag.name is not None
            return bool(self._tail) and tag.name is not None and self._expects(tag.name)
        return tag.kind is CALL and self._is_flat and not self._is_native

    def _closer(self, tag: Tag, text: str, position: int) -> int:
        if tag.kind in self._nested:
            while self._nested.pop() is not tag.kind:
                pass
            self._give_text(text[position : tag.end])
            return tag.end
        if self._is_typed:
            return self._end_at(tag, position)
        if tag.kind is not PARAMETER and self.back.holds:
            self.status = _REWIND
            return position
        follows = self._ahead.behind(tag, text)
        if follows is MAYBE:
            return position
        if follows is NO:
            if tag.kind is not PARAMETER:
                self.back.hold_from(position)
            self._give_text(text[position : tag.end])
            return tag.end
        return self._end_at(tag, position)

    def _end_at(self, tag: Tag, position: int) -> int:
        """The value ends at this closer; one that is not its own is left for the machine."""
        self.status = _DONE
        self.back.release()
        if tag.kind is not PARAMETER:
            self._tail = []
            return position
        self.is_closed = True
        self.skips_bracket = tag.is_doubled
        tail = "".join(self._tail)
        if tail and not (self._is_native and tail in ("\n", "\r\n")):
            self.back.out(False, tail)
        self._tail = []
        return tag.end

    # --- data -----------------------------------------------------------------------------------------------

    def _give_text(self, text: str, *, is_data: bool = False) -> None:
        """Text of the value, but for a line end that may be layout. `is_data`: it is certainly not."""
        if self._tail:
            if text and not is_data and not text.strip(" \t"):
                self._tail.append(text)
                return
            text = "".join(self._tail) + text
            self._tail = []
        if not is_data and text and text[-1] in " \t\r\n":
            end = len(text.rstrip(" \t"))
            last = "\r\n" if text.endswith("\r\n", 0, end) else text[end - 1 : end]
            if last in ("\n", "\r", "\r\n"):
                self._tail = [text[end - len(last) :]]
                text = text[: end - len(last)]
        if text:
            self.back.out(False, text)

    def _give_cdata(self, text: str) -> None:
        if text:
            self.back.out(True, text)
