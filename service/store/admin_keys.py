"""The admin's keys in Redis. As in keys.py: one table, one `{tag}` for what a script touches together.

| key | type | what | lifetime |
|---|---|---|---|
| `mgw:{admin}:session:<digest>` | string | when the session ends, Unix time | 12 h |
| `mgw:{admin}:wrong:<digest>` | string | wrong keys of an address, and of all, this minute | 1 min |
| `mgw:{admin}:audit` | stream | the newest thousand changes | for ever, bounded |
| `mgw:{admin}:accounts` | hash | `added:<name>`: sealed secrets; `changed:<name>`: settings | until removed |
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
