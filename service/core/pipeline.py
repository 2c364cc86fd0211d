"""The stages of a stream and how they join: bytes of the upstream -> events -> sieve -> bytes for the client.

Every stage has one shape, `feed(item)` and `finish()`. A decoder reads one wire, the sieve takes tool calls
out of text, an encoder writes one dialect. AnswerSource joins the first two, Transcode all three."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from service.core.errors import GatewayError, UpstreamProtocolError
from service.core.events import (
    Event,
    Failed,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)


class Decoder(Protocol):
    """The client role of a wire: bytes as the socket gave them -> events.

    Failures that the wire tells of come as a Failed event, after the events that came before them.
    `is_done` turns
    true at the wire's end marker: an upstream may keep the socket open long after it.
    """

    @property
    def is_done(self) -> bool: ...

    def feed(self, chunk: bytes) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


class Stage(Protocol):
    """Events -> events. A fed Finish or Failed makes it give out all it holds, and that event last."""

    def feed(self, event: Event) -> list[Event]: ...


class Encoder(Protocol):
    """The server role of a dialect: events -> bytes for the client. A Failed becomes the in-band error."""

    def feed(self, event: Event) -> bytes: ...

    def ping(self) -> bytes: ...


class AnswerSource:
    """Bytes of one upstream answer -> the client's events, in order, ending with exactly one Finish or
    Failed.

    Adjacent deltas of one read are joined: the client gets the same characters in fewer events, which is
    what keeps a burst cheap."""

    def __init__(self, decoder: Decoder, stages: Iterable[Stage] = ()) -> None:
        self._decoder = decoder
        self._stages = tuple(stages)
        self._has_ended = False

    @property
    def is_done(self) -> bool:
        """True once the end was given out, or the wire said so: nothing more need be read."""
        return self._has_ended or self._decoder.is_done

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. A broken wire gives a Failed, never an exception."""
        if self._has_ended:
            return []
        try:
            events = self._decoder.feed(chunk)
        except GatewayError as error:
            return self.fail(error)
        return self._through(events)

    def finish(self) -> list[Event]:
        """What is left at the end of the input. Without an end marker the answer has failed."""
        if self._has_ended:
            return []
        try:
            events = self._through(self._decoder.finish())
        except GatewayError as error:
            return self.fail(error)
        if not self._has_ended:
            events += self.fail(
                UpstreamProtocolError("The upstream closed the connection before the answer was complete.")
            )
        return events

    def fail(self, error: GatewayError) -> list[Event]:
        """End here: what the stages still hold, then the Failed."""
        return [] if self._has_ended else self._through([Failed(error)])

    def _through(self, events: list[Event]) -> list[Event]:
        for stage in self._stages:
            events = [out for event in events for out in stage.feed(event)]
        if events and isinstance(events[-1], Finish | Failed):
            self._has_ended = True
        return joined(events) if len(events) > 1 else events


def joined(events: list[Event]) -> list[Event]:
    """The same events with adjacent deltas of one kind (and one call) made one. Linear."""
    out: list[Event] = []
    pieces: list[str] = []
    previous: Event | None = None
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta):
            if type(previous) is type(event):
                pieces.append(event.text)
                continue
        elif (
            isinstance(event, ToolCallDelta)
            and isinstance(previous, ToolCallDelta)
            and previous.index == event.index
        ):
            pieces.append(event.fragment)
            continue
        if previous is not None:
            out.append(_with_text(previous, pieces))
        previous, pieces = event, [_text_of(event)]
    if previous is not None:
        out.append(_with_text(previous, pieces))
    return out


def _text_of(event: Event) -> str:
    if isinstance(event, TextDelta | ReasoningDelta):
        return event.text
    return event.fragment if isinstance(event, ToolCallDelta) else ""


def _with_text(event: Event, pieces: list[str]) -> Event:
    if len(pieces) == 1:
        return event
    text = "".join(pieces)
    if isinstance(event, TextDelta):
        return TextDelta(text)
    if isinstance(event, ReasoningDelta):
        return ReasoningDelta(text)
    return ToolCallDelta(event.index, text) if isinstance(event, ToolCallDelta) else event


class Transcode:
    """The whole way, bytes to bytes: what one stream costs and what the golden cases state."""

    def __init__(self, source: AnswerSource, encoder: Encoder) -> None:
        self._source = source
        self._encoder = encoder

    def feed(self, chunk: bytes) -> bytes:
        """What the client is sent for `chunk`: b"" when it completes no event."""
        return b"".join(map(self._encoder.feed, self._source.feed(chunk)))

    def finish(self) -> bytes:
        """The rest of the stream, its end or its in-band error included."""
        return b"".join(map(self._encoder.feed, self._source.finish()))

    def fail(self, error: GatewayError) -> bytes:
        """The in-band error, after all that was held back."""
        return b"".join(map(self._encoder.feed, self._source.fail(error)))
