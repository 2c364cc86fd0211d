"""JSON -> Config. Strict: every key is known, every value has its type, range and form, and no mistake is
silent.

A mistake is a ConfigError whose text starts with the path of the bad key and says what is allowed there:
`limits.max_body_byte: unknown key; known: max_attempts, max_body_bytes`. No message repeats a
value, and a key is repeated only when it looks like one: a credential in the wrong place stays unseen.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, replace
from urllib.parse import urlsplit

import orjson

from service.config import Account, AccountKind, ApiKey, Config, LogLevel, Secret, key_digest
from service.config_values import (
    ConfigError,
    at,
    choice,
    field_value,
    object_at,
    refuse_keys,
    refuse_twice,
    refuse_unknown,
    refuse_unsendable,
    scalar,
    section,
    text_at,
    word_for,
)

DEMO_API_KEY = "sk-mimo"
MIN_ADMIN_KEY_CHARS = 16
STUDIO_BASE_URL = "https://aistudio.xiaomimimo.com"
PLATFORM_BASE_URL = "https://api.xiaomimimo.com"
TOKEN_PLAN_BASE_URL = "https://token-plan-{region}.xiaomimimo.com"  # noqa: S105 - a host, no password
TOKEN_PLAN_PREFIXES = ("tp-", "ttp-")
REGIONS = ("cn", "sgp", "ams")
REDIS_SCHEMES = (
    *("redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")


# --- API keys -----------------------------------------------------------------------------------------------


def api_keys(value: object, path: str = "api_keys") -> tuple[ApiKey, ...]:
    """`"a,b"`, or a list of objects with limits. Raises ConfigError."""
    if isinstance(value, str):
        value = [{"key": key.strip()} for key in value.split(",") if key.strip()]
    if not isinstance(value, list):
        raise ConfigError(
            f"{path}: must be a string of keys separated by commas, or a list, not {word_for(value)}"
        )
    if not value:
        raise ConfigError(f"{path}: must hold at least one key")
    keys = [_api_key(item, f"{path}[{i}]", f"key-{i + 1}") for i, item in enumerate(value)]
    refuse_twice([key.key_sha256 for key in keys], path, "key")
    refuse_twice([key.name for key in keys], path, "name")
    return tuple(keys)


def _api_key(value: object, path: str, default_name: str) -> ApiKey:
    obj = dict(object_at(value, path))
    refuse_unknown(obj, [*(f.name for f in fields(ApiKey)), "key"], path)
    if ("key" in obj) == ("key_sha256" in obj):
        raise ConfigError(f"{path}: must have exactly one of key and key_sha256")
    if "key" in obj:
        key = text_at(obj, "key", path)
        refuse_unsendable(key, f"{path}.key")
        del obj["key"]
        obj["key_sha256"] = key_digest(key)
    digest = text_at(obj, "key_sha256", path)
    if not _HEX_DIGEST.fullmatch(digest):
        raise ConfigError(f"{path}.key_sha256: must be 64 hexadecimal digits")
    return section(ApiKey, {"name": default_name, **obj, "key_sha256": digest.lower()}, path)


# --- accounts -----------------------------------------------------------------------------------------------

_SHARED_KEYS = (
    *("name", "base_url", "models", "enabled", "weight"),
    *("max_concurrency", "requests_per_minute", "tokens_per_minute"),
)
_SECRETS: Mapping[AccountKind, tuple[str, ...]] = {
    AccountKind.PLATFORM: ("api_key",),
    AccountKind.STUDIO: ("service_token", "user_id", "xiaomichatbot_ph"),
}
_OWN_KEYS: Mapping[AccountKind, tuple[str, ...]] = {
    AccountKind.PLATFORM: ("api_key", "region"),
    AccountKind.STUDIO: (*_SECRETS[AccountKind.STUDIO], "is_valid", "login_time", "last_test"),
}
# Peers report one or two requests at once per studio session (mimo-api.md 5.3).
_MAX_CONCURRENCY: Mapping[AccountKind, int] = {AccountKind.PLATFORM: 8, AccountKind.STUDIO: 2}


def accounts(value: object, path: str = "mimo_accounts") -> tuple[Account, ...]:
    """The list of accounts; an entry with `service_token` is studio, one with `api_key` is platform.

    Raises ConfigError."""
    if not isinstance(value, list):
        raise ConfigError(f"{path}: must be a list, not {word_for(value)}")
    found = tuple(_account(item, f"{path}[{i}]", i + 1) for i, item in enumerate(value))
    refuse_twice([account.name for account in found], path, "name")
    return found


# What of an account can change without another credential.
CHANGEABLE = (
    *("enabled", "weight", "models"),
    *("max_concurrency", "requests_per_minute", "tokens_per_minute"),
)


def changed_account(account: Account, changes: Mapping[str, object], path: str) -> Account:
    """The account with other settings (some of CHANGEABLE, as JSON values). Raises ConfigError."""
    refuse_unknown(changes, CHANGEABLE, path)
    known, hints = {f.name: f for f in fields(Account)}, typing.get_type_hints(Account)
    typed: dict[str, typing.Any] = {
        name: field_value(known[name], hints[name], value, at(path, name)) for name, value in changes.items()
    }
    return replace(account, **typed)


def _account(value: object, path: str, number: int) -> Account:
    obj = dict(object_at(value, path))
    if ("service_token" in obj) == ("api_key" in obj):
        raise ConfigError(f"{path}: must have exactly one of service_token (studio) and api_key (platform)")
    kind = AccountKind.STUDIO if "service_token" in obj else AccountKind.PLATFORM
    refuse_unknown(obj, _SHARED_KEYS + _OWN_KEYS[kind], path)
    for name in _SECRETS[kind]:
        obj[name] = _secret(obj, name, path)
    if kind is AccountKind.STUDIO:
        base_url = STUDIO_BASE_URL
        _take_notes(obj, path)
    else:
        base_url = _platform_base_url(obj, path)
    obj["base_url"] = (
        root_url(text_at(obj, "base_url", path), f"{path}.base_url") if "base_url" in obj else base_url
    )
    defaults = {"name": f"{kind}-{number}", "max_concurrency": _MAX_CONCURRENCY[kind]}
    return section(Account, {**defaults, **obj, "kind": str(kind)}, path)


def _secret(obj: Mapping[str, object], name: str, path: str) -> str:
    # Browsers show cookie values in double quotes; the wire wants them without (mimo-api.md 5.1).
    secret = text_at(obj, name, path).strip().strip('"')
    refuse_unsendable(secret, f"{path}.{name}")
    if name != "api_key" and re.search('[";,\\\\]', secret):
        raise ConfigError(f"{path}.{name}: must be one cookie's value, without quotes, commas and semicolons")
    return secret


def _take_notes(obj: dict[str, object], path: str) -> None:
    """What other programs write beside a session: `is_valid` false switches the account off, `last_test` is
    theirs."""
    if "last_test" in obj:
        text_at(obj, "last_test", path)
        del obj["last_test"]
    is_valid = scalar(bool, obj.pop("is_valid", True), f"{path}.is_valid")
    obj.setdefault("enabled", is_valid)


def _platform_base_url(obj: dict[str, object], path: str) -> str:
    """The host that the key's plan and region mean. Token Plan keys are bound to a regional host,
    pay-as-you-go keys are not (mimo-api.md 1.1)."""
    has_region, region = "region" in obj, obj.pop("region", "cn")
    is_token_plan = str(obj["api_key"]).startswith(TOKEN_PLAN_PREFIXES)
    if region not in REGIONS:
        raise ConfigError(f"{path}.region: must be one of {', '.join(REGIONS)}")
    if has_region and "base_url" in obj:
        raise ConfigError(f"{path}.region: must not stand beside base_url, which names the host already")
    if has_region and not is_token_plan:
        raise ConfigError(f"{path}.region: only Token Plan keys ({', '.join(TOKEN_PLAN_PREFIXES)}) have one")
    return TOKEN_PLAN_BASE_URL.format(region=region) if is_token_plan else PLATFORM_BASE_URL


def root_url(base_url: str, path: str) -> str:
    """The host's root: a trailing slash, /v1 or /anthropic is stripped. Raises ConfigError."""
    url = base_url.strip().rstrip("/")
    for tail in ("/v1", "/anthropic"):
        url = url.removesuffix(tail).rstrip("/")
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that hold no IPv6 address, or a port past 65535
        is_usable = False
    if not is_usable or not re.fullmatch(r"[!-~]+", url) or re.search("[@?#]", url):
        raise ConfigError(f"{path}: must be an http or https URL without user name, query and fragment")
    return url


