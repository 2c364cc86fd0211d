"""A whole answer -> the `response` object of a request that did not stream."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from service.core.completion import (
    AnswerHead,
    AnswerReasoning,
    AnswerSearch,
    AnswerText,
    CalledTool,
    Completion,
)
from service.core.dialects.openai_responses.errors import response_error
from service.core.dialects.openai_responses.freeform import freeform_input
from service.core.dialects.openai_responses.output import (
    COMPLETED,
    FAILED,
    INCOMPLETE,
    Item,
    NewId,
    ResponseFrame,
    Seal,
    action_item,
    citation_annotations,
    custom_item,
    ended_status,
    function_item,
    message_item,
    reasoning_item,
    search_item,
    text_part,
    whole_arguments,
)
from service.core.dialects.openai_responses.request import ResponsesRequest
from service.core.dialects.openai_responses.tools import ClientTool, Shape
from service.core.errors import GatewayError
from service.core.events import Citation


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """The object, and its output items for the store."""

    response: dict[str, object]
    output: list[Item]

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.response)


def encode_completion(
    completion: Completion,
    head: AnswerHead,
    request: ResponsesRequest,
    *,
    new_id: NewId,
    seal: Seal | None = None,
) -> EncodedResponse:
    """The answer as a response of status completed or incomplete.

    `new_id` makes an id of a prefix (`msg_`, `rs_`, `fc_`, …); `seal` turns reasoning into the opaque
    `encrypted_content` for clients that ask for it. A text or reasoning that the limit cut off is marked
    incomplete, and so is a call without its end. It is what StreamEncoder gives for the same events, apart
    from the ids."""
    status = ended_status(completion.finish)
    seal = seal if request.wants_sealed_reasoning else None
    output: list[Item] = []
    uncited: list[Citation] = []
    last = len(completion.parts) - 1
    for index, part in enumerate(completion.parts):
        part_status = status if index == last else COMPLETED
        match part:
            case AnswerReasoning():
                sealed = seal(part.text) if seal else None
                output.append(reasoning_item(new_id("rs_"), part.text, part_status, sealed=sealed))
            case AnswerText():
                content = [text_part(part.text, citation_annotations(uncited, part.text))]
                uncited = []
                output.append(message_item(new_id("msg_"), content, part_status))
            case AnswerSearch():
                uncited += part.sources
                shows = request.wants_sources
                output.append(search_item(new_id("ws_"), part.sources, COMPLETED, shows_sources=shows))
            case CalledTool():  # pragma: no branch - the last of them
                output.append(_call_item(part, request.bridge.client_tool(part.name), new_id))
    response = ResponseFrame(head, request).response(
        status, output, usage=completion.usage, finish=completion.finish
    )
    return EncodedResponse(response, output)


def encode_status(head: AnswerHead, request: ResponsesRequest, status: str) -> EncodedResponse:
    """A response without an answer: queued or in_progress (what a background request is told), cancelled."""
    return EncodedResponse(ResponseFrame(head, request).response(status), [])


def encode_failure(error: GatewayError, head: AnswerHead, request: ResponsesRequest) -> EncodedResponse:
    """A failed response, for a background request that is polled; others get the HTTP error."""
    frame = ResponseFrame(head, request)
    return EncodedResponse(frame.response(FAILED, error=response_error(error)), [])


def _call_item(call: CalledTool, tool: ClientTool, new_id: NewId) -> Item:
    if tool.shape is Shape.CUSTOM:
        text = freeform_input(call.arguments, is_complete=call.is_complete)
        status = COMPLETED if call.is_complete else INCOMPLETE
        return custom_item(new_id("ctc_"), call.call_id, tool, text, status)
    if not call.is_complete:
        return function_item(new_id("fc_"), call.call_id, tool, call.arguments, INCOMPLETE)
    if tool.shape is Shape.FUNCTION:
        arguments = whole_arguments(call.arguments)
        return function_item(new_id("fc_"), call.call_id, tool, arguments, COMPLETED)
    return action_item(new_id, call.call_id, tool, call.arguments)
