"""Our signature on thinking blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.dialects.anthropic_messages.signature import Signer, is_own_signature, signature_of
from tests.strategies import texts


@given(st.lists(texts(), max_size=4))
def test_pieces_sign_like_the_whole(pieces: list[str]) -> None:
    signer = Signer()
    for piece in pieces:
        signer.feed(piece)
    assert signer.signature() == signature_of("".join(pieces))


@pytest.mark.parametrize(
    ("signature", "is_own"),
    [
        pytest.param(signature_of("hm"), True, id="ours"),
        pytest.param(signature_of(""), True, id="ours on empty text"),
        pytest.param("EqQBCgIYAhIM", False, id="another vendor's"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="none"),
    ],
)
def test_own_signature_is_recognised(signature: str | None, is_own: bool) -> None:
    assert is_own_signature(signature) is is_own
