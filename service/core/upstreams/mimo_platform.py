"""The official platform's wire: OpenAI Chat's client role plus MiMo's own rules.

The validator there is strict (mimo-api.md 1.4 and 3), so the body holds the documented parameters and
nothing else; what had to change is told in `notes`. All three client dialects are sent as Chat: the
platform's Responses lacks half of Responses, and what users converge on is Chat (mimo-api.md 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from service.core.conversation import (
    Conversation,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolChoiceMode,
    ToolKind,
    ToolSpec,
    Turn,
)
from service.core.dialects.openai_chat.errors import decode_error
from service.core.dialects.openai_chat.messages import encode_turns
from service.core.dialects.openai_chat.response import CompletionDecoder
from service.core.dialects.openai_chat.stream import StreamDecoder
from service.core.errors import UpstreamProtocolError
from service.core.models import ModelFacts, facts_of, is_chat_model
from service.core.notes import Note, NoteKind
from service.core.upstreams.instructions import (
    choice_instruction,
    custom_schema,
    format_instruction,
    object_schema,
)
from service.core.upstreams.repair import (
    in_range,
    left_out,
    with_calls_as_functions,
    with_errors_told,
    with_files_as_text,
    with_leading_system_merged,
    with_media_outside_results,
    with_media_the_model_reads,
    with_text_set,
    without_empty_system,
)
from service.core.web_search import WEB_SEARCH, domain_instruction, wire_tool

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
MAX_STOP_SEQUENCES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRequest:
    """What to POST to `path` under the account's base URL, and what the normaliser changed."""

    path: str
    body: bytes
    notes: tuple[str, ...] = ()


def encode_request(conversation: Conversation) -> PlatformRequest:
    """The conversation (its model already resolved) as a platform Chat request. Equal conversations give
    equal bytes, and a longer one begins with the messages of the shorter: the prompt cache is prefix-based.

    Raises InvalidRequest for what no repair can bring into the wire's form (media for a text model, binary
    files)."""
    facts = facts_of(conversation.model)
    notes: list[str] = []
    repaired = _repaired(conversation, facts, notes)
    thinks = conversation.thinking is not Thinking.DISABLED
    tools = _tools(conversation)
    body: dict[str, object] = {
        "model": conversation.model,
        "messages": [_filled(message, thinks=thinks) for message in encode_turns(repaired.turns)],
        "tools": tools or None,
        "tool_choice": "auto" if tools else None,
        "thinking": _thinking(conversation),
        "response_format": _response_format(conversation),
        **_sampling(in_range(conversation.sampling, facts, notes)),
        "stream": conversation.streams,
    }
    notes += left_out(conversation.extra)
    kept = {name: value for name, value in body.items() if value is not None}
    return PlatformRequest(path=CHAT_PATH, body=orjson.dumps(kept), notes=tuple(notes))


def _repaired(conversation: Conversation, facts: ModelFacts, notes: list[str]) -> Conversation:
    conversation = with_files_as_text(conversation)
    conversation = with_media_the_model_reads(conversation, facts, notes)
    conversation = with_leading_system_merged(without_empty_system(conversation))
    if not facts.accepts_media_in_results:
        conversation = with_media_outside_results(conversation)
    turns = [with_errors_told(with_calls_as_functions(with_text_set(turn))) for turn in conversation.turns]
    if (words := _in_words(conversation, notes)) is not None:
        turns.append(words)
    return replace(conversation, turns=tuple(turns))


