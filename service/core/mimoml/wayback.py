"""The way back out of a value: data that may turn out to be what comes behind it.

From a doubtful place on, data is held together with the text it was read from. Either it proves to be data
and goes to the sink (`release`), or the value had ended there and the text is read again (`rewound`)."""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """Where a value's data goes. `wants_plain`: text arrives decoded; else as it was written."""

    @property
    def wants_plain(self) -> bool: ...

    @property
    def is_streaming(self) -> bool: ...

    def text(self, text: str) -> None: ...

    def cdata(self, text: str) -> None: ...


class WayBack:
    """Between a reader and its sink. `max_held` characters of text are held at most; then it is data."""

    __slots__ = (
        "_from",
        "_held",
        "_held_length",
        "_max_held",
        "_operations",
        "_sink",
        "holds",
        "is_capped",
        "may",
    )

    def __init__(self, sink: Sink, *, may_hold: bool, max_held: int) -> None:
        self._sink = sink
        self._max_held = max_held
        self._held: list[str] = []  # text since the doubtful place, of earlier pieces
        self._held_length = 0
        self._from = 0  # where in this piece what is held begins
        self._operations: list[tuple[bool, str]] = []
        self.may = may_hold
        self.holds = False
        self.is_capped = False

    def out(self, is_cdata: bool, text: str) -> None:
        """More data."""
        if self.holds:
            self._operations.append((is_cdata, text))
        elif is_cdata:
            self._sink.cdata(text)
        else:
            self._sink.text(text)

    def hold_from(self, position: int) -> None:
        """What is read from here on may not be data."""
        if self.may and not self.holds:
            self.holds, self._from = True, position

    def begin(self, position: int) -> None:
        """A piece is read on from here."""
        self._from = position

    def end(self, text: str, position: int) -> None:
        """The piece was read up to here, and what is held is still in doubt."""
        kept = text[self._from : position]
        self._held.append(kept)
        self._held_length += len(kept)
        if self._held_length > self._max_held:
            self.is_capped, self.may = True, False
            self.release()

    def release(self) -> None:
        """What was held is data."""
        if self.holds:
            self.holds, self._held = False, []
            operations, self._operations = self._operations, []
            for is_cdata, text in operations:
                self.out(is_cdata, text)

    def rewound(self, text: str) -> tuple[str, int]:
        """The text to read again and the position in it, given the piece that was read last."""
        if not self._held:
            return text, self._from
        return "".join(self._held) + text[self._from :], 0
