"""What leaves the sieve, in order: text joined, calls numbered, copies and runaways taken out.

Calls leave as they come, except where a call may be a copy of another:

- Where the platform sends calls of its own (`native_calls`), a call found in text is kept in a queue, and
  what comes after it waits behind it. A native call with the same name and equal arguments shows that it
  leaked: it is dropped. A native call passes at once; text that waited goes before it, calls that waited stay
  suspects until the end. What no native call has matched by then is a call of its own.
- Where runaway calls are dropped (`drops_duplicate_calls`), a call by a name that was called too often with
  the same arguments waits for its end; if it is the same again, it is dropped.

Reasoning that comes while a call is open waits for the call's end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.core.events import (
    Event,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.mimoml.jsontext import decode


@dataclass(frozen=True, slots=True, kw_only=True)
class SievePolicy:
    """How the sieve decides where both ways are defensible.

    `finds_calls_in_reasoning`: calls made inside the thinking count. `native_calls`: the upstream sends calls
    of its own, so one in text may be a copy. `drops_duplicate_calls`: a call with the same name and
    byte-identical arguments is dropped once `max_identical_calls` of it were given out. `max_buffered_bytes`
    bounds what is held for one decision (counted in characters); past it the text is given out as what it
    most likely is. `restores_urls`: put back the addresses that `render.defuse_urls` broke up.
    """

    finds_calls_in_reasoning: bool = False
    native_calls: bool = False
    drops_duplicate_calls: bool = False
    max_identical_calls: int = 3
    max_buffered_bytes: int = 8 << 20
    restores_urls: bool = False


@dataclass(slots=True)
class _Call:
    """A call that is being made or waits. `call_id` is "" until one is needed."""

    name: str
    markup: str
    call_id: str = ""
    pieces: list[str] = field(default_factory=list)
    raw: str = ""
    is_complete: bool = False
    is_repaired: bool = False
    is_native: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


_NO_CALL = _Call("", "")


class Outlet:
    """Collects what one `feed` of the sieve gives out."""

    def __init__(self, new_call_id: Callable[[], str], policy: SievePolicy) -> None:
        self._new_call_id = new_call_id
        self._policy = policy
        self._events: list[Event] = []
        self._pieces: list[str] = []
        self._pieces_are: type[TextDelta] | type[ReasoningDelta] = TextDelta
        self._fragments: list[str] = []
        self._call = _NO_CALL
        self._remembers = policy.drops_duplicate_calls or policy.native_calls
        self._call_leaves = False  # its events are given out while it is made
        self._index = -1
        self._deferred: list[TextDelta | ReasoningDelta] = []
        self._queue: list[_Call | TextDelta | ReasoningDelta] = []
        self._suspects: list[_Call] = []
        self._natives: list[_Call] = []
        self._count_by_call: dict[tuple[str, str], int] = {}
        self._runaway_names: set[str] = set()
        self.has_calls = False
        self.has_unfinished = False

    @property
    def lane_index(self) -> int | None:
        """The index of the open call, if its fragments may pass by; -1 if no call is open, and text may; None
        if something waits."""
        if self._call is _NO_CALL:
            return None if self._queue else -1
        return self._index if self._call_leaves and not self._remembers else None

    @property
    def is_seen(self) -> bool:
        """The open call is being given out."""
        return self._call is not _NO_CALL and self._call_leaves

    @property
    def has_open_call(self) -> bool:
        return self._call is not _NO_CALL

    def drain(self) -> list[Event]:
        """Everything given out since the last time."""
        if self._pieces or self._fragments:
            self._flush()
        if not self._events:
            return []
        events, self._events = self._events, []
        return events

    # --- text -----------------------------------------------------------------------------------------------

    def text(self, text: str, *, is_reasoning: bool = False) -> None:
        """More text of a channel."""
        if not text:
            return
        kind = ReasoningDelta if is_reasoning else TextDelta
        if self._call is not _NO_CALL:
            self._deferred.append(kind(text))
            return
        if self._queue:
            self._queue.append(kind(text))
            return
        if kind is not self._pieces_are or self._fragments:
            self._flush()
            self._pieces_are = kind
        self._pieces.append(text)

    def notice(self, name: str, detail: str) -> None:
        """A fact for the operator."""
        self.pass_on(Notice(name, detail))

    def pass_on(self, event: Event) -> None:
        """An event that is none of the sieve's business."""
        self._flush()
        self._events.append(event)

    def _flush(self) -> None:
        if self._pieces:
            self._events.append(self._pieces_are("".join(self._pieces)))
            self._pieces = []
        if self._fragments:
            self._events.append(ToolCallDelta(self._index, "".join(self._fragments)))
            self._fragments = []

    # --- calls found in text --------------------------------------------------------------------------------

    def open_call(self, name: str, markup: str) -> None:
        """A call is announced."""
        self._open(_Call(name, markup), waits=self._policy.native_calls or bool(self._queue))

    def fragment(self, text: str) -> None:
        """More of the open call's arguments."""
        if self._call_leaves:
            self._fragments.append(text)
            if not self._remembers:
                return
        self._call.pieces.append(text)

    def close_call(self, *, is_repaired: bool) -> None:
        """The open call is complete."""
        call = self._call
        call.is_complete, call.is_repaired = True, is_repaired
        self._close(call)
        self.notice("call_repaired" if is_repaired else "call_found", call.markup)
        self._after_call()

    def abandon_call(self, raw: str) -> None:
        """The open call was cut. `raw` is its markup, for the case that nobody saw it announced."""
        call, self._call = self._call, _NO_CALL
        self._flush()
        call.raw = raw
        if self._call_leaves:
            self._cut()
        else:
            self._queue.append(call)
        self.notice("call_rejected", call.markup)
        self._after_call()

    def _open(self, call: _Call, *, waits: bool) -> None:
        self._flush()
        self._call = call
        self._call_leaves = not waits and call.name not in self._runaway_names
        if self._call_leaves:
            self._announce(call)

    def _announce(self, call: _Call) -> None:
        self._flush()
        self._index += 1
        self.has_calls = True
        self._events.append(ToolCallStart(self._index, call.call_id or self._new_call_id(), call.name))

    def _close(self, call: _Call) -> None:
        self._call = _NO_CALL
        self._flush()
        if self._call_leaves:
            self._events.append(ToolCallEnd(self._index))
            self._count(call)
        elif call.is_native or not self._policy.native_calls:
            self._give(call)
        elif self._copied(call, self._natives):
            self.notice("leak_removed", call.markup)
        else:
            self._queue.append(call)

    def _cut(self) -> None:
        self.has_unfinished = True
        self._events.append(ToolCallCut(self._index))

    def _give(self, call: _Call) -> None:
        """A complete call that waited, unless it is one too many."""
        if self._is_runaway(call):
            self.notice("duplicate_dropped", call.markup)
            return
        self._announce(call)
        arguments = call.arguments
        if arguments:
            self._events.append(ToolCallDelta(self._index, arguments))
        self._events.append(ToolCallEnd(self._index))
        self._count(call)

    def _after_call(self) -> None:
        deferred, self._deferred = self._deferred, []
        for delta in deferred:
            self.text(delta.text, is_reasoning=isinstance(delta, ReasoningDelta))

    # --- runaways -------------------------------------------------------------------------------------------

    def _count(self, call: _Call) -> None:
        if not self._policy.drops_duplicate_calls:
            return
        key = (call.name, call.arguments)
        self._count_by_call[key] = count = self._count_by_call.get(key, 0) + 1
        if count >= self._policy.max_identical_calls:
            self._runaway_names.add(call.name)

    def _is_runaway(self, call: _Call) -> bool:
        if not self._policy.drops_duplicate_calls:
            return False
        count = self._count_by_call.get((call.name, call.arguments), 0)
        return count >= self._policy.max_identical_calls

    # --- calls of the upstream's own ------------------------------------------------------------------------

    def open_native(self, call_id: str, name: str) -> None:
        """The upstream's own call begins; no call in text is open."""
        self._flush()
        self._let_text_go()
        self._open(_Call(name, "native", call_id, is_native=True), waits=False)

    def close_native(self) -> None:
        """The upstream's own call is complete."""
        call = self._call
        if call is _NO_CALL:
            return
        call.is_complete = True
        self._close(call)
        copy = self._copied(call, self._suspects)
        if copy is not None:
            self.notice("leak_removed", copy.markup)
        elif self._policy.native_calls:
            self._natives.append(call)
        self._after_call()

    def abandon_native(self) -> None:
        """The upstream's own call was cut."""
        call, self._call = self._call, _NO_CALL
        if call is not _NO_CALL:
            self._flush()
            if self._call_leaves:
                self._cut()
            self._after_call()

    def _let_text_go(self) -> None:
        """Text that waits behind a call in text goes out; the call stays a suspect."""
        queue, self._queue = self._queue, []
        for item in queue:
            if isinstance(item, _Call):
                self._suspects.append(item)
            else:
                self.text(item.text, is_reasoning=isinstance(item, ReasoningDelta))

    def _copied(self, call: _Call, others: list[_Call]) -> _Call | None:
        """Take the call that is the same as this one out of `others`."""
        same_name = [other for other in others if other.name == call.name]
        if not same_name:
            return None
        arguments = _comparable(call.arguments)
        for other in same_name:
            if other.is_complete and call.is_complete and _comparable(other.arguments) == arguments:
                others.remove(other)
                return other
        for other in same_name:
            in_text = call if other.is_native else other
            if in_text.is_repaired or not in_text.is_complete:
                others.remove(other)
                return other
        return None

    def settle(self) -> None:
        """The end of the answer: what still waits is what it is."""
        self._flush()
        suspects, self._suspects = self._suspects, []
        queue, self._queue = self._queue, []
        for item in [*queue, *suspects]:
            if not isinstance(item, _Call):
                self.text(item.text, is_reasoning=isinstance(item, ReasoningDelta))
            elif item.is_complete:
                self._give(item)
            elif self._copied(item, self._natives) is not None:
                self.notice("leak_removed", item.markup)
            else:
                self.text(item.raw)


def _comparable(arguments: str) -> object:
    """Arguments as a value, blanks round strings aside: a copy in text loses or gains some."""
    try:
        value = decode(arguments)
    except ValueError:
        return arguments.strip()
    if isinstance(value, dict):
        return {key: item.strip() if isinstance(item, str) else item for key, item in value.items()}
    return value
