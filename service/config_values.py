"""JSON values as typed ones, driven by the dataclasses' annotations and metadata. Strict: what does not fit
is a ConfigError whose text starts with the path of the bad key. No message repeats a value, and a key is
repeated only when it looks like one."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum

from service.config import Secret

_SHOWN_KEY = re.compile(r"(?!(?:sk|tp|ttp)-)[A-Za-z0-9_.\[\]/*-]{1,40}")

# What a string may look like: a pattern for all of it, and the pattern in words, for the message that
# refuses it.
FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "name": (
        re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,64}"),
        "must be 1 to 64 letters, digits, dots, hyphens or underscores, and not dots alone",
    ),
    # What turns the reading direction or the line would let a name look like another in lists and logs.
    "label": (
        re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,64}"),
        "must be 1 to 64 characters, no control characters",
    ),
    "model": (re.compile(r"[!-~]{1,128}"), "must be 1 to 128 printable ASCII characters without blanks"),
    "host": (re.compile(r"[!-~]+"), "must be an address or a host name"),
    "header": (re.compile(r"[ -~]{1,256}"), "must be 1 to 256 printable ASCII characters"),
    "origin": (
        re.compile(r"https?://[!-.0-~]+", re.IGNORECASE),
        "must be an origin such as https://app.example, without a path",
    ),
    "date": (
        re.compile(r"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))?"),
        "must be a date such as 2026-10-01",
    ),
    "words": (
        re.compile(r"[^\x00-\x1f\x7f]{0,200}"),
        "must be at most 200 characters, no control characters",
    ),
}

_T = typing.TypeVar("_T")


class ConfigError(Exception):
    """A mistake in the configuration. The message is for the operator and holds no secret."""


def section(cls: type[_T], value: object, path: str) -> _T:
    """The JSON object `value` as an instance of the dataclass `cls`. Raises ConfigError."""
    obj = object_at(value, path)
    known: dict[str, Field[object]] = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    refuse_keys(obj, known, path)
    hints = typing.get_type_hints(cls)
    return cls(
        **{name: field_value(known[name], hints[name], item, at(path, name)) for name, item in obj.items()}
    )


def field_value(f: Field[object], hint: typing.Any, value: object, path: str) -> object:
    typed = _typed(hint, value, path)
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        _refuse_out_of_range(f.metadata, typed, path)
    if (form := f.metadata.get("form")) is not None:
        texts = [(path, typed)] if isinstance(typed, str) else _items(typed, path)
        for place, text in texts:
            pattern, words = FORMS[form]
            if not pattern.fullmatch(text):
                raise ConfigError(f"{place}: {words}")
    return typed


def _items(values: object, path: str) -> list[tuple[str, str]]:
    return [(f"{path}[{i}]", item) for i, item in enumerate(typing.cast("tuple[str, ...]", values))]


def at(path: str, name: str) -> str:
    """The path of a key: the top level has no name of its own."""
    shown = name if _SHOWN_KEY.fullmatch(name) else "(a key that is not shown)"
    return f"{path}.{shown}" if path else shown


def object_at(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path or 'config'}: must be an object, not {word_for(value)}")
    return value


def refuse_keys(obj: Mapping[str, object], known: Mapping[str, Field[object]], path: str) -> None:
    """Every key is a field's, and every field without a default is there."""
    refuse_unknown(obj, known, path)
    for name, f in known.items():
        if name not in obj and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{at(path, name)}: missing")


def refuse_unknown(obj: Mapping[str, object], known: Iterable[str], path: str) -> None:
    names = sorted(known)
    for name in obj:
        if name not in names:
            raise ConfigError(f"{at(path, name)}: unknown key; known: {', '.join(names)}")


def word_for(value: object) -> str:
    words = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "an integer"}
    return "null" if value is None else words.get(type(value), "a number")


def _typed(hint: typing.Any, value: object, path: str) -> object:
    """`value` as the annotation `hint` wants it."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:  # always `T | None`
        return None if value is None else _typed(typing.get_args(hint)[0], value, path)
    if origin is tuple:  # always `tuple[T, ...]`
        if not isinstance(value, list):
            raise ConfigError(f"{path}: must be a list, not {word_for(value)}")
        return tuple(_typed(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:  # always `Mapping[str, T]`
        inner = typing.get_args(hint)[1]
        return {name: _typed(inner, item, at(path, name)) for name, item in object_at(value, path).items()}
    if issubclass(hint, StrEnum):
        return choice(hint, value, path)
    return scalar(hint, value, path) if hint in _SCALAR_WORDS else section(hint, value, path)


def choice(hint: type[StrEnum], value: object, path: str) -> StrEnum:
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


def scalar(hint: type, value: object, path: str) -> object:
    if hint is Secret and isinstance(value, str):
        return Secret(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{path}: must be {_SCALAR_WORDS[hint]}, not {word_for(value)}")


def _refuse_out_of_range(bounds: Mapping[str, float], value: float, path: str) -> None:
    low, above, high = (bounds.get(name) for name in ("min", "above", "max"))
    if low is not None and value < low:
        raise ConfigError(f"{path}: must be at least {low}")
    if above is not None and value <= above:
        raise ConfigError(f"{path}: must be above {above}")
    if high is not None and value > high:
        raise ConfigError(f"{path}: must be at most {high}")


def text_at(obj: Mapping[str, object], name: str, path: str) -> str:
    if name not in obj:
        raise ConfigError(f"{at(path, name)}: missing")
    return typing.cast("str", scalar(str, obj[name], at(path, name)))


def refuse_unsendable(secret: str, path: str) -> None:
    """Secrets travel in headers: a control character would break one, a blank is a slip of the pasting
    hand."""
    if not secret:
        raise ConfigError(f"{path}: must not be empty")
    if not re.fullmatch(r"[!-~]+", secret):
        raise ConfigError(f"{path}: must be printable ASCII without blanks and control characters")


def refuse_twice(values: list[str], path: str, what: str) -> None:
    for i, item in enumerate(values):
        if (first := values.index(item)) < i:
            raise ConfigError(f"{path}[{i}]: the same {what} as {path}[{first}]")