# --- the whole ----------------------------------------------------------------------------------------------


def _redis_url(value: object, path: str = "redis_url") -> Secret:
    """The form only; the store reads the rest of it."""
    url = typing.cast("str", scalar(str, value, path)).strip()
    scheme, separator, rest = url.partition("://")
    if url != "embedded" and not (scheme in REDIS_SCHEMES and separator and rest):
        raise ConfigError(
            f"{path}: must be 'embedded' or a URL of one of the schemes {', '.join(REDIS_SCHEMES)}"
        )
    return Secret(url)


def admin_key(value: object, path: str = "admin_key") -> Secret:
    """The digest of the key that opens the admin page: of the key itself, or given as `sha256:<64 digits>`.

    Raises ConfigError."""
    key = typing.cast("str", scalar(str, value, path)).strip()
    digest = key.removeprefix("sha256:")
    if digest != key:
        if not _HEX_DIGEST.fullmatch(digest):
            raise ConfigError(f"{path}: sha256: must be followed by 64 hexadecimal digits")
        return Secret(digest.lower())
    refuse_unsendable(key, path)
    if len(key) < MIN_ADMIN_KEY_CHARS:
        raise ConfigError(f"{path}: must have at least {MIN_ADMIN_KEY_CHARS} characters")
    return Secret(key_digest(key))


