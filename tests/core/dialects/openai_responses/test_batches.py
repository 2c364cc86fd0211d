"""A line of a batch for `/v1/responses`: whole in itself, answered as one value."""

from __future__ import annotations

import orjson
import pytest

from service.core.completion import AnswerHead, AnswerText, Completion
from service.core.dialects.openai_responses.batches import decode_params, encode_answer
from service.core.errors import InvalidRequest
from service.core.events import Finish, FinishReason

BODY = {"model": "m", "input": "Hi"}


def test_a_line_is_answered_with_a_response() -> None:
    request = decode_params(orjson.dumps(BODY))
    completion = Completion(parts=(AnswerText(text="Hello"),), finish=Finish(FinishReason.STOP), usage=None)
    head = AnswerHead(answer_id="resp_1", model="m", created_at_s=1)
    body = encode_answer(completion, head, request=request, new_id=lambda prefix: f"{prefix}1")
    response = orjson.loads(body)
    assert (response["id"], response["status"]) == ("resp_1", "completed")
    assert response["output"][0]["content"][0]["text"] == "Hello"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"stream": True}, "stream"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ],
)
def test_what_needs_the_gateways_store_is_refused(change: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_params(orjson.dumps(BODY | change))
    assert refused.value.param == param
