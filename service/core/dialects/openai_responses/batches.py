"""A request to `/v1/responses` as a line of a batch: decoded without a store, answered as one value.

What would need the gateway's store (an earlier response, stored items, background mode) is refused, with
the field's name: a line has to hold all of its conversation."""

from __future__ import annotations

from service.core.completion import AnswerHead, Completion
from service.core.dialects.openai_responses.fields import refuse
from service.core.dialects.openai_responses.output import NewId
from service.core.dialects.openai_responses.request import ResponsesRequest, decode_request
from service.core.dialects.openai_responses.response import encode_completion


def decode_params(body: bytes) -> ResponsesRequest:
    """A stored line's request. Raises InvalidRequest."""
    request = decode_request(body)
    if request.conversation.streams:
        refuse("stream", "Streaming is not supported in batches.")
    if request.is_background:
        refuse("background", "Background mode is not supported in batches.")
    if request.previous_response_id is not None:
        refuse("previous_response_id", "Batches do not continue stored responses: send all items.")
    if request.references:
        refuse("input", "Batches do not read stored items: send the items themselves.")
    return request


def encode_answer(
    completion: Completion, head: AnswerHead, *, request: ResponsesRequest, new_id: NewId
) -> bytes:
    return encode_completion(completion, head, request, new_id=new_id).body
