"""Secrets that the configuration file only refers to."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from service.config import key_digest
from service.config_loader import ConfigError, load
from service.config_references import References


def config_with(key: object) -> bytes:
    return orjson.dumps({"api_keys": [{"name": "one", "key": key}], "mimo_accounts": []})


def test_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sk-from-a-file\n")
    references = References({})
    config = load(config_with({"from_file": str(secret)}), resolve=references.resolve)
    assert config.api_keys[0].key_sha256 == key_digest("sk-from-a-file")
    assert references.files == [secret]


def test_variable_is_read_from_the_environment() -> None:
    resolve = References({"MY_KEY": "sk-from-the-environment"}).resolve
    config = load(config_with({"from_env": "MY_KEY"}), resolve=resolve)
    assert config.api_keys[0].key_sha256 == key_digest("sk-from-the-environment")


def big(folder: Path) -> Path:
    path = folder / "big"
    path.write_bytes(b"x" * 70_000)
    return path


def binary(folder: Path) -> Path:
    path = folder / "binary"
    path.write_bytes(b"\xff\xfe")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda folder: folder / "none", "No such file", id="no file"),
        pytest.param(lambda folder: folder, "cannot be read", id="a folder"),
        pytest.param(big, "longer than 65536 bytes", id="too long"),
        pytest.param(binary, "is not UTF-8 text", id="not text"),
    ],
)
def test_file_that_holds_no_secret_is_refused_by_its_place(tmp_path: Path, make, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^api_keys\[0\]\.key: .*{words}"):
        load(config_with({"from_file": str(make(tmp_path))}), resolve=References({}).resolve)


def test_unset_variable_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"^api_keys\[0\]\.key: the environment has no variable MY_KEY$"):
        load(config_with({"from_env": "MY_KEY"}), resolve=References({}).resolve)


def test_object_with_more_than_the_reference_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^api_keys\[0\]\.key: must be a string"):
        load(config_with({"from_env": "A", "or": "B"}), resolve=References({"A": "x"}).resolve)
