"""The gateway's own description: `/openapi.json`, as OpenAPI 3.1.

One JSON fragment for each area stands in `fragments/` (chat.json, messages.json, …, admin.json). A fragment
has `paths` and `components` as OpenAPI knows them; names are unique over all fragments, and references lead
anywhere (`#/components/schemas/Name`). Three words of ours stand in operations and paths and are replaced
here:

- `"x-errors": ["openai", "upstream"]` in an operation: the dialect whose error shape it answers with (openai,
  anthropic, or models: either) and how far its work leads (`local`, `store`, `upstream`, `admin`). It becomes
  one response for each status that such work may end with;
- `"x-also-at": ["/anthropic/v1/messages"]` in a path: the same operations under other paths;
- `"x-open": true` in an operation: no API key is asked for.

`tests/web/test_openapi.py` holds the document and the URL table together, and answers to the schemas.
"""

from __future__ import annotations

import copy
import gzip
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from service import __version__

METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})

# How far the work of an operation leads -> the statuses that it may end with beside its own.
_STATUSES: Mapping[str, tuple[int, ...]] = {
    "local": (400, 401, 500, 503),
    "store": (400, 401, 404, 409, 413, 500, 503),
    "upstream": (400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504),
    "admin": (400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504),
}
# Anthropic has words of its own for a spent budget and for having no room.
_ANTHROPIC_STATUSES = (402, 529)
_FOR_OPERATORS = ("admin", "system")  # their sections stand last
_ERROR_BY_DIALECT = {"openai": "OpenAIError", "anthropic": "AnthropicError", "models": "EitherError"}


@cache
def document() -> Mapping[str, Any]:
    """The whole document. Read it, do not change it."""
    folder = files("service.web.openapi") / "fragments"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".json")), key=lambda one: one.name)
    return merged(orjson.loads(one.read_bytes()) for one in found)


@cache
def encoded() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2)


@cache
def packed() -> bytes:
    """The same in gzip: a fourteenth of it."""
    return gzip.compress(encoded(), 9, mtime=0)


def merged(fragments: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One document of all fragments. Raises ValueError for a name that stands in two of them."""
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    tags: list[Any] = []
    head: dict[str, Any] = {}
    for fragment in fragments:
        head |= fragment.get("head", {})
        tags += fragment.get("tags", [])
        for path, item in fragment.get("paths", {}).items():
            for place in (path, *item.get("x-also-at", ())):
                _add(paths, place, _expanded(item, place=place, is_copy=place != path))
        for kind, named in fragment.get("components", {}).items():
            for name, value in named.items():
                _add(components.setdefault(kind, {}), name, value)
    info = {**head.pop("info"), "version": __version__}
    return {
        "openapi": "3.1.0",
        "info": info,
        **head,
        "tags": sorted(tags, key=lambda tag: (tag["name"] in _FOR_OPERATORS, str(tag["name"]))),
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def _add(known: dict[str, Any], name: str, value: Any) -> None:
    if name in known:
        raise ValueError(f"{name} stands in two fragments")
    known[name] = value


def _expanded(item: Mapping[str, Any], *, place: str, is_copy: bool) -> dict[str, Any]:
    expanded: dict[str, Any] = copy.deepcopy(dict(item))
    expanded.pop("x-also-at", None)
    for method in METHODS & expanded.keys():
        operation = expanded[method]
        if is_copy:
            operation["operationId"] = f"{operation['operationId']}_at_{place.split('/')[1]}"
        if operation.pop("x-open", False):
            operation["security"] = []
        if (errors := operation.pop("x-errors", None)) is not None:
            operation["responses"] |= _error_responses(*errors)
        for response in operation["responses"].values():
            if "$ref" not in response:
                response.setdefault("headers", {})["x-request-id"] = {
                    "$ref": "#/components/headers/RequestId"
                }
    return expanded


def _error_responses(dialect: str, reach: str) -> dict[str, Any]:
    statuses = _STATUSES[reach]
    if dialect != "openai" and reach == "upstream":
        statuses += _ANTHROPIC_STATUSES
    return {
        str(status): {"$ref": f"#/components/responses/{_ERROR_BY_DIALECT[dialect]}"} for status in statuses
    }
