"""What whole answers and streams have in common: usage, finish reasons, citations.

Sources: openai-python 3.52 types/chat, mimo-api.md 1.5, read 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from service.core.events import Citation, Event, Finish, FinishReason, Notice, Usage

# What upstreams say -> what it means. A word that is not here ended an answer that is whole: STOP.
_REASON_BY_WORD: Mapping[object, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    # MiMo caught the model in a loop and cut it: no OpenAI word, strict SDKs refuse it.
    "repetition_truncation": FinishReason.LENGTH,
}
_CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)


# --- server role --------------------------------------------------------------------------------------------


def encode_usage(usage: Usage) -> dict[str, object]:
    """OpenAI's counts; searches, of which it has none, as MiMo tells them."""
    searched: dict[str, object] = {}
    if usage.searches:
        searched["web_search_usage"] = {"tool_usage": usage.searches}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        **searched,
    }


def finish_word(reason: FinishReason, *, has_calls: bool, has_cut_call: bool) -> str:
    """`finish_reason` for the client: a cut call is never announced as one to execute."""
    if has_cut_call and reason not in _CUT:
        return "length"
    if reason in _CUT:
        return str(reason)
    return "tool_calls" if has_calls else "stop"


def encode_citation(citation: Citation) -> dict[str, object]:
    """OpenAI's annotation. The span it belongs to is unknown, so it is empty; `summary` is MiMo's extra."""
    cited: dict[str, object] = {
        "url": citation.url,
        "title": citation.title,
        "start_index": 0,
        "end_index": 0,
    }
    if citation.summary:
        cited["summary"] = citation.summary
    return {"type": "url_citation", "url_citation": cited}


def custom_input(arguments: str) -> str:
    """The raw input of a freeform tool, which upstream is a function of the one string `input`.

    Arguments of another form are given out as they are: better than an empty call."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    raw = value.get("input") if type(value) is dict else None
    return raw if type(raw) is str else arguments


# --- client role --------------------------------------------------------------------------------------------


def decode_usage(value: object) -> Usage | None:
    """None for null and for what is no object; counts that are missing or odd are 0."""
    if type(value) is not dict:
        return None
    sent = value.get("prompt_tokens_details")
    return Usage(
        input_tokens=_count(value, "prompt_tokens"),
        output_tokens=_count(value, "completion_tokens"),
        cached_tokens=_count(sent, "cached_tokens"),
        reasoning_tokens=_count(value.get("completion_tokens_details"), "reasoning_tokens"),
        image_tokens=_count(sent, "image_tokens"),
        audio_tokens=_count(sent, "audio_tokens"),
        video_tokens=_count(sent, "video_tokens"),
        searches=_count(value.get("web_search_usage"), "tool_usage"),
    )


def _count(source: object, key: str) -> int:
    value = source.get(key) if type(source) is dict else None
    return value if type(value) is int and value > 0 else 0


def decode_finish(word: object, *, has_calls: bool) -> Finish:
    """TOOL_CALLS exactly when calls were made and nothing was cut, whatever the upstream calls it."""
    reason = _REASON_BY_WORD.get(word, FinishReason.STOP) if type(word) is str else FinishReason.STOP
    if reason not in _CUT:
        reason = FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP
    return Finish(reason)


def finish_notices(word: object) -> list[Event]:
    """What the operator should know about a finish that OpenAI has no word for."""
    return [Notice("repetition_truncated")] if word == "repetition_truncation" else []


def is_cut(word: object) -> bool:
    """Whether the answer ended before the model was done, so that its last call may be half a call."""
    return type(word) is str and _REASON_BY_WORD.get(word) in _CUT


def decode_citations(annotations: object) -> list[Citation]:
    """`annotations` in OpenAI's shape or MiMo's (`url`, `title`, `summary` at the top)."""
    if type(annotations) is not list:
        return []
    found: list[Citation] = []
    for annotation in annotations:
        if type(annotation) is not dict:
            continue
        nested = annotation.get("url_citation")
        source = nested if type(nested) is dict else annotation
        facts = (text_of(source.get(key)) for key in ("title", "summary", "publish_time"))
        if url := text_of(source.get("url")):
            found.append(Citation(url, *facts))
    return found


def text_of(value: object) -> str:
    """A string as it is; "" for null and everything else."""
    return value if type(value) is str else ""


def decode_text(content: object) -> str:
    """A delta's or a message's text: a string, or a list of parts with `text`; "" for null and the rest."""
    if type(content) is str:
        return content
    if type(content) is not list:
        return ""
    return "".join(text_of(part.get("text")) for part in content if type(part) is dict)
