"""The Batch and Files API: what creates a batch, the lines of its files, the objects (server role).

Sources: openai-python 3.52 types/batch*.py and types/file*.py; the words of the lines from OpenAI's guide
"Batch API". Read 2026-11-20."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.core.batches import Batch, BatchFault, BatchKind, BatchState, ItemResult, ItemStatus, NewItem
from service.core.completion import AnswerHead, Completion
from service.core.conversation import Conversation, ToolKind
from service.core.dialects.openai_chat.request import decode_body
from service.core.dialects.openai_chat.response import encode_completion
from service.core.errors import InvalidRequest
from service.core.json_body import (
    decode_object,
    optional_object,
    required_object,
    required_string,
    wrong_type,
    wrong_value,
)

ENDPOINTS: Mapping[str, BatchKind] = {
    "/v1/chat/completions": BatchKind.CHAT,
    "/v1/responses": BatchKind.RESPONSES,
}
_ENDPOINT = {kind: endpoint for endpoint, kind in ENDPOINTS.items()}
PURPOSE = "batch"
OUTPUT_PURPOSE = "batch_output"
OUTPUT, ERROR = "output", "error"
_WINDOW = "24h"
_MAX_CUSTOM_ID = 512
_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512


# --- what creates a batch -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBatch:
    """The body of `POST /v1/batches`."""

    input_file_id: str
    kind: BatchKind
    metadata: Mapping[str, str]


def decode_create(body: bytes) -> CreateBatch:
    """Raises InvalidRequest naming the field at fault."""
    fields = decode_object(body)
    endpoint = required_string(fields, "endpoint")
    if endpoint not in ENDPOINTS:
        raise wrong_value(endpoint, "endpoint", tuple(ENDPOINTS))
    window = required_string(fields, "completion_window")
    if window != _WINDOW:
        raise wrong_value(window, "completion_window", (_WINDOW,))
    return CreateBatch(
        input_file_id=required_string(fields, "input_file_id"),
        kind=ENDPOINTS[endpoint],
        metadata=_metadata(fields),
    )


def _metadata(fields: Mapping[str, object]) -> Mapping[str, str]:
    pairs = optional_object(fields, "metadata") or {}
    metadata: dict[str, str] = {}
    for name, value in pairs.items():
        if not isinstance(value, str):
            raise wrong_type(value, f"metadata.{name[:_MAX_KEY]}", "a string")
        metadata[name] = value
    is_long = any(len(name) > _MAX_KEY or len(value) > _MAX_VALUE for name, value in metadata.items())
    if len(metadata) > _MAX_PAIRS or is_long:
        raise InvalidRequest(
            f"Invalid 'metadata': at most {_MAX_PAIRS} pairs, keys of {_MAX_KEY} and values of {_MAX_VALUE} "
            "characters.",
            param="metadata",
        )
    return metadata


def decode_line(line: bytes, *, number: int, kind: BatchKind) -> NewItem | BatchFault:
    """Line `number` (from 1) of a batch's file. Its `body` is looked at when it runs: one bad request ends as
    an error of its own, it does not spoil the others."""
    try:
        fields = decode_object(line)
    except InvalidRequest:
        return BatchFault(code="invalid_json_line", message="This line is not a JSON object.", line=number)
    try:
        custom_id = required_string(fields, "custom_id")
        method, url = required_string(fields, "method"), required_string(fields, "url")
        body = required_object(fields, "body")
    except InvalidRequest as error:
        return BatchFault(
            code=error.code or "invalid_request", message=error.message, line=number, param=error.param
        )
    if not 0 < len(custom_id) <= _MAX_CUSTOM_ID:
        text = f"The custom_id must have 1 to {_MAX_CUSTOM_ID} characters."
        return BatchFault(code="invalid_custom_id", message=text, line=number, param="custom_id")
    if method != "POST":
        return BatchFault(
            code="invalid_method", message="The method must be POST.", line=number, param="method"
        )
    if url != _ENDPOINT[kind]:
        text = f"The url must be the batch's endpoint, {_ENDPOINT[kind]}."
        return BatchFault(code="mismatched_endpoint", message=text, line=number, param="url")
    return NewItem(custom_id=custom_id, body=orjson.dumps(body))


def duplicate_fault(number: int) -> BatchFault:
    text = "The custom_id of each line must be unique within the file."
    return BatchFault(code="duplicate_custom_id", message=text, line=number, param="custom_id")


# --- running a line -----------------------------------------------------------------------------------------


def decode_params(body: bytes) -> Conversation:
    """A stored line's request to `/v1/chat/completions`. Raises InvalidRequest."""
    conversation = decode_body(decode_object(body))
    if conversation.streams:
        raise InvalidRequest("Streaming is not supported in batches.", param="stream")
    return conversation


def encode_answer(completion: Completion, head: AnswerHead, *, conversation: Conversation) -> bytes:
    custom = {tool.name for tool in conversation.tools if tool.kind is ToolKind.CUSTOM}
    return encode_completion(completion, head, custom_tools=custom)


