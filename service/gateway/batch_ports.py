"""What batches need of the outside, by shape; the rest is in ports.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from service.config import ApiKey
from service.core.batches import (
    Batch,
    BatchFault,
    BatchKind,
    BatchState,
    Claim,
    ItemResult,
    Later,
    LoadedItem,
    NewItem,
    ShardState,
    StoredFile,
)


class BatchStore(Protocol):
    """Batches as their owners see them. Every method raises StoreUnavailable."""

    async def begin(self, key: ApiKey, batch_id: str, kind: BatchKind) -> None:
        """A hidden batch, to be filled and started within the hour."""
        ...

    async def submit(
        self,
        key: ApiKey,
        batch_id: str,
        kind: BatchKind,
        *,
        input_file_id: str,
        metadata: Mapping[str, str],
    ) -> None:
        """A visible batch whose file a worker is to read."""
        ...

    async def fill(self, key: ApiKey, batch_id: str, first_number: int, items: Sequence[NewItem]) -> None:
        """Store items from `first_number` on. Storing them again changes nothing."""
        ...

    async def start(self, key: ApiKey, batch_id: str, kind: BatchKind, *, total: int) -> None:
        """All items are stored: run them. Raises RateLimited when too many batches wait, NotFound when
        storing took too long."""
        ...

    async def fail(self, key: ApiKey, batch_id: str, faults: Sequence[BatchFault]) -> None:
        """The batch's file is not valid."""
        ...

    async def forget(self, key: ApiKey, batch_id: str, kind: BatchKind) -> None:
        """Delete all of a batch that is over, or that was never started."""
        ...

    async def find(self, key: ApiKey, batch_id: str) -> Batch | None:
        """None for one that is unknown, foreign or not started."""
        ...

    async def page(
        self,
        key: ApiKey,
        family: str,
        *,
        after_id: str | None = None,
        before_id: str | None = None,
        limit: int,
    ) -> tuple[list[Batch], bool]:
        """At most `limit` batches, newest first, and whether there are more that way. Raises NotFound."""
        ...

    async def stop(self, key_id: str, batch_id: str, *, wanted: BatchState) -> None:
        """CANCELING, or EXPIRING once its time is over: no further item begins."""
        ...

    async def drop_file(self, key: ApiKey, batch_id: str, which: str) -> None:
        """Delete the `output` or `error` file of a batch."""
        ...

    def results(self, key: ApiKey, batch: Batch) -> AsyncIterator[list[tuple[str, ItemResult]]]:
        """Every item's custom_id ("" where its line tells it) and result in the order sent, some at a
        time."""
        ...


class FileStore(Protocol):
    """Uploaded files. Every method raises StoreUnavailable."""

    async def write(self, key: ApiKey, file_id: str, number: int, piece: bytes) -> None:
        """Piece `number`, from 0."""
        ...

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
        """All pieces are written: the file exists."""
        ...

    async def find(self, key: ApiKey, file_id: str) -> StoredFile | None:
        """None for a file that is unknown, foreign or gone."""
        ...

    async def ids(self, key: ApiKey) -> list[str]:
        """The owner's files, result files of batches included, newest first; some may have gone by now."""
        ...

    def read(self, key: ApiKey, file_id: str) -> AsyncIterator[bytes]:
        """The content, piece by piece. Raises NotFound when it goes meanwhile."""
        ...

    async def delete(self, key: ApiKey, file_id: str) -> None:
        """Also what is left of an upload that was broken off."""
        ...


class BatchQueue(Protocol):
    """The items that wait, for one worker. Every method raises StoreUnavailable."""

    async def claim(self, rooms: Mapping[int, int]) -> tuple[list[Claim], dict[int, ShardState]]:
        """Up to `rooms[shard]` items of each shard; 0 only asks how it stands."""
        ...

    async def beat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Keep these; those that another worker has taken meanwhile come back."""
        ...

    async def load(self, claim: Claim, key: ApiKey) -> LoadedItem:
        """The item's request, and how its batch stands. Raises ContentUnreadable."""
        ...

    async def record(
        self, claim: Claim, key: ApiKey, result: ItemResult, *, is_dead_letter: bool = False
    ) -> bool:
        """The item has ended. False: it had a result already, or its batch is gone. To repeat it is safe."""
        ...

    async def drop(self, claim: Claim) -> None:
        """There is nothing (more) to do for it."""
        ...

    async def postpone(self, claim: Claim, later: Later) -> None:
        """Run it again after a while."""
        ...

    async def hand_back(self, claims: Sequence[Claim]) -> None:
        """Another worker may take them at once."""
        ...

    async def expire(self, overdue: Sequence[tuple[str, str]]) -> None:
        """End batches, (batch_id, key_id), whose time is over."""
        ...

    async def mend(self) -> int:
        """Put back items that a failover of Redis lost on the way; how many."""
        ...

    async def leave(self, *, stops: bool = False) -> None:
        """Forget consumers that have long been silent; `stops`: this one too."""
        ...
