"""Values against the schemas of the OpenAPI document."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from service.web import openapi

_DOCUMENT = "urn:openapi"


@cache
def validator(pointer: str) -> Draft202012Validator:
    """For what stands at the pointer, as `/components/schemas/Message`."""
    resource = DRAFT202012.create_resource(openapi.document())
    registry: Registry[Any] = Registry().with_resource(_DOCUMENT, resource)
    return Draft202012Validator({"$ref": f"{_DOCUMENT}#{pointer}"}, registry=registry)


def mistakes(value: object, schema: str) -> list[str]:
    """What of `value` is not as the schema of that name has it; [] when all is."""
    found = validator(f"/components/schemas/{schema}").iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]
