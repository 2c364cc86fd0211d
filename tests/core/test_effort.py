"""Whether to think and how hard, in every spelling that clients use."""

from __future__ import annotations

from typing import Any

import pytest

from service.core.conversation import Thinking
from service.core.effort import is_off, thinking_of
from service.core.errors import InvalidRequest

ON, OFF, DEFAULT = Thinking.ENABLED, Thinking.DISABLED, Thinking.DEFAULT

SPELLINGS: list[tuple[dict[str, Any], Thinking, str | None]] = [
    ({}, DEFAULT, None),
    ({"thinking": None, "reasoning": None, "reasoning_effort": None}, DEFAULT, None),
    ({"thinking": {"type": "enabled"}}, ON, None),
    ({"thinking": {"type": "disabled"}}, OFF, None),
    ({"thinking": {"type": "adaptive"}}, ON, None),
    ({"thinking": {"type": "auto"}}, DEFAULT, None),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ON, None),
    ({"thinking": {"type": "enabled", "budget_tokens": 0}}, OFF, None),
    ({"thinking": {"budget_tokens": 1024}}, ON, None),
    ({"thinking": True}, ON, None),
    ({"thinking": False}, OFF, None),
    ({"thinking": "enabled"}, ON, None),
    ({"thinking": "off"}, OFF, None),
    ({"enable_thinking": True}, ON, None),
    ({"enable_thinking": False}, OFF, None),
    ({"think": False}, OFF, None),
    ({"think": "high"}, ON, None),
    ({"think": "none"}, OFF, None),
    ({"think": 7}, DEFAULT, None),
    ({"chat_template_kwargs": {"enable_thinking": False}}, OFF, None),
    ({"chat_template_kwargs": {"thinking": True}}, ON, None),
    ({"chat_template_kwargs": {"other": True}}, DEFAULT, None),
    ({"chat_template_kwargs": "odd"}, DEFAULT, None),
    ({"thinking_budget": 0}, OFF, None),
    ({"thinking_budget": 512}, ON, None),
    ({"thinking_budget": -1}, ON, None),
    ({"reasoning": {"enabled": False}}, OFF, None),
    ({"reasoning": {"max_tokens": 0}}, OFF, None),
    ({"reasoning": {"max_tokens": 2000}}, ON, None),
    ({"reasoning": {"effort": "xhigh"}}, ON, "xhigh"),
    ({"reasoning": {"effort": "none"}}, OFF, None),
    ({"reasoning_effort": "minimal"}, ON, "minimal"),
    ({"reasoning_effort": " None "}, OFF, None),
    ({"reasoning": {"effort": "high"}, "reasoning_effort": "none"}, ON, "high"),
    ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, OFF, "high"),
    ({"thinking": {"type": "enabled"}, "enable_thinking": False}, ON, None),
]


@pytest.mark.parametrize(
    ("body", "thinking", "effort"), SPELLINGS, ids=[str(body) for body, _, _ in SPELLINGS]
)
def test_spelling(body: dict[str, Any], thinking: Thinking, effort: str | None) -> None:
    assert thinking_of(body) == (thinking, effort)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"thinking": {"budget_tokens": "many"}}, "thinking.budget_tokens"),
        ({"thinking": "maybe"}, "thinking"),
        ({"thinking": []}, "thinking"),
        ({"enable_thinking": "no"}, "enable_thinking"),
        ({"thinking_budget": "many"}, "thinking_budget"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"enabled": 1}}, "reasoning.enabled"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
    ],
    ids=str,
)
def test_what_a_spelling_cannot_hold_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        thinking_of(body)
    assert refused.value.param == param


def test_words_for_off() -> None:
    assert [word for word in ("none", "OFF", " disabled ", "low", "") if is_off(word)] == [
        "none",
        "OFF",
        " disabled ",
    ]
