"""What a request demands of its answer, and how JSON is held against a schema.

The schema is a client's, and so is what the model is made to write: nothing is fetched for a reference,
patterns that may take for ever are not tried, and the number of steps has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from service.config import AccountKind
from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    ToolChoiceMode,
    ToolKind,
)
from service.core.demands import CallDemand, CallFaultOf, Demand, FormatDemand
from service.core.errors import InvalidRequest
from service.core.json_schema import mistake_in
from service.gateway.patterns import can_be_tried

MAX_REFERENCES = 20_000  # schemas can refer to one another so that a small one means billions of steps
_MAX_FAULT_CHARS = 300
_IN_THREAD_BYTES = 256 << 10  # looking a schema of that size over takes 20 ms


async def refuse_broken_schema(response_format: ResponseFormat) -> None:
    """Nobody is asked for an answer that no schema could judge. Raises InvalidRequest that names the place
    within the schema."""
    schema = response_format.schema
    if schema is None:
        return
    if len(orjson.dumps(schema)) < _IN_THREAD_BYTES:
        mistake = mistake_in(schema)
    else:
        mistake = await asyncio.to_thread(mistake_in, schema)
    if mistake is not None:
        at = response_format.schema_at + ("" if mistake.at[:1] in ("", "[") else ".") + mistake.at
        raise InvalidRequest(
            f"Invalid schema in '{at}': {mistake.what}.", param=at, code="invalid_json_schema"
        )


def demands_of(conversation: Conversation, kind: AccountKind, *, offers_tools: bool) -> list[Demand]:
    """What the answer must be; [] for nearly all requests."""
    demands: list[Demand] = []
    choice, response_format = conversation.tool_choice, conversation.response_format
    can_call = kind is AccountKind.PLATFORM or (offers_tools and conversation.uses_sieve)
    is_called = choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED)
    if is_called and conversation.tools and can_call:
        demands.append(CallDemand(choice, call_judge(conversation)))
    elif response_format.kind is not ResponseFormatKind.TEXT:
        # Strict says that nothing else will do: the client waits for the whole rather than see a fault.
        is_live = conversation.streams and response_format.strict is not True
        demands.append(FormatDemand(response_format, partial(fault_of, response_format), is_live=is_live))
    return demands


def call_judge(conversation: Conversation) -> CallFaultOf | None:
    """What is wrong with a call of a tool that stands in for a schema: one that is `strict`, or the one that
    was named, where no stream waits for its arguments. None: no call is judged."""
    named = None if conversation.streams else conversation.tool_choice.name
    judged: Mapping[str, Mapping[str, object]] = {
        tool.name: tool.parameters
        for tool in conversation.tools
        if tool.kind is ToolKind.FUNCTION and (tool.strict is True or tool.name == named)
    }
    return partial(_call_fault, judged) if judged else None


def _call_fault(judged: Mapping[str, Mapping[str, object]], name: str, arguments: str) -> str | None:
    if name not in judged:
        return None
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as error:
        return f"they are not JSON ({str(error)[:_MAX_FAULT_CHARS]})"
    return schema_fault(judged[name], value, text_chars=len(arguments))


def fault_of(response_format: ResponseFormat, text: str) -> str | None:
    """What is wrong with the answer's JSON, its place first (`$.items[2].name`); None when nothing is."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f"it is not JSON ({str(error)[:_MAX_FAULT_CHARS]})" if text.strip() else "it is empty"
    if response_format.schema is None:
        return None if isinstance(value, dict) else "$: it is not an object"
    return schema_fault(response_format.schema, value, text_chars=len(text))


class _TooManyStepsError(Exception):
    pass


def schema_fault(schema: Mapping[str, object], value: object, *, text_chars: int) -> str | None:
    """The first place where the value does not fit. A schema that cannot be tried within bounds finds no
    fault; one that is none was refused before anybody was asked.

    The draft is that of `$schema`, 2020-12 without one. `format` is not tried, as the drafts allow.
    """
    # Loaded when first needed: it takes a tenth of a second and 10 MB, and most gateways never ask for it.
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator, extend, validator_for
    from referencing import Registry

    known = validator_for(schema, default=Draft202012Validator)
    left = MAX_REFERENCES

    def counted(keyword: str) -> Any:
        def follow(validator: Any, *arguments: Any) -> Iterator[Any]:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooManyStepsError
            yield from known.VALIDATORS[keyword](validator, *arguments) or ()

        return follow

    keywords = [word for word in ("$ref", "$dynamicRef", "$recursiveRef") if word in known.VALIDATORS]
    validator_class = extend(known, {word: counted(word) for word in keywords})
    try:
        validator = validator_class(_without_odd_patterns(schema, text_chars), registry=Registry())
        error = best_match(validator.iter_errors(value))
    except (_TooManyStepsError, RecursionError):
        return None
    except Exception:  # the library has an exception of its own for each way a schema can be none
        return None
    return None if error is None else f"{error.json_path}: {_said(error)}"


def _said(error: Any) -> str:
    """In words, without quoting long values."""
    if error.validator in ("required", "dependentRequired") or len(error.message) <= _MAX_FAULT_CHARS:
        return str(error.message[:_MAX_FAULT_CHARS])
    return f"does not meet `{error.validator}` {str(error.validator_value)[:_MAX_FAULT_CHARS]}"


def _without_odd_patterns(schema: object, text_chars: int) -> Any:
    """The schema without the patterns that could hold up the process, or that Python does not know."""
    if isinstance(schema, list):
        return [_without_odd_patterns(one, text_chars) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, object] = {}
    for name, value in schema.items():
        if name in ("const", "enum", "default", "examples"):
            kept[name] = value
        elif not (name == "pattern" and isinstance(value, str) and not can_be_tried(value, text_chars)):
            kept[name] = _without_odd_patterns(value, text_chars)
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict) and not all(can_be_tried(one, text_chars) for one in patterns):
        for name in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            kept.pop(name, None)
    return kept
