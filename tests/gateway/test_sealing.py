"""Sealed reasoning: opened under the same API key, by any worker; by nobody else, and nothing else."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.gateway.sealing import MAX_TEXT_BYTES, PREFIX, Sealer

SEALER = Sealer("sk-mine")


@given(st.text())
def test_sealed_text_is_opened_by_another_worker_of_the_same_key(text: str) -> None:
    assert Sealer("sk-mine").unseal(SEALER.seal(text)) == text


def test_blob_says_nothing_and_is_another_one_each_time() -> None:
    first, second = SEALER.seal("the secret plan" * 9), SEALER.seal("the secret plan" * 9)
    assert first != second
    assert first.startswith(PREFIX)
    raw = base64.urlsafe_b64decode(first[len(PREFIX) :] + "==")
    assert b"secret" not in raw


def test_long_reasoning_is_deflated() -> None:
    assert len(SEALER.seal("Let me think about this again. " * 1000)) < 2000


def test_foreign_key_opens_nothing() -> None:
    assert Sealer("sk-other").unseal(SEALER.seal("mine")) is None


def changed(blob: str, place: int) -> str:
    return blob[:place] + ("A" if blob[place] != "A" else "B") + blob[place + 1 :]


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param("", id="nothing"),
        pytest.param("gAAAAABo_openais_own", id="OpenAI's own"),
        pytest.param(PREFIX, id="the prefix alone"),
        pytest.param(PREFIX + "%%%", id="no base64"),
        pytest.param(PREFIX + "é", id="no ASCII"),
        pytest.param(PREFIX + "AAAA", id="too short for a nonce"),
        pytest.param(PREFIX + "A" * 64, id="noise"),
        pytest.param(changed(SEALER.seal("text"), 40), id="changed"),
        pytest.param(SEALER.seal("text")[:-4], id="cut"),
        pytest.param("mgw2." + SEALER.seal("text")[len(PREFIX) :], id="another version"),
    ],
)
def test_anything_else_is_none(blob: str) -> None:
    assert SEALER.unseal(blob) is None


def test_bomb_that_the_key_s_owner_made_is_not_inflated() -> None:
    cipher, nonce = SEALER._cipher(), b"n" * 12
    bomb = zlib.compress(b"\0" * (MAX_TEXT_BYTES + 1))
    body = base64.urlsafe_b64encode(nonce + cipher.encrypt(nonce, bomb, PREFIX.encode()))
    assert SEALER.unseal(PREFIX + body.decode().rstrip("=")) is None


def test_key_with_bytes_that_are_no_utf_8_seals_too() -> None:
    odd = Sealer("sk-\udcff")
    assert odd.unseal(odd.seal("text")) == "text"
