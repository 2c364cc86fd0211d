"""The JSON body of a request: one object, bounded in depth, and typed readers of its fields.

Every reader takes the object, the key and `at`, the path of the object ("" for the body itself); the path
of the field is built only for a mistake, so that reading costs no string. Mistakes are InvalidRequest in
OpenAI's words, with `param` such as `messages[2].content`. The optional readers take null for absent.
Source: error bodies of the OpenAI API as quoted in public issue threads, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson

from service.core.errors import InvalidRequest

_TYPE_WORDS: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
# How orjson 3.13 words its own limit on nesting: about 1000 levels, fewer in a body that is cut off.
_TOO_DEEP_FOR_ORJSON = ("depth limit exceeded", "failed to allocate memory")


def decode_object(body: bytes, *, max_depth: int = 100) -> dict[str, object]:
    """`body` (UTF-8, no byte order mark) as one JSON object.

    Raises InvalidRequest for an empty body, for what is not JSON (with line and column; NaN, Infinity and
    lone surrogates are not), for any other JSON value, and for objects and arrays nested deeper than
    `max_depth`. Keep that below 200: orjson writes no more than 254 levels, and we wrap what we were sent.
    """
    if not body.strip():
        raise InvalidRequest("The request body is empty; a JSON object is expected.", code="invalid_json")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg in _TOO_DEEP_FOR_ORJSON:
            raise _too_deep(max_depth) from None
        raise InvalidRequest(
            f"The request body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            code="invalid_json",
        ) from None
    if type(value) is not dict:
        raise InvalidRequest(
            f"The request body must be a JSON object, but it is {type_word(value)}.", code="invalid_json"
        )
    if _is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


def _is_deeper(root: object, max_depth: int) -> bool:
    """Level by level, without recursion; linear in the number of values."""
    level = [root]
    for _ in range(max_depth):
        level = [
            value
            for container in level
            for value in (container.values() if type(container) is dict else container)  # type: ignore[attr-defined]
            if type(value) is dict or type(value) is list
        ]
        if not level:
            return False
    return True


def _too_deep(max_depth: int) -> InvalidRequest:
    return InvalidRequest(
        f"The request body is nested too deeply: at most {max_depth} levels are allowed.",
        code="invalid_json",
    )


# --- mistakes, in OpenAI's words ----------------------------------------------------------------------------


def path_of(at: str, key: str) -> str:
    """The path of a field of the object at `at`."""
    return f"{at}.{key}" if at else key


def type_word(value: object) -> str:
    """What a decoded JSON value is, with its article: "an integer"."""
    return _TYPE_WORDS.get(type(value), "something else")


def wrong_type(value: object, param: str, expected: str) -> InvalidRequest:
    """`expected` with its article, as "an array of objects"."""
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {type_word(value)} instead.",
        param=param,
        code="invalid_type",
    )


def missing(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_value(value: object, param: str, supported: Collection[str]) -> InvalidRequest:
    """A word that is not one of `supported`. No more than 64 characters of it are shown."""
    shown = value if isinstance(value, str) else type_word(value)
    words = ", ".join(f"'{word}'" for word in supported)
    return InvalidRequest(
        f"Invalid value: '{shown[:64]}'. Supported values are: {words}.", param=param, code="invalid_value"
    )


# --- fields that must be there ------------------------------------------------------------------------------


def required_string(source: Mapping[str, object], key: str, at: str = "") -> str:
    value = source.get(key)
    if type(value) is str:
        return value
    raise _unfit(source, key, at, "a string")


def required_array(source: Mapping[str, object], key: str, at: str = "") -> list[object]:
    value = source.get(key)
    if type(value) is list:
        return value
    raise _unfit(source, key, at, "an array")


def required_object(source: Mapping[str, object], key: str, at: str = "") -> dict[str, object]:
    value = source.get(key)
    if type(value) is dict:
        return value
    raise _unfit(source, key, at, "an object")


def _unfit(source: Mapping[str, object], key: str, at: str, expected: str) -> InvalidRequest:
    param = path_of(at, key)
    return wrong_type(source[key], param, expected) if key in source else missing(param)


# --- fields that may be absent or null ----------------------------------------------------------------------


def optional_string(source: Mapping[str, object], key: str, at: str = "") -> str | None:
    value = source.get(key)
    if value is None or type(value) is str:
        return value
    raise wrong_type(value, path_of(at, key), "a string")


def optional_boolean(source: Mapping[str, object], key: str, at: str = "") -> bool | None:
    value = source.get(key)
    if value is None or type(value) is bool:
        return value
    raise wrong_type(value, path_of(at, key), "a boolean")


def optional_array(source: Mapping[str, object], key: str, at: str = "") -> list[object] | None:
    value = source.get(key)
    if value is None or type(value) is list:
        return value
    raise wrong_type(value, path_of(at, key), "an array")


def optional_object(source: Mapping[str, object], key: str, at: str = "") -> dict[str, object] | None:
    value = source.get(key)
    if value is None or type(value) is dict:
        return value
    raise wrong_type(value, path_of(at, key), "an object")


def optional_integer(
    source: Mapping[str, object],
    key: str,
    at: str = "",
    *,
    minimum: int | None = None,
    maximum: int | None = None,
) -> int | None:
    """A whole number within the bounds, both inclusive. `32.0` is taken for 32, as JSON means it."""
    value = source.get(key)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise wrong_type(value, path_of(at, key), "an integer")
    _check_bounds(value, path_of(at, key), "integer", minimum, maximum)
    return value


def optional_number(
    source: Mapping[str, object],
    key: str,
    at: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> float | None:
    """A number within the bounds, both inclusive, as it was sent (an integer stays one)."""
    value = source.get(key)
    if value is None:
        return None
    if type(value) is not int and type(value) is not float:
        raise wrong_type(value, path_of(at, key), "a decimal number")
    _check_bounds(value, path_of(at, key), "decimal", minimum, maximum)
    return value


def _check_bounds(value: float, param: str, word: str, minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and value < minimum:
        raise InvalidRequest(
            f"Invalid '{param}': {word} below minimum value. Expected a value >= {minimum}, "
            f"but got {value} instead.",
            param=param,
            code=f"{word}_below_min_value",
        )
    if maximum is not None and value > maximum:
        raise InvalidRequest(
            f"Invalid '{param}': {word} above maximum value. Expected a value <= {maximum}, "
            f"but got {value} instead.",
            param=param,
            code=f"{word}_above_max_value",
        )
