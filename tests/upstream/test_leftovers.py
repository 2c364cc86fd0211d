"""What is left to delete: by account, in batches, bounded."""

from __future__ import annotations

from service.config import Account, AccountKind
from service.upstream.leftovers import MAX_BATCH, MAX_KEPT, Leftovers

A, B = (Account(name=name, kind=AccountKind.STUDIO, base_url="http://x") for name in "ab")


def test_conversations_are_taken_once_in_batches_of_one_account() -> None:
    leftovers = Leftovers()
    for number in range(MAX_BATCH + 1):
        leftovers.add(A, str(number))
    leftovers.add(B, "b")
    batches = [(account.name, len(ids)) for account, ids in leftovers.take()]
    assert batches == [("a", MAX_BATCH), ("a", 1), ("b", 1)]
    assert leftovers.take() == []


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    leftovers = Leftovers()
    for number in range(MAX_KEPT + 7):
        leftovers.add(A, str(number))
    kept = [name for _, ids in leftovers.take() for name in ids]
    assert (len(kept), kept[0]) == (MAX_KEPT, "7")
