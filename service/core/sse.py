"""Server-sent events: bytes <-> SSEEvent. Knows no JSON.

Source: WHATWG HTML, "Server-sent events", section 9.2.6, read 2026-11-20. Lines end at CR, LF or CRLF and
nowhere else: `str.splitlines` would also break at U+2028 and U+0085 and tear JSON apart, so this splits
bytes.

State of the decoder: the bytes of the unfinished line, in pieces (joined once, when its end comes), whether
the last byte was a CR (an LF right after it belongs to the same line end), and the fields of the unfinished
event. A line that outgrows `max_line_bytes` raises: an upstream that never ends its line must not fill the
memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.core.errors import UpstreamProtocolError

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class SSEEvent:
    """One dispatched event. `data` is the data lines joined by LF; `event` is "" where none was named."""

    data: bytes
    event: str = ""
    event_id: str = ""


class SSEDecoder:
    """Bytes in, whole events out. Any cut of the input gives the same events; time grows linearly."""

    def __init__(self, *, max_line_bytes: int = 8 << 20) -> None:
        self._max_line_bytes = max_line_bytes
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._ends_in_cr = False
        self._is_first_line = True
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = ""
        self._event_id = ""

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """The events that end within `chunk`. Raises UpstreamProtocolError for a line or event past the
        cap."""
        if self._ends_in_cr and chunk:
            self._ends_in_cr = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        if not chunk:
            return []
        if b"\r" in chunk:
            self._ends_in_cr = chunk.endswith(b"\r")
            lines = _LINE_END.split(chunk)
        else:
            lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._pieces:
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces, self._pieces_bytes = [], 0
        events = self._events_of(lines) if lines else []
        if rest:
            self._pieces.append(rest)
            self._pieces_bytes += len(rest)
            if self._pieces_bytes > self._max_line_bytes:
                raise self._too_long()
        return events

    def finish(self) -> list[SSEEvent]:
        """The event whose blank line never came, when it holds data: some upstreams close right after
        `[DONE]`.
        """
        last = b"".join(self._pieces)
        self._pieces, self._pieces_bytes = [], 0
        return self._events_of([last, b""] if last else [b""])

    def _events_of(self, lines: list[bytes]) -> list[SSEEvent]:
        """The events that these whole lines (at least one) complete."""
        if self._is_first_line:
            self._is_first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[SSEEvent] = []
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                self._data.append(value)
                self._data_bytes += len(value)
                if self._data_bytes > self._max_line_bytes:
                    raise self._too_long()
            elif line:
                self._field(line)
            elif self._data:
                events.append(self._dispatched())
            else:
                self._event = ""
        return events

    def _field(self, line: bytes) -> None:
        """A line that is neither blank nor `data:`; one that begins with a colon is a comment."""
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(b"")
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode("utf-8", "replace")
        elif name == b"id":
            self._event_id = value.removeprefix(b" ").decode("utf-8", "replace")

    def _dispatched(self) -> SSEEvent:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = SSEEvent(data, self._event, self._event_id)
        self._data, self._data_bytes, self._event = [], 0, ""
        return event

    def _too_long(self) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"The upstream sent an event of more than {self._max_line_bytes} bytes.")


def encode_event(data: bytes, *, event: str = "", event_id: str = "") -> bytes:
    """One event as bytes. `data` with line ends becomes several data lines; `event` and `event_id` hold
    none."""
    head = (f"id: {event_id}\n" if event_id else "") + (f"event: {event}\n" if event else "")
    body = data.replace(b"\n", b"\ndata: ") if b"\n" in data else data
    return b"%bdata: %b\n\n" % (head.encode(), body)


def encode_comment(text: str) -> bytes:
    """A comment line: readers skip it, proxies see a living connection."""
    return b": %b\n\n" % text.encode()