def _in_words(conversation: Conversation, notes: list[str]) -> Turn | None:
    """What the wire drops silently or has no field for (a tool choice other than auto, a JSON schema, the
    sites of a search), said in words, at the end: there it leaves the cached prefix alone."""
    choice, response_format = conversation.tool_choice, conversation.response_format
    words = [format_instruction(response_format)]
    if response_format.kind is ResponseFormatKind.JSON_SCHEMA:
        notes.append(
            Note(
                "response_format json_schema was asked for in the prompt: MiMo has json_object only",
                NoteKind.SAID_IN_WORDS,
            )
        )
    if conversation.tools and choice.mode is not ToolChoiceMode.NONE:
        words.append(choice_instruction(choice))
        if choice.mode is not ToolChoiceMode.AUTO:
            notes.append(
                Note(
                    f"tool_choice {choice.mode} was asked for in the prompt: MiMo has auto only",
                    NoteKind.SAID_IN_WORDS,
                )
            )
    if search := _searched_sites(conversation):
        words.append(search)
        notes.append(Note("web search domains were asked for in the prompt", NoteKind.SAID_IN_WORDS))
    text = "\n\n".join(filter(None, words))
    return Turn(role=Role.SYSTEM, parts=(Text(text=text),)) if text else None


def _searched_sites(conversation: Conversation) -> str:
    tool = conversation.extra.get(WEB_SEARCH)
    return domain_instruction(tool) if isinstance(tool, Mapping) else ""


def _tools(conversation: Conversation) -> list[dict[str, object]]:
    if conversation.tool_choice.mode is ToolChoiceMode.NONE:
        return []
    tools = [_tool(tool) for tool in conversation.tools]
    web_search = conversation.extra.get(WEB_SEARCH)
    if isinstance(web_search, Mapping):
        tools.append(wire_tool(web_search))
    return tools


def _tool(tool: ToolSpec) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.kind is ToolKind.CUSTOM:
        function["parameters"] = custom_schema(tool)
    else:
        function["parameters"] = object_schema(tool.parameters)
        if tool.strict is not None:
            function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _thinking(conversation: Conversation) -> dict[str, str] | None:
    if conversation.thinking is Thinking.DEFAULT:
        return None
    return {"type": str(conversation.thinking)}


def _response_format(conversation: Conversation) -> dict[str, str] | None:
    if conversation.response_format.kind is ResponseFormatKind.TEXT:
        return None
    return {"type": "json_object"}


def takes_stop(sampling: Sampling) -> bool:
    """Whether the wire is told the stop sequences. It takes four and does not say which one it met: what it
    is not told the gateway finds itself."""
    return not sampling.reports_stop and len(sampling.stop) <= MAX_STOP_SEQUENCES


def _sampling(sampling: Sampling) -> dict[str, object]:
    return {
        "max_completion_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop": (list(sampling.stop) or None) if takes_stop(sampling) else None,
    }


def _filled(message: dict[str, object], *, thinks: bool) -> dict[str, object]:
    """The two 400s that agents meet most: null content, and a turn with calls whose reasoning was dropped."""
    if message["role"] != "assistant":
        return message
    filled = dict(message)
    # MiMo refuses an assistant turn with tool_calls whose content is null ("`text` is not present"): send "".
    if filled["content"] is None:
        filled["content"] = ""
    # The key absent is what fails; without calls, or with thinking off, nothing asks for it (mimo-api.md
    # 2.1).
    if thinks and "tool_calls" in filled:
        filled.setdefault("reasoning_content", "")
    return filled


# --- answers ------------------------------------------------------------------------------------------------


def decoder_for(conversation: Conversation) -> StreamDecoder | CompletionDecoder:
    """What reads the answer's bytes."""
    return StreamDecoder() if conversation.streams else CompletionDecoder()


def decode_models(body: bytes) -> list[str]:
    """The chat models of `GET /v1/models`; speech ids are left out. Raises UpstreamProtocolError."""
    try:
        listing = orjson.loads(body)
    except orjson.JSONDecodeError:
        listing = None
    entries = listing.get("data") if isinstance(listing, dict) else None
    if not isinstance(entries, list):
        raise UpstreamProtocolError("The upstream's model list could not be read.")
    ids = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    return [model for model in ids if isinstance(model, str) and is_chat_model(model)]


__all__ = [
    "CHAT_PATH",
    "MODELS_PATH",
    "PlatformRequest",
    "decode_error",
    "decode_models",
    "decoder_for",
    "encode_request",
    "takes_stop",
]
