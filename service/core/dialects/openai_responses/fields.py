"""What this package adds to the readers of `service.core.json_body`: values that stand in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from service.core.errors import InvalidRequest
from service.core.json_body import wrong_type

Fields = Mapping[str, object]


def object_at(value: object, param: str) -> Fields:
    """The object that must stand at the path `param`."""
    if not isinstance(value, dict):
        raise wrong_type(value, param, "an object")
    return value


def refuse(param: str, message: str, *, code: str = "invalid_value") -> NoReturn:
    raise InvalidRequest(message, param=param, code=code)
