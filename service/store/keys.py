"""Every key in Redis, with its lifetime, in one table.

A `{tag}` decides a key's place in a Redis Cluster; all keys of one script share one.

- `{accounts}`: the whole pool in one slot. A strict round robin must see every candidate's state at once, and
  a script sees one slot only. The price: the pool lives on one node. At two small scripts a request that node
  has room for some ten thousand requests a second, far beyond what accounts allow.
- `{k:<key_id>}`: one slot per API key, so that keys spread over the nodes.

| key | type | what | lifetime |
|---|---|---|---|
| `mgw:{accounts}:turns` | hash | `:<account>` -> its next turn; `clock` | 1 day |
| `mgw:{accounts}:queue` | zset | waiting lease_id -> ticket | 1 min idle |
| `mgw:{accounts}:waiters` | hash | waiting lease_id -> its end and its candidates; `ticket` | 1 min idle |
| `mgw:{accounts}:sticky:<digest>` | string | conversation -> account | 1 h idle |
| `mgw:{accounts}:a:<name>:leases` | zset | lease_id -> expires_ms | 2 leases idle |
| `mgw:{accounts}:a:<name>:state` | hash | cooldown, quarantine, breaker, minute's tokens | 30 days idle |
| `mgw:{accounts}:a:<name>:window` | zset | `<tokens>:<lease_id>` -> at_ms, the last minute | 2 min idle |
| `mgw:{accounts}:workers` | zset | worker -> expires_ms: how many share the pool | 2 leases idle |
| `mgw:{k:<key_id>}:window` | zset | `<tokens>:<request_id>` -> at_ms, the last minute | 2 min idle |
| `mgw:{k:<key_id>}:meter` | hash | tokens of the minute, micro-dollars spent | 400 days idle |
| `mgw:{k:<key_id>}:slots` | zset | request_id -> expires_ms: requests in flight | 2 leases idle |
| `mgw:{k:<key_id>}:settled:<request_id>` | string | settled once | 5 min |
| `mgw:{k:<key_id>}:usage:<day>` | hash | `<field>:<model>` -> count | 400 days idle |
| `mgw:{usage}:<day>` | hash | key_id -> name of the keys that were used that day | 400 days idle |
| `mgw:{k:<key_id>}:<kind>:<id>` | string | a stored answer, compressed | as configured |
| `mgw:{k:<key_id>}:reasoning:<digest>` | string | reasoning that led to a tool call, sealed | as configured |
| `mgw:{k:<key_id>}:events:<response_id>` | stream | events of a background response | 1 h idle |
| `mgw:{k:<key_id>}:runner:<response_id>` | string | sign of life of who runs it | 15 s |
| `mgw:{k:<key_id>}:stop:<response_id>` | string | cancel or delete, for the runner | 1 h |
| `mgw:{t:<account>}:thread:<key_id>:<digest>` | string | studio conversation that may go on | as configured |
| `mgw:{t:<account>}:due` | zset | studio conversation -> when to delete it | 30 days idle |
| `mgw:{turn:<name>}` | string | somebody did this lately | as long as it holds |
| `mgw:{keys}:issued` | hash | key_id -> an issued API key: name, digest, limits | until revoked |
| `mgw:{models}:catalogue` | hash | account -> its models, as JSON | 1 day |

Batches and files have keys of their own, `mgw:{q:<shard>}:…`: batch_keys.py.

Decisions read times that are stored in the values; lifetimes only clean up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import blake2b

PREFIX = "mgw:"
_POOL = PREFIX + "{accounts}:"

DAY_S = 86_400
LEASE_TTL_S = 15.0
HEARTBEAT_S = 5.0
STICKY_TTL_S = 3600.0
CATALOGUE_TTL_S = DAY_S
STATE_TTL_S = 30 * DAY_S
DUE_TTL_S = 30 * DAY_S
LEDGER_TTL_S = 400 * DAY_S
SETTLED_TTL_S = 300

TURNS = _POOL + "turns"
QUEUE = _POOL + "queue"
WAITERS = _POOL + "waiters"
WORKERS = _POOL + "workers"
NOT_STICKY = _POOL + "sticky:"
ISSUED = PREFIX + "{keys}:issued"
CATALOGUE = PREFIX + "{models}:catalogue"


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """The keys of one account, in the order in which scripts take them."""

    leases: str
    state: str
    window: str


@lru_cache(maxsize=4096)
def account(name: str) -> AccountKeys:
    root = f"{_POOL}a:{name}:"
    return AccountKeys(leases=root + "leases", state=root + "state", window=root + "window")


def sticky(conversation: str | None) -> str:
    """Only a digest of the conversation's key: prompts and client ids never stand in a key's name."""
    return NOT_STICKY if conversation is None else NOT_STICKY + digest(conversation)


def digest(name: str) -> str:
    """What stands in a key's name for a word of a client's."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKeyKeys:
    """The keys of one API key."""

    window: str
    meter: str
    slots: str


@lru_cache(maxsize=4096)
def api_key(key_id: str) -> ApiKeyKeys:
    root = f"{PREFIX}{{k:{key_id}}}:"
    return ApiKeyKeys(window=root + "window", meter=root + "meter", slots=root + "slots")


def settled(key_id: str, request_id: str) -> str:
    return f"{PREFIX}{{k:{key_id}}}:settled:{request_id}"


def usage(key_id: str, day: date) -> str:
    return f"{PREFIX}{{k:{key_id}}}:usage:{day.isoformat()}"


def usage_day(day: date) -> str:
    return f"{PREFIX}{{usage}}:{day.isoformat()}"


def stored(kind: str, key_id: str, object_id: str) -> str:
    """An answer kept for its owner. The owner is part of the name: a foreign id is unknown."""
    return f"{PREFIX}{{k:{key_id}}}:{kind}:{object_id}"


def reasoning(key_id: str, call_id: str) -> str:
    """The reasoning that led to a tool call, whose id is whatever the client says it is."""
    return f"{PREFIX}{{k:{key_id}}}:reasoning:{digest(call_id)}"


def thread(account_name: str, key_id: str, place: str) -> str:
    """A conversation at the studio: of one account, one API key and one history."""
    return f"{PREFIX}{{t:{account_name}}}:thread:{key_id}:{place}"


def threads_due(account_name: str) -> str:
    return f"{PREFIX}{{t:{account_name}}}:due"


def turn(name: str) -> str:
    return f"{PREFIX}{{turn:{name}}}"


def response_events(key_id: str, response_id: str) -> str:
    return f"{PREFIX}{{k:{key_id}}}:events:{response_id}"


def response_runner(key_id: str, response_id: str) -> str:
    return f"{PREFIX}{{k:{key_id}}}:runner:{response_id}"


def response_stop(key_id: str, response_id: str) -> str:
    return f"{PREFIX}{{k:{key_id}}}:stop:{response_id}"
