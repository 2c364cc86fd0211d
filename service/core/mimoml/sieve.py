"""The sieve: events in, the same events out with the tool calls that stood in the text taken out as calls.

It is fed everything an upstream's decoder gives, and keeps the laws of `core/events.py`. Text leaves the
moment it is known to be text; a call leaves while the model is still writing it. See `machine.py` for the
states, `grammar.py` for the tags, `outlet.py` for copies of native calls, and docs/sieve.md for what an
operator sees.

With no tools declared it is a no-op: every event comes out as it went in."""

from __future__ import annotations

import re
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
from service.core.mimoml.characters import OPEN_BRACKETS
from service.core.mimoml.machine import Machine
from service.core.mimoml.outlet import Outlet, SievePolicy
from service.core.mimoml.urls import URLRestorer

__all__ = ["Sieve", "SievePolicy"]

# In text: what can begin markup, open code or start a line. In a string argument: that, and what JSON
# escapes.
_INTERESTING = re.compile(f"[{OPEN_BRACKETS}`\\\\\n]").search
_INTERESTING_OR_ADDRESS = re.compile(f"[{OPEN_BRACKETS}`\\\\\n\\[]").search

_IN_ARGUMENT = re.compile(f'[{OPEN_BRACKETS}&\\]"\\\\\x00-\x1f\ud800-\udfff]').search
_IN_ARGUMENT_OR_ADDRESS = re.compile(f'[{OPEN_BRACKETS}\\[&\\]"\\\\\x00-\x1f\ud800-\udfff]').search


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
        self._is_text_quiet = False
        self._is_reasoning_quiet = False
        self._lane = -1  # index of the call whose string argument is passing by
        self._finds_in_reasoning = policy.finds_calls_in_reasoning
        self._restorer = URLRestorer() if policy.restores_urls else None
        self._interesting = _INTERESTING if self._restorer is None else _INTERESTING_OR_ADDRESS
        self._in_argument = _IN_ARGUMENT if self._restorer is None else _IN_ARGUMENT_OR_ADDRESS

    @property
    def most_held_chars(self) -> int:
        """The most that was held back at once. Arguments that were announced are not counted."""
        return self._machine.most_held_chars

    def feed(self, event: Event) -> list[Event]:
        """What `event` lets go, in order. After a Finish or Failed nothing more may be fed."""
        if self._is_idle:
            return [event]
        if type(event) is TextDelta:
            if self._is_text_quiet and event.text and self._interesting(event.text) is None:
                return [event]
            if self._lane >= 0 and event.text and self._in_argument(event.text) is None:
                return [ToolCallDelta(self._lane, event.text)]
            return self._text(event.text, is_reasoning=False)
        if type(event) is ReasoningDelta:
            if self._is_reasoning_quiet and event.text and self._interesting(event.text) is None:
                return [event]
            return self._text(event.text, is_reasoning=True)
        return self._other(event)

    def _text(self, text: str, *, is_reasoning: bool) -> list[Event]:
        machine, outlet = self._machine, self._outlet
        if self._restorer is not None:
            if not self._restorer.is_of(is_reasoning=is_reasoning):
                self._end_addresses()
            text = self._restorer.feed(text, is_reasoning=is_reasoning)
        self._give(text, is_reasoning=is_reasoning)
        self._lane = -1
        self._is_text_quiet = self._is_reasoning_quiet = False
        if self._restorer is None or self._restorer.is_clear:
            if not outlet.is_direct:
                if not is_reasoning and outlet.lane_index >= 0 and machine.is_lane():
                    self._lane = outlet.lane_index
            elif is_reasoning:
                self._is_reasoning_quiet = machine.is_quiet(is_reasoning=True)
            else:
                self._is_text_quiet = machine.is_quiet(is_reasoning=False)
        return outlet.drain()

    def _other(self, event: Event) -> list[Event]:
        outlet = self._outlet
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
        self._is_text_quiet = self._is_reasoning_quiet = False
        self._lane = -1
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
