"""JSON -> Config. Strict: every key is known, every value has its type, range and form, and no mistake is
silent.

A mistake is a ConfigError whose text starts with the path of the bad key and says what is allowed there:
`limits.max_body_byte: unknown key; known: max_attempts, max_body_bytes`. No message repeats a
value, and a key is repeated only when it looks like one: a credential in the wrong place stays unseen.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields, replace
from enum import StrEnum
from urllib.parse import urlsplit

import orjson

from service.config import FORMS, Account, AccountKind, ApiKey, Config, LogLevel, Secret, key_digest

DEMO_API_KEY = "sk-mimo"
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
_SHOWN_KEY = re.compile(r"(?!(?:sk|tp|ttp)-)[A-Za-z0-9_.\[\]/*-]{1,40}")
_PORT = re.compile(r"[0-9]{1,5}")

_T = typing.TypeVar("_T")


class ConfigError(Exception):
    """A mistake in the configuration. The message is for the operator and holds no secret."""


# --- typed values, driven by the dataclasses' annotations and metadata --------------------------------------


def section(cls: type[_T], value: object, path: str) -> _T:
    """The JSON object `value` as an instance of the dataclass `cls`. Raises ConfigError."""
    obj = _object(value, path)
    known: dict[str, Field[object]] = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    _refuse_keys(obj, known, path)
    hints = typing.get_type_hints(cls)
    return cls(
        **{name: _field(known[name], hints[name], item, _at(path, name)) for name, item in obj.items()}
    )


def _field(f: Field[object], hint: typing.Any, value: object, path: str) -> object:
    typed = _typed(hint, value, path)
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        _refuse_out_of_range(f.metadata, typed, path)
    if (form := f.metadata.get("form")) is not None:
        texts = [(path, typed)] if isinstance(typed, str) else _items(typed, path)
        for at, text in texts:
            pattern, words = FORMS[form]
            if not pattern.fullmatch(text):
                raise ConfigError(f"{at}: {words}")
    return typed


def _items(values: object, path: str) -> list[tuple[str, str]]:
    return [(f"{path}[{i}]", item) for i, item in enumerate(typing.cast("tuple[str, ...]", values))]


def _at(path: str, name: str) -> str:
    """The path of a key: the top level has no name of its own."""
    shown = name if _SHOWN_KEY.fullmatch(name) else "(a key that is not shown)"
    return f"{path}.{shown}" if path else shown


def _object(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path or 'config'}: must be an object, not {_word(value)}")
    return value


def _refuse_keys(obj: Mapping[str, object], known: Mapping[str, Field[object]], path: str) -> None:
    """Every key is a field's, and every field without a default is there."""
    _refuse_unknown(obj, known, path)
    for name, f in known.items():
        if name not in obj and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{_at(path, name)}: missing")


def _refuse_unknown(obj: Mapping[str, object], known: Iterable[str], path: str) -> None:
    names = sorted(known)
    for name in obj:
        if name not in names:
            raise ConfigError(f"{_at(path, name)}: unknown key; known: {', '.join(names)}")


def _word(value: object) -> str:
    words = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "an integer"}
    return "null" if value is None else words.get(type(value), "a number")


