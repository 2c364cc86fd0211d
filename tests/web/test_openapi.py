"""The OpenAPI document is valid, has every route and no other, and tells what the gateway really answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from openapi_spec_validator import validate

from service.core.dialects.anthropic_messages import errors as anthropic_messages
from service.core.dialects.openai_chat import errors as openai_chat
from service.core.dialects.openai_responses import errors as openai_responses
from service.core.dialects.openai_responses import items
from service.core.errors import Kind
from service.web import openapi
from service.web.routes import OPEN_PATHS, add_routes
from tests.golden.conversation_cases import FOLDER
from tests.web.openapi_schemas import mistakes

ADMIN_OPEN = ("/admin", "/admin/", "/admin/assets/{file}", "/admin/api/session")
ANSWERS = {"chat": "ChatCompletion", "responses": "Response", "messages": "Message"}
REQUESTS = {"chat": "ChatRequest", "responses": "CreateResponse", "messages": "CreateMessage"}
ERRORS = {"chat": "OpenAIError", "responses": "OpenAIError", "messages": "AnthropicError"}


def operations() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in openapi.document()["paths"].items():
        for method in sorted(openapi.METHODS & item.keys()):
            yield method.upper(), path, item[method]


def registered() -> set[str]:
    app = web.Application()
    add_routes(app)
    routes = ((route.method, route.resource) for route in app.router.routes())
    return {f"{method} {resource.canonical}" for method, resource in routes if resource and method != "HEAD"}


def test_the_document_is_valid() -> None:
    validate(openapi.document())


def test_every_route_is_described_and_no_other() -> None:
    assert {f"{method} {path}" for method, path, _ in operations()} == registered()


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_known_tag() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in openapi.document()["tags"]}
    for method, path, operation in operations():
        assert operation["summary"], (method, path)
        assert set(operation["tags"]) <= tags, (method, path)


def test_what_needs_no_key_says_so_and_the_rest_may_be_refused_for_its_key() -> None:
    for method, path, operation in operations():
        is_open = path in OPEN_PATHS or path in ADMIN_OPEN
        assert (operation.get("security") == []) == is_open, (method, path)
        if not is_open and path != "/v1/responses":
            assert "401" in operation["responses"], (method, path)


def test_paths_and_their_parameters_agree() -> None:
    for path, item in openapi.document()["paths"].items():
        told = {one["name"] for one in item.get("parameters", [])}
        for method in openapi.METHODS & item.keys():
            own = {one["name"] for one in item[method].get("parameters", []) if one["in"] == "path"}
            assert told | own == set(re.findall(r"{(\w+)}", path)), path


def test_no_schema_is_left_over() -> None:
    used = set(re.findall(rb'"#/components/schemas/(\w+)"', openapi.encoded()))
    assert {name.encode() for name in openapi.document()["components"]["schemas"]} == used


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/chat/completions", openai_chat.STATUS),
        ("/v1/responses", openai_responses.STATUS),
        ("/v1/messages", anthropic_messages.STATUS),
        ("/anthropic/v1/messages", anthropic_messages.STATUS),
    ],
)
def test_every_failure_of_a_conversation_has_its_status_told(path: str, status: Mapping[Kind, int]) -> None:
    told = openapi.document()["paths"][path]["post"]["responses"].keys()
    # Another method is another operation.
    assert {str(status[kind]) for kind in Kind if kind is not Kind.METHOD_NOT_ALLOWED} <= told
    assert ("402" in told) == (status is anthropic_messages.STATUS)


def test_the_items_of_responses_are_those_that_are_read() -> None:
    schema = openapi.document()["components"]["schemas"]["ResponseInputItem"]
    read = items._DECODE_BY_TYPE.keys() | items.LEFT_OUT_TYPES | items.TOOL_CARRIERS | items._SILENT_TYPES
    assert set(schema["properties"]["type"]["enum"]) == read


# --- golden conversations -----------------------------------------------------------------------------------

FOLDERS = sorted(path for path in FOLDER.iterdir() if path.is_dir())


def whole_answers() -> Iterator[tuple[Path, str]]:
    for folder in FOLDERS:
        for dialect in ANSWERS:
            yield from ((path, dialect) for path in sorted(folder.glob(f"{dialect}*.json")))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_golden_requests_are_as_the_schemas_say(folder: Path) -> None:
    requests = orjson.loads((folder / "case.json").read_bytes())["requests"]
    assert requests
    for dialect, request in requests.items():
        assert mistakes(request, REQUESTS[dialect]) == []


@pytest.mark.parametrize(
    ("path", "dialect"),
    [pytest.param(path, dialect, id=f"{path.parent.name}-{path.name}") for path, dialect in whole_answers()],
)
def test_golden_answers_are_as_the_schemas_say(path: Path, dialect: str) -> None:
    answer = orjson.loads(path.read_bytes())
    if isinstance(answer.get("status"), int):  # an error, with its status
        assert mistakes(answer["body"], ERRORS[dialect]) == []
    else:
        assert mistakes(answer, ANSWERS[dialect]) == []


# --- fragments ----------------------------------------------------------------------------------------------


def fragment(**more: object) -> dict[str, Any]:
    return {"head": {"info": {"title": "t"}}, **more}


@pytest.mark.parametrize(
    "twice",
    [{"paths": {"/a": {}}}, {"components": {"schemas": {"A": {}}}}],
    ids=["path", "schema"],
)
def test_a_name_stands_in_one_fragment(twice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stands in two fragments"):
        openapi.merged([fragment(**twice), twice])


def test_words_of_ours_are_gone_from_the_document() -> None:
    assert b'"x-errors"' not in openapi.encoded()
    assert b'"x-also-at"' not in openapi.encoded()
    assert b'"x-open"' not in openapi.encoded()
