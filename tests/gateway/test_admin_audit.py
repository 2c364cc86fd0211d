"""Notes of changes: kept, and at least logged."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from service.core.admin import AuditEntry
from service.core.errors import StoreUnavailable
from service.gateway.admin_audit import Audit
from tests.fakes.clock import FakeClock


class Entries:
    def __init__(self, *, is_away: bool = False) -> None:
        self.kept: list[AuditEntry] = []
        self.is_away = is_away

    async def add(self, entry: AuditEntry) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.kept.append(entry)

    async def newest(self, limit: int) -> Sequence[AuditEntry]:
        return self.kept[::-1][:limit]


async def test_change_is_kept_and_logged() -> None:
    entries = Entries()
    audit = Audit(entries, FakeClock(unix_s=1_790_000_000.1234))
    with structlog.testing.capture_logs() as lines:
        await audit.note(who="admin key", action="key_created", target="ci", detail="models")
    (entry,) = await audit.newest(5)
    assert entry == AuditEntry(
        time=1_790_000_000.123, who="admin key", action="key_created", target="ci", detail="models"
    )
    (line,) = lines
    assert (line["event"], line["who"], line["target"]) == ("admin_changed", "admin key", "ci")


async def test_change_that_cannot_be_kept_is_logged_all_the_same() -> None:
    audit = Audit(Entries(is_away=True), FakeClock())
    with structlog.testing.capture_logs() as lines:
        await audit.note(who="admin key", action="key_revoked", target="ci")
    assert [line["event"] for line in lines] == ["admin_changed", "admin_audit_lost"]
