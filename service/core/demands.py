"""What a request demands of its answer: a tool call, JSON of a schema. MiMo's wires promise neither, so the
answer is looked at before it is shown.

Each demand is fed the events of each read and gives back what may be shown. As long as nothing was shown an
answer that does not meet it raises AnswerUnmet, and the model can be asked once more; after that the answer
ends in a Failed. An answer that was cut (LENGTH, CONTENT_FILTER) says so itself and passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from service.core.conversation import (
    Conversation,
    Part,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Text,
    ToolChoice,
    Turn,
)
from service.core.errors import AnswerUnmet
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
)
from service.core.json_text import JsonText, json_in

MAX_PROSE_CHARS = 64 << 10  # as much text without the call that was required is an answer without it
MAX_JSON_CHARS = 8 << 20
_HEAVY_CHARS = 16 << 10
_CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)

# A JSON text -> what is wrong with it, in words that name the place; None when nothing is.
FaultOf = Callable[[str], str | None]
# The same for a call: the tool's name and the JSON text of its arguments.
CallFaultOf = Callable[[str, str], str | None]


class Demand(Protocol):
    """One answer's demand."""

    @property
    def is_heavy(self) -> bool:
        """Whether the next feed may take milliseconds."""
        ...

    def feed(self, events: list[Event]) -> list[Event]: ...


def asked_again(conversation: Conversation, unmet: AnswerUnmet) -> Conversation:
    """The conversation with the answer that did not do, and what was wrong with it: the prompt's prefix stays
    as it was."""
    turns = [Turn(role=Role.USER, parts=(Text(text=unmet.remedy),))]
    if unmet.answer:
        answer: tuple[Part, ...] = (Text(text=unmet.answer),)
        turns.insert(0, Turn(role=Role.ASSISTANT, parts=answer))
    return replace(conversation, turns=(*conversation.turns, *turns))


class CallDemand:
    """`tool_choice` required or named: all is held back until the first call starts.

    `fault_of` (None: calls are not judged): the name of a tool and the arguments of its call -> what is wrong
    with them, in words that name the place. Then all is held back until the whole answer was found good."""

    def __init__(self, choice: ToolChoice, fault_of: CallFaultOf | None = None) -> None:
        self._choice = choice
        self._fault_of = fault_of
        self._held: list[Event] = []
        self._text: list[str] = []
        self._name = ""
        self._arguments: list[str] = []
        self._chars = 0
        self._has_called = False
        self._is_met = False

    @property
    def is_heavy(self) -> bool:
        return self._chars > _HEAVY_CHARS and self._has_called and not self._is_met

    def feed(self, events: list[Event]) -> list[Event]:
        if self._is_met:
            return events
        self._held += events
        for event in events:
            if isinstance(event, Failed):
                return [event]  # nothing was shown: another account may do better
            if self._meets(event):
                self._is_met = True
                held, self._held = self._held, []
                return held
        return []

    def _meets(self, event: Event) -> bool:
        """Whether the answer may be shown now. Raises AnswerUnmet when it will not do."""
        match event:
            case TextDelta():
                self._text.append(event.text)
                self._chars += len(event.text)
                if self._chars > MAX_PROSE_CHARS and not self._has_called:
                    raise self._unmet("answered with text alone")
            case ToolCallStart():
                if self._choice.name not in (None, event.name):
                    raise self._unmet("called another tool")
                self._has_called, self._name, self._arguments = True, event.name, []
                return self._fault_of is None
            case ToolCallDelta():
                self._arguments.append(event.fragment)
                self._chars += len(event.fragment)
                return self._chars > MAX_JSON_CHARS  # too much to hold: it passes as it is
            case ToolCallEnd():
                self._judge()
            case Finish():
                if event.reason not in _CUT and not self._has_called:
                    raise self._unmet("answered without a call")
                return True
            case _:
                pass
        return False

    def _judge(self) -> None:
        """The call is complete. Raises AnswerUnmet when its arguments will not do."""
        arguments = "".join(self._arguments)
        fault = None if self._fault_of is None else self._fault_of(self._name, arguments)
        if fault is not None:
            raise AnswerUnmet(
                f"The model's call of '{self._name}' does not fit the tool's schema: {fault}.",
                param="tool_choice",
                code="tool_choice_unmet",
                answer=arguments,
                remedy=(
                    f"Those arguments of `{self._name}` were not valid: {fault}. Call it again with the "
                    "corrected arguments, and answer with the call and nothing else."
                ),
            )

    def _unmet(self, what: str) -> AnswerUnmet:
        named = self._choice.name
        wanted = f"a call of the tool '{named}'" if named else "a tool call"
        remedy = f"You must call the tool `{named}` now." if named else "You must call one of the tools now."
        return AnswerUnmet(
            f"tool_choice asked for {wanted}, but the model {what}.",
            param="tool_choice",
            code="tool_choice_unmet",
            answer="".join(self._text),
            remedy=f"{remedy} Answer with the call and nothing else.",
        )


