"""API keys as shown -> the keys we know."""

from __future__ import annotations

import pytest

from service.config_loader import api_keys
from service.core.errors import Unauthenticated
from service.gateway.keyring import KeyRing


@pytest.mark.parametrize("shown", [None, "", "sk-other", "sk-on", "SK-ONE", "sk-one "])
def test_anything_but_the_key_is_refused_without_repeating_it(shown: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        KeyRing(api_keys("sk-one,sk-two")).find(shown)
    assert not shown or shown not in caught.value.message


def test_each_key_is_found() -> None:
    ring = KeyRing(api_keys([{"name": "first", "key": "sk-one"}, {"name": "second", "key": "sk-two"}]))
    assert ring.find("sk-two").name == "second"
