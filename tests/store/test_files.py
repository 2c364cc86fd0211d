"""Uploaded files on a real Redis: pieces in, pieces out, for their owner only."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.core.errors import NotFound
from service.store import batch_keys
from service.store.client import Store
from service.store.files import RedisFiles
from tests.store.test_batch_queue import ANN, BOB

FILE = "file-000000000000000000000001"


async def written(store: Store, pieces: list[bytes]) -> RedisFiles:
    files = RedisFiles(store)
    for number, piece in enumerate(pieces):
        await files.write(ANN, FILE, number, piece)
    await files.finish(
        ANN,
        FILE,
        filename="näme.jsonl",
        purpose="batch",
        length_bytes=sum(map(len, pieces)),
        expires_after_s=3600,
    )
    return files


async def content(files: RedisFiles) -> list[bytes]:
    return [piece async for piece in files.read(ANN, FILE)]


async def test_a_file_comes_back_piece_by_piece(store: Store) -> None:
    pieces = [bytes([n]) * (n + 1) for n in range(10)]
    files = await written(store, pieces)
    assert await content(files) == pieces
    file = await files.find(ANN, FILE)
    assert file is not None
    assert (file.filename, file.purpose, file.length_bytes) == ("näme.jsonl", "batch", 55)
    assert file.expires_at_s - file.created_at_s == 3600
    assert await files.ids(ANN) == [FILE]


async def rest_of(reading: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in reading]


async def test_a_foreign_file_is_unknown(store: Store) -> None:
    files = await written(store, [b"x"])
    assert await files.find(BOB, FILE) is None
    assert await files.ids(BOB) == []
    assert [piece async for piece in files.read(BOB, FILE)] == []


async def test_a_file_is_no_file_before_it_is_whole(store: Store) -> None:
    files = RedisFiles(store)
    await files.write(ANN, FILE, 0, b"x")
    assert await files.find(ANN, FILE) is None
    await files.delete(ANN, FILE)
    assert await store.command("KEYS", "mgw:*") == []


async def test_deleting_while_it_is_read_is_told(store: Store) -> None:
    files = await written(store, [b"x"] * 9)
    reading = files.read(ANN, FILE)
    assert await anext(reading) == b"x"
    await files.delete(ANN, FILE)
    with pytest.raises(NotFound):
        await rest_of(reading)
    assert await files.find(ANN, FILE) is None


async def test_every_key_of_a_file_has_a_lifetime_and_hides_its_content(store: Store) -> None:
    await written(store, [b"canary-content"])
    stored = b""
    for key in await store.command("KEYS", "mgw:*"):
        assert await store.command("TTL", key) > 0
        stored += key + (await store.command("DUMP", key) or b"")
    assert b"canary" not in stored
    assert b"jsonl" not in stored
    assert batch_keys.files(ANN.key_id).encode() in stored
