"""`POST /v1/chat/completions`."""

from __future__ import annotations

from aiohttp import web

from service.core.completion import AnswerHead
from service.core.conversation import ToolKind
from service.core.dialects.openai_chat.audio import is_spoken
from service.core.dialects.openai_chat.request import decode_body
from service.core.dialects.openai_chat.response import encode_completion
from service.core.dialects.openai_chat.stream import StreamEncoder
from service.core.json_body import decode_object
from service.gateway.chat import Answer
from service.web import audio
from service.web.body import read_body
from service.web.context import API_KEY, RECORD, SERVICES
from service.web.headers import REQUEST_ID, notes_header, openai_limit_headers
from service.web.stream import ClientStream


async def create(request: web.Request) -> web.StreamResponse:
    """Decode, answer, and settle on the way out."""
    services, record = request.app[SERVICES], request[RECORD]
    body = decode_object(await read_body(request))
    if is_spoken(body):
        return await audio.chat(request, body)
    conversation = decode_body(body)
    del body  # may be megabytes
    custom_tools = {tool.name for tool in conversation.tools if tool.kind is ToolKind.CUSTOM}
    async with services.chat.open(conversation, key=request[API_KEY], record=record) as answer:
        head = AnswerHead(
            answer_id=services.ids.new("chatcmpl-"),
            model=answer.model,
            created_at_s=int(services.clock.unix_s()),
        )
        if conversation.streams:
            encoder = StreamEncoder(
                head, includes_usage=conversation.includes_usage, custom_tools=custom_tools
            )
            return await ClientStream(request, encoder, lambda: _headers(request, answer)).send(answer)
        encoded = encode_completion(await answer.complete(), head, custom_tools=custom_tools)
        record.bytes_out = len(encoded)
        return web.Response(body=encoded, content_type="application/json", headers=_headers(request, answer))


def _headers(request: web.Request, answer: Answer) -> dict[str, str]:
    record = request[RECORD]
    return {
        REQUEST_ID: record.request_id,
        **notes_header(record.notes),
        **openai_limit_headers(answer.admission),
    }
