"""What an Anthropic answer says at its end: why it stopped and what it used. Shared by both of its forms.

Source: anthropic 2.11.0, types/stop_reason.py, types/usage.py and types/message_delta_usage.py; MiMo's stop
reasons from its Messages reference (mimo-api.md, section 1.7). Read 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.events import Finish, FinishReason, Usage

# MiMo adds two values to Anthropic's; an unknown one is a stop, as the SDKs treat it.
_FINISH_BY_STOP_REASON: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "repetition_truncation": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def stop_fields(finish: Finish, *, has_call: bool, has_cut_call: bool) -> dict[str, object]:
    """`stop_reason` and `stop_sequence` of an answer, from what it holds and not from the upstream's word
    alone.

    `has_call`: a complete call is in it. `has_cut_call`: one without an end is, so the answer was cut.
    A refusal carries `stop_details` with no category, since MiMo names none.
    """
    if finish.reason is FinishReason.CONTENT_FILTER:
        details = {"type": "refusal", "category": None, "explanation": None}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    if finish.reason is FinishReason.LENGTH or has_cut_call:
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    if has_call:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if finish.stop_sequence is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": finish.stop_sequence}
    return {"stop_reason": "end_turn", "stop_sequence": None}


def decoded_finish(stop_reason: object, stop_sequence: object) -> Finish:
    """The Finish that an upstream's `stop_reason` and `stop_sequence` mean."""
    if not isinstance(stop_reason, str):
        return Finish(FinishReason.STOP)
    is_sequence = stop_reason == "stop_sequence" and isinstance(stop_sequence, str)
    return Finish(
        _FINISH_BY_STOP_REASON.get(stop_reason, FinishReason.STOP),
        str(stop_sequence) if is_sequence else None,
    )


def usage_fields(usage: Usage, *, shown_searches: int = 0) -> dict[str, object]:
    """The `usage` object. Anthropic's `input_tokens` leaves out the cached ones, ours holds them.

    `output_tokens` holds the thinking; how much of it that was stands in `output_tokens_details`.
    `shown_searches` are those that the answer shows: an upstream that counts none has made as many at least.
    """
    cached_tokens = min(usage.cached_tokens, usage.input_tokens)
    fields: dict[str, object] = {
        "input_tokens": usage.input_tokens - cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if searches := max(usage.searches, shown_searches):
        fields["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return fields


def decoded_usage(fields: Mapping[str, object]) -> Usage:
    """A `usage` object as Usage. Counts that are absent, null or no integer count as 0."""
    cached_tokens = _count(fields, "cache_read_input_tokens")
    details, server_tools = fields.get("output_tokens_details"), fields.get("server_tool_use")
    return Usage(
        input_tokens=_count(fields, "input_tokens")
        + _count(fields, "cache_creation_input_tokens")
        + cached_tokens,
        output_tokens=_count(fields, "output_tokens"),
        cached_tokens=cached_tokens,
        reasoning_tokens=_count(details, "thinking_tokens") if isinstance(details, dict) else 0,
        searches=_count(server_tools, "web_search_requests") if isinstance(server_tools, dict) else 0,
    )


def _count(fields: Mapping[str, object], key: str) -> int:
    value = fields.get(key)
    return value if isinstance(value, int) else 0
