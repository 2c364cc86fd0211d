"""Message batches: requests in, the batch object and the lines of the results out (server role).

Every object also carries what older clients of this gateway's kind read: `batch_id` beside `id`, `status`
beside `processing_status`, and `batches`, `batch_details` or `message` around them. They send `tasks`: a list
of plain requests, whose custom_id we make from their place.

Source: anthropic 2.11.0, types/messages/*batch*.py; the older MiMo2API page for `tasks`. Read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from service.core.batches import Batch, BatchState, ItemResult, ItemStatus, NewItem
from service.core.conversation import Conversation
from service.core.dialects.anthropic_messages.errors import encode_error
from service.core.dialects.anthropic_messages.fields import fields_at, joined, refuse, required_text
from service.core.dialects.anthropic_messages.request import decode_object
from service.core.errors import GatewayError
from service.core.json_body import decode_object as decode_json_object

REQUESTS, TASKS = "requests", "tasks"
_CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_STATUS = {
    BatchState.VALIDATING: "in_progress",
    BatchState.IN_PROGRESS: "in_progress",
    BatchState.EXPIRING: "in_progress",
    BatchState.CANCELING: "canceling",
    BatchState.FAILED: "ended",
    BatchState.ENDED: "ended",
}


# --- requests -----------------------------------------------------------------------------------------------


def decode_item(body: bytes, *, name: str, index: int) -> tuple[NewItem, Conversation]:
    """Element `index` of `requests`, or of the older `tasks`. Raises InvalidRequest with the path of the
    field at fault, as `requests.3.params.messages.0.role`."""
    at = f"{name}.{index}"
    fields = decode_json_object(body)
    if name == TASKS and "params" not in fields:
        params = {key: value for key, value in fields.items() if key != "custom_id"}
        where = at
        custom_id = fields.get("custom_id", f"task-{index}")
        fields = {"custom_id": custom_id}
    else:
        where = joined(at, "params")
        params = fields_at(fields.get("params"), where)
    custom_id = required_text(fields, "custom_id", at)
    if not _CUSTOM_ID.fullmatch(custom_id):
        refuse(joined(at, "custom_id"), "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
    conversation = decode_object(params, at=where).conversation
    if conversation.streams:
        refuse(joined(where, "stream"), "Streaming is not supported in batches")
    return NewItem(custom_id=custom_id, body=orjson.dumps(params)), conversation


def refuse_duplicate(*, name: str, index: int) -> None:
    """Raises InvalidRequest for a custom_id that came before."""
    refuse(f"{name}.{index}.custom_id", "The custom_id of each request must be unique within the batch")


def refuse_empty(name: str = REQUESTS) -> None:
    """Raises InvalidRequest for a batch without a request."""
    refuse(name, "List should have at least 1 item")


def decode_params(body: bytes) -> Conversation:
    """A stored item's request."""
    return decode_object(decode_json_object(body)).conversation


# --- objects ------------------------------------------------------------------------------------------------


def batch_object(batch: Batch, *, results_url: str) -> dict[str, object]:
    """The batch. `results_url` is absolute; it is shown once there are results."""
    counts, has_ended = batch.counts, batch.is_over
    tallies = {name: getattr(counts, name) if has_ended else 0 for name in _TALLIES}
    return {
        "id": batch.batch_id,
        "type": "message_batch",
        "processing_status": _STATUS[batch.state],
        "request_counts": {"processing": 0 if has_ended else counts.total, **tallies},
        "ended_at": _instant(batch.ended_at_s),
        "created_at": _instant(batch.created_at_s),
        "expires_at": _instant(batch.expires_at_s),
        "archived_at": None,
        "cancel_initiated_at": _instant(batch.cancel_at_s),
        "results_url": results_url if has_ended else None,
        "batch_id": batch.batch_id,
        "status": "completed" if has_ended else "processing",
        "progress": {"processing": counts.processing, **{name: getattr(counts, name) for name in _TALLIES}},
    }


_TALLIES = ("succeeded", "errored", "canceled", "expired")


def encode_batch(shown: dict[str, object]) -> bytes:
    return orjson.dumps(shown)


def encode_details(shown: dict[str, object]) -> bytes:
    """The answer of the retrieval: the object, and once more under the older name."""
    return orjson.dumps({**shown, "batch_details": shown})


def encode_canceled(shown: dict[str, object]) -> bytes:
    return orjson.dumps({**shown, "message": f"Batch {shown['id']} cancelled successfully."})


def encode_page(shown: Sequence[dict[str, object]], *, has_more: bool) -> bytes:
    """One page of the list."""
    return orjson.dumps(
        {
            "data": shown,
            "has_more": has_more,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "batches": shown,
        }
    )


def encode_deleted(batch_id: str) -> bytes:
    return orjson.dumps({"id": batch_id, "type": "message_batch_deleted"})


def _instant(unix_s: float | None) -> str | None:
    """RFC 3339, in milliseconds."""
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- results ------------------------------------------------------------------------------------------------


def success_line(custom_id: str, message: bytes) -> bytes:
    """The line of an item that was answered with `message`."""
    return b'{"custom_id":%b,"result":{"type":"succeeded","message":%b}}' % (orjson.dumps(custom_id), message)


def error_line(custom_id: str, error: GatewayError, *, request_id: str) -> bytes:
    """The line of an item that failed."""
    _, body = encode_error(error, request_id=request_id)
    return b'{"custom_id":%b,"result":{"type":"errored","error":%b}}' % (orjson.dumps(custom_id), body)


def result_line(custom_id: str, result: ItemResult) -> bytes:
    """Any item's line: the stored one, or that of an item which never ran."""
    if result.line:
        return result.line
    word = "canceled" if result.status is ItemStatus.CANCELED else "expired"
    return orjson.dumps({"custom_id": custom_id, "result": {"type": word}})
