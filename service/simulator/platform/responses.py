"""`POST /v1/responses`, the answer: one object, or the events of mimo-api.md, section 1.6.

Every event has `type` and `sequence_number`. There is no `response.failed`, no `error` event, no summary.
"""

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
from service.simulator.platform.responses_request import check_responses
from service.simulator.world import Account, World

Item = dict[str, object]
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesWire:
    """Responses, stream and not."""

    endpoint = "responses"

    def authenticate(self, world: World, request: web.Request) -> Account:
        return accounts.authenticate(world, request)

    def decode(self, world: World, account: Account, request: web.Request, raw: bytes) -> Asked:
        streams = False
        try:
            body = accounts.decode_body(raw)
            streams = accounts.wants_stream(body)
            ask = check_responses(body, accounts.find_model(world, account, body))
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
        return orjson.dumps(_response(made, f"resp_{made.world.next_id()}", _items(made)))

    def stream(self, made: Made) -> list[bytes]:
        return _Events(made).frames()


def _response(made: Made, identity: str, output: list[Item], *, status: str | None = None) -> Item:
    reason = _INCOMPLETE.get(made.answer.finish)
    ended = status is None
    if status is None:
        status = "incomplete" if reason else "completed"
    return {
        "id": identity,
        "object": "response",
        "created_at": made.world.options.created_at_s,
        "model": made.model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason and ended else None,
        "output": output,
        "usage": _usage_json(made.usage) if ended and made.usage is not None else None,
    }


def _usage_json(usage: Usage) -> Item:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _items(made: Made) -> list[Item]:
    """The finished output items: reasoning in plain text, the message, the calls."""
    answer, world = made.answer, made.world
    items: list[Item] = []
    if answer.reasoning:
        content = [{"type": "reasoning_text", "text": answer.reasoning}]
        items.append({"id": f"rs_{world.next_id()}", "type": "reasoning", "summary": [], "content": content})
    if answer.text or not answer.calls:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        items.append(
            {
                "id": f"msg_{world.next_id()}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    return items + [_call_item(world, call) for call in answer.calls]


def _call_item(world: World, call: Call) -> Item:
    return {
        "id": f"fc_{world.next_id()}",
        "type": "function_call",
        "call_id": call_id(world),
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


class _Events:
    """The events of one stream, items in order, each opened and closed."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._built: list[bytes] = []

    def frames(self) -> list[bytes]:
        made = self._made
        identity = f"resp_{made.world.next_id()}"
        opened = _response(made, identity, [], status="in_progress")
        self._add("response.created", {"response": opened})
        self._add("response.in_progress", {"response": opened})
        items = _items(made)
        for index, item in enumerate(items):
            self._item(index, item)
        ended = _response(made, identity, items)
        self._add(f"response.{ended['status']}", {"response": ended})
        return self._built

    def _add(self, event: str, fields: Mapping[str, object]) -> None:
        data = orjson.dumps({"type": event, "sequence_number": len(self._built), **fields})
        self._built.append(b"event: %b\ndata: %b\n\n" % (event.encode(), data))

    def _item(self, index: int, item: Item) -> None:
        place: Item = {"output_index": index, "item_id": item["id"]}
        begun: Item = {**item, "status": "in_progress"}
        if item["type"] == "function_call":
            begun["arguments"] = ""
        else:
            begun["content"] = []
        self._add("response.output_item.added", {"output_index": index, "item": begun})
        match item["type"]:
            case "reasoning":
                self._part(place, "reasoning_text", self._made.answer.reasoning)
            case "message":
                self._part(place, "output_text", self._made.answer.text)
            case _:
                self._arguments(place, str(item["name"]), str(item["arguments"]))
        self._add("response.output_item.done", {"output_index": index, "item": item})

    def _part(self, place: Mapping[str, object], kind: str, text: str) -> None:
        place = {**place, "content_index": 0}
        extra: Item = {"annotations": []} if kind == "output_text" else {}
        self._add("response.content_part.added", {**place, "part": {"type": kind, "text": "", **extra}})
        for piece in self._made.pieces(text):
            self._add(f"response.{kind}.delta", {**place, "delta": piece})
        self._add(f"response.{kind}.done", {**place, "text": text})
        self._add("response.content_part.done", {**place, "part": {"type": kind, "text": text, **extra}})

    def _arguments(self, place: Mapping[str, object], name: str, arguments: str) -> None:
        for piece in self._made.pieces(arguments):
            self._add("response.function_call_arguments.delta", {**place, "delta": piece})
        done = {**place, "name": name, "arguments": arguments}
        self._add("response.function_call_arguments.done", done)
