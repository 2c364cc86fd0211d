"""The admin key: from the file, from the environment, as itself or as its digest, and never shown."""

from __future__ import annotations

import orjson
import pytest

from service.config import key_digest
from service.config_loader import admin_key, demo, load, overridden
from service.config_values import ConfigError

KEY = "correct-horse-battery"


def test_no_key_is_no_digest() -> None:
    assert demo("http://127.0.0.1:1").admin_key.reveal() == ""


@pytest.mark.parametrize(
    "value", [KEY, f" {KEY}\n", f"sha256:{key_digest(KEY)}", f"sha256:{key_digest(KEY).upper()}"]
)
def test_what_is_kept_is_the_digest(value: str) -> None:
    assert admin_key(value).reveal() == key_digest(KEY)


def test_it_may_stand_in_the_file() -> None:
    body = orjson.dumps({"api_keys": "sk-a", "mimo_accounts": [], "admin_key": KEY})
    assert load(body).admin_key.reveal() == key_digest(KEY)


def test_the_environment_wins_over_the_file() -> None:
    config = overridden(demo("http://127.0.0.1:1"), {"MIMO_ADMIN_KEY": KEY + "-2"})
    assert config.admin_key.reveal() == key_digest(KEY + "-2")
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param("short", "at least 16 characters", id="short"),
        pytest.param("", "must not be empty", id="empty"),
        pytest.param("with a blank in its midst", "printable ASCII", id="a blank"),
        pytest.param("sha256:abc", "64 hexadecimal digits", id="no digest"),
        pytest.param(12345678901234567, "must be a string", id="a number"),
    ],
)
def test_a_bad_key_is_refused_and_not_repeated(value: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        admin_key(value)
    assert str(value) not in str(caught.value) or value == ""