_READERS: Mapping[str, Callable[[object], object]] = {
    "admin_key": admin_key,
    "api_keys": api_keys,
    "mimo_accounts": accounts,
    "redis_url": _redis_url,
}


_NOT_IN_FILE = ("is_demo", "secret_key")


def load(body: bytes, *, resolve: Callable[[object], object] = lambda value: value) -> Config:
    """One JSON object (UTF-8) as a Config; `resolve` puts in what it refers to. Raises ConfigError."""
    try:
        obj = object_at(resolve(orjson.loads(body)), "")
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"config: not valid JSON at line {error.lineno}, column {error.colno}") from None
    known: dict[str, Field[object]] = {f.name: f for f in fields(Config) if f.name not in _NOT_IN_FILE}
    refuse_keys(obj, known, "")
    hints = typing.get_type_hints(Config)
    kept: dict[str, typing.Any] = {
        name: _READERS[name](item) if name in _READERS else field_value(known[name], hints[name], item, name)
        for name, item in obj.items()
    }
    return _consistent(Config(**kept))


def _consistent(config: Config) -> Config:
    listen = config.listen
    if listen.ops_port is not None and listen.ops_port == listen.port != 0:
        raise ConfigError(
            "listen.ops_port: must differ from listen.port; leave it out to use one port for both"
        )
    return config


def demo(simulator_url: str) -> Config:
    """The configuration without a file: key `sk-mimo`, one simulated account of each upstream kind."""
    platform = {"name": "sim-platform", "api_key": "sk-simulator-1", "base_url": simulator_url}
    studio = {
        "name": "sim-studio",
        "service_token": "simulator-token-1",
        "user_id": "10001",
        "xiaomichatbot_ph": "c2ltdWxhdG9yLTE/+w==",
        "base_url": simulator_url,
        "max_concurrency": 8,
    }
    return Config(api_keys=api_keys(DEMO_API_KEY), mimo_accounts=accounts([platform, studio]), is_demo=True)


def overridden(config: Config, environ: Mapping[str, str]) -> Config:
    """The same configuration with what the environment says: PORT, REDIS_URL, LOG_LEVEL, MIMO_ADMIN_KEY and
    MIMO_SECRET_KEY. Empty means unset.

    Raises ConfigError."""
    if port := environ.get("PORT", "").strip():
        if not _PORT.fullmatch(port) or int(port) > 65535:
            raise ConfigError("environment PORT: must be a number from 0 to 65535")
        config = replace(config, listen=replace(config.listen, port=int(port)))
    if url := environ.get("REDIS_URL", "").strip():
        config = replace(config, redis_url=_redis_url(url, "environment REDIS_URL"))
    if level := environ.get("LOG_LEVEL", "").strip():
        chosen = typing.cast("LogLevel", choice(LogLevel, level, "environment LOG_LEVEL"))
        config = replace(config, log=replace(config.log, level=chosen))
    if key := environ.get("MIMO_ADMIN_KEY", "").strip():
        config = replace(config, admin_key=admin_key(key, "environment MIMO_ADMIN_KEY"))
    if secret_key := environ.get("MIMO_SECRET_KEY", "").strip():
        config = replace(config, secret_key=Secret(secret_key))
    return _consistent(config)
