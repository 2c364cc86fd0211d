"""`POST /anthropic/v1/messages`, the answer: one message, or the events of mimo-api.md, section 1.7.

No `ping`, no `signature_delta`, no `error` event: none of them is documented for MiMo."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from service.core.events import Usage
from service.simulator.brain import Call
from service.simulator.directives import NO_DIRECTIVE, Directive
from service.simulator.engine import Asked, Made, Refusal
from service.simulator.platform import accounts, errors
from service.simulator.platform.chat import call_id
from service.simulator.platform.errors import Wrong
from service.simulator.platform.messages_request import check_messages
from service.simulator.world import Account, World

STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filter",
    "repetition_truncation": "repetition_truncation",
}


class MessagesWire:
    """Messages, stream and not."""

    endpoint = "messages"

    def authenticate(self, world: World, request: web.Request) -> Account:
        return accounts.authenticate(world, request)

    def decode(self, world: World, account: Account, request: web.Request, raw: bytes) -> Asked:
        streams = False
        try:
            body = accounts.decode_body(raw)
            streams = accounts.wants_stream(body)
            ask = check_messages(body, accounts.find_model(world, account, body), world.options)
        except Wrong as wrong:
            raise errors.wrong_request(world, wrong, streams=streams) from wrong
        return Asked(ask, streams)

    def refusal(
        self, world: World, status: int, *, streams: bool, directive: Directive = NO_DIRECTIVE
    ) -> Refusal:
        return errors.refusal(world, status, streams=streams, directive=directive)

    def moderated(self, made: Made) -> list[bytes]:
        raise errors.refusal(made.world, 421, streams=True, directive=made.directive)

    def error_frame(self, text: str) -> bytes:
        return errors.error_frame(text)

    def hold_s(self, world: World) -> float:
        return 0.0

    def whole(self, made: Made) -> bytes:
        content: list[dict[str, object]] = []
        answer = made.answer
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": ""})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        content += [_tool_use(made.world, call) for call in answer.calls]
        message = _message(made, content=content, stop_reason=_stop_reason(made))
        if made.usage is not None:
            message["usage"] = _usage_json(made, made.usage)
        return orjson.dumps(message)

    def stream(self, made: Made) -> list[bytes]:
        return _Events(made).frames()


def _tool_use(world: World, call: Call) -> dict[str, object]:
    return {"type": "tool_use", "id": call_id(world), "name": call.name, "input": call.values}


def _stop_reason(made: Made) -> str:
    return STOP_REASONS.get(made.answer.finish, made.answer.finish)


def _message(made: Made, *, content: list[dict[str, object]], stop_reason: str | None) -> dict[str, object]:
    return {
        "id": made.world.next_id(),
        "type": "message",
        "role": "assistant",
        "model": made.model,
        "stop_reason": stop_reason,
        "content": content,
    }


def _usage_json(made: Made, usage: Usage) -> dict[str, object]:
    """Whether `input_tokens` includes the cached ones is not stated (section 6): an option, no by default."""
    includes = made.world.options.messages_input_includes_cached
    return {
        "input_tokens": usage.input_tokens - (0 if includes else usage.cached_tokens),
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cached_tokens or None,
    }


class _Events:
    """The events of one stream, blocks in order."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._built: list[bytes] = []
        self._index = 0

    def frames(self) -> list[bytes]:
        made = self._made
        start = _message(made, content=[], stop_reason=None)
        if made.usage is not None:
            start["usage"] = {**_usage_json(made, made.usage), "output_tokens": 0}
        self._add("message_start", {"message": start})
        if made.answer.reasoning:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            self._block(block, "thinking_delta", "thinking", made.pieces(made.answer.reasoning))
        if made.answer.text:
            block = {"type": "text", "text": ""}
            self._block(block, "text_delta", "text", made.pieces(made.answer.text))
        for call in made.answer.calls:
            use: dict[str, object] = {**_tool_use(made.world, call), "input": {}}
            self._block(use, "input_json_delta", "partial_json", made.pieces(call.arguments))
        end: dict[str, object] = {"delta": {"stop_reason": _stop_reason(made)}}
        if made.usage is not None:
            end["usage"] = _usage_json(made, made.usage)
        self._add("message_delta", end)
        self._add("message_stop", {})
        return self._built

    def _add(self, event: str, fields: Mapping[str, object]) -> None:
        data = orjson.dumps({"type": event, **fields})
        self._built.append(b"event: %b\ndata: %b\n\n" % (event.encode(), data))

    def _block(self, block: Mapping[str, object], delta: str, field: str, pieces: list[str]) -> None:
        self._add("content_block_start", {"index": self._index, "content_block": block})
        head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b","%b":' % (self._index, delta.encode(), field.encode())
        )
        for piece in pieces:
            self._built.append(head + orjson.dumps(piece) + b"}}\n\n")
        self._add("content_block_stop", {"index": self._index})
        self._index += 1
