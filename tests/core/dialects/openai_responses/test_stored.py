"""What the store's routes answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses.response_item_list import ResponseItemList

from service.core.dialects.openai_responses.stored import (
    encode_deleted,
    encode_end,
    encode_input_items,
    events_after,
    failed_response,
    sequence_numbers,
    stored_items,
)
from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.errors import Internal, InvalidRequest
from service.core.events import Finish, FinishReason, TextDelta
from tests.core.dialects.openai_responses.samples import HEAD, counter, request_of
from tests.grammar.openai_responses import check_stream

_ITEMS = [{"id": f"msg_{n}", "type": "message", "role": "user", "content": []} for n in range(5)]


@pytest.mark.parametrize(
    ("item", "stored"),
    [
        pytest.param(
            {"role": "user", "content": "hi"},
            {
                "id": "msg_1",
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "hi"}],
            },
            id="an easy message",
        ),
        pytest.param(
            {"role": "assistant", "content": "hi", "status": "incomplete"},
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "incomplete",
                "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}],
            },
            id="an easy answer",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {
                "id": "msg_1",
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "hi"}],
            },
            id="a message of parts",
        ),
        pytest.param(
            {"type": "function_call_output", "call_id": "c", "output": "ok", "id": None},
            {"id": "fco_1", "type": "function_call_output", "call_id": "c", "output": "ok"},
            id="an output",
        ),
        pytest.param(
            {"type": "reasoning", "id": "rs_7", "summary": []},
            {"id": "rs_7", "type": "reasoning", "summary": []},
            id="an item with an id keeps it",
        ),
        pytest.param(
            {"type": "compaction", "encrypted_content": "x"},
            {"id": "item_1", "type": "compaction", "encrypted_content": "x"},
            id="an item of another type",
        ),
    ],
)
def test_stored_item(item: dict[str, Any], stored: dict[str, Any]) -> None:
    before = orjson.dumps(item)
    assert stored_items([item], counter()) == [stored]
    assert orjson.dumps(item) == before


def test_stored_input_of_a_request_can_be_listed() -> None:
    request = request_of(
        input=[
            {"role": "user", "content": "hi"},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}", "status": "completed"},
            {"type": "function_call_output", "call_id": "c", "output": "ok", "status": "completed"},
            {"type": "custom_tool_call", "call_id": "d", "name": "b", "input": "x", "status": "completed"},
            {"role": "assistant", "content": "done"},
        ]
    )
    body = orjson.loads(encode_input_items(stored_items(request.items, counter()), order="asc"))
    ResponseItemList.model_validate(body)
    assert [item["type"] for item in body["data"]][:2] == ["message", "reasoning"]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        pytest.param({}, "43210", False, id="newest first"),
        pytest.param({"order": "asc"}, "01234", False, id="oldest first"),
        pytest.param({"limit": 2}, "43", True, id="a page"),
        pytest.param({"limit": 2, "after": "msg_3"}, "21", True, id="the next page"),
        pytest.param({"limit": 2, "after": "msg_1"}, "0", False, id="the last page"),
        pytest.param({"limit": 2, "before": "msg_1"}, "32", True, id="the page before"),
        pytest.param({"limit": 3, "before": "msg_2", "order": "asc"}, "01", False, id="the first page again"),
        pytest.param({"after": "msg_4", "before": "msg_1"}, "32", False, id="between two"),
        pytest.param({"after": "msg_0"}, "", False, id="nothing left"),
    ],
)
def test_input_items(query: dict[str, Any], ids: str, has_more: bool) -> None:
    body = orjson.loads(encode_input_items(_ITEMS, **query))
    assert [item["id"] for item in body["data"]] == [f"msg_{n}" for n in ids]
    assert body["has_more"] is has_more
    assert body["object"] == "list"
    assert body["first_id"] == (f"msg_{ids[0]}" if ids else None)
    assert body["last_id"] == (f"msg_{ids[-1]}" if ids else None)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_9"}, "after"),
        ({"before": "msg_9"}, "before"),
    ],
)
def test_malformed_query_names_its_field(query: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        encode_input_items(_ITEMS, **query)
    assert refused.value.param == param


def test_deleted() -> None:
    assert orjson.loads(encode_deleted("resp_1")) == {"id": "resp_1", "object": "response", "deleted": True}


def test_stream_goes_on_from_where_it_broke() -> None:
    encoder = StreamEncoder(HEAD, request_of(), new_id=counter())
    # The model may write what looks like a number of ours: only the event's own one counts.
    events = [TextDelta('"sequence_number":99'), TextDelta("b"), Finish(FinishReason.STOP)]
    raw = encoder.ping() + b"".join(map(encoder.feed, events))
    whole = check_stream(raw)
    for number in range(len(whole)):
        rest = events_after(raw, number)
        if number + 1 < len(whole):
            assert check_stream(rest, first_number=number + 1) == whole[number + 1 :]
        else:
            assert rest == b""


def test_numbers_of_a_stream_are_its_events_own() -> None:
    encoder = StreamEncoder(HEAD, request_of(), new_id=counter())
    events = [TextDelta('"sequence_number":99'), Finish(FinishReason.STOP)]
    raw = encoder.ping() + b"".join(map(encoder.feed, events))
    assert sequence_numbers(raw) == list(range(encoder.next_sequence_number))
    assert sequence_numbers(b"") == []


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("completed", "response.completed"),
        ("incomplete", "response.incomplete"),
        ("failed", "response.failed"),
        ("cancelled", "error"),
    ],
)
def test_end_of_a_stored_response_is_the_event_of_its_status(status: str, name: str) -> None:
    raw = encode_end({"id": "resp_1", "status": status}, sequence_number=7)
    (event,) = check_stream(raw, first_number=7)
    assert event["type"] == name
    assert event.get("code") == ("response_cancelled" if status == "cancelled" else None)


def test_response_that_never_ended_has_failed() -> None:
    running = {"id": "resp_1", "status": "in_progress", "error": None, "output": []}
    failed = failed_response(running, Internal())
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert running["status"] == "in_progress"
