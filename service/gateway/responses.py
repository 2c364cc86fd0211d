"""What the Responses API keeps between requests: responses by id, chains of them, items by id.

A stored response is one object of kind `response`: the response as the client saw it, its own input items,
and the ids of the responses before it, oldest first. So a chain of any length is loaded in two round trips:
the previous response, then all of its chain at once. For clients that send `item_reference`, items that
carry an id of ours are found under kind `item`: output items as they are, input items as the name of the
response that holds them, since a history may be megabytes long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import orjson

from service.core.dialects.openai_responses.output import IN_PROGRESS, QUEUED, Item
from service.core.dialects.openai_responses.request import ResponsesRequest, continued, resolve
from service.core.dialects.openai_responses.stored import stored_items
from service.core.errors import InvalidRequest, NotFound
from service.gateway.ports import Ids, Objects

RESPONSE = "response"
ITEM = "item"
RUNNING = (QUEUED, IN_PROGRESS)
_MAX_ID_CHARACTERS = 256
_HELD_BY = b"@"  # no JSON begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """One object of kind `response`. `items` are its own input, `chain` the responses before it."""

    response: Item
    items: Sequence[Item] = ()
    chain: Sequence[str] = ()

    @property
    def response_id(self) -> str:
        return str(self.response["id"])

    @property
    def status(self) -> str:
        return str(self.response["status"])

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    @property
    def is_background(self) -> bool:
        return self.response.get("background") is True

    @property
    def output(self) -> list[Item]:
        return cast("list[Item]", self.response["output"])

    @property
    def body(self) -> bytes:
        """The response alone, as the client gets it."""
        return orjson.dumps(self.response)

    def encoded(self) -> bytes:
        return orjson.dumps({"response": self.response, "items": list(self.items), "chain": list(self.chain)})


def decode_stored(body: bytes) -> StoredResponse:
    """What `StoredResponse.encoded` wrote."""
    value = orjson.loads(body)
    return StoredResponse(response=value["response"], items=value["items"], chain=value["chain"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request with all that it refers to in its place. `items` are its own input as the store keeps it;
    `new_items` those of them that had no id before. Both are empty for `store: false`.
    """

    request: ResponsesRequest
    chain: Sequence[str] = ()
    items: Sequence[Item] = ()
    new_items: Sequence[Item] = field(default=())

    def stored(self, response: Item) -> StoredResponse:
        """The object to keep for `response`, the answer to this request."""
        return StoredResponse(response=response, items=self.items, chain=self.chain)


class Responses:
    """The use cases of `/v1/responses` that need no upstream."""

    def __init__(self, *, objects: Objects, ids: Ids) -> None:
        self._objects = objects
        self._ids = ids

    async def prepare(self, request: ResponsesRequest, *, key_id: str) -> Prepared:
        """The request with its previous responses in front and its references filled in.

        Raises InvalidRequest for a previous response or an item that is not kept for this key, and
        StoreUnavailable: an answer without its history would be a wrong one."""
        chain: tuple[str, ...] = ()
        whole = request
        if request.previous_response_id is not None:
            previous_id = request.previous_response_id
            previous, items_by_id = await asyncio.gather(
                self._previous(previous_id, key_id), self._items(request.references, key_id)
            )
            chain = (*previous.chain, previous_id)
            earlier = await self._chained(previous.chain, key_id)
            history = [item for stored in (*earlier, previous) for item in _said_in(stored)]
            whole = continued(history, request, items_by_id)
        elif request.references:
            whole = resolve(request, await self._items(request.references, key_id))
        if not whole.is_stored:
            return Prepared(request=whole, chain=chain)
        items = stored_items(whole.items, self._ids.new)
        new_items = [item for item, sent in zip(items, whole.items, strict=True) if not sent.get("id")]
        return Prepared(request=whole, chain=chain, items=items, new_items=new_items)

    async def keep(self, prepared: Prepared, response: Item, *, key_id: str) -> bool:
        """Keep the response and its items, in one round trip; False when Redis is away: then the copies are
        lost, which is counted, and the answer is not."""
        stored = prepared.stored(response)
        items = {str(item["id"]): orjson.dumps(item) for item in stored.output if item.get("id")}
        held = _HELD_BY + stored.response_id.encode()
        items |= {str(item["id"]): held for item in prepared.new_items}
        kept = await asyncio.gather(
            self._objects.save(RESPONSE, key_id, {stored.response_id: stored.encoded()}),
            self._objects.save(ITEM, key_id, items),
        )
        return all(kept)

    async def load(self, response_id: str, *, key_id: str) -> StoredResponse:
        """Raises NotFound in OpenAI's words, StoreUnavailable."""
        found = await self._load([response_id], key_id)
        if response_id not in found:
            raise NotFound(f"Response with id '{_shown(response_id)}' not found.")
        return found[response_id]

    async def delete(self, stored: StoredResponse, *, key_id: str) -> None:
        """Forget the response and the items that it brought. Chains that lead through it end here."""
        item_ids = [str(item["id"]) for item in (*stored.items, *stored.output) if item.get("id")]
        await asyncio.gather(
            self._objects.delete(RESPONSE, key_id, stored.response_id),
            *(self._objects.delete(ITEM, key_id, item_id) for item_id in item_ids),
        )

    async def _previous(self, response_id: str, key_id: str) -> StoredResponse:
        found = await self._load([response_id], key_id)
        if response_id not in found:
            raise _previous_missing(response_id)
        if found[response_id].is_running:
            raise InvalidRequest(
                f"Previous response with id '{_shown(response_id)}' is still {found[response_id].status}.",
                param="previous_response_id",
                code="previous_response_not_completed",
            )
        return found[response_id]

    async def _chained(self, chain: Sequence[str], key_id: str) -> list[StoredResponse]:
        """The whole chain. A link that was deleted or has expired breaks it: half a history is refused."""
        found = await self._load(chain, key_id)
        for response_id in chain:
            if response_id not in found:
                raise _previous_missing(response_id)
        return [found[response_id] for response_id in chain]

    async def _load(self, response_ids: Sequence[str], key_id: str) -> Mapping[str, StoredResponse]:
        bodies = await self._objects.load(RESPONSE, key_id, _possible(response_ids))
        return {response_id: decode_stored(body) for response_id, body in bodies.items()}

    async def _items(self, item_ids: Sequence[str], key_id: str) -> Mapping[str, Item]:
        bodies = await self._objects.load(ITEM, key_id, _possible(item_ids))
        holders = {body[len(_HELD_BY) :].decode() for body in bodies.values() if body.startswith(_HELD_BY)}
        found = {
            item_id: orjson.loads(body) for item_id, body in bodies.items() if not body.startswith(_HELD_BY)
        }
        for stored in (await self._load(sorted(holders), key_id)).values():
            found |= {str(item["id"]): item for item in stored.items if item["id"] in bodies}
        return found


def _said_in(stored: StoredResponse) -> list[Item]:
    """A response's own items and its output. A call that was cut off was never run: it is left out."""
    whole = [
        item
        for item in stored.output
        if item.get("status") != "incomplete" or not str(item["type"]).endswith("_call")
    ]
    return [*stored.items, *whole]


def _previous_missing(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{_shown(response_id)}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _possible(object_ids: Sequence[str]) -> list[str]:
    """Ids that can be ours; any other is unknown without asking Redis."""
    return [object_id for object_id in object_ids if 0 < len(object_id) <= _MAX_ID_CHARACTERS]


def _shown(object_id: str) -> str:
    return object_id[:64]