def _typed(hint: typing.Any, value: object, path: str) -> object:
    """`value` as the annotation `hint` wants it."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:  # always `T | None`
        return None if value is None else _typed(typing.get_args(hint)[0], value, path)
    if origin is tuple:  # always `tuple[T, ...]`
        if not isinstance(value, list):
            raise ConfigError(f"{path}: must be a list, not {_word(value)}")
        return tuple(_typed(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:  # always `Mapping[str, str]`
        return {name: _typed(str, item, _at(path, name)) for name, item in _object(value, path).items()}
    if issubclass(hint, StrEnum):
        return _choice(hint, value, path)
    return _scalar(hint, value, path) if hint in _SCALAR_WORDS else section(hint, value, path)


def _choice(hint: type[StrEnum], value: object, path: str) -> StrEnum:
    allowed = [str(member) for member in hint]
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ConfigError(f"{path}: must be one of {', '.join(allowed)}")
    return hint(value.lower())


_SCALAR_WORDS: Mapping[type, str] = {
    str: "a string",
    Secret: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}


def _scalar(hint: type, value: object, path: str) -> object:
    if hint is Secret and isinstance(value, str):
        return Secret(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{path}: must be {_SCALAR_WORDS[hint]}, not {_word(value)}")


def _refuse_out_of_range(bounds: Mapping[str, float], value: float, path: str) -> None:
    low, above, high = (bounds.get(name) for name in ("min", "above", "max"))
    if low is not None and value < low:
        raise ConfigError(f"{path}: must be at least {low}")
    if above is not None and value <= above:
        raise ConfigError(f"{path}: must be above {above}")
    if high is not None and value > high:
        raise ConfigError(f"{path}: must be at most {high}")


def _text(obj: Mapping[str, object], name: str, path: str) -> str:
    if name not in obj:
        raise ConfigError(f"{_at(path, name)}: missing")
    return typing.cast("str", _scalar(str, obj[name], _at(path, name)))


def _refuse_unsendable(secret: str, path: str) -> None:
    """Secrets travel in headers: a control character would break one, a blank is a slip of the pasting
    hand."""
    if not secret:
        raise ConfigError(f"{path}: must not be empty")
    if not re.fullmatch(r"[!-~]+", secret):
        raise ConfigError(f"{path}: must be printable ASCII without blanks and control characters")


def _refuse_twice(values: list[str], path: str, what: str) -> None:
    for i, item in enumerate(values):
        if (first := values.index(item)) < i:
            raise ConfigError(f"{path}[{i}]: the same {what} as {path}[{first}]")


# --- API keys -----------------------------------------------------------------------------------------------


def api_keys(value: object, path: str = "api_keys") -> tuple[ApiKey, ...]:
    """`"a,b"`, or a list of objects with limits. Raises ConfigError."""
    if isinstance(value, str):
        value = [{"key": key.strip()} for key in value.split(",") if key.strip()]
    if not isinstance(value, list):
        raise ConfigError(
            f"{path}: must be a string of keys separated by commas, or a list, not {_word(value)}"
        )
    if not value:
        raise ConfigError(f"{path}: must hold at least one key")
    keys = [_api_key(item, f"{path}[{i}]", f"key-{i + 1}") for i, item in enumerate(value)]
    _refuse_twice([key.key_sha256 for key in keys], path, "key")
    _refuse_twice([key.name for key in keys], path, "name")
    return tuple(keys)


def _api_key(value: object, path: str, default_name: str) -> ApiKey:
    obj = dict(_object(value, path))
    _refuse_unknown(obj, [*(f.name for f in fields(ApiKey)), "key"], path)
    if ("key" in obj) == ("key_sha256" in obj):
        raise ConfigError(f"{path}: must have exactly one of key and key_sha256")
    if "key" in obj:
        key = _text(obj, "key", path)
        _refuse_unsendable(key, f"{path}.key")
        del obj["key"]
        obj["key_sha256"] = key_digest(key)
    digest = _text(obj, "key_sha256", path)
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
        raise ConfigError(f"{path}: must be a list, not {_word(value)}")
    found = tuple(_account(item, f"{path}[{i}]", i + 1) for i, item in enumerate(value))
    _refuse_twice([account.name for account in found], path, "name")
    return found


def _account(value: object, path: str, number: int) -> Account:
    obj = dict(_object(value, path))
    if ("service_token" in obj) == ("api_key" in obj):
        raise ConfigError(f"{path}: must have exactly one of service_token (studio) and api_key (platform)")
    kind = AccountKind.STUDIO if "service_token" in obj else AccountKind.PLATFORM
    _refuse_unknown(obj, _SHARED_KEYS + _OWN_KEYS[kind], path)
    for name in _SECRETS[kind]:
        obj[name] = _secret(obj, name, path)
    if kind is AccountKind.STUDIO:
        base_url = STUDIO_BASE_URL
        _take_notes(obj, path)
    else:
        base_url = _platform_base_url(obj, path)
    obj["base_url"] = (
        root_url(_text(obj, "base_url", path), f"{path}.base_url") if "base_url" in obj else base_url
    )
    defaults = {"name": f"{kind}-{number}", "max_concurrency": _MAX_CONCURRENCY[kind]}
    return section(Account, {**defaults, **obj, "kind": str(kind)}, path)


def _secret(obj: Mapping[str, object], name: str, path: str) -> str:
    # Browsers show cookie values in double quotes; the wire wants them without (mimo-api.md 5.1).
    secret = _text(obj, name, path).strip().strip('"')
    _refuse_unsendable(secret, f"{path}.{name}")
    if name != "api_key" and re.search('[";,\\\\]', secret):
        raise ConfigError(f"{path}.{name}: must be one cookie's value, without quotes, commas and semicolons")
    return secret


def _take_notes(obj: dict[str, object], path: str) -> None:
    """What other programs write beside a session: `is_valid` false switches the account off, `last_test` is
    theirs."""
    if "last_test" in obj:
        _text(obj, "last_test", path)
        del obj["last_test"]
    is_valid = _scalar(bool, obj.pop("is_valid", True), f"{path}.is_valid")
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
    url = typing.cast("str", _scalar(str, value, path)).strip()
    scheme, separator, rest = url.partition("://")
    if url != "embedded" and not (scheme in REDIS_SCHEMES and separator and rest):
        raise ConfigError(
            f"{path}: must be 'embedded' or a URL of one of the schemes {', '.join(REDIS_SCHEMES)}"
        )
    return Secret(url)


_READERS: Mapping[str, Callable[[object], object]] = {
    "api_keys": api_keys,
    "mimo_accounts": accounts,
    "redis_url": _redis_url,
}


_NOT_IN_FILE = ("is_demo", "secret_key")


def load(body: bytes, *, resolve: Callable[[object], object] = lambda value: value) -> Config:
    """One JSON object (UTF-8) as a Config; `resolve` puts in what it refers to. Raises ConfigError."""
    try:
        obj = _object(resolve(orjson.loads(body)), "")
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"config: not valid JSON at line {error.lineno}, column {error.colno}") from None
    known: dict[str, Field[object]] = {f.name: f for f in fields(Config) if f.name not in _NOT_IN_FILE}
    _refuse_keys(obj, known, "")
    hints = typing.get_type_hints(Config)
    kept: dict[str, typing.Any] = {
        name: _READERS[name](item) if name in _READERS else _field(known[name], hints[name], item, name)
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
    """The same configuration with what the environment says: PORT, REDIS_URL, LOG_LEVEL and MIMO_SECRET_KEY.
    Empty means unset.

    Raises ConfigError."""
    if port := environ.get("PORT", "").strip():
        if not _PORT.fullmatch(port) or int(port) > 65535:
            raise ConfigError("environment PORT: must be a number from 0 to 65535")
        config = replace(config, listen=replace(config.listen, port=int(port)))
    if url := environ.get("REDIS_URL", "").strip():
        config = replace(config, redis_url=_redis_url(url, "environment REDIS_URL"))
    if level := environ.get("LOG_LEVEL", "").strip():
        chosen = typing.cast("LogLevel", _choice(LogLevel, level, "environment LOG_LEVEL"))
        config = replace(config, log=replace(config.log, level=chosen))
    if secret_key := environ.get("MIMO_SECRET_KEY", "").strip():
        config = replace(config, secret_key=Secret(secret_key))
    return _consistent(config)
