"""Golden conversations: what each holds, and how one runs through the pure core.

A folder of tests/golden/conversations/ is one conversation:
- `case.json`: its title, the request in each dialect, the upstream's HTTP status by wire;
- `platform.stream`, `platform.whole`, `studio.stream`: the upstream's bytes, recorded from the simulator;
- all other files are expected, and written by `make golden`: `request.<wire>.json` what the upstream is
  asked, `events.json` what its bytes mean, `<dialect>.sse` and `<dialect>.json` what the client gets. Where
  one wire or one dialect has its own answer, its name stands in the file's: `events.studio.json`,
  `chat.studio.sse`, `request.platform.messages.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from service.config import AccountKind
from service.core.completion import AnswerHead, collect
from service.core.conversation import Conversation
from service.core.dialects.anthropic_messages import errors as messages_errors
from service.core.dialects.anthropic_messages import request as messages_request
from service.core.dialects.anthropic_messages import response as messages_response
from service.core.dialects.anthropic_messages import stream as messages_stream
from service.core.dialects.openai_chat import errors as chat_errors
from service.core.dialects.openai_chat import request as chat_request
from service.core.dialects.openai_chat import response as chat_response
from service.core.dialects.openai_chat import stream as chat_stream
from service.core.dialects.openai_responses import errors as responses_errors
from service.core.dialects.openai_responses import request as responses_request
from service.core.dialects.openai_responses import response as responses_response
from service.core.dialects.openai_responses import stream as responses_stream
from service.core.errors import GatewayError
from service.core.events import Event, Failed
from service.core.pipeline import AnswerSource, Encoder
from service.core.upstreams import mimo_platform, mimo_studio, studio_stream
from service.gateway.stages import stages_for
from tests.fakes.clock import CountingIds

FOLDER = Path(__file__).parent / "conversations"
DIALECTS = ("chat", "messages", "responses")
WIRES = ("platform", "studio")
MODEL = "mimo-v2.6-pro"
REQUEST_ID = "req_1"


@dataclass(frozen=True)
class Case:
    """One conversation's folder."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def meta(self) -> dict[str, Any]:
        return orjson.loads((self.folder / "case.json").read_bytes())

    @property
    def wires(self) -> list[str]:
        return [wire for wire in WIRES if wire in self.meta["statuses"]]

    @property
    def inputs(self) -> set[str]:
        names = {f"{wire}.stream" for wire in self.wires}
        return names | {"case.json"} | ({"platform.whole"} if "platform" in self.wires else set())

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


CASES = [Case(folder) for folder in sorted(FOLDER.iterdir())]


@dataclass(frozen=True)
class Asked:
    """A request of one dialect, and what its encoders need of it."""

    dialect: str
    conversation: Conversation
    responses: responses_request.ResponsesRequest | None = None

    def encoder(self) -> Encoder:
        head = AnswerHead(answer_id=f"{self.dialect}_1", model=MODEL, created_at_s=1_790_000_000)
        if self.dialect == "chat":
            return chat_stream.StreamEncoder(head, includes_usage=True)
        if self.dialect == "messages":
            return messages_stream.StreamEncoder(head, input_tokens_estimate=30, request_id=REQUEST_ID)
        return responses_stream.StreamEncoder(head, self.responses, new_id=CountingIds().new)

    def whole(self, events: list[Event]) -> bytes:
        """The answer that did not stream, or its refusal as `{"status", "body"}`."""
        head = AnswerHead(answer_id=f"{self.dialect}_1", model=MODEL, created_at_s=1_790_000_000)
        try:
            completion = collect(events)
        except GatewayError as error:
            return self.refusal(error)
        if self.dialect == "chat":
            return chat_response.encode_completion(completion, head)
        if self.dialect == "messages":
            return messages_response.encode_completion(completion, head)
        new_id = CountingIds().new
        return responses_response.encode_completion(completion, head, self.responses, new_id=new_id).body

    def refusal(self, error: GatewayError) -> bytes:
        encode: Mapping[str, Callable[[GatewayError], tuple[int, bytes]]] = {
            "chat": chat_errors.encode_error,
            "messages": lambda error: messages_errors.encode_error(error, request_id=REQUEST_ID),
            "responses": responses_errors.encode_error,
        }
        status, body = encode[self.dialect](error)
        return orjson.dumps({"status": status, "body": orjson.loads(body)})


def asked(case: Case, dialect: str, *, streams: bool) -> Asked:
    """The case's request in `dialect`, decoded."""
    body = orjson.dumps({**case.meta["requests"][dialect], "stream": streams})
    if dialect == "chat":
        return Asked(dialect, chat_request.decode_request(body))
    if dialect == "messages":
        conversation = messages_request.decode_request(body).conversation
        # As web/messages.py has it: this dialect tells which sequence ended the answer.
        sampling = replace(conversation.sampling, reports_stop=bool(conversation.sampling.stop))
        return Asked(dialect, replace(conversation, sampling=sampling))
    request = responses_request.decode_request(body)
    return Asked(dialect, request.conversation, request)


def upstream_request(one: Asked, wire: str) -> bytes:
    """What the upstream is asked, without what is another one each time."""
    if wire == "platform":
        return mimo_platform.encode_request(one.conversation).body
    request = mimo_studio.encode_request(one.conversation, message_id="m" * 32, conversation_id="c" * 32)
    media = [{"mediaType": str(media.kind)} for media in request.media]
    return mimo_studio.with_media(request, media)


def events_of(case: Case, one: Asked, wire: str, *, streams: bool, cut: int = 0) -> list[Event]:
    """The case's bytes through the wire's decoder and the stages; `cut` bytes at a time (0: all at once).

    Raises the error of a status that is no answer."""
    data = case.read(f"{wire}.stream" if streams or wire == "studio" else f"{wire}.whole")
    status = case.meta["statuses"][wire]
    if status != 200:
        decode_error = mimo_platform.decode_error if wire == "platform" else mimo_studio.decode_error
        raise decode_error(status, data, retry_after_s=7)
    conversation = replace(one.conversation, streams=streams)
    decoder = mimo_platform.decoder_for(conversation) if wire == "platform" else studio_stream.StudioDecoder()
    ids = CountingIds()
    stages = stages_for(
        conversation, AccountKind(wire), new_call_id=lambda: ids.new("call_"), offers_tools=True
    )
    source = AnswerSource(decoder, stages)
    events: list[Event] = []
    for start in range(0, len(data), cut or len(data)):
        events += source.feed(data[start : start + (cut or len(data))])
    return events + source.finish()


def events_json(events: list[Event]) -> bytes:
    """One event a line, as its name and its fields."""
    return b"[\n" + b",\n".join(map(_event_json, events)) + b"\n]\n"


def _event_json(event: Event) -> bytes:
    if isinstance(event, Failed):
        error = event.error
        return orjson.dumps({"event": "Failed", "kind": str(error.kind), "message": error.message})
    return orjson.dumps({"event": type(event).__name__, **dataclasses.asdict(event)})


def pretty(body: bytes) -> bytes:
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2) + b"\n"