def answer_line(custom_id: str, *, line_id: str, status: int, request_id: str, body: bytes) -> bytes:
    """The line of an item that ran, into the output file (200) or the error file (any other status)."""
    head = orjson.dumps({"id": line_id, "custom_id": custom_id})[:-1]
    told = orjson.dumps({"status_code": status, "request_id": request_id})[:-1]
    return b'%b,"response":%b,"body":%b},"error":null}' % (head, told, body)


_NEVER_RAN = {
    ItemStatus.CANCELED: (
        "batch_cancelled",
        "This request was not executed because the batch was cancelled.",
    ),
    ItemStatus.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
}


def result_line(custom_id: str, result: ItemResult) -> bytes:
    """Any item's line: the stored one, or that of an item which never ran."""
    if result.line:
        return result.line
    code, message = _NEVER_RAN[result.status]
    error = {"code": code, "message": message}
    return orjson.dumps({"id": "batch_req_none", "custom_id": custom_id, "response": None, "error": error})


# --- objects ------------------------------------------------------------------------------------------------


def file_ids(batch: Batch) -> tuple[str | None, str | None]:
    """The ids of a batch's output and error file; None for one that does not exist (yet)."""
    suffix, counts = batch.batch_id.partition("_")[2], batch.counts
    is_there = batch.state is BatchState.ENDED
    output = f"file-o{suffix}" if is_there and counts.succeeded else None
    error = f"file-e{suffix}" if is_there and counts.ended > counts.succeeded else None
    return output, error


def batch_of_file(file_id: str) -> tuple[str, str] | None:
    """The batch whose result file this is, and which of the two; None for an uploaded file's id."""
    suffix = file_id.removeprefix("file-")
    if len(suffix) != 25 or suffix[0] not in "oe":
        return None
    return f"batch_{suffix[1:]}", OUTPUT if suffix[0] == "o" else ERROR


def batch_object(batch: Batch) -> dict[str, object]:
    output_id, error_id = file_ids(batch)
    ended_s = _whole(batch.ended_at_s)
    status = _status(batch)
    usage = batch.usage
    return {
        "id": batch.batch_id,
        "object": "batch",
        "endpoint": _ENDPOINT[batch.kind],
        "errors": _faults(batch),
        "input_file_id": batch.input_file_id,
        "completion_window": _WINDOW,
        "status": status,
        "output_file_id": output_id,
        "error_file_id": error_id,
        "created_at": _whole(batch.created_at_s),
        "in_progress_at": _whole(batch.started_at_s),
        "expires_at": _whole(batch.expires_at_s),
        "finalizing_at": ended_s if batch.state is BatchState.ENDED else None,
        "completed_at": ended_s if status == "completed" else None,
        "failed_at": ended_s if status == "failed" else None,
        "expired_at": ended_s if status == "expired" else None,
        "cancelling_at": _whole(batch.cancel_at_s),
        "cancelled_at": ended_s if status == "cancelled" else None,
        "request_counts": {
            "total": batch.counts.total,
            "completed": batch.counts.succeeded,
            "failed": batch.counts.ended - batch.counts.succeeded,
        },
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.total_tokens,
        },
        "metadata": dict(batch.metadata) or None,
    }


def _status(batch: Batch) -> str:
    match batch.state:
        case BatchState.CANCELING:
            return "cancelling"
        case BatchState.EXPIRING:
            return "finalizing"
        case BatchState.ENDED:
            words = {ItemStatus.CANCELED: "cancelled", ItemStatus.EXPIRED: "expired"}
            return words.get(batch.left_as, "completed") if batch.left_as else "completed"
        case _:
            return str(batch.state)


def _faults(batch: Batch) -> dict[str, object] | None:
    if not batch.faults:
        return None
    rows = [
        {"code": fault.code, "message": fault.message, "param": fault.param, "line": fault.line}
        for fault in batch.faults
    ]
    return {"object": "list", "data": rows}


def file_object(
    file_id: str,
    *,
    filename: str,
    purpose: str,
    length_bytes: int,
    created_at_s: float,
    expires_at_s: float | None,
) -> dict[str, object]:
    return {
        "id": file_id,
        "object": "file",
        "bytes": length_bytes,
        "created_at": _whole(created_at_s),
        "expires_at": _whole(expires_at_s),
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }


def encode(shown: Mapping[str, object]) -> bytes:
    return orjson.dumps(shown)


def encode_page(shown: Sequence[Mapping[str, object]], *, has_more: bool) -> bytes:
    return orjson.dumps(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": has_more,
        }
    )


def encode_deleted_file(file_id: str) -> bytes:
    return orjson.dumps({"id": file_id, "object": "file", "deleted": True})


def _whole(unix_s: float | None) -> int | None:
    return None if unix_s is None else math.floor(unix_s)
