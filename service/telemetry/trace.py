"""W3C trace context: which trace a request belongs to, so that its log line is found from the caller's side.

Source: https://www.w3.org/TR/trace-context/, read 2026-11-20. Who sends no `traceparent` gets no trace: the
request's own id serves as well."""

from __future__ import annotations

import re

# Later versions may add fields behind the flags; version ff is none, and ids of zeros mean nothing.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_VERSION_0_CHARS = 55
HEADER = "traceparent"
ANSWER_HEADER = "X-Trace-Id"


def trace_id_of(traceparent: str) -> str:
    """The trace's id, 32 hexadecimal digits; "" where there is none that can be believed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (traceparent.startswith("00") and len(traceparent) != _VERSION_0_CHARS):
        return ""
    return found[1]
