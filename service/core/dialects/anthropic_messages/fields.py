"""Reading fields of a decoded JSON body: each function names the field at fault, as Anthropic does.

A field's path is dotted (`messages.2.content.0.text`). null counts as absent everywhere: the SDKs send null
for what the caller left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from service.core.errors import InvalidRequest

Fields = Mapping[str, object]


def joined(at: str, key: str | int) -> str:
    """The path of `key` within `at`; `at` is "" for the body itself."""
    return f"{at}.{key}" if at else str(key)


def refuse(at: str, message: str) -> NoReturn:
    """Raises InvalidRequest for the field at `at` ("" for the body itself)."""
    raise InvalidRequest(message, param=at or None)


def fields_at(value: object, at: str) -> dict[str, object]:
    """`value` as an object. Raises InvalidRequest(at) otherwise."""
    if not isinstance(value, dict):
        refuse(at, "Field required" if value is None else "Input should be an object")
    return value


def required_text(fields: Fields, key: str, at: str) -> str:
    """The string at `key`, "" included. Raises InvalidRequest when it is absent or no string."""
    value = fields.get(key)
    if not isinstance(value, str):
        refuse(joined(at, key), "Field required" if value is None else "Input should be a valid string")
    return value


def required_name(fields: Fields, key: str, at: str) -> str:
    """The string at `key`, which must not be empty."""
    value = required_text(fields, key, at)
    if not value:
        refuse(joined(at, key), "String should have at least 1 character")
    return value


def optional_text(fields: Fields, key: str, at: str) -> str | None:
    return None if fields.get(key) is None else required_text(fields, key, at)


def optional_flag(fields: Fields, key: str, at: str) -> bool | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, bool):
        refuse(joined(at, key), "Input should be a valid boolean")
    return value


def optional_count(fields: Fields, key: str, at: str, *, minimum: int) -> int | None:
    """The integer at `key`, at least `minimum`; true and false are no integers."""
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(joined(at, key), "Input should be a valid integer")
    if value < minimum:
        refuse(joined(at, key), f"Input should be greater than or equal to {minimum}")
    return value


def optional_number(fields: Fields, key: str, at: str, *, maximum: float) -> float | None:
    """The number at `key`, from 0 to `maximum`."""
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        refuse(joined(at, key), "Input should be a valid number")
    if not 0 <= value <= maximum:
        refuse(joined(at, key), f"Input should be between 0 and {maximum:g}")
    return float(value)


def optional_fields(fields: Fields, key: str, at: str) -> dict[str, object]:
    """The object at `key`; {} when it is absent."""
    value = fields.get(key)
    return {} if value is None else fields_at(value, joined(at, key))


def optional_items(fields: Fields, key: str, at: str) -> list[object]:
    """The list at `key`; [] when it is absent."""
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        refuse(joined(at, key), "Input should be a valid list")
    return value
