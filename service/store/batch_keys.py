"""The keys of batches and files; `keys.py` has all others and says what every key has in common.

- `{q:<shard>}`: an owner's batches, files and queue share one of eight slots, by a checksum of the key's id.
  So a result and its acknowledgement are one script, and a fair turn among an owner's batches is, too.

| key | type | what | lifetime |
|---|---|---|---|
| `mgw:{q:<shard>}:stream` | stream | items that were handed out or handed back; group `workers` | 30 d idle |
| `mgw:{q:<shard>}:delayed` | zset | items that wait for another try -> due_ms | 30 d idle |
| `mgw:{q:<shard>}:turns` | zset | batch with items that wait -> its virtual time | 30 d idle |
| `mgw:{q:<shard>}:cursors` | hash | batch -> its next item, how many, whose | 30 d idle |
| `mgw:{q:<shard>}:owners` | hash | key_id -> how many batches with items that wait | 30 d idle |
| `mgw:{q:<shard>}:waits` | zset | batch -> when it was last served | 30 d idle |
| `mgw:{q:<shard>}:pauses` | hash | batch -> until when none of its items begins | 30 d idle |
| `mgw:{q:<shard>}:expiries` | zset | `<batch> <key_id>` -> expires_ms | 30 d idle |
| `mgw:{q:<shard>}:all` | zset | `<key_id> <batch>` -> created_ms, for the operator | 30 d idle |
| `mgw:{q:<shard>}:dead` | stream | dead letters: batch and number, no content | 7 d idle |
| `mgw:{q:<shard>}:o:<key_id>:<family>` | zset | a key's batches -> created_ms | `storage.batches_ttl_s` |
| `mgw:{q:<shard>}:b:<key_id>:<batch>:meta` | hash | the batch; free text sealed | `storage.batches_ttl_s` |
| `mgw:{q:<shard>}:b:<key_id>:<batch>:items` | hash | number -> sealed request, till its end | the batch |
| `mgw:{q:<shard>}:b:<key_id>:<batch>:names` | hash | number -> sealed custom_id | the batch |
| `mgw:{q:<shard>}:b:<key_id>:<batch>:results` | hash | number -> status, sealed line | the batch |
| `mgw:{q:<shard>}:files:<key_id>` | zset | an owner's files -> created_ms | `storage.batches_ttl_s` |
| `mgw:{q:<shard>}:f:<key_id>:<file_id>:meta` | hash | a file; its name sealed | `storage.batches_ttl_s` |
| `mgw:{q:<shard>}:f:<key_id>:<file_id>:data` | hash | number -> sealed piece of it | the file |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

from service.core.batches import SHARDS
from service.store.keys import DAY_S, PREFIX

SHARD_TTL_MS = 30 * DAY_S * 1000
DEAD_TTL_MS = 7 * DAY_S * 1000
FILLING_TTL_MS = 3_600_000


def shard_of(key_id: str) -> int:
    """Where an owner's batches are: the same for every worker and release."""
    return crc32(key_id.encode()) % SHARDS


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The queue of one shard."""

    stream: str
    delayed: str
    turns: str
    cursors: str
    owners: str
    waits: str
    pauses: str
    expiries: str
    all: str
    dead: str


@lru_cache(maxsize=SHARDS)
def shard(number: int) -> ShardKeys:
    root = f"{PREFIX}{{q:{number}}}:"
    return ShardKeys(*(root + name for name in ShardKeys.__slots__))


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """One batch. The owner is part of the names: a foreign id is unknown."""

    meta: str
    items: str
    names: str
    results: str


def batch(key_id: str, batch_id: str) -> BatchKeys:
    root = f"{PREFIX}{{q:{shard_of(key_id)}}}:b:{key_id}:{batch_id}:"
    return BatchKeys(*(root + name for name in BatchKeys.__slots__))


def index(key_id: str, family: str) -> str:
    """An owner's batches of one family: Anthropic's or OpenAI's."""
    return f"{PREFIX}{{q:{shard_of(key_id)}}}:o:{key_id}:{family}"


def files(key_id: str) -> str:
    return f"{PREFIX}{{q:{shard_of(key_id)}}}:files:{key_id}"


def file_meta(key_id: str, file_id: str) -> str:
    return f"{PREFIX}{{q:{shard_of(key_id)}}}:f:{key_id}:{file_id}:meta"


def file_data(key_id: str, file_id: str) -> str:
    return f"{PREFIX}{{q:{shard_of(key_id)}}}:f:{key_id}:{file_id}:data"
