"""The admin's keys in Redis. As in keys.py: one table, one `{tag}` for what a script touches together.

| key | type | what | lifetime |
|---|---|---|---|
| `mgw:{admin}:session:<digest>` | string | when the session ends, Unix time | 12 h |
| `mgw:{admin}:wrong:<digest>` | string | wrong keys of an address, and of all, this minute | 1 min |
| `mgw:{admin}:audit` | stream | the newest thousand changes | for ever, bounded |
| `mgw:{admin}:accounts` | hash | `added:<name>`: sealed secrets; `changed:<name>`: settings | until removed |
| `mgw:{fleet}:workers` | zset | worker -> expires_ms | 8 s idle |
| `mgw:{fleet}:row:<worker>` | string | what a worker says of itself, JSON | 8 s |
| `mgw:{fleet}:live:<worker>` | string | its requests that run, JSON; only while watched | 8 s |
| `mgw:{fleet}:flushed:<worker>` | string | the number of its last flush | 8 days |
| `mgw:{fleet}:watch` | string | somebody looks at the live requests | 6 s |
| `mgw:{fleet}:stops` | zset | request_id that is to be stopped -> expires_ms | 10 min |
| `mgw:{fleet}:errors` | hash | account -> its last error, JSON | 8 days |
| `mgw:{fleet}:<step>:<slot>` | hash | counts of a minute, a quarter hour, two hours | as charts show |
"""

from __future__ import annotations

from service.store import keys

_ADMIN = keys.PREFIX + "{admin}:"

AUDIT = _ADMIN + "audit"
ACCOUNTS = _ADMIN + "accounts"
WRONG_IN_ALL = _ADMIN + "wrong:all"


def session(digest: str) -> str:
    return f"{_ADMIN}session:{digest}"


def wrong(address: str) -> str:
    return f"{_ADMIN}wrong:{keys.digest(address)}"


_FLEET = keys.PREFIX + "{fleet}:"

WORKERS = _FLEET + "workers"
WATCH = _FLEET + "watch"
STOPS = _FLEET + "stops"
ERRORS = _FLEET + "errors"


def row(worker: str) -> str:
    return f"{_FLEET}row:{worker}"


def live(worker: str) -> str:
    return f"{_FLEET}live:{worker}"


def flushed(worker: str) -> str:
    return f"{_FLEET}flushed:{worker}"


def slot(step: str, starts_at_s: int) -> str:
    return f"{_FLEET}{step}:{starts_at_s}"
