"""W3C trace context: which trace a request belongs to, and what is passed on of it.

Source: https://www.w3.org/TR/trace-context/, read 2026-11-20. Without OpenTelemetry who sends none gets none
(the request's own id serves as well), and what is sent goes on as it came: we take no part in that trace.
With OpenTelemetry (spans.py) every request has a span, and upstreams are told of ours.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

# Later versions may add fields behind the flags; version ff is none, and ids of zeros mean nothing.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_TRACESTATE = re.compile(r"[ -~\t]{1,512}")
_VERSION_0_CHARS = 55
HEADER = "traceparent"
STATE_HEADER = "tracestate"
ANSWER_HEADER = "X-Trace-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One request's place in a trace; ids are lower-case hexadecimal, "" where there is none.

    `parent_id` is the caller's span, `span_id` the request's own (only with OpenTelemetry), `flags` two
    digits, `state` the caller's `tracestate`. `is_sampled`: spans of it will be exported."""

    trace_id: str = ""
    parent_id: str = ""
    span_id: str = ""
    flags: str = "00"
    state: str = ""
    is_sampled: bool = False

    def new_span_id(self) -> str:
        """For a part of the request; "" where no spans are made."""
        return secrets.token_hex(8) if self.span_id else ""

    def headers(self, span_id: str) -> dict[str, str]:
        """What an upstream is told: the span `span_id` of ours, or "" for the caller's own."""
        sender = span_id or self.parent_id
        if not self.trace_id or not sender:
            return {}
        told = {HEADER: f"00-{self.trace_id}-{sender}-{self.flags}"}
        return told | {STATE_HEADER: self.state} if self.state else told

    @property
    def exemplar(self) -> dict[str, str] | None:
        """What a histogram notes beside a value; None when nobody could look the trace up."""
        return {"trace_id": self.trace_id, "span_id": self.span_id} if self.is_sampled else None


NO_TRACE = Trace()


def continued(traceparent: str, tracestate: str = "") -> Trace:
    """The caller's trace; NO_TRACE where there is none that can be believed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (traceparent.startswith("00") and len(traceparent) != _VERSION_0_CHARS):
        return NO_TRACE
    state = tracestate if _TRACESTATE.fullmatch(tracestate) else ""
    return Trace(trace_id=found[1], parent_id=found[2], flags=found[3], state=state)
