"""Values that the admin's use cases and the store share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `time` is Unix time; `who` is a session's short digest or `admin key`; `detail` names what
    was changed and never holds a secret."""

    time: float
    who: str
    action: str
    target: str
    detail: str = ""
