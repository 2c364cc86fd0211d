"""`POST /v1/messages`, `…/count_tokens`, `GET …/{message_id}`; under `/anthropic` too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from service.core.completion import AnswerHead, Collector, Completion
from service.core.conversation import Conversation
from service.core.dialects.anthropic_messages.models import encode_token_count
from service.core.dialects.anthropic_messages.request import decode_request
from service.core.dialects.anthropic_messages.response import encode_completion
from service.core.dialects.anthropic_messages.stream import StreamEncoder
from service.core.errors import NotFound
from service.core.events import Event, Failed
from service.core.tokens import quick_prompt_tokens
from service.gateway.chat import Answer
from service.web.body import read_body
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.errors import request_id_headers
from service.web.headers import anthropic_limit_headers, notes_header
from service.web.stream import ClientStream

_MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9]{16,64}")


async def create(request: web.Request) -> web.StreamResponse:
    """Decode, answer, keep the message for `GET`, and settle on the way out."""
    services, record, key = request.app[SERVICES], request[RECORD], request[API_KEY]
    decoded = decode_request(await read_body(request))
    record.notes += decoded.notes
    conversation = _as_promised(decoded.conversation)
    async with services.chat.open(conversation, key=key, record=record) as answer:
        head = AnswerHead(
            answer_id=services.ids.new("msg_"), model=answer.model, created_at_s=int(services.clock.unix_s())
        )
        if conversation.streams:
            return await _streamed(request, answer, head, conversation)
        body = encode_completion(await answer.complete(), head)
        _keep(request, head, body)
        record.bytes_out = len(body)
        return web.Response(body=body, content_type="application/json", headers=_headers(request, answer))


async def _streamed(
    request: web.Request, answer: Answer, head: AnswerHead, conversation: Conversation
) -> web.StreamResponse:
    encoder = StreamEncoder(
        head, input_tokens_estimate=quick_prompt_tokens(conversation), request_id=request[RECORD].request_id
    )
    collected = _Kept()
    stream = ClientStream(request, encoder, lambda: _headers(request, answer), tap=collected.feed)
    response = await stream.send(answer)
    if (completion := collected.completion()) is not None:
        _keep(request, head, encode_completion(completion, head))
    return response


class _Kept:
    """Collects a streamed answer for `GET`; one that failed is not kept."""

    def __init__(self) -> None:
        self._collector: Collector | None = Collector()

    def feed(self, event: Event) -> None:
        if isinstance(event, Failed):
            self._collector = None
        elif self._collector is not None:
            self._collector.feed(event)

    def completion(self) -> Completion | None:
        try:
            return self._collector.completion() if self._collector is not None else None
        except ValueError:
            return None


def _as_promised(conversation: Conversation) -> Conversation:
    """What Anthropic promises without being asked: the stop sequence is told, a schema is kept."""
    if conversation.sampling.stop:
        conversation = replace(conversation, sampling=replace(conversation.sampling, reports_stop=True))
    if conversation.response_format.schema is not None:
        strict = replace(conversation.response_format, strict=True)
        conversation = replace(conversation, response_format=strict)
    return conversation


def _keep(request: web.Request, head: AnswerHead, body: bytes) -> None:
    """Off the client's path; a Redis that is away costs the copy, not the answer."""
    services = request.app[SERVICES]
    saved = services.objects.save("message", request[API_KEY].key_id, {head.answer_id: body})
    services.background.spawn(saved, name="keep_message")


async def count_tokens(request: web.Request) -> web.Response:
    """A local count: nothing is sent upstream and nothing charged."""
    services, record = request.app[SERVICES], request[RECORD]
    decoded = decode_request(await read_body(request))
    resolution = services.models.resolve(decoded.conversation.model)
    record.notes += (*decoded.notes, *resolution.notes)
    return _json(request, encode_token_count(await services.token_counter.count(decoded.conversation)))


async def show(request: web.Request) -> web.Response:
    """A message that this key was given before. Raises NotFound."""
    message_id = request.match_info["message_id"]
    found: Mapping[str, bytes] = {}
    if _MESSAGE_ID.fullmatch(message_id):
        objects = request.app[SERVICES].objects
        found = await objects.load("message", request[API_KEY].key_id, [message_id])
    if message_id not in found:
        raise NotFound("No message with this id is kept for this API key.")
    return _json(request, found[message_id])


def _json(request: web.Request, body: bytes) -> web.Response:
    headers = {**request_id_headers(request), **notes_header(request[RECORD].notes)}
    return web.Response(body=body, content_type="application/json", headers=headers)


def _headers(request: web.Request, answer: Answer) -> dict[str, str]:
    record = request[RECORD]
    return {
        **request_id_headers(request),
        **notes_header(record.notes),
        **anthropic_limit_headers(answer.admission, now_s=request.app[SERVICES].clock.unix_s()),
    }