class FormatDemand:
    """`response_format` json_object or json_schema: the text is one JSON value without a fault.

    `is_live`: the value streams as it comes, and a fault can only end the stream. Otherwise all is held back
    until it was found good. Answers that call tools are left alone from the first call on.
    """

    def __init__(self, response_format: ResponseFormat, fault_of: FaultOf, *, is_live: bool) -> None:
        self._format = response_format
        self._fault_of = fault_of
        self._is_live = is_live
        self._openings = _openings(response_format)
        self._cleaner = JsonText(self._openings)
        self._held: list[Event] = []
        self._pieces: list[str] = []
        self._chars = 0
        self._has_shown = False
        self._is_over = False

    @property
    def is_heavy(self) -> bool:
        return self._chars > _HEAVY_CHARS and not self._is_over

    def feed(self, events: list[Event]) -> list[Event]:
        shown: list[Event] = []
        for event in events:
            shown += [event] if self._is_over else self._one(event)
            if shown and isinstance(shown[-1], Failed):
                break
        return shown

    def _one(self, event: Event) -> list[Event]:
        match event:
            case TextDelta():
                return self._more(event.text)
            case ToolCallStart():
                self._is_over = True
                return [*self._released(keeps_prose=True), event]
            case Finish():
                self._is_over = True
                return self._finished(event)
            case Failed():
                self._is_over = True
                return [event]
            case ReasoningDelta() if self._is_live:
                self._has_shown = True
                return [event]
            case _:
                self._held.append(event)
                return []

    def _more(self, text: str) -> list[Event]:
        self._pieces.append(text)
        self._chars += len(text)
        if self._chars > MAX_JSON_CHARS:
            raise self._unmet("it is too long")
        if not self._is_live:
            return []
        json = self._cleaner.feed(text)
        if self._cleaner.is_broken:
            return self._broken(json)
        self._has_shown = self._has_shown or bool(json)
        return [TextDelta(json)] if json else []

    def _broken(self, json: str) -> list[Event]:
        """What comes will never be JSON: the rest need not be waited for."""
        text = JsonText(self._openings).feed("".join(self._pieces)) if self._cleaner.has_begun else ""
        unmet = self._unmet(self._fault_of(text) or "it is not JSON")
        if not self._has_shown:
            raise unmet
        self._is_over = True
        return [*self._with(json), Failed(unmet)]

    def _finished(self, finish: Finish) -> list[Event]:
        if finish.reason in _CUT:
            # A refusal of the filter is told; of an answer that was cut before its JSON nothing is JSON.
            is_filtered = finish.reason is FinishReason.CONTENT_FILTER
            return [*self._released(keeps_prose=is_filtered or not self._is_live), finish]
        text = "".join(self._pieces)
        if self._cleaner.has_begun:
            text = JsonText(self._openings).feed(text)
            shown = ""
        else:
            text = shown = json_in(text, self._openings)
        if (fault := self._fault_of(text)) is None:
            return [*self._with(shown), finish]
        unmet = self._unmet(fault)
        if not self._has_shown:
            raise unmet
        return [*self._with(""), Failed(unmet)]

    def _released(self, *, keeps_prose: bool) -> list[Event]:
        """What was held back, for an answer that is not judged: cut, or one with calls."""
        if self._cleaner.has_begun:
            return self._with("")  # of a live answer: its JSON was shown as it came
        whole = "".join(self._pieces)
        cleaner = JsonText(self._openings)
        text = cleaner.feed(whole)
        return self._with(text if cleaner.has_begun or not keeps_prose else whole)

    def _with(self, text: str) -> list[Event]:
        """The events that were held back, the text after the reasoning."""
        held, self._held = self._held, []
        reasoning: list[Event] = [event for event in held if isinstance(event, ReasoningDelta)]
        others = [event for event in held if not isinstance(event, ReasoningDelta)]
        return [*reasoning, *([TextDelta(text)] if text else []), *others]

    def _unmet(self, fault: str) -> AnswerUnmet:
        name = "json_schema" if self._format.kind is ResponseFormatKind.JSON_SCHEMA else "json_object"
        return AnswerUnmet(
            f"The model's answer is not the {name} that was asked for: {fault}.",
            param=self._format.at,
            code="response_format_unmet",
            answer="".join(self._pieces),
            remedy=(
                f"That was not valid: {fault}. Answer again with the corrected JSON and nothing else: "
                "no prose, no code fence."
            ),
        )


def _openings(response_format: ResponseFormat) -> str:
    """What the value may begin with: where it must be an object, a bracket before it is prose."""
    schema = response_format.schema
    return "{" if schema is None or schema.get("type") == "object" else "{["
