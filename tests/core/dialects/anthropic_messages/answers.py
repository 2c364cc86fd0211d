"""How the tests of this dialect write and read answers: our bytes, read by the real package's own types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from service.core.completion import AnswerHead
from service.core.dialects.anthropic_messages.stream import StreamEncoder
from service.core.errors import GatewayError
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    Notice,
    Usage,
    UsageReport,
)
from tests.grammar.anthropic_messages import Frame, check_stream

HEAD = AnswerHead(answer_id="msg_1", model="mimo-v2.6-pro", created_at_s=1_760_000_000)
ESTIMATE = 9

_STREAM_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def encoded(events: Iterable[Event], *, input_tokens_estimate: int = ESTIMATE) -> bytes:
    """The bytes of a whole stream."""
    encoder = StreamEncoder(HEAD, input_tokens_estimate=input_tokens_estimate, request_id="req_1")
    return b"".join(map(encoder.feed, events))


def checked(events: Iterable[Event]) -> list[Frame]:
    """The frames of a whole stream that keeps the grammar and fits the real package's types."""
    frames = check_stream(encoded(events))
    for frame in frames:
        if frame["type"] not in ("ping", "error"):
            _STREAM_EVENT.validate_python(frame)
    return frames


def accumulated(frames: Iterable[Frame]) -> dict[str, Any]:
    """The message that the real package builds from a stream, as plain JSON."""
    snapshot = None
    buffers: dict[int, bytes] = {}
    for frame in frames:
        snapshot = accumulate_event(
            event=_STREAM_EVENT.validate_python(frame), current_snapshot=snapshot, json_bufs=buffers
        )
    assert snapshot is not None
    return as_json(snapshot)


def as_json(message: Message) -> dict[str, Any]:
    """A message of the package without what it fills in by itself."""
    plain: dict[str, Any] = orjson.loads(message.model_dump_json(exclude_none=True))
    for block in plain["content"]:
        block.pop("parsed_output", None)
    return plain


def as_heard(events: Iterable[Event]) -> list[object]:
    """What a client must hear of a stream: asides are not told, a usage always is (but before a failure), and
    failures are told without their kind.
    """
    heard: list[object] = []
    has_usage = False
    for event in events:
        if isinstance(event, Finish) and not has_usage:
            heard.append(Usage(input_tokens=ESTIMATE))
        if isinstance(event, UsageReport):
            has_usage = True
            heard.append(replace(event.usage, searches=0))  # told by the asides, too
        elif isinstance(event, Failed):
            heard = [item for item in heard if not isinstance(item, Usage)]
            heard.append(GatewayError)
        elif not isinstance(event, Citation | Notice):
            heard.append(event)
    return heard
