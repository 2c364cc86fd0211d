"""What a request may have beyond the answer itself: the loop guard, MiMo's own web search, a stand-in.

Decided from the request, its API key and the configuration, in this order: the first that says something
wins. Web search is billed apart, so there the key or the configuration must allow what the request asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.config import ApiKey, LoopGuard, TextModels, WebSearch
from service.core.conversation import Conversation
from service.core.errors import InvalidRequest
from service.core.json_body import optional_integer
from service.core.notes import Note, NoteKind
from service.core.web_search import WEB_SEARCH

# The request's own switch: a field of the body in every dialect, which no upstream is sent.
LOOP_GUARD = "loop_guard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """The configuration's word."""

    loop_guard: LoopGuard = field(default_factory=LoopGuard)
    web_search: WebSearch = WebSearch.OFF
    text_models: TextModels = TextModels.REFUSE


def with_allowances(
    conversation: Conversation, key: ApiKey, allowances: Allowances
) -> tuple[Conversation, list[str]]:
    """The conversation as it is carried out, and notes on what was left out. Raises InvalidRequest."""
    guards_loops, budget_tokens = _guards_loops(conversation, key, allowances)
    searches = allowances.web_search is WebSearch.ALLOWED if key.web_search is None else key.web_search
    asks_search = WEB_SEARCH in conversation.extra
    if not guards_loops and (searches or not asks_search) and LOOP_GUARD not in conversation.extra:
        return conversation, []
    left_out = {LOOP_GUARD} if searches else {LOOP_GUARD, WEB_SEARCH}
    notes: list[str] = (
        []
        if searches or not asks_search
        else [Note("web search is not allowed here and was left out", NoteKind.FIELD_DROPPED)]
    )
    changed = replace(
        conversation,
        extra={name: value for name, value in conversation.extra.items() if name not in left_out},
        guards_loops=guards_loops,
        max_reasoning_tokens=budget_tokens if guards_loops else None,
    )
    return changed, notes


def _guards_loops(conversation: Conversation, key: ApiKey, allowances: Allowances) -> tuple[bool, int | None]:
    """Whether, and what the answer may think. A request says true, false, or an object with its budget."""
    extra: Mapping[str, object] = conversation.extra
    asked, budget_tokens = extra.get(LOOP_GUARD), allowances.loop_guard.max_reasoning_tokens
    if isinstance(asked, dict):
        for name in asked:
            if name != "max_reasoning_tokens":
                raise InvalidRequest(
                    f"Unknown parameter: 'loop_guard.{name[:64]}'.",
                    param=f"{LOOP_GUARD}.{name[:64]}",
                    code="unknown_parameter",
                )
        own_tokens = optional_integer(asked, "max_reasoning_tokens", LOOP_GUARD, minimum=1)
        return True, budget_tokens if own_tokens is None else own_tokens
    if asked is not None and not isinstance(asked, bool):
        raise InvalidRequest(
            "Invalid type for 'loop_guard': expected a boolean or an object.",
            param=LOOP_GUARD,
            code="invalid_type",
        )
    for said in (asked, key.loop_guard):
        if said is not None:
            return said, budget_tokens
    return allowances.loop_guard.enabled, budget_tokens
