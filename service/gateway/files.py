"""Files of the Files API: uploads for batches, and their result files, which are read from the batch."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, replace

from service.config import ApiKey
from service.core.batches import Batch, StoredFile
from service.core.dialects.openai_chat.batches import (
    ERROR,
    OUTPUT,
    OUTPUT_PURPOSE,
    batch_of_file,
    file_ids,
)
from service.core.errors import BodyTooLarge, NotFound
from service.gateway.background import Background
from service.gateway.batch_ports import FileStore
from service.gateway.batches import OPENAI, Batches
from service.gateway.ports import Ids

_FILE_ID = re.compile(r"file-[0-9A-Za-z]{16,64}")
_PIECE_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file whose pieces are stored and that does not exist yet."""

    file_id: str
    length_bytes: int


class Files:
    """The use case. An uploaded file of `max_bytes` at most is kept for `kept_s`."""

    def __init__(
        self,
        *,
        store: FileStore,
        batches: Batches,
        background: Background,
        ids: Ids,
        max_bytes: int,
        kept_s: int,
    ) -> None:
        self._store = store
        self._batches = batches
        self._background = background
        self._ids = ids
        self._max_bytes = max_bytes
        self._kept_s = kept_s

    # --- uploading ------------------------------------------------------------------------------------------

    async def upload(self, key: ApiKey, content: AsyncIterable[bytes]) -> Upload:
        """Store the content as it comes; `finish` or `abandon` it then. Raises BodyTooLarge,
        StoreUnavailable."""
        upload = Upload(file_id=self._ids.new("file-"), length_bytes=0)
        number, held = 0, bytearray()
        try:
            async for chunk in content:
                held += chunk
                upload = replace(upload, length_bytes=upload.length_bytes + len(chunk))
                if upload.length_bytes > self._max_bytes:
                    raise BodyTooLarge(max_bytes=self._max_bytes)
                while len(held) >= _PIECE_BYTES:
                    await self._store.write(key, upload.file_id, number, bytes(held[:_PIECE_BYTES]))
                    del held[:_PIECE_BYTES]
                    number += 1
            if held:
                await self._store.write(key, upload.file_id, number, bytes(held))
        except BaseException:
            self.abandon(key, upload)
            raise
        return upload

    def abandon(self, key: ApiKey, upload: Upload) -> None:
        self._background.spawn(self._store.delete(key, upload.file_id), name="forget_upload")

    async def finish(
        self, key: ApiKey, upload: Upload, *, filename: str, purpose: str, expires_after_s: int | None
    ) -> StoredFile:
        kept_s = self._kept_s if expires_after_s is None else min(expires_after_s, self._kept_s)
        return await self._store.finish(
            key,
            upload.file_id,
            filename=filename,
            purpose=purpose,
            length_bytes=upload.length_bytes,
            expires_after_s=kept_s,
        )

    # --- looking at them ------------------------------------------------------------------------------------

    async def find(self, key: ApiKey, file_id: str) -> StoredFile:
        """Raises NotFound, StoreUnavailable."""
        found = None
        if _FILE_ID.fullmatch(file_id):
            found = await self._found(key, file_id)
        if found is None:
            raise NotFound("No file with this id belongs to this API key.")
        return found

    async def _found(self, key: ApiKey, file_id: str) -> StoredFile | None:
        if (of_batch := await self._of_batch(key, file_id)) is not None:
            return await self._result_file(key, *of_batch)
        return await self._store.find(key, file_id)

    async def _of_batch(self, key: ApiKey, file_id: str) -> tuple[Batch, str] | None:
        """The batch whose result file it is, while that exists."""
        if (of_batch := batch_of_file(file_id)) is None:
            return None
        batch_id, which = of_batch
        try:
            batch = await self._batches.find(key, batch_id, OPENAI)
        except NotFound:
            return None
        is_there = file_id in file_ids(batch) and which not in batch.deleted_files
        return (batch, which) if is_there else None

    async def _result_file(self, key: ApiKey, batch: Batch, which: str) -> StoredFile:
        output_id, error_id = file_ids(batch)
        file_id = output_id if which == OUTPUT else error_id
        length_bytes = batch.output_bytes if which == OUTPUT else batch.error_bytes
        if which == ERROR and batch.counts.canceled + batch.counts.expired:
            # The lines of items that never ran are not stored: count them as they would be sent.
            length_bytes = 0
            async for lines in self._batches.lines(key, batch, which=ERROR):
                length_bytes += len(lines)
        return StoredFile(
            file_id=str(file_id),
            key_id=key.key_id,
            filename=f"{batch.batch_id}_{which}.jsonl",
            purpose=OUTPUT_PURPOSE,
            length_bytes=length_bytes,
            created_at_s=batch.ended_at_s or batch.created_at_s,
            expires_at_s=batch.expires_at_s + self._kept_s,
        )

    async def page(
        self, key: ApiKey, *, after_id: str | None, limit: int, purpose: str | None, is_ascending: bool
    ) -> tuple[list[StoredFile], bool]:
        """At most `limit` files, newest first unless `is_ascending`; and whether there are more. Raises
        NotFound for an unknown cursor."""
        ids = await self._store.ids(key)
        if is_ascending:
            ids.reverse()
        if after_id is not None:
            if after_id not in ids:
                raise NotFound("No file with the id of the cursor belongs to this API key.")
            ids = ids[ids.index(after_id) + 1 :]
        found: list[StoredFile] = []
        for file_id in ids:
            file = await self._found(key, file_id)
            if file is None or purpose not in (None, file.purpose):
                continue
            if len(found) == limit:
                return found, True
            found.append(file)
        return found, False

    async def content(self, key: ApiKey, file_id: str) -> AsyncIterator[bytes]:
        """The content, piece by piece. Raises NotFound before the first piece, StoreUnavailable."""
        await self.find(key, file_id)
        if (of_batch := await self._of_batch(key, file_id)) is not None:
            batch, which = of_batch
            pieces = self._batches.lines(key, batch, which=which)
        else:
            pieces = self._store.read(key, file_id)
        async for piece in pieces:
            yield piece

    async def delete(self, key: ApiKey, file_id: str) -> None:
        """Raises NotFound, StoreUnavailable. A batch that was made of the file is not touched."""
        await self.find(key, file_id)
        if (of_batch := await self._of_batch(key, file_id)) is not None:
            batch, which = of_batch
            await self._batches.drop_file(key, batch, which)
        else:
            await self._store.delete(key, file_id)
