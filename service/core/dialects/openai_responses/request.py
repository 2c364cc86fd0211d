"""The body of `POST /v1/responses` -> ResponsesRequest: a Conversation, and what the dialect keeps beside it.

Source: openai-python 3.52 response_create_params.py, read 2026-11-20; the older MiMo2API page for
`tool_sieve`, a top-level `reasoning_effort` and `?stream=true`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from service.core.conversation import (
    Conversation,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    Turn,
)
from service.core.dialects.openai_responses.fields import Fields, object_at, refuse
from service.core.dialects.openai_responses.items import Unseal, declared_tools, decode_items, item_type
from service.core.dialects.openai_responses.tool_choice import DecodedChoice, decode_tool_choice
from service.core.dialects.openai_responses.tools import HostedTools, ToolBridge, decode_tools
from service.core.effort import THINKING_FIELDS, thinking_of
from service.core.json_body import (
    decode_object,
    missing,
    optional_array,
    optional_boolean,
    optional_integer,
    optional_number,
    optional_object,
    optional_string,
    required_string,
    wrong_type,
    wrong_value,
)
from service.core.web_search import WEB_SEARCH

_MAX_METADATA_PAIRS = 16
_MAX_METADATA_KEY = 64
_MAX_METADATA_VALUE = 512

# Fields with a meaning here; every other one is kept in Conversation.extra.
_KNOWN = frozenset(
    {
        "background",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tool_sieve",
        "tools",
        "top_p",
        "truncation",
        *THINKING_FIELDS,
    }
)
# Server-side state of OpenAI's: without it the request would silently mean something else.
_REFUSED = {
    "conversation": "Conversations are not supported: use 'previous_response_id' or send all items.",
    "prompt": "Prompt templates are not supported: send the text as 'instructions' and 'input'.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOptions:
    """What the web layer decides. `unseal` opens our own sealed reasoning and gives None for any other blob;
    `streams_by_query` is the `?stream=true` of the URL, which counts where the body says nothing."""

    unseal: Unseal | None = None
    hosted_tools: HostedTools = HostedTools.DROP
    streams_by_query: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest:
    """One decoded request.

    `items` are the input items as sent (a string is one user message); `references` are the ids of stored
    items among them that `resolve` must fill in before the conversation is whole. `previous_response_id` set
    means that `continued` must be given the earlier items first. `notes` say what was left out, in plain
    ASCII, fit for a header. `fields` is the body as sent, for the response's echo.
    """

    conversation: Conversation
    items: tuple[Fields, ...]
    bridge: ToolBridge
    instructions: str | None = None
    previous_response_id: str | None = None
    is_stored: bool = True
    is_background: bool = False
    include: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    truncation: str = "disabled"
    prompt_cache_key: str | None = None
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fields: Fields = field(default_factory=dict)
    options: DecodeOptions = field(default_factory=DecodeOptions)

    @property
    def wants_sources(self) -> bool:
        return "web_search_call.action.sources" in self.include

    @property
    def wants_sealed_reasoning(self) -> bool:
        return "reasoning.encrypted_content" in self.include


def decode_request(body: bytes, options: DecodeOptions | None = None) -> ResponsesRequest:
    """The body (one JSON object, UTF-8) as a ResponsesRequest.

    Unknown fields are kept in `conversation.extra`. Raises InvalidRequest naming the first field at fault, as
    `input[2].content[0].text`."""
    fields = decode_object(body)
    items = _input_items(fields)
    paths = [f"input[{index}]" for index in range(len(items))]
    return _assembled(fields, items, paths, items, options or DecodeOptions())


def resolve(request: ResponsesRequest, items_by_id: Mapping[str, Fields]) -> ResponsesRequest:
    """The request with its item references replaced by the stored items they name.

    A reasoning item that is not among them is left out with a note. Raises InvalidRequest naming
    `input[n].id` for any other one."""
    items = tuple(
        items_by_id.get(str(item.get("id")), item) if item_type(item) == "item_reference" else item
        for item in request.items
    )
    paths = [f"input[{index}]" for index in range(len(items))]
    return _assembled(request.fields, items, paths, items, request.options, drops_references=True)


def continued(
    previous_items: Sequence[Fields],
    request: ResponsesRequest,
    items_by_id: Mapping[str, Fields] = MappingProxyType({}),
) -> ResponsesRequest:
    """The request with the conversation of the chain before it in front.

    `previous_items` are the input and output items of the earlier responses, oldest first, without their
    instructions: these are not carried over. A reference to one of them is left out, since it is there
    already; other references are filled in from `items_by_id`. `items` of the result are the request's
    own."""
    known = {str(item["id"]) for item in previous_items if "id" in item}
    paths = [f"previous_response_id.items[{index}]" for index in range(len(previous_items))]
    own: list[Fields] = []
    for index, item in enumerate(request.items):
        if item_type(item) == "item_reference":
            item_id = str(item.get("id"))
            if item_id in known:
                continue
            item = items_by_id.get(item_id, item)
        own.append(item)
        paths.append(f"input[{index}]")
    items = (*previous_items, *own)
    return _assembled(request.fields, items, paths, tuple(own), request.options, drops_references=True)


def _assembled(
    fields: Fields,
    items: Sequence[Fields],
    paths: Sequence[str],
    own_items: tuple[Fields, ...],
    options: DecodeOptions,
    *,
    drops_references: bool = False,
) -> ResponsesRequest:
    for name, message in _REFUSED.items():
        if fields.get(name) is not None:
            refuse(name, message, code="unsupported_parameter")
    declared = [(f"tools[{index}]", tool) for index, tool in enumerate(optional_array(fields, "tools") or [])]
    tools = decode_tools(declared + declared_tools(items, paths), hosted_tools=options.hosted_tools)
    choice = decode_tool_choice(fields, tools)
    decoded = decode_items(
        items, paths, bridge=tools.bridge, unseal=options.unseal, drops_references=drops_references
    )
    instructions = optional_string(fields, "instructions")
    leading = (Turn(role=Role.SYSTEM, parts=(Text(text=instructions),)),) if instructions else ()
    thinking, effort = _thinking(fields)
    streams = optional_boolean(fields, "stream")
    optional_object(fields, "stream_options")
    conversation = Conversation(
        model=_model(fields),
        turns=leading + decoded.turns,
        tools=choice.specs,
        tool_choice=choice.choice,
        sampling=_sampling(fields),
        thinking=thinking,
        effort=effort,
        response_format=_response_format(fields),
        streams=options.streams_by_query if streams is None else streams,
        includes_usage=True,
        uses_sieve=optional_boolean(fields, "tool_sieve") is not False,
        extra=_extra(fields, choice),
    )
    request = ResponsesRequest(
        conversation=conversation,
        items=own_items,
        bridge=tools.bridge,
        instructions=instructions,
        previous_response_id=optional_string(fields, "previous_response_id") or None,
        is_stored=optional_boolean(fields, "store") is not False,
        is_background=optional_boolean(fields, "background") or False,
        include=_include(fields),
        metadata=_metadata(fields),
        truncation=_truncation(fields),
        prompt_cache_key=optional_string(fields, "prompt_cache_key"),
        references=decoded.references,
        notes=tools.notes + choice.notes + decoded.notes,
        fields=fields,
        options=options,
    )
    _check_whole(request)
    return request


def _extra(fields: Fields, choice: DecodedChoice) -> Fields:
    """Fields without a meaning here, and the web search. `max_tool_calls` is about hosted tools alone."""
    extra = {key: value for key, value in fields.items() if key not in _KNOWN}
    most = optional_integer(fields, "max_tool_calls", minimum=1)
    if choice.web_search is not None:
        limit = {} if most is None else {"max_keyword": most}
        extra[WEB_SEARCH] = {**choice.web_search, **limit}
    return extra


def _check_whole(request: ResponsesRequest) -> None:
    """Rules that span fields."""
    if request.is_background and not request.is_stored:
        refuse("background", "Background mode requires 'store' to be true.")
    if not (request.conversation.turns or request.previous_response_id or request.references):
        refuse("input", "Invalid 'input': there is nothing to answer.")


def _input_items(fields: Fields) -> tuple[Fields, ...]:
    value = fields.get("input")
    if value is None:
        if fields.get("previous_response_id") is None:
            raise missing("input")
        return ()
    if isinstance(value, str):
        content = [{"type": "input_text", "text": value}]
        return ({"type": "message", "role": "user", "content": content},)
    if not isinstance(value, list):
        raise wrong_type(value, "input", "one of a string or an array of input items")
    return tuple(object_at(item, f"input[{index}]") for index, item in enumerate(value))


def _model(fields: Fields) -> str:
    model = required_string(fields, "model")
    if not model:
        raise missing("model")
    return model


def _sampling(fields: Fields) -> Sampling:
    return Sampling(
        max_output_tokens=optional_integer(fields, "max_output_tokens", minimum=1),
        temperature=optional_number(fields, "temperature", minimum=0, maximum=2),
        top_p=optional_number(fields, "top_p", minimum=0, maximum=1),
    )


def _thinking(fields: Fields) -> tuple[Thinking, str | None]:
    """`reasoning.effort` wins over the top-level `reasoning_effort`; new words are taken as they come. The
    effort is echoed as it was sent, "none" too."""
    thinking, _ = thinking_of(fields)
    reasoning = optional_object(fields, "reasoning") or {}
    effort = optional_string(reasoning, "effort", "reasoning") or optional_string(fields, "reasoning_effort")
    return thinking, effort


def _response_format(fields: Fields) -> ResponseFormat:
    text = optional_object(fields, "text") or {}
    form = optional_object(text, "format", "text")
    if form is None:
        return ResponseFormat()
    path = "text.format"
    kind = required_string(form, "type", path)
    if kind not in _FORMATS:
        raise wrong_value(kind, f"{path}.type", _FORMATS)
    if kind != ResponseFormatKind.JSON_SCHEMA:
        return ResponseFormat(kind=ResponseFormatKind(kind), at=path)
    schema = optional_object(form, "schema", path)
    if schema is None:
        raise missing(f"{path}.schema")
    return ResponseFormat(
        kind=ResponseFormatKind.JSON_SCHEMA,
        name=required_string(form, "name", path),
        schema=schema,
        strict=optional_boolean(form, "strict", path),
        at=path,
        schema_at=f"{path}.schema",
    )


_FORMATS = tuple(kind.value for kind in ResponseFormatKind)


def _include(fields: Fields) -> tuple[str, ...]:
    """Words of any meaning: what we have nothing for is simply not in the answer."""
    words = []
    for index, word in enumerate(optional_array(fields, "include") or []):
        if not isinstance(word, str):
            raise wrong_type(word, f"include[{index}]", "a string")
        words.append(word)
    return tuple(words)


def _metadata(fields: Fields) -> Mapping[str, str]:
    metadata: dict[str, str] = {}
    pairs = optional_object(fields, "metadata") or {}
    if len(pairs) > _MAX_METADATA_PAIRS:
        refuse("metadata", f"Invalid 'metadata': at most {_MAX_METADATA_PAIRS} pairs are allowed.")
    for key, value in pairs.items():
        path = f"metadata.{key[:_MAX_METADATA_KEY]}"
        if len(key) > _MAX_METADATA_KEY:
            refuse("metadata", f"Invalid 'metadata': a key is longer than {_MAX_METADATA_KEY} characters.")
        if not isinstance(value, str):
            raise wrong_type(value, path, "a string")
        if len(value) > _MAX_METADATA_VALUE:
            refuse(path, f"Invalid '{path}': longer than {_MAX_METADATA_VALUE} characters.")
        metadata[key] = value
    return metadata


def _truncation(fields: Fields) -> str:
    word = optional_string(fields, "truncation") or "disabled"
    if word not in ("auto", "disabled"):
        raise wrong_value(word, "truncation", ("auto", "disabled"))
    return word
