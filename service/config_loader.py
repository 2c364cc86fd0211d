"""JSON -> Config. Strict: every key is known, every value has its type and range, and no mistake is silent.

A mistake is a ConfigError whose text starts with the path of the bad key and says what is allowed there:
`limits.max_body_byte: unknown key; known: max_attempts, max_body_bytes, max_json_depth`. No message holds
a value
that could be a secret.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

import orjson

from service.config import Account, AccountKind, ApiKey, Config, Listen, Log, Secret, key_digest

DEMO_API_KEY = "sk-mimo"
STUDIO_BASE_URL = "https://aistudio.xiaomimimo.com"
PLATFORM_BASE_URL = "https://api.xiaomimimo.com"
TOKEN_PLAN_BASE_URL = "https://token-plan-{region}.xiaomimimo.com"  # noqa: S105 - a host, no password
REGIONS = ("cn", "sgp", "ams")
REDIS_SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ConfigError(Exception):
    """A mistake in the configuration. The message is for the operator and holds no secret."""


# --- typed values, driven by the dataclasses' annotations ---------------------------------------------------


def section(cls: type, value: object, path: str) -> typing.Any:
    """The JSON object `value` as an instance of the dataclass `cls`. Raises ConfigError."""
    obj = _object(value, path)
    known = {f.name: f for f in fields(cls)}
    _refuse_unknown(obj, known, path)
    hints = typing.get_type_hints(cls)
    kept = {
        name: _bounded(known[name], _typed(hints[name], item, f"{path}.{name}"), f"{path}.{name}")
        for name, item in obj.items()
    }
    for name, f in known.items():
        if name not in kept and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{path}.{name}: missing")
    return cls(**kept)


def _object(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be an object, not {_word(value)}")
    return value


def _refuse_unknown(obj: Mapping[str, object], known: typing.Iterable[str], path: str) -> None:
    names = sorted(known)
    for name in obj:
        if name not in names:
            where = f"{path}.{name}" if path != "config" else name
            raise ConfigError(f"{where}: unknown key; known: {', '.join(names)}")


def _word(value: object) -> str:
    words = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "an integer"}
    return "null" if value is None else words.get(type(value), "a number")


def _typed(hint: typing.Any, value: object, path: str) -> object:
    """`value` as the annotation `hint` wants it; the mistakes name the path."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{path}: must be a list, not {_word(value)}")
        return tuple(_typed(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _typed(str, item, f"{path}.{name}") for name, item in _object(value, path).items()}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _choice(hint, value, path)
    if is_dataclass(hint):
        return section(typing.cast("type", hint), value, path)
    return _scalar(hint, value, path)


def _choice(hint: type[StrEnum], value: object, path: str) -> StrEnum:
    allowed = [str(member) for member in hint]
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ConfigError(f"{path}: must be one of {', '.join(allowed)}")
    return hint(value.lower())


def _scalar(hint: type, value: object, path: str) -> object:
    if hint is Secret and isinstance(value, str):
        return Secret(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    wanted = {
        str: "a string",
        int: "an integer",
        float: "a number",
        bool: "true or false",
        Secret: "a string",
    }
    raise ConfigError(f"{path}: must be {wanted[hint]}, not {_word(value)}")


def _bounded(f: Field[object], value: object, path: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high, above = (f.metadata.get(name) for name in ("min", "max", "above"))
        if low is not None and value < low:
            raise ConfigError(f"{path}: must be at least {low}")
        if above is not None and value <= above:
            raise ConfigError(f"{path}: must be above {above}")
        if high is not None and value > high:
            raise ConfigError(f"{path}: must be at most {high}")
    return value


def _text(obj: Mapping[str, object], name: str, path: str, default: str = "") -> str:
    return typing.cast("str", _scalar(str, obj.get(name, default), f"{path}.{name}"))


# --- API keys -----------------------------------------------------------------------------------------------


def api_keys(value: object, path: str = "api_keys") -> tuple[ApiKey, ...]:
    """The seed's `"a,b"` or a list of objects with limits."""
    if isinstance(value, str):
        plain = [key.strip() for key in value.split(",") if key.strip()]
        keys = [ApiKey(name=f"key-{i}", key_sha256=key_digest(key)) for i, key in enumerate(plain, 1)]
    elif isinstance(value, list):
        keys = [_api_key(item, f"{path}[{i}]") for i, item in enumerate(value)]
    else:
        raise ConfigError(
            f"{path}: must be a string of keys separated by commas, or a list, not {_word(value)}"
        )
    if not keys:
        raise ConfigError(f"{path}: must hold at least one key")
    _refuse_twice([key.name for key in keys], path, "name")
    _refuse_twice([key.key_sha256 for key in keys], path, "key")
    return tuple(keys)


def _api_key(value: object, path: str) -> ApiKey:
    obj = dict(_object(value, path))
    known = [*(f.name for f in fields(ApiKey)), "key"]
    _refuse_unknown(obj, known, path)
    if ("key" in obj) == ("key_sha256" in obj):
        raise ConfigError(f"{path}: must have exactly one of key and key_sha256")
    if "key" in obj:
        key = _text(obj, "key", path)
        if not key:
            raise ConfigError(f"{path}.key: must not be empty")
        del obj["key"]
        obj["key_sha256"] = key_digest(key)
    elif not _HEX_DIGEST.fullmatch(_text(obj, "key_sha256", path).lower()):
        raise ConfigError(f"{path}.key_sha256: must be 64 hexadecimal digits")
    obj["key_sha256"] = str(obj["key_sha256"]).lower()
    for name in ("requests_per_minute", "tokens_per_minute", "max_concurrency", "budget_usd"):
        limit = obj.get(name)
        if isinstance(limit, int | float) and limit < 0:
            raise ConfigError(f"{path}.{name}: must be at least 0")
    return typing.cast("ApiKey", section(ApiKey, obj, path))


def _refuse_twice(values: list[str], path: str, what: str) -> None:
    for i, item in enumerate(values):
        if item in values[:i]:
            raise ConfigError(f"{path}[{i}]: the same {what} as {path}[{values.index(item)}]")


# --- accounts -----------------------------------------------------------------------------------------------

_SHARED = [
    *("name", "base_url", "region", "models", "enabled", "login_time", "weight"),
    *("max_concurrency", "requests_per_minute", "tokens_per_minute"),
]
_STUDIO = ["service_token", "user_id", "xiaomichatbot_ph", "is_valid", "last_test"]


def accounts(value: object, path: str = "mimo_accounts") -> tuple[Account, ...]:
    """The list of accounts; an entry with `service_token` is studio, one with `api_key` is platform."""
    if not isinstance(value, list):
        raise ConfigError(f"{path}: must be a list, not {_word(value)}")
    found = tuple(_account(item, f"{path}[{i}]", i) for i, item in enumerate(value))
    _refuse_twice([account.name for account in found], path, "name")
    return found


def _account(value: object, path: str, position: int) -> Account:
    obj = dict(_object(value, path))
    if ("service_token" in obj) == ("api_key" in obj):
        raise ConfigError(f"{path}: must have exactly one of service_token (studio) and api_key (platform)")
    kind = AccountKind.STUDIO if "service_token" in obj else AccountKind.PLATFORM
    _refuse_unknown(obj, _SHARED + (_STUDIO if kind is AccountKind.STUDIO else ["api_key"]), path)
    region, is_valid = obj.pop("region", None), obj.pop("is_valid", True)
    obj.pop("last_test", None)
    if not isinstance(is_valid, bool):
        raise ConfigError(f"{path}.is_valid: must be true or false, not {_word(is_valid)}")
    secrets = ["service_token", "user_id", "xiaomichatbot_ph"] if kind is AccountKind.STUDIO else ["api_key"]
    for name in secrets:
        # Browsers show cookie values in double quotes; the wire wants them without (mimo-api.md 5.1).
        obj[name] = _text(obj, name, path).strip().strip('"')
        if not obj[name]:
            raise ConfigError(f"{path}.{name}: must not be empty")
    name = _text(obj, "name", path, f"{kind}-{position + 1}")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{path}.name: must be 1 to 64 letters, digits, dots, hyphens or underscores")
    base_url = _text(obj, "base_url", path) or _default_base_url(
        kind, str(obj.get("api_key", "")), region, path
    )
    obj |= {"name": name, "kind": kind, "base_url": _root(base_url, f"{path}.base_url")}
    obj.setdefault("enabled", is_valid)
    # Peers report one or two requests at once per studio session (mimo-api.md 5.3).
    obj.setdefault("max_concurrency", 2 if kind is AccountKind.STUDIO else 8)
    for limit in ("max_concurrency", "weight"):
        if isinstance(obj.get(limit, 1), int) and typing.cast("int", obj.get(limit, 1)) < 1:
            raise ConfigError(f"{path}.{limit}: must be at least 1")
    return typing.cast("Account", section(Account, obj, path))


def _default_base_url(kind: AccountKind, key: str, region: object, path: str) -> str:
    if region is not None and region not in REGIONS:
        raise ConfigError(f"{path}.region: must be one of {', '.join(REGIONS)}")
    if kind is AccountKind.STUDIO:
        return STUDIO_BASE_URL
    # Token Plan keys are bound to a regional host; pay-as-you-go keys are not (mimo-api.md 1.1).
    if key.startswith(("tp-", "ttp-")):
        return TOKEN_PLAN_BASE_URL.format(region=region or "cn")
    return PLATFORM_BASE_URL


def _root(base_url: str, path: str) -> str:
    """The host's root: a trailing slash, /v1 or /anthropic is stripped."""
    url = base_url.rstrip("/")
    for tail in ("/v1", "/anthropic"):
        url = url.removesuffix(tail).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query:
        raise ConfigError(f"{path}: must be an http or https URL without user name or query")
    return url


# --- the whole ----------------------------------------------------------------------------------------------


def _redis_url(value: object, path: str = "redis_url") -> Secret:
    if not isinstance(value, str):
        raise ConfigError(f"{path}: must be a string, not {_word(value)}")
    if value != "embedded" and value.partition("://")[0] not in REDIS_SCHEMES:
        raise ConfigError(
            f"{path}: must be 'embedded' or start with one of {', '.join(REDIS_SCHEMES)} and ://"
        )
    return Secret(value)


_READERS: Mapping[str, Callable[[object], object]] = {
    "api_keys": api_keys,
    "mimo_accounts": accounts,
    "redis_url": _redis_url,
}


def load(body: bytes) -> Config:
    """One JSON object (UTF-8) as a Config. Raises ConfigError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"config: not valid JSON at line {error.lineno}, column {error.colno}") from None
    obj = _object(value, "config")
    hints = typing.get_type_hints(Config)
    known = {f.name: f for f in fields(Config) if f.name != "is_demo"}
    _refuse_unknown(obj, known, "config")
    kept = {
        name: _READERS[name](item) if name in _READERS else _typed(hints[name], item, name)
        for name, item in obj.items()
    }
    for name in ("api_keys", "mimo_accounts"):
        if name not in kept:
            raise ConfigError(f"{name}: missing")
    return Config(**typing.cast("dict[str, typing.Any]", kept))


def demo(simulator_url: str) -> Config:
    """The configuration without a file: key `sk-mimo`, one simulated account of each upstream kind."""
    return Config(
        api_keys=api_keys(DEMO_API_KEY),
        mimo_accounts=accounts(
            [
                {"name": "sim-platform", "api_key": "sk-simulator-1", "base_url": simulator_url},
                {
                    "name": "sim-studio",
                    "service_token": "simulator-token-1",
                    "user_id": "10001",
                    "xiaomichatbot_ph": "c2ltdWxhdG9yLTE/+w==",
                    "base_url": simulator_url,
                    "max_concurrency": 8,
                },
            ]
        ),
        is_demo=True,
    )


def overridden(config: Config, environ: Mapping[str, str]) -> Config:
    """The same configuration with what the environment says: PORT, REDIS_URL, LOG_LEVEL. Empty means
    unset.
    """
    if port := environ.get("PORT"):
        if not port.isdigit() or int(port) > 65535:
            raise ConfigError("environment PORT: must be a number from 0 to 65535")
        config = replace(config, listen=replace(config.listen, port=int(port)))
    if url := environ.get("REDIS_URL"):
        config = replace(config, redis_url=_redis_url(url, "environment REDIS_URL"))
    if level := environ.get("LOG_LEVEL"):
        config = replace(config, log=section(Log, {"level": level}, "environment LOG_LEVEL"))
    return config


__all__ = ["DEMO_API_KEY", "ConfigError", "Listen", "accounts", "api_keys", "demo", "load", "overridden"]
