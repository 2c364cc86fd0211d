"""The same answer as one value: for replies that do not stream, and for batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallCut,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """What every answer says of itself. `created_at_s` is Unix time in whole seconds."""

    answer_id: str
    model: str
    created_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledTool:
    """A call of the answer. `is_complete` False: the answer was cut inside its arguments."""

    call_id: str
    name: str
    arguments: str
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerText:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReasoning:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSearch:
    """A web search of the upstream, by the sources that it gave: one at least."""

    sources: tuple[Citation, ...]


AnswerPart = AnswerText | AnswerReasoning | CalledTool | AnswerSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer: its parts in the order they came, adjacent deltas of one kind joined."""

    parts: tuple[AnswerPart, ...]
    finish: Finish
    usage: Usage | None

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources of every search."""
        searches = (part.sources for part in self.parts if isinstance(part, AnswerSearch))
        return tuple(source for sources in searches for source in sources)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, AnswerText))

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, AnswerReasoning))

    @property
    def tool_calls(self) -> tuple[CalledTool, ...]:
        return tuple(part for part in self.parts if isinstance(part, CalledTool))


class Collector:
    """Events in, one Completion out. Pieces are kept in a list and joined once: linear in the answer's
    length."""

    def __init__(self) -> None:
        self._parts: list[AnswerPart] = []
        self._pieces: list[str] = []
        self._open: TextDelta | ReasoningDelta | ToolCallStart | None = None
        self._sources: list[Citation] = []  # of a search that no part shows yet
        self._usage: Usage | None = None
        self._finish: Finish | None = None

    def feed(self, event: Event) -> None:  # noqa: C901 - one arm an event
        """Take one event in. Raises the error of a Failed."""
        match event:
            case TextDelta() | ReasoningDelta():
                if type(self._open) is not type(event):
                    self._begin(event)
                self._pieces.append(event.text)
            case ToolCallStart():
                self._begin(event)
            case ToolCallDelta():
                self._pieces.append(event.fragment)
            case ToolCallEnd():
                self._close(is_complete=True)
            case ToolCallCut():
                self._close(is_complete=False)
            case Citation():
                if not isinstance(self._open, ToolCallStart):
                    self._close(is_complete=False)
                self._sources.append(event)
            case UsageReport():
                self._usage = event.usage
            case Finish():
                self._begin(None)
                self._finish = event
            case Failed():
                raise event.error
            case Notice():  # pragma: no branch - the last of them
                pass

    def completion(self) -> Completion:
        """The answer. Raises ValueError when no Finish was fed: a cut answer is never passed off as whole."""
        if self._finish is None:
            raise ValueError("the events did not end with a Finish")
        return Completion(parts=tuple(self._parts), finish=self._finish, usage=self._usage)

    def _begin(self, event: TextDelta | ReasoningDelta | ToolCallStart | None) -> None:
        """What is open ends, a search that came after it stands before what `event` opens."""
        self._close(is_complete=False)
        if self._sources:
            self._parts.append(AnswerSearch(sources=tuple(self._sources)))
            self._sources = []
        self._open = event

    def _close(self, *, is_complete: bool) -> None:
        opened, text = self._open, "".join(self._pieces)
        self._open, self._pieces = None, []
        match opened:
            case TextDelta():
                self._parts.append(AnswerText(text=text))
            case ReasoningDelta():
                self._parts.append(AnswerReasoning(text=text))
            case ToolCallStart():
                self._parts.append(
                    CalledTool(
                        call_id=opened.call_id, name=opened.name, arguments=text, is_complete=is_complete
                    )
                )
            case None:  # pragma: no branch - the last of them
                pass


def collect(events: Iterable[Event]) -> Completion:
    """All events of one answer as a Completion. Raises the error of a Failed, ValueError without an end."""
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.completion()


def replay(completion: Completion) -> list[Event]:
    """The Completion as the events it could have streamed as: collect(replay(c)) == c."""
    events: list[Event] = []
    index = 0
    last = completion.parts[-1] if completion.parts else None
    for part in completion.parts:
        match part:
            case AnswerText():
                events.append(TextDelta(part.text))
            case AnswerReasoning():
                events.append(ReasoningDelta(part.text))
            case AnswerSearch():
                events.extend(part.sources)
            case CalledTool():  # pragma: no branch - the last of them
                events.append(ToolCallStart(index, part.call_id, part.name))
                if part.arguments:
                    events.append(ToolCallDelta(index, part.arguments))
                if part.is_complete:
                    events.append(ToolCallEnd(index))
                elif part is not last:
                    events.append(ToolCallCut(index))
                index += 1
    if completion.usage is not None:
        events.append(UsageReport(completion.usage))
    events.append(completion.finish)
    return events
