"""Batches for their owners: made out of a body that streams in, shown, stopped, deleted, read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from service.config import ApiKey
from service.core.batches import (
    Batch,
    BatchFault,
    BatchKind,
    BatchState,
    Claim,
    ItemResult,
    ItemStatus,
    LoadedItem,
    NewItem,
)
from service.core.dialects.anthropic_messages import batches as anthropic
from service.core.dialects.openai_chat import batches as openai
from service.core.errors import BodyTooLarge, InvalidRequest, ModelNotFound, NotFound
from service.core.json_items import LineReader, ObjectReader, Piece
from service.gateway.background import Background
from service.gateway.batch_ports import BatchStore, FileStore
from service.gateway.models import Models
from service.gateway.ports import Clock, Ids

MESSAGES, OPENAI = "messages", "openai"
_BATCH_ID = {
    MESSAGES: re.compile(r"msgbatch_[0-9A-Za-z]{16,64}"),
    OPENAI: re.compile(r"batch_[0-9A-Za-z]{16,64}"),
}
_LOT_ITEMS = 32
_LOT_BYTES = 256 << 10
_MAX_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """How large a batch, and one request of it, may be."""

    max_items: int
    max_bytes: int
    max_item_bytes: int


class Intake:
    """Items on their way into a batch, stored lot by lot: what is held does not grow with the batch."""

    def __init__(self, store: BatchStore, key: ApiKey, batch_id: str, *, max_items: int) -> None:
        self._store = store
        self._key = key
        self._batch_id = batch_id
        self._max_items = max_items
        self._seen: set[bytes] = set()  # digests: a custom_id may be long
        self._lot: list[NewItem] = []
        self._lot_bytes = 0
        self.count = 0

    def is_new(self, custom_id: str) -> bool:
        """Whether no item before had it. Asking makes it known."""
        digest = blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True

    async def add(self, item: NewItem) -> None:
        """Raises InvalidRequest when there are too many, StoreUnavailable."""
        if self.count >= self._max_items:
            raise InvalidRequest(
                f"A batch may hold at most {self._max_items} requests.", code="too_many_requests"
            )
        self.count += 1
        self._lot.append(item)
        self._lot_bytes += len(item.body)
        if len(self._lot) >= _LOT_ITEMS or self._lot_bytes >= _LOT_BYTES:
            await self.flush()

    async def flush(self) -> None:
        lot, self._lot, self._lot_bytes = self._lot, [], 0
        if lot:
            await self._store.fill(self._key, self._batch_id, self.count - len(lot), lot)


class Batches:
    """The use case. `nudge` is called when there is work, for a worker of this process to look at once."""

    def __init__(
        self,
        *,
        store: BatchStore,
        files: FileStore,
        models: Models,
        background: Background,
        clock: Clock,
        ids: Ids,
        policy: BatchPolicy,
    ) -> None:
        self._store = store
        self._files = files
        self._models = models
        self._background = background
        self._clock = clock
        self._ids = ids
        self.policy = policy
        self.nudge: Callable[[], None] = lambda: None

    # --- making one -----------------------------------------------------------------------------------------

    async def create(self, key: ApiKey, body: AsyncIterable[bytes]) -> Batch:
        """A batch of messages out of the body of its request, read as it comes.

        Raises InvalidRequest naming the request and the field at fault, BodyTooLarge, RateLimited,
        StoreUnavailable; then nothing is left of it."""
        batch_id = self._ids.new("msgbatch_")
        intake = Intake(self._store, key, batch_id, max_items=self.policy.max_items)
        await self._store.begin(key, batch_id, BatchKind.MESSAGES)
        try:
            await self._take_in(body, intake)
            await self._store.start(key, batch_id, BatchKind.MESSAGES, total=intake.count)
        except BaseException:
            undo = self._store.forget(key, batch_id, BatchKind.MESSAGES)
            self._background.spawn(undo, name="forget_batch")
            raise
        self.nudge()
        return await self.find(key, batch_id, MESSAGES)

    async def _take_in(self, body: AsyncIterable[bytes], intake: Intake) -> None:
        reader = ObjectReader(
            (anthropic.REQUESTS, anthropic.TASKS), max_piece_bytes=self.policy.max_item_bytes
        )
        length_bytes = 0
        async for chunk in body:
            length_bytes += len(chunk)
            if length_bytes > self.policy.max_bytes:
                raise BodyTooLarge(max_bytes=self.policy.max_bytes)
            for piece in reader.feed(chunk):
                if piece.is_element:
                    await intake.add(self._item(piece, intake))
        reader.finish()
        if intake.count == 0:
            anthropic.refuse_empty()
        await intake.flush()

    def _item(self, piece: Piece, intake: Intake) -> NewItem:
        index = intake.count
        item, conversation = anthropic.decode_item(piece.body, name=piece.name, index=index)
        try:
            self._models.resolve(conversation.model)
        except ModelNotFound as error:
            where = f"{piece.name}.{index}" + ("" if piece.name == anthropic.TASKS else ".params")
            raise InvalidRequest(error.message, param=f"{where}.model") from None
        if not intake.is_new(item.custom_id):
            anthropic.refuse_duplicate(name=piece.name, index=index)
        return item

    async def create_from_file(
        self, key: ApiKey, kind: BatchKind, *, input_file_id: str, metadata: Mapping[str, str]
    ) -> Batch:
        """An OpenAI batch: a worker reads its file. Raises InvalidRequest when there is no such file."""
        file = await self._files.find(key, input_file_id)
        if file is None or file.purpose != openai.PURPOSE:
            raise InvalidRequest(
                "No file with this id and the purpose 'batch' belongs to this API key.",
                param="input_file_id",
                code="file_not_found",
            )
        batch_id = self._ids.new("batch_")
        await self._store.submit(key, batch_id, kind, input_file_id=input_file_id, metadata=metadata)
        self.nudge()
        return await self.find(key, batch_id, OPENAI)

    async def read_file(self, claim: Claim, key: ApiKey, item: LoadedItem) -> None:
        """A worker's part of `create_from_file`: lines become items, or faults fail the batch. Doing it
        again from the start, after another worker's death, is safe. Raises StoreUnavailable."""
        intake = Intake(self._store, key, claim.batch_id, max_items=self.policy.max_items)
        try:
            faults = await self._take_lines(key, item, intake)
        except (NotFound, InvalidRequest, BodyTooLarge) as error:
            faults = [BatchFault(code=error.code or str(error.kind), message=error.message)]
        if faults:
            await self._store.fail(key, claim.batch_id, faults)
        else:
            await self._store.start(key, claim.batch_id, item.kind, total=intake.count)

    async def _take_lines(self, key: ApiKey, item: LoadedItem, intake: Intake) -> list[BatchFault]:
        faults: list[BatchFault] = []
        number = 0
        async for line in self._lines_of(key, item.input_file_id):
            number += 1
            if not line:
                continue
            decoded = openai.decode_line(line, number=number, kind=item.kind)
            if isinstance(decoded, NewItem) and not intake.is_new(decoded.custom_id):
                decoded = openai.duplicate_fault(number)
            if isinstance(decoded, NewItem):
                await intake.add(decoded)
            else:
                faults.append(decoded)
                if len(faults) >= _MAX_FAULTS:
                    return faults
        await intake.flush()
        if not (intake.count or faults):
            faults.append(BatchFault(code="empty_file", message="The file holds no request."))
        return faults

    async def _lines_of(self, key: ApiKey, file_id: str) -> AsyncIterator[bytes]:
        reader = LineReader(max_line_bytes=self.policy.max_item_bytes)
        async for piece in self._files.read(key, file_id):
            for line in reader.feed(piece):
                yield line
        for line in reader.finish():
            yield line

    async def give_up(self, claim: Claim, key: ApiKey) -> None:
        """The file cannot be read: worker after worker vanished with it."""
        fault = BatchFault(code="internal_error", message="The gateway failed to read the file.")
        await self._store.fail(key, claim.batch_id, [fault])

    # --- looking at them ------------------------------------------------------------------------------------

    async def find(self, key: ApiKey, batch_id: str, family: str) -> Batch:
        """The batch as it stands: one read. Raises NotFound, StoreUnavailable."""
        batch = None
        if _BATCH_ID[family].fullmatch(batch_id):
            batch = await self._store.find(key, batch_id)
            if batch is not None and self._is_overdue(batch):
                await self._store.stop(key.key_id, batch_id, wanted=BatchState.EXPIRING)
                batch = await self._store.find(key, batch_id)
        if batch is None:
            raise NotFound("No batch with this id belongs to this API key.")
        return batch

    def _is_overdue(self, batch: Batch) -> bool:
        is_open = batch.state in (BatchState.IN_PROGRESS, BatchState.VALIDATING)
        return is_open and self._clock.unix_s() >= batch.expires_at_s

    async def page(
        self, key: ApiKey, family: str, *, after_id: str | None, before_id: str | None, limit: int
    ) -> tuple[list[Batch], bool]:
        """Newest first, and whether there are more. Raises NotFound for an unknown cursor."""
        return await self._store.page(key, family, after_id=after_id, before_id=before_id, limit=limit)

    # --- stopping and deleting ------------------------------------------------------------------------------

    async def cancel(self, key: ApiKey, batch_id: str, family: str) -> Batch:
        """Items that run end as they end, the rest is canceled. A batch that is over stays as it is."""
        batch = await self.find(key, batch_id, family)
        if batch.is_over:
            return batch
        await self._store.stop(key.key_id, batch_id, wanted=BatchState.CANCELING)
        self.nudge()
        return await self.find(key, batch_id, family)

    async def delete(self, key: ApiKey, batch_id: str) -> None:
        """Raises NotFound, and InvalidRequest for a batch that is not over."""
        batch = await self.find(key, batch_id, MESSAGES)
        if not batch.is_over:
            raise InvalidRequest("A batch can be deleted once it has ended; cancel it first.")
        await self._store.forget(key, batch_id, batch.kind)

    # --- results --------------------------------------------------------------------------------------------

    async def lines(self, key: ApiKey, batch: Batch, *, which: str | None = None) -> AsyncIterator[bytes]:
        """The results as JSONL, some lines at a time, in the order sent; with `which` those of the output or
        the error file. Raises StoreUnavailable."""
        encode = anthropic.result_line if batch.kind is BatchKind.MESSAGES else openai.result_line
        async for window in self._store.results(key, batch):
            lines = [encode(name, result) for name, result in window if _belongs(result, which)]
            if lines:
                yield b"\n".join(lines) + b"\n"

    async def drop_file(self, key: ApiKey, batch: Batch, which: str) -> None:
        """Delete one of a batch's result files."""
        await self._store.drop_file(key, batch.batch_id, which)


def _belongs(result: ItemResult, which: str | None) -> bool:
    return which is None or (result.status is ItemStatus.SUCCEEDED) == (which == openai.OUTPUT)
