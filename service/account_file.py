"""Accounts into and out of `mimo_accounts` of the configuration file: whole or not at all, mode 600."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from service.config_loader import load
from service.config_references import References
from service.config_values import ConfigError

_KIND_WORDS = {"service_token": "studio", "api_key": "platform"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Which account the file now has."""

    name: str
    is_new: bool
    is_new_file: bool


def write_account(
    config_file: Path, credentials: Mapping[str, str], *, name: str | None, now_s: float
) -> Written:
    """Update the entry of that name, else the one of the same user or key, else add one; replace the file.

    Raises ConfigError when the file is no configuration, before or after, and changes nothing then."""
    path = config_file.resolve()  # a link stays a link
    is_new_file = not path.exists()
    obj = _fresh() if is_new_file else _read(path)
    entries = obj.setdefault("mimo_accounts", [])
    if not isinstance(entries, list):
        raise ConfigError("mimo_accounts: must be a list")
    place = _place(entries, credentials, name)
    is_new = place is None
    if place is None:
        place = len(entries)
        entries.append({**({} if name is None else {"name": name}), **credentials})
    else:
        _update(entries[place], credentials, f"mimo_accounts[{place}]", now_s)
    body = orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    config = load(body, resolve=References(os.environ).resolve)
    _replace(path, body)
    return Written(name=config.mimo_accounts[place].name, is_new=is_new, is_new_file=is_new_file)


def remove_account(config_file: Path, name: str) -> bool:
    """Take the entry of that name out of the file. False: there is none, and nothing was changed.

    Entries without a name are called after their place: those behind it keep what they were called, in words
    now. Raises ConfigError when the file is no configuration, before or after, and changes nothing then."""
    path = config_file.resolve()
    obj = _read(path)
    entries = obj.get("mimo_accounts", [])
    if not isinstance(entries, list):
        raise ConfigError("mimo_accounts: must be a list")
    names = [_name_of(entry, place) for place, entry in enumerate(entries)]
    if name not in names:
        return False
    kept = [{"name": own, **entry} for own, entry in zip(names, entries, strict=True) if own != name]
    place = names.index(name)
    obj["mimo_accounts"] = entries[:place] + kept[place:]
    body = orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    load(body, resolve=References(os.environ).resolve)
    _replace(path, body)
    return True


def _name_of(entry: Mapping[str, Any], place: int) -> str:
    kind = _KIND_WORDS["service_token" if "service_token" in entry else "api_key"]
    name: str = entry.get("name", f"{kind}-{place + 1}")
    return name


def _fresh() -> dict[str, Any]:
    return {"api_keys": f"sk-mimo-{secrets.token_urlsafe(24)}", "mimo_accounts": []}


def _read(path: Path) -> dict[str, Any]:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    load(body, resolve=References(os.environ).resolve)
    obj: dict[str, Any] = orjson.loads(body)
    return obj


def _place(entries: list[Any], credentials: Mapping[str, str], name: str | None) -> int | None:
    identity = "user_id" if "user_id" in credentials else "api_key"
    for place, entry in enumerate(entries):
        if name is None and entry.get(identity) == credentials[identity]:
            return place
        if name is not None and _name_of(entry, place) == name:
            return place
    return None


def _update(entry: dict[str, Any], credentials: Mapping[str, str], path: str, now_s: float) -> None:
    if ("api_key" in entry) != ("api_key" in credentials):
        raise ConfigError(f"{path}: is an account of the other kind; give the new one another name")
    for key, value in credentials.items():
        if isinstance(entry.get(key), dict):
            raise ConfigError(f"{path}.{key}: is kept outside this file; put the new value there")
        entry[key] = value
    if "is_valid" in entry:
        entry["is_valid"] = True
    if "login_time" in entry:
        entry["login_time"] = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _replace(path: Path, body: bytes) -> None:
    """Readers see the old file or the new one; a crash leaves one of them whole."""
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 600
        try:
            with os.fdopen(number, "wb") as opened:
                opened.write(body)
                opened.flush()
                os.fsync(opened.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
