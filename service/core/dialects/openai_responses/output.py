"""Output items and the `response` object: what a streamed and a whole answer both consist of.

Reasoning is shown as the item's summary, whole: it is where every client looks, and what it sends back is
then the full text that MiMo wants to see again. Source: openai-python 3.52 response.py,
response_output_item.py, response_usage.py, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from service.core.completion import AnswerHead
from service.core.dialects.openai_responses.fields import Fields
from service.core.dialects.openai_responses.request import ResponsesRequest
from service.core.dialects.openai_responses.tools import ClientTool, Shape, flat_tool
from service.core.events import Citation, Finish, FinishReason, Usage
from service.core.json_body import optional_array, optional_object

Item = dict[str, object]
NewId = Callable[[str], str]
Seal = Callable[[str], str]

IN_PROGRESS, COMPLETED, INCOMPLETE, FAILED = "in_progress", "completed", "incomplete", "failed"
QUEUED, CANCELLED = "queued", "cancelled"

_INCOMPLETE_REASONS = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
}
# What the response repeats from the request where the client gave it, and what it says otherwise.
_ECHO_DEFAULTS: Mapping[str, object] = {
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": None,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


# --- items --------------------------------------------------------------------------------------------------


def reasoning_item(item_id: str, text: str, status: str, *, sealed: str | None = None) -> Item:
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: Item = {"id": item_id, "type": "reasoning", "summary": summary, "status": status}
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def text_part(text: str, annotations: Sequence[Item] = ()) -> Item:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}


def message_item(item_id: str, content: list[Item], status: str) -> Item:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def function_item(item_id: str, call_id: str, tool: ClientTool, arguments: str, status: str) -> Item:
    item: Item = {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": tool.name,
        "arguments": arguments,
    }
    return _with_namespace(item, tool)


def custom_item(item_id: str, call_id: str, tool: ClientTool, text: str, status: str) -> Item:
    item: Item = {
        "id": item_id,
        "type": "custom_tool_call",
        "status": status,
        "call_id": call_id,
        "name": tool.name,
        "input": text,
    }
    return _with_namespace(item, tool)


def _with_namespace(item: Item, tool: ClientTool) -> Item:
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    return item


def action_of(shape: Shape, arguments: str) -> Item | None:
    """The fields that a call of a local_shell, shell or apply_patch tool has beside its id and status.

    None when the arguments do not say what to do: the call is then shown as a plain function call, so that
    the client sees what the model wrote."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    return _ACTIONS[shape](value)


def _local_shell_action(value: Item) -> Item | None:
    command = value.get("command")
    if isinstance(command, str):
        command = ["bash", "-lc", command]
    if not _is_texts(command):
        return None
    action: Item = {"type": "exec", "command": command, "env": value.get("env") or {}}
    return {"action": action | _present(value, "timeout_ms", "user", "working_directory")}


def _shell_action(value: Item) -> Item | None:
    commands = value.get("commands")
    if isinstance(commands, str):
        commands = [commands]
    if not _is_texts(commands):
        return None
    action: Item = {"commands": commands, "timeout_ms": None, "max_output_length": None}
    return {"action": action | _present(value, "timeout_ms", "max_output_length")}


def _patch_action(value: Item) -> Item | None:
    inner = value.get("operation")
    if isinstance(inner, dict):
        value = inner
    kind, path, diff = value.get("type"), value.get("path"), value.get("diff")
    if not isinstance(path, str) or kind not in ("create_file", "update_file", "delete_file"):
        return None
    if kind == "delete_file":
        return {"operation": {"type": kind, "path": path}}
    return {"operation": {"type": kind, "path": path, "diff": diff}} if isinstance(diff, str) else None


_ACTIONS: Mapping[Shape, Callable[[Item], Item | None]] = {
    Shape.LOCAL_SHELL: _local_shell_action,
    Shape.SHELL: _shell_action,
    Shape.APPLY_PATCH: _patch_action,
}
_ACTION_PREFIXES = {Shape.LOCAL_SHELL: "lsh_", Shape.SHELL: "sh_", Shape.APPLY_PATCH: "apc_"}


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _present(value: Item, *keys: str) -> Item:
    return {key: value[key] for key in keys if value.get(key) is not None}


