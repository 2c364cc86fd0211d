"""The sieve: events in, the same events out with the tool calls that stood in the text taken out as calls.

It is fed everything an upstream's decoder gives, and keeps the laws of `core/events.py`. Text leaves the
moment it is known to be text; a call leaves while the model is still writing it. See `machine.py` for the
states, `grammar.py` for the tags, `outlet.py` for copies of native calls, and docs/sieve.md for what an
operator sees.

With no tools declared it is a no-op: every event comes out as it went in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.core.conversation import ToolSpec
from service.core.events import (
    Event,
    Failed,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from service.core.mimoml.arguments import Toolbox
from service.core.mimoml.lanes import LANES, LANES_WITH_ADDRESSES, MAX_HELD, Lane
from service.core.mimoml.machine import Machine
from service.core.mimoml.outlet import Outlet, SievePolicy
from service.core.mimoml.urls import URLRestorer

__all__ = ["Sieve", "SievePolicy"]


class Sieve:
    """A Stage. `new_call_id` gives an id for each call found; ids of native calls are kept."""

    def __init__(
        self,
        tools: Sequence[ToolSpec],
        *,
        new_call_id: Callable[[], str],
        policy: SievePolicy = SievePolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._is_idle = not tools
        self._outlet = Outlet(new_call_id, policy)
        self._machine = Machine(Toolbox(tools), self._outlet, policy)
        self._usage: UsageReport | None = None
        self._finds_in_reasoning = policy.finds_calls_in_reasoning
        self._restorer = URLRestorer() if policy.restores_urls else None
        self._lanes = LANES_WITH_ADDRESSES if policy.restores_urls else LANES
        self._lane: Lane | None = None  # how the next piece may pass by the machine
        self._lane_index = -1  # of the call whose string argument passes; -1 in text
        self._is_lane_of_reasoning = False
        self._held = ""  # of the lane: what the next piece will tell

    @property
    def most_held_chars(self) -> int:
        """The most that was held back at once. Arguments that were announced are not counted."""
        return self._machine.most_held_chars

    def feed(self, event: Event) -> list[Event]:
        """What `event` lets go, in order. After a Finish or Failed nothing more may be fed."""
        if self._is_idle:
            return [event]
        lane = self._lane
        if type(event) is TextDelta:
            if lane is None or self._is_lane_of_reasoning:
                return self._text(event.text, is_reasoning=False)
        elif type(event) is ReasoningDelta:
            if lane is None or not self._is_lane_of_reasoning:
                return self._text(event.text, is_reasoning=True)
        else:
            return self._other(event)
        text = event.text
        if self._held or lane.doubt(text) is not None:
            return self._by_lane(event, lane)
        if not text:
            return []
        return [event] if self._lane_index < 0 else [ToolCallDelta(self._lane_index, text)]

    def _by_lane(self, event: TextDelta | ReasoningDelta, lane: Lane) -> list[Event]:
        """What is surely data leaves at once; a piece with anything else in it goes to the machine."""
        fed = event.text
        text = self._held + fed if self._held else fed
        match = lane.sure(text)
        end = match.end() if match is not None else 0
        if end < len(text):
            if len(text) - end > MAX_HELD or lane.held(text, end) is None:
                return self._text(fed, is_reasoning=self._is_lane_of_reasoning)
            self._held = text[end:]
            text = text[:end]
        else:
            self._held = ""
        if not text:
            return []
        if self._lane_index >= 0:
            return [ToolCallDelta(self._lane_index, text if lane.written is None else lane.written(text))]
        return [event if text is fed else type(event)(text)]

    def _text(self, text: str, *, is_reasoning: bool) -> list[Event]:
        is_clear = self._restorer is None or self._restorer.is_clear
        if is_clear and self._lane is None and self._machine.goes_on(text, is_reasoning=is_reasoning):
            return []
        if self._held and is_reasoning is self._is_lane_of_reasoning:
            text, self._held = self._held + text, ""
        self._leave_lane()
        if self._restorer is not None:
            if not self._restorer.is_of(is_reasoning=is_reasoning):
                self._end_addresses()
            text = self._restorer.feed(text, is_reasoning=is_reasoning)
        self._give(text, is_reasoning=is_reasoning)
        if self._restorer is None or self._restorer.is_clear:
            self._enter_lane(is_reasoning=is_reasoning)
        return self._outlet.drain()

    def _enter_lane(self, *, is_reasoning: bool) -> None:
        machine, index = self._machine, self._outlet.lane_index
        if index is None or machine.is_spelling or (is_reasoning and index >= 0):
            return
        if index < 0:
            lane = machine.text_lane(self._lanes, is_reasoning=is_reasoning)
        else:
            lane = machine.argument_lane(self._lanes)
        if lane is not None and machine.is_waiting:
            held = machine.take_back(lane, is_reasoning=is_reasoning)
            if held is None:
                return
            self._held = held
        self._lane, self._lane_index, self._is_lane_of_reasoning = lane, index, is_reasoning

    def _leave_lane(self) -> None:
        self._lane = None
        if self._held:
            held, self._held = self._held, ""
            is_reasoning = self._is_lane_of_reasoning
            if self._restorer is not None:
                held = self._restorer.feed(held, is_reasoning=is_reasoning)
            self._give(held, is_reasoning=is_reasoning)

    def _other(self, event: Event) -> list[Event]:
        outlet = self._outlet
        self._leave_lane()
        match event:
            case ToolCallStart():
                self._end_text(is_normal=False)
                outlet.open_native(event.call_id, event.name)
            case ToolCallDelta():
                if outlet.has_open_call:
                    outlet.fragment(event.fragment)
            case ToolCallEnd():
                outlet.close_native()
            case UsageReport():
                self._usage = event
            case Finish():
                return self._finish(event)
            case Failed():
                return self._fail(event)
            case _:
                outlet.pass_on(event)
        return outlet.drain()

    def _give(self, text: str, *, is_reasoning: bool) -> None:
        if is_reasoning and self._machine.has_open_call and not self._finds_in_reasoning:
            self._outlet.text(text, is_reasoning=True)
        elif text:
            self._machine.feed(text, is_reasoning=is_reasoning)

    def _end_addresses(self) -> None:
        """Half an address that is held is text."""
        if self._restorer is not None:
            is_reasoning, text = self._restorer.finish()
            self._give(text, is_reasoning=is_reasoning)

    def _end_text(self, *, is_normal: bool) -> None:
        self._end_addresses()
        if not self._machine.has_open_call:
            self._outlet.abandon_native()
        self._machine.finish(is_normal=is_normal)

    def _finish(self, event: Finish) -> list[Event]:
        is_normal = event.reason in (FinishReason.STOP, FinishReason.TOOL_CALLS)
        self._end_text(is_normal=is_normal)
        self._outlet.settle()
        events = self._end()
        events.append(Finish(self._honest(event.reason), event.stop_sequence))
        return events

    def _fail(self, event: Failed) -> list[Event]:
        self._end_text(is_normal=False)
        self._outlet.settle()
        return [*self._end(), event]

    def _end(self) -> list[Event]:
        events = self._outlet.drain()
        if self._usage is not None:
            events.append(self._usage)
        return events

    def _honest(self, reason: FinishReason) -> FinishReason:
        """The reason that what was given out allows: calls to execute, or one that was cut."""
        if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
            if self._outlet.has_unfinished:
                return FinishReason.LENGTH
            return FinishReason.TOOL_CALLS if self._outlet.has_calls else FinishReason.STOP
        return reason
