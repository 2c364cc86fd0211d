"""Message batches: elements in, objects and lines out, as the real package reads them."""

from __future__ import annotations

import orjson
import pytest
from anthropic.types.messages import (
    DeletedMessageBatch,
    MessageBatch,
    MessageBatchIndividualResponse,
)

from service.core.batches import Batch, BatchKind, BatchState, Counts, ItemResult, ItemStatus
from service.core.completion import AnswerHead, AnswerText, Completion
from service.core.dialects.anthropic_messages import batches
from service.core.dialects.anthropic_messages.response import encode_completion
from service.core.errors import InvalidRequest, UpstreamUnavailable
from service.core.events import Finish, FinishReason, Usage

PARAMS = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
URL = "https://gateway.example/results"


def batch_of(state: BatchState, **counts: int) -> Batch:
    return Batch(
        batch_id="msgbatch_1",
        key_id="k",
        kind=BatchKind.MESSAGES,
        state=state,
        counts=Counts(total=10, **counts),
        created_at_s=1_790_000_000.25,
        expires_at_s=1_790_086_400.25,
        ended_at_s=1_790_000_100.0 if state is BatchState.ENDED else None,
        cancel_at_s=1_790_000_050.0 if state is BatchState.CANCELING else None,
    )


def test_a_request_and_a_task_become_items() -> None:
    body = orjson.dumps({"custom_id": "a-1", "params": PARAMS})
    item, conversation = batches.decode_item(body, name="requests", index=0)
    assert (item.custom_id, orjson.loads(item.body)) == ("a-1", PARAMS)
    assert conversation.turns[0].text == "Hi"
    assert batches.decode_params(item.body) == conversation
    for task, custom_id in (
        (PARAMS, "task-7"),
        ({**PARAMS, "custom_id": "own"}, "own"),
        ({"custom_id": "own", "params": PARAMS}, "own"),
    ):
        item, _ = batches.decode_item(orjson.dumps(task), name="tasks", index=7)
        assert (item.custom_id, orjson.loads(item.body)) == (custom_id, PARAMS)


@pytest.mark.parametrize(
    ("name", "element", "param"),
    [
        ("requests", {"custom_id": "a"}, "requests.3.params"),
        ("requests", {"params": PARAMS}, "requests.3.custom_id"),
        ("requests", {"custom_id": "ä", "params": PARAMS}, "requests.3.custom_id"),
        ("requests", {"custom_id": "x" * 65, "params": PARAMS}, "requests.3.custom_id"),
        ("requests", {"custom_id": "a", "params": {**PARAMS, "stream": True}}, "requests.3.params.stream"),
        ("requests", {"custom_id": "a", "params": {**PARAMS, "model": 1}}, "requests.3.params.model"),
        ("tasks", {**PARAMS, "messages": 1}, "tasks.3.messages"),
    ],
)
def test_the_field_at_fault_is_named(name: str, element: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        batches.decode_item(orjson.dumps(element), name=name, index=3)
    assert refused.value.param == param


def test_duplicates_and_empty_batches_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        batches.refuse_duplicate(name="requests", index=2)
    assert refused.value.param == "requests.2.custom_id"
    with pytest.raises(InvalidRequest):
        batches.refuse_empty()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (BatchState.VALIDATING, "in_progress"),
        (BatchState.IN_PROGRESS, "in_progress"),
        (BatchState.EXPIRING, "in_progress"),
        (BatchState.CANCELING, "canceling"),
        (BatchState.ENDED, "ended"),
        (BatchState.FAILED, "ended"),
    ],
)
def test_the_object_is_the_real_packages(state: BatchState, status: str) -> None:
    shown = batches.batch_object(batch_of(state, succeeded=8, errored=1, canceled=1), results_url=URL)
    batch = MessageBatch.model_validate_json(batches.encode_batch(shown), strict=False)
    assert batch.processing_status == status
    is_over = status == "ended"
    assert batch.results_url == (URL if is_over else None)
    counts = batch.request_counts
    assert (counts.processing, counts.succeeded) == ((0, 8) if is_over else (10, 0))
    assert (batch.cancel_initiated_at is not None) == (state is BatchState.CANCELING)
    assert shown["batch_id"] == "msgbatch_1"
    assert shown["created_at"] == "2026-09-21T14:13:20.250Z"


def test_what_older_clients_read_stands_beside() -> None:
    shown = batches.batch_object(batch_of(BatchState.ENDED, succeeded=10), results_url=URL)
    details = orjson.loads(batches.encode_details(shown))
    assert details["batch_details"]["status"] == "completed"
    assert "cancelled" in orjson.loads(batches.encode_canceled(shown))["message"]
    page = orjson.loads(batches.encode_page([shown], has_more=True))
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("msgbatch_1", "msgbatch_1", True)
    assert page["batches"] == page["data"]
    empty = orjson.loads(batches.encode_page([], has_more=False))
    assert (empty["first_id"], empty["last_id"]) == (None, None)
    assert DeletedMessageBatch.model_validate_json(batches.encode_deleted("x")).id == "x"


def test_lines_are_the_real_packages() -> None:
    completion = Completion(
        parts=(AnswerText(text="Hello"),), finish=Finish(FinishReason.STOP), usage=Usage(output_tokens=1)
    )
    message = encode_completion(completion, AnswerHead(answer_id="msg_1", model="m", created_at_s=1))
    failure = UpstreamUnavailable("away")
    lines = {
        "succeeded": batches.success_line('a"b', message),
        "errored": batches.error_line("b", failure, request_id="req_1"),
        "canceled": batches.result_line("c", ItemResult(status=ItemStatus.CANCELED)),
        "expired": batches.result_line("d", ItemResult(status=ItemStatus.EXPIRED)),
    }
    for kind, line in lines.items():
        assert b"\n" not in line
        assert MessageBatchIndividualResponse.model_validate_json(line).result.type == kind
    stored = ItemResult(status=ItemStatus.SUCCEEDED, line=lines["succeeded"])
    assert batches.result_line("ignored", stored) == lines["succeeded"]
    assert orjson.loads(lines["errored"])["result"]["error"]["error"]["type"] == "api_error"
