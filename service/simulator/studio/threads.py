"""The studio's conversations: what its model has before it when a turn comes (mimo-api.md, 5.3).

A `conversationId` is chosen by the client and belongs to one account; the first message makes the
conversation. What links a turn to those before is not that id but `previousDialogueId`, the `dialogId` of the
answer before: without one the model sees the turn alone. Anything but the last answer of a conversation that
is there is refused: how the real studio says so is not known, so `lost_studio_conversations` has two ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_MAX_CONVERSATIONS = 500
_MAX_CHARACTERS = 32 << 20


@dataclass(frozen=True, slots=True)
class Dialog:
    """One turn and its answer."""

    dialog_id: str
    query: str
    answer: str


@dataclass(slots=True)
class _Conversation:
    last_id: str = ""
    dialogs: list[Dialog] = field(default_factory=list)


class Threads:
    """Every account's conversations, bounded: the oldest are lost first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Conversation] = {}
        self._characters = 0

    def before(self, account: str, conversation_id: str, previous_id: str | None) -> Sequence[Dialog] | None:
        """What a turn goes on from, oldest first: nothing without a previous id. None: it is not there."""
        if previous_id is None:
            return ()
        found = self._kept.get((account, conversation_id))
        return None if found is None or found.last_id != previous_id else found.dialogs

    def add(self, account: str, conversation_id: str, before: Sequence[Dialog], dialog: Dialog) -> None:
        """The turn was answered: the next one may go on from here."""
        key = (account, conversation_id)
        self._forget(key)
        self._kept[key] = _Conversation(dialog.dialog_id, [*before, dialog])
        self._characters += _characters(self._kept[key])
        while self._kept and (len(self._kept) > _MAX_CONVERSATIONS or self._characters > _MAX_CHARACTERS):
            self._forget(next(iter(self._kept)))

    def delete(self, account: str, conversation_ids: Iterable[str]) -> None:
        for conversation_id in conversation_ids:
            self._forget((account, conversation_id))

    def clear(self) -> None:
        """The studio lost everything."""
        self._kept.clear()
        self._characters = 0

    def ids(self, account: str) -> set[str]:
        """The conversations that stand in the history of the account's user."""
        return {conversation_id for owner, conversation_id in self._kept if owner == account}

    def _forget(self, key: tuple[str, str]) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._characters -= _characters(found)


def _characters(conversation: _Conversation) -> int:
    return sum(len(dialog.query) + len(dialog.answer) for dialog in conversation.dialogs)
