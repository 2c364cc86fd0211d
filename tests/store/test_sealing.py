"""Content at rest opens for its owner, in its place, and nowhere else."""

from __future__ import annotations

import pytest

from service.core.batches import ContentUnreadable
from service.store.sealing import Sealer

CONTENT = b'{"messages": "what nobody else should read"}' * 20


def sealer(*, key: str = "a" * 64, object_id: str = "batch_1", secret: str = "") -> Sealer:
    return Sealer(key_sha256=key, object_id=object_id, server_secret=secret)


def test_what_was_sealed_opens_and_is_shorter() -> None:
    sealed = sealer().seal(CONTENT, place="item 1")
    assert sealer().open(sealed, place="item 1") == CONTENT
    assert len(sealed) < len(CONTENT) / 4
    assert b"nobody" not in sealed


def test_the_same_content_is_never_sealed_alike() -> None:
    assert sealer().seal(CONTENT, place="item 1") != sealer().seal(CONTENT, place="item 1")


@pytest.mark.parametrize(
    ("other", "place"),
    [
        pytest.param(sealer(key="b" * 64), "item 1", id="another owner"),
        pytest.param(sealer(object_id="batch_2"), "item 1", id="another object"),
        pytest.param(sealer(), "item 2", id="another place"),
        pytest.param(sealer(secret="x"), "item 1", id="another server"),
    ],
)
def test_elsewhere_it_stays_shut(other: Sealer, place: str) -> None:
    with pytest.raises(ContentUnreadable):
        other.open(sealer().seal(CONTENT, place="item 1"), place=place)


@pytest.mark.parametrize("at", [5, 20, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    sealed = bytearray(sealer().seal(CONTENT, place="item 1"))
    sealed[at] ^= 1
    with pytest.raises(ContentUnreadable):
        sealer().open(bytes(sealed), place="item 1")


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01" * 13, b"garbage that is long enough to be one"])
def test_garbage_is_unreadable(value: bytes) -> None:
    with pytest.raises(ContentUnreadable):
        sealer().open(value, place="item 1")
