"""The Batch and Files API: lines in, objects and lines out, as the real package reads them."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from openai.types import Batch as OpenAIBatch
from openai.types import FileObject

from service.core.batches import (
    Batch,
    BatchFault,
    BatchKind,
    BatchState,
    Counts,
    ItemResult,
    ItemStatus,
    NewItem,
)
from service.core.completion import AnswerHead, AnswerText, Completion
from service.core.dialects.openai_chat import batches
from service.core.errors import InvalidRequest
from service.core.events import Finish, FinishReason, Usage

CHAT = "/v1/chat/completions"
CREATE = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
LINE = {"custom_id": "a", "method": "POST", "url": CHAT, "body": BODY}
SUFFIX = "0123456789abcdef01234567"

BATCH = Batch(
    batch_id=f"batch_{SUFFIX}",
    key_id="k",
    kind=BatchKind.CHAT,
    state=BatchState.IN_PROGRESS,
    counts=Counts(total=3, succeeded=1),
    created_at_s=1_790_000_000.9,
    expires_at_s=1_790_086_400.9,
    started_at_s=1_790_000_001.5,
    usage=Usage(input_tokens=5, output_tokens=7, cached_tokens=2, reasoning_tokens=3),
    input_file_id="file-1",
    metadata={"a": "b"},
)


def test_a_creation_is_decoded() -> None:
    asked = batches.decode_create(orjson.dumps({**CREATE, "metadata": {"a": "b"}}))
    assert asked == batches.CreateBatch(input_file_id="file-1", kind=BatchKind.CHAT, metadata={"a": "b"})
    other = batches.decode_create(orjson.dumps({**CREATE, "endpoint": "/v1/responses", "metadata": None}))
    assert (other.kind, other.metadata) == (BatchKind.RESPONSES, {})


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "7d"}, "completion_window"),
        ({"input_file_id": 1}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a" * 65: "b"}}, "metadata"),
        ({"metadata": {str(n): "b" for n in range(17)}}, "metadata"),
    ],
)
def test_wrong_creations_are_refused(change: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        batches.decode_create(orjson.dumps(CREATE | change))
    assert refused.value.param == param


def test_a_line_becomes_an_item() -> None:
    item = batches.decode_line(orjson.dumps(LINE), number=1, kind=BatchKind.CHAT)
    assert item == NewItem(custom_id="a", body=orjson.dumps(BODY))
    assert batches.decode_params(item.body).turns[0].text == "Hi"
    with pytest.raises(InvalidRequest) as refused:
        batches.decode_params(orjson.dumps({**BODY, "stream": True}))
    assert refused.value.param == "stream"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[]", "invalid_json_line"),
        (orjson.dumps({**LINE, "custom_id": ""}), "invalid_custom_id"),
        (orjson.dumps({**LINE, "custom_id": 1}), "invalid_type"),
        (orjson.dumps({**LINE, "method": "GET"}), "invalid_method"),
        (orjson.dumps({**LINE, "url": "/v1/responses"}), "mismatched_endpoint"),
        (orjson.dumps({**LINE, "body": None}), "invalid_type"),
        (orjson.dumps({"custom_id": "a"}), "missing_required_parameter"),
    ],
)
def test_faults_tell_the_line(line: bytes, code: str) -> None:
    fault = batches.decode_line(line, number=4, kind=BatchKind.CHAT)
    assert isinstance(fault, BatchFault)
    assert (fault.code, fault.line) == (code, 4)
    assert batches.duplicate_fault(2).line == 2


@pytest.mark.parametrize(
    ("change", "status", "instant"),
    [
        ({"state": BatchState.VALIDATING}, "validating", None),
        ({}, "in_progress", "in_progress_at"),
        ({"state": BatchState.EXPIRING}, "finalizing", None),
        ({"state": BatchState.CANCELING, "cancel_at_s": 5.0}, "cancelling", "cancelling_at"),
        ({"state": BatchState.FAILED, "ended_at_s": 9.0}, "failed", "failed_at"),
        ({"state": BatchState.ENDED, "ended_at_s": 9.0}, "completed", "completed_at"),
        (
            {"state": BatchState.ENDED, "ended_at_s": 9.0, "left_as": ItemStatus.CANCELED},
            "cancelled",
            "cancelled_at",
        ),
        (
            {"state": BatchState.ENDED, "ended_at_s": 9.0, "left_as": ItemStatus.EXPIRED},
            "expired",
            "expired_at",
        ),
    ],
)
def test_the_object_is_the_real_packages(change: dict, status: str, instant: str | None) -> None:
    shown = batches.batch_object(replace(BATCH, **change))
    batch = OpenAIBatch.model_validate_json(batches.encode(shown))
    assert (batch.status, batch.endpoint, batch.metadata) == (status, CHAT, {"a": "b"})
    assert (batch.request_counts.total, batch.request_counts.completed) == (3, 1)
    assert (batch.usage.total_tokens, batch.usage.output_tokens_details.reasoning_tokens) == (12, 3)
    assert batch.created_at == 1_790_000_000
    assert instant is None or shown[instant]


def test_faults_and_files_are_shown() -> None:
    failed = replace(
        BATCH, state=BatchState.FAILED, faults=(BatchFault(code="c", message="m", line=2, param="p"),)
    )
    (fault,) = OpenAIBatch.model_validate(batches.batch_object(failed)).errors.data
    assert (fault.code, fault.message, fault.line, fault.param) == ("c", "m", 2, "p")
    ended = replace(BATCH, state=BatchState.ENDED, counts=Counts(total=2, succeeded=1, errored=1))
    output, error = batches.file_ids(ended)
    assert (output, error) == (f"file-o{SUFFIX}", f"file-e{SUFFIX}")
    assert batches.batch_of_file(output) == (BATCH.batch_id, "output")
    assert batches.batch_of_file(error) == (BATCH.batch_id, "error")
    assert batches.batch_of_file(f"file-{SUFFIX}") is None
    assert batches.batch_of_file(f"file-x{SUFFIX}") is None
    all_good = replace(ended, counts=Counts(total=1, succeeded=1))
    assert batches.file_ids(all_good) == (f"file-o{SUFFIX}", None)
    assert batches.file_ids(replace(ended, counts=Counts(total=1, canceled=1)))[0] is None
    assert batches.file_ids(BATCH) == (None, None)
    assert batches.batch_object(replace(BATCH, metadata={}))["metadata"] is None


def test_lines_of_answers_and_of_items_that_never_ran() -> None:
    completion = Completion(
        parts=(AnswerText(text="Hello"),), finish=Finish(FinishReason.STOP), usage=Usage(output_tokens=1)
    )
    head = AnswerHead(answer_id="chatcmpl-1", model="m", created_at_s=1)
    body = batches.encode_answer(completion, head, conversation=batches.decode_params(orjson.dumps(BODY)))
    line = batches.answer_line('a"', line_id="batch_req_1", status=200, request_id="req_1", body=body)
    row = orjson.loads(line)
    assert (row["id"], row["custom_id"], row["error"]) == ("batch_req_1", 'a"', None)
    assert row["response"]["status_code"] == 200
    assert row["response"]["request_id"] == "req_1"
    assert row["response"]["body"]["choices"][0]["message"]["content"] == "Hello"
    assert batches.result_line("x", ItemResult(status=ItemStatus.SUCCEEDED, line=line)) == line
    for status, code in ((ItemStatus.CANCELED, "batch_cancelled"), (ItemStatus.EXPIRED, "batch_expired")):
        row = orjson.loads(batches.result_line("x", ItemResult(status=status)))
        assert (row["custom_id"], row["response"], row["error"]["code"]) == ("x", None, code)


def test_files_and_pages() -> None:
    shown = batches.file_object(
        "file-1", filename="f", purpose="batch", length_bytes=3, created_at_s=1.5, expires_at_s=None
    )
    assert FileObject.model_validate(shown).bytes == 3
    page = orjson.loads(batches.encode_page([shown], has_more=False))
    assert (page["first_id"], page["last_id"], page["object"]) == ("file-1", "file-1", "list")
    assert orjson.loads(batches.encode_page([], has_more=False))["first_id"] is None
    assert orjson.loads(batches.encode_deleted_file("file-1"))["deleted"]
