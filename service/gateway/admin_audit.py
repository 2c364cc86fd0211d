"""Every change by an operator: one entry for those who look later, one log line for those who watch."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from service.core.admin import AuditEntry
from service.core.errors import StoreUnavailable
from service.gateway.admin_ports import AuditLog
from service.gateway.ports import Clock

log = structlog.get_logger()


class Audit:
    """Notes what was done, after it was done."""

    def __init__(self, entries: AuditLog, clock: Clock) -> None:
        self._entries = entries
        self._clock = clock

    async def note(self, *, who: str, action: str, target: str, detail: str = "") -> None:
        """`detail` names fields, never their secrets. The log line is written in any case."""
        log.info("admin_changed", who=who, action=action, target=target, detail=detail)
        await self.keep(who=who, action=action, target=target, detail=detail)

    async def keep(self, *, who: str, action: str, target: str, detail: str = "") -> None:
        """As `note`, for a command, which has said so itself."""
        now_s = round(self._clock.unix_s(), 3)
        try:
            await self._entries.add(
                AuditEntry(time=now_s, who=who, action=action, target=target, detail=detail)
            )
        except StoreUnavailable:
            log.warning("admin_audit_lost", action=action, target=target)

    async def newest(self, limit: int) -> Sequence[AuditEntry]:
        """Raises StoreUnavailable."""
        return await self._entries.newest(limit)
