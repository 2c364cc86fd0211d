"""Uploaded files in sealed pieces, for their owner. Fits `ports.FileStore`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import orjson

from service.config import ApiKey
from service.core.batches import StoredFile
from service.core.errors import NotFound
from service.store import batch_keys as keys
from service.store.client import Store
from service.store.sealing import Sealer

_WINDOW = 4  # pieces fetched in one round trip


class RedisFiles:
    """A file is written piece by piece, is visible when it is whole, and goes after `expires_after_s`."""

    def __init__(self, store: Store, *, server_secret: str = "") -> None:
        self._store = store
        self._server_secret = server_secret

    def _sealer(self, key: ApiKey, file_id: str) -> Sealer:
        return Sealer(key_sha256=key.key_sha256, object_id=file_id, server_secret=self._server_secret)

    async def write(self, key: ApiKey, file_id: str, number: int, piece: bytes) -> None:
        """Piece `number`, from 0. Raises StoreUnavailable."""
        name = keys.file_data(key.key_id, file_id)
        sealed = self._sealer(key, file_id).seal(piece, place=f"piece {number}")
        await asyncio.gather(
            self._store.command("HSET", name, number, sealed),
            self._store.command("PEXPIRE", name, keys.FILLING_TTL_MS),
        )

    async def finish(
        self,
        key: ApiKey,
        file_id: str,
        *,
        filename: str,
        purpose: str,
        length_bytes: int,
        expires_after_s: int,
    ) -> StoredFile:
        """All pieces are written: the file exists. Raises StoreUnavailable."""
        told = orjson.dumps({"filename": filename, "purpose": purpose})
        seconds, _ = await self._store.command("TIME")
        now_s, meta = int(seconds), keys.file_meta(key.key_id, file_id)
        index, data = keys.files(key.key_id), keys.file_data(key.key_id, file_id)
        await asyncio.gather(
            self._store.command(
                *("HSET", meta, "told", self._sealer(key, file_id).seal(told, place="told")),
                *("length", length_bytes, "created_s", now_s, "expires_s", now_s + expires_after_s),
            ),
            self._store.command("EXPIRE", meta, expires_after_s),
            self._store.command("EXPIRE", data, expires_after_s),
            self._store.command("ZADD", index, now_s * 1000, file_id),
            self._store.command("PEXPIRE", index, keys.SHARD_TTL_MS),
        )
        return StoredFile(
            file_id=file_id,
            key_id=key.key_id,
            filename=filename,
            purpose=purpose,
            length_bytes=length_bytes,
            created_at_s=now_s,
            expires_at_s=now_s + expires_after_s,
        )

    async def find(self, key: ApiKey, file_id: str) -> StoredFile | None:
        """None for a file that is unknown, foreign or gone. Raises StoreUnavailable."""
        fields = await self._store.hash(keys.file_meta(key.key_id, file_id))
        return self._file(key, file_id, fields) if fields else None

    async def ids(self, key: ApiKey) -> list[str]:
        """The owner's files, result files of batches included, newest first; some may have gone by now.
        Raises StoreUnavailable."""
        seconds, _ = await self._store.command("TIME")
        index = keys.files(key.key_id)
        await self._store.command("ZREMRANGEBYSCORE", index, "-inf", int(seconds) * 1000 - keys.SHARD_TTL_MS)
        return [file_id.decode() for file_id in await self._store.command("ZREVRANGE", index, 0, -1)]

    async def read(self, key: ApiKey, file_id: str) -> AsyncIterator[bytes]:
        """The content, piece by piece. Raises NotFound when it went meanwhile, StoreUnavailable."""
        name, sealer = keys.file_data(key.key_id, file_id), self._sealer(key, file_id)
        count = await self._store.command("HLEN", name)
        for first in range(0, count, _WINDOW):
            numbers = range(first, min(first + _WINDOW, count))
            pieces = await self._store.read_patiently("HMGET", name, *numbers)
            for number, piece in zip(numbers, pieces, strict=True):
                if piece is None:
                    raise NotFound("The file was deleted.")
                yield sealer.open(piece, place=f"piece {number}")

    async def delete(self, key: ApiKey, file_id: str) -> None:
        """Also what is left of an upload that was broken off. Raises StoreUnavailable."""
        await asyncio.gather(
            self._store.command("ZREM", keys.files(key.key_id), file_id),
            self._store.command(
                "UNLINK", keys.file_meta(key.key_id, file_id), keys.file_data(key.key_id, file_id)
            ),
        )

    def _file(self, key: ApiKey, file_id: str, fields: Mapping[bytes, bytes]) -> StoredFile:
        told = orjson.loads(self._sealer(key, file_id).open(fields[b"told"], place="told"))
        return StoredFile(
            file_id=file_id,
            key_id=key.key_id,
            filename=told["filename"],
            purpose=told["purpose"],
            length_bytes=int(fields[b"length"]),
            created_at_s=int(fields[b"created_s"]),
            expires_at_s=int(fields[b"expires_s"]),
        )
