"""Conversations of answered requests that the studio still shows in the user's own history: to be deleted.

Whatever nobody will go on from is deleted in batches, off every client's path. What waits for a next turn
(`studio.reuse_conversations`) is Redis's to remember, for all workers.
"""

from __future__ import annotations

from service.config import Account

MAX_KEPT = 1000
MAX_BATCH = 50


class Leftovers:
    """Ids by account, bounded: the oldest are forgotten first, and stay in the history."""

    def __init__(self) -> None:
        self._ids_by_account: dict[str, tuple[Account, list[str]]] = {}

    def add(self, account: Account, conversation_id: str) -> None:
        """The answer has ended, or was given up."""
        ids = self._ids_by_account.setdefault(account.name, (account, []))[1]
        ids.append(conversation_id)
        del ids[:-MAX_KEPT]
        self._ids_by_account[account.name] = (account, ids)  # its credentials may be newer

    def take(self) -> list[tuple[Account, list[str]]]:
        """Everything, in batches of one account each; nothing is left here."""
        taken, self._ids_by_account = self._ids_by_account, {}
        return [
            (account, ids[start : start + MAX_BATCH])
            for account, ids in taken.values()
            for start in range(0, len(ids), MAX_BATCH)
        ]
