"""Whether to think and how hard, in every spelling that clients use. MiMo knows on and off only, and on is
what it does when nothing is said: whoever means off must be understood (mimo-api.md 2.1 and 3).

Spellings: MiMo's and Anthropic's `thinking` (an object; a boolean or a word by mistake), Qwen's
`enable_thinking` and `thinking_budget`, vLLM's `chat_template_kwargs`, Ollama's `think`, OpenRouter's
`reasoning` with `enabled` or `max_tokens`, OpenAI's `reasoning.effort` and `reasoning_effort`. A budget of 0
is off. The most explicit one counts, in that order. Sources: mimo-api.md 3 and user-pains.md 14; OpenRouter,
"Reasoning tokens"; Ollama, "Thinking"; read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.core.conversation import Thinking
from service.core.json_body import (
    optional_boolean,
    optional_integer,
    optional_object,
    optional_string,
    required_string,
    wrong_value,
)

# Fields that are read here whole; `chat_template_kwargs` may say other things, too.
THINKING_FIELDS = (
    *("thinking", "enable_thinking", "thinking_budget", "think", "reasoning", "reasoning_effort"),
)

_OFF_WORDS = frozenset(("none", "off", "disabled", "disable", "false", "no"))
_THINKING_BY_TYPE: Mapping[str, Thinking] = {
    "enabled": Thinking.ENABLED,
    "adaptive": Thinking.ENABLED,
    "auto": Thinking.DEFAULT,
    "disabled": Thinking.DISABLED,
}


def is_off(effort: str) -> bool:
    """Whether a word for an effort means that there shall be none."""
    return effort.strip().lower() in _OFF_WORDS


def thinking_of(body: Mapping[str, object]) -> tuple[Thinking, str | None]:
    """What a request's body says of thinking, and its effort; the effort is None where it means off.

    Raises InvalidRequest for a spelling that is known and holds what it cannot."""
    reasoning = optional_object(body, "reasoning") or {}
    effort = optional_string(reasoning, "effort", "reasoning") or optional_string(body, "reasoning_effort")
    has_none = effort is not None and is_off(effort)
    said = _by_switch(body, reasoning)
    if said is None and effort is not None:
        said = Thinking.DISABLED if has_none else Thinking.ENABLED
    return said or Thinking.DEFAULT, None if has_none else effort


def _by_switch(body: Mapping[str, object], reasoning: Mapping[str, object]) -> Thinking | None:
    if body.get("thinking") is not None:
        return _by_object(body)
    template = body.get("chat_template_kwargs")
    kwargs = template if isinstance(template, dict) else {}
    for flag in (
        optional_boolean(body, "enable_thinking"),
        _flag(body.get("think")),
        _flag(kwargs.get("enable_thinking")),
        _flag(kwargs.get("thinking")),
        _spends(optional_integer(body, "thinking_budget")),
        optional_boolean(reasoning, "enabled", "reasoning"),
        _spends(optional_integer(reasoning, "max_tokens", "reasoning")),
    ):
        if flag is not None:
            return Thinking.ENABLED if flag else Thinking.DISABLED
    return None


def _by_object(body: Mapping[str, object]) -> Thinking:
    value = body["thinking"]
    if isinstance(value, bool):
        return Thinking.ENABLED if value else Thinking.DISABLED
    if isinstance(value, str):
        return _by_word(value, "thinking")
    thinking = optional_object(body, "thinking") or {}
    budget = optional_integer(thinking, "budget_tokens", "thinking")
    if budget == 0:
        return Thinking.DISABLED
    if budget is not None and thinking.get("type") is None:
        return Thinking.ENABLED
    return _by_word(required_string(thinking, "type", "thinking"), "thinking.type")


def _by_word(word: str, param: str) -> Thinking:
    if is_off(word):
        return Thinking.DISABLED
    if word not in _THINKING_BY_TYPE:
        raise wrong_value(word, param, _THINKING_BY_TYPE)
    return _THINKING_BY_TYPE[word]


def _flag(value: object) -> bool | None:
    """A switch or a level of another vendor's: what is neither says nothing."""
    if isinstance(value, str):
        return not is_off(value)
    return value if isinstance(value, bool) else None


def _spends(budget: int | None) -> bool | None:
    return None if budget is None else budget != 0
