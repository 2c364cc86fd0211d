"""Credentials taken out of an upstream's words."""

from __future__ import annotations

import pytest

from service.core.masking import masked

PH = "Y2FuYXJ5LXBoLTc3/+A=="


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("nothing of it here", "nothing of it here", id="others' words stay"),
        pytest.param(f"bad session {PH}, again {PH}", "bad session ***, again ***", id="as it is, each time"),
        pytest.param("GET /x?ph=Y2FuYXJ5LXBoLTc3%2F%2BA%3D%3D", "GET /x?ph=***", id="as a URL has it"),
        pytest.param('{"ph":"Y2FuYXJ5LXBoLTc3\\/+A=="}', '{"ph":"***"}', id="as JSON may have it"),
        pytest.param("key sk-1 is bad", "key *** is bad", id="another of them"),
    ],
)
def test_no_spelling_of_a_secret_is_left(text: str, shown: str) -> None:
    assert masked(text, (PH, "", "sk-1")) == shown
