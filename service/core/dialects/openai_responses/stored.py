"""What the store's routes answer: a response's input items, a deleted one, a stream from where it broke."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import orjson

from service.core.dialects.openai_responses.errors import encode_error_event, response_error
from service.core.dialects.openai_responses.fields import Fields, refuse
from service.core.dialects.openai_responses.items import item_type
from service.core.dialects.openai_responses.open_items import EventWriter
from service.core.dialects.openai_responses.output import CANCELLED, FAILED, Item, NewId
from service.core.errors import GatewayError, InvalidRequest
from service.core.json_body import wrong_value

_ID_PREFIXES = {
    "apply_patch_call": "apc_",
    "apply_patch_call_output": "apco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "local_shell_call": "lsh_",
    "local_shell_call_output": "lsho_",
    "message": "msg_",
    "reasoning": "rs_",
    "shell_call": "sh_",
    "shell_call_output": "sho_",
    "web_search_call": "ws_",
}
_MAX_LIMIT = 100
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number":(\d+)')


def stored_items(items: Iterable[Fields], new_id: NewId) -> list[Item]:
    """Input items as the store keeps them: each with an id, a type and, for messages, a list of parts.

    Nothing else of them changes; items that have an id keep it."""
    return [_stored_item(item, new_id) for item in items]


def _stored_item(item: Fields, new_id: NewId) -> Item:
    kind = item_type(item)
    stored: Item = {"id": item.get("id") or new_id(_ID_PREFIXES.get(kind, "item_")), "type": kind}
    stored.update((key, value) for key, value in item.items() if key not in stored)
    if kind == "message":
        stored.setdefault("status", "completed")
        content = stored.get("content")
        if isinstance(content, str):
            part = "output_text" if stored.get("role") == "assistant" else "input_text"
            extra: Item = {"annotations": [], "logprobs": []} if part == "output_text" else {}
            stored["content"] = [{"type": part, "text": content, **extra}]
    return stored


def encode_input_items(
    items: Sequence[Fields],
    *,
    limit: int = 20,
    after: str | None = None,
    before: str | None = None,
    order: str = "desc",
) -> bytes:
    """One page of `GET /v1/responses/{id}/input_items`.

    `items` as sent, oldest first; order "desc" (OpenAI's default) shows the newest first. `after` and
    `before` are item ids in that order: the page starts right after the one or ends right before the other.
    Raises InvalidRequest for a limit outside 1 to 100, another order, or an id that is not there."""
    if not 1 <= limit <= _MAX_LIMIT:
        refuse("limit", f"Invalid 'limit': expected a value between 1 and {_MAX_LIMIT}, but got {limit}.")
    if order not in ("asc", "desc"):
        raise wrong_value(order, "order", ("asc", "desc"))
    shown = list(items) if order == "asc" else list(reversed(items))
    first = 0 if after is None else _index_of(after, shown, "after") + 1
    end = len(shown) if before is None else _index_of(before, shown, "before")
    if after is None and before is not None:
        first = max(first, end - limit)
    page = shown[first : min(end, first + limit)]
    body = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": first > 0 if after is None and before is not None else first + len(page) < end,
    }
    return orjson.dumps(body)


def _index_of(item_id: str, items: Sequence[Fields], param: str) -> int:
    for index, item in enumerate(items):
        if item.get("id") == item_id:
            return index
    refuse(param, f"Invalid '{param}': no item with id '{item_id[:64]}'.")


def encode_deleted(response_id: str) -> bytes:
    """The answer to `DELETE /v1/responses/{id}`."""
    return orjson.dumps({"id": response_id, "object": "response", "deleted": True})


def events_after(stream: bytes, starting_after: int) -> bytes:
    """The events of `stream` (whole events, as StreamEncoder gave them) whose sequence_number is greater.

    Comments are left out. For `GET /v1/responses/{id}?stream=true&starting_after=n`."""
    kept = []
    for block in stream.split(b"\n\n"):
        found = _SEQUENCE_NUMBER.search(block)
        if found and int(found[1]) > starting_after:
            kept.append(block + b"\n\n")
    return b"".join(kept)


def sequence_numbers(stream: bytes) -> list[int]:
    """The sequence_number of each event of `stream` (whole events), in order."""
    found = map(_SEQUENCE_NUMBER.search, stream.split(b"\n\n"))
    return [int(match[1]) for match in found if match]


def encode_end(response: Item, *, sequence_number: int) -> bytes:
    """The event that ends the stream of a stored response, for a stream that lost its own. OpenAI has none
    for a cancelled one: that is told as an error."""
    status = response["status"]
    if status == CANCELLED:
        error = InvalidRequest("The response was cancelled.", code="response_cancelled")
        return encode_error_event(error, sequence_number=sequence_number)
    return EventWriter(first_number=sequence_number).event(f"response.{status}", {"response": response})


def failed_response(response: Item, error: GatewayError) -> Item:
    """A stored response that never ended, as the failed one that it is."""
    return response | {"status": FAILED, "error": response_error(error)}
