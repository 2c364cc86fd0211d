"""What this process holds at present: the leases and admissions that its heartbeat keeps alive, and the
answers under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.leases import Admission, Lease
from service.gateway.ports import Accounts, Limits

if TYPE_CHECKING:
    from service.gateway.running_answer import RunningAnswer

HEARTBEAT_S = 5.0


class Holdings:
    """Leases and admissions end by themselves when nobody renews them: a killed worker leaves nothing
    behind."""

    def __init__(self) -> None:
        self.leases: set[Lease] = set()
        self.admissions: set[Admission] = set()
        self.answers: set[RunningAnswer] = set()

    async def renew(self, accounts: Accounts, limits: Limits) -> None:
        """One heartbeat, for `background.repeat`. The pool is told even of no lease at all: that this
        worker lives, and so how many share what there is."""
        await accounts.renew(tuple(self.leases))
        if self.admissions:
            await limits.renew(tuple(self.admissions))