def action_item(new_id: NewId, call_id: str, tool: ClientTool, arguments: str) -> Item:
    """A finished call of a local_shell, shell or apply_patch tool, in its own item type where it can be."""
    action = action_of(tool.shape, arguments)
    if action is None:
        return function_item(new_id("fc_"), call_id, tool, whole_arguments(arguments), COMPLETED)
    item: Item = {
        "id": new_id(_ACTION_PREFIXES[tool.shape]),
        "type": f"{tool.shape.value}_call",
        "status": COMPLETED,
        "call_id": call_id,
    }
    return item | action


def whole_arguments(arguments: str) -> str:
    """A complete call without arguments has the empty object: clients read the text as JSON."""
    return arguments or "{}"


def search_item(item_id: str, sources: Sequence[Citation], status: str, *, shows_sources: bool) -> Item:
    """A web search of MiMo's. What it looked for is not told; its sources are shown to whom asks for them."""
    action: Item = {"type": "search", "query": ""}
    if shows_sources:
        action["sources"] = [{"type": "url", "url": source.url} for source in sources]
    return {"id": item_id, "type": "web_search_call", "status": status, "action": action}


def citation_annotations(citations: Sequence[Citation], text: str) -> list[Item]:
    """Sources of the upstream's web search. It does not tell which words they support: they stand at the end,
    counted in characters."""
    end = len(text)
    return [
        {
            "type": "url_citation",
            "start_index": end,
            "end_index": end,
            "url": citation.url,
            "title": citation.title,
        }
        for citation in citations
    ]


# --- the response -------------------------------------------------------------------------------------------


def ended_status(finish: Finish) -> str:
    return INCOMPLETE if finish.reason in _INCOMPLETE_REASONS else COMPLETED


class ResponseFrame:
    """The parts of a `response` object that do not change while it is being answered."""

    def __init__(self, head: AnswerHead, request: ResponsesRequest) -> None:
        self._head = head
        self._echo = _echo(request)

    def response(
        self,
        status: str,
        output: Sequence[Item] = (),
        *,
        usage: Usage | None = None,
        finish: Finish | None = None,
        error: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """The whole object: status queued, in_progress, completed, incomplete, failed or cancelled.

        `finish` tells why an incomplete one ended; `usage` None is an answer nobody counted."""
        reason = None if finish is None else _INCOMPLETE_REASONS.get(finish.reason)
        return {
            "id": self._head.answer_id,
            "object": "response",
            "created_at": self._head.created_at_s,
            "status": status,
            "error": error,
            "incomplete_details": None if reason is None else {"reason": reason},
            "model": self._head.model,
            "output": list(output),
            "usage": None if usage is None else _usage(usage),
            **self._echo,
        }


def _echo(request: ResponsesRequest) -> dict[str, object]:
    fields = request.fields
    echo = {key: _given(fields.get(key), default) for key, default in _ECHO_DEFAULTS.items()}
    text = optional_object(fields, "text") or {}
    echo["background"] = request.is_background
    echo["instructions"] = request.instructions
    echo["metadata"] = dict(request.metadata)
    effort = {"effort": request.conversation.effort, "summary": None}
    echo["reasoning"] = {**effort, **(optional_object(fields, "reasoning") or {})}
    echo["service_tier"] = "default"
    echo["store"] = request.is_stored
    echo["text"] = {"format": {"type": "text"}} | _present(text, *text)
    tools = optional_array(fields, "tools") or []
    echo["tools"] = [_echoed_tool(tool) for tool in tools if isinstance(tool, dict)]
    return echo


def _given(value: object, default: object) -> object:
    return default if value is None else value


def _echoed_tool(tool: Fields) -> Fields:
    flat = flat_tool(tool)
    if flat.get("type") == "function":
        return {"description": None, "parameters": None, "strict": None, **flat}
    return flat


def _usage(usage: Usage) -> Item:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
