"""Deltas of tool calls, as upstreams send them -> ToolCallStart, ToolCallDelta, ToolCallEnd.

What comes in: fragments by `index` (or without one), an id and a name in the first fragment only, or in each,
or a new id under an old index for a new call; several calls at once, or interleaved; text in between.
What goes out: one open call at a time, with contiguous indexes, nothing but its deltas inside it.

    open call    the one that is given out fragment by fragment
    queue        what came after it while it was not known to be complete, in order

A call is known to be complete when its fragments are one JSON object. That is looked at once a call, when
something else arrives: one that is not complete by then (interleaved ones) keeps all that follows in the
queue until the answer ends. So every byte is looked at a bounded number of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from service.core.dialects.openai_chat.answer import text_of
from service.core.events import Event, Notice, ToolCallDelta, ToolCallEnd, ToolCallStart


@dataclass(slots=True, eq=False)
class _Call:
    """A call under assembly. `index` is ours and -1 until it was given out; `given` fragments were, too."""

    call_id: str
    name: str
    is_custom: bool = False
    index: int = -1
    given: int = 0
    was_checked: bool = False
    is_closed: bool = False
    fragments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.fragments)

    def is_complete(self) -> bool:
        """Whether the fragments are one whole JSON object. Nobody can tell for a freeform tool."""
        if self.is_custom:
            return False
        try:
            return type(orjson.loads(self.arguments)) is dict
        except orjson.JSONDecodeError:
            return False


class CallAssembler:
    """Feed it every `tool_calls` delta, and every other event while calls may be open."""

    def __init__(self) -> None:
        self._call_by_key: dict[object, _Call] = {}
        self._last: _Call | None = None
        self._open: _Call | None = None
        self._queue: list[_Call | Event] = []
        self._count = 0

    @property
    def count(self) -> int:
        """How many calls were given out."""
        return self._count

    @property
    def is_idle(self) -> bool:
        """No call is open: other events need not be passed through here."""
        return self._open is None

    def other(self, event: Event, events: list[Event]) -> None:
        """An event that is no part of a call: given out, or queued behind a call that is not complete."""
        self._close_if_complete(events)
        (self._queue if self._open else events).append(event)

    def delta(self, value: object, events: list[Event], *, answer_id: str) -> None:
        """One entry of `tool_calls`. `answer_id` makes ids for calls that the upstream gave none."""
        function = _described(value)
        if function is None or type(value) is not dict:
            events.append(Notice("garbage_skipped", "tool_call"))
            return
        name, call_id = text_of(function.get("name")), text_of(value.get("id"))
        call = self._found(value.get("index"), call_id, name)
        if call is None:
            self._close_if_complete(events)
            call = self._begun(value.get("index"), call_id, name)
            call.is_custom = value.get("function") is None and "custom" in value
            if self._open:
                self._queue.append(call)
            else:
                self._open = call
        call.name = call.name or name
        call.call_id = call.call_id or call_id
        fragment = _fragment(function.get("input" if call.is_custom else "arguments"))
        if fragment and not call.is_closed:
            call.fragments.append(fragment)
        if call is self._open and call.name:
            self._give(call, events, answer_id)

    def flush(self, events: list[Event], *, answer_id: str, is_whole: bool) -> None:
        """The answer has ended: everything is given out. `is_whole` False: only calls that are complete JSON
        objects get their ToolCallEnd."""
        waiting = [] if self._open is None else [self._open]
        for item in [*waiting, *self._queue]:
            if isinstance(item, _Call):
                self._finish(item, events, answer_id, is_whole=is_whole)
            else:
                events.append(item)
        self._open, self._queue = None, []

    def _found(self, index: object, call_id: str, name: str) -> _Call | None:
        """The call that the fragment belongs to; None when it begins one."""
        if type(index) is int:
            call = self._call_by_key.get(index)
        elif call_id:
            call = self._call_by_key.get(call_id)
        else:
            # Neither index nor id: more of the last call, unless a name begins another.
            call = None if name and self._last and self._last.name else self._last
        if call and name and call_id and call.name and call.call_id not in ("", call_id):
            return None  # an upstream that gives every call the same index
        return call

    def _begun(self, index: object, call_id: str, name: str) -> _Call:
        call = _Call(call_id, name)
        self._last = call
        if type(index) is int:
            self._call_by_key[index] = call
        if call_id:
            self._call_by_key[call_id] = call
        return call

    def _close_if_complete(self, events: list[Event]) -> None:
        call = self._open
        if call is None or call.was_checked:
            return
        call.was_checked = True
        if call.index >= 0 and call.is_complete():
            self._end(call, events)
            self._open = None

    def _give(self, call: _Call, events: list[Event], answer_id: str) -> None:
        """What the open call has new. A freeform tool's input is wrapped as JSON when it is whole."""
        if call.index < 0:
            call.index, self._count = self._count, self._count + 1
            call_id = call.call_id or f"call_{answer_id}_{call.index}"
            events.append(ToolCallStart(call.index, call_id, call.name))
        if not call.is_custom:
            events += [ToolCallDelta(call.index, fragment) for fragment in call.fragments[call.given :]]
            call.given = len(call.fragments)

    def _finish(self, call: _Call, events: list[Event], answer_id: str, *, is_whole: bool) -> None:
        if not call.name:
            events.append(Notice("garbage_skipped", "tool_call"))
            return
        self._give(call, events, answer_id)
        if not is_whole and not call.is_complete():
            return
        if call.is_custom:
            wrapped = orjson.dumps({"input": call.arguments}).decode()
            events.append(ToolCallDelta(call.index, wrapped))
        elif not call.fragments:
            events.append(ToolCallDelta(call.index, "{}"))  # a call without arguments
        self._end(call, events)

    def _end(self, call: _Call, events: list[Event]) -> None:
        call.is_closed = True
        events.append(ToolCallEnd(call.index))


def _described(value: object) -> Mapping[str, object] | None:
    """The `function` (or `custom`) object of a delta; an empty one where only the id is told."""
    if type(value) is not dict:
        return None
    inner = value.get("function")
    if inner is None:
        inner = value.get("custom")
    if inner is None:
        return {}
    return inner if type(inner) is dict else None


def _fragment(arguments: object) -> str:
    """Arguments are text; some servers send them as an object."""
    if type(arguments) is not dict:
        return text_of(arguments)
    try:
        return orjson.dumps(arguments).decode()
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return ""
