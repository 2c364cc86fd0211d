"""Who may have what: the request, its key, the configuration, in this order."""

from __future__ import annotations

import pytest

from service.config import ApiKey, LoopGuard, WebSearch, key_digest
from service.core.conversation import Conversation
from service.core.errors import InvalidRequest
from service.core.web_search import WEB_SEARCH
from service.gateway.allowances import Allowances, with_allowances


def key(**more: bool) -> ApiKey:
    return ApiKey(name="k", key_sha256=key_digest("k"), **more)


def asked(**extra: object) -> Conversation:
    return Conversation(model="m", turns=(), extra=extra)


@pytest.mark.parametrize(
    ("extra", "of_key", "of_all", "guards"),
    [
        ({}, {}, False, False),
        ({}, {}, True, True),
        ({}, {"loop_guard": True}, False, True),
        ({}, {"loop_guard": False}, True, False),
        ({"loop_guard": True}, {"loop_guard": False}, False, True),
        ({"loop_guard": False}, {"loop_guard": True}, True, False),
    ],
)
def test_the_first_that_says_something_of_the_loop_guard_wins(
    extra: dict[str, object], of_key: dict[str, bool], of_all: bool, guards: bool
) -> None:
    allowances = Allowances(loop_guard=LoopGuard(enabled=of_all, max_reasoning_tokens=7))
    found, notes = with_allowances(asked(seed=1, **extra), key(**of_key), allowances)
    assert (found.guards_loops, found.max_reasoning_tokens) == (guards, 7 if guards else None)
    assert (found.extra, notes) == ({"seed": 1}, [])


@pytest.mark.parametrize(
    ("asked_for", "of_all", "budget_tokens"),
    [({"max_reasoning_tokens": 100}, 7, 100), ({}, 7, 7), ({"max_reasoning_tokens": None}, None, None)],
)
def test_a_request_may_say_what_its_answer_may_think(
    asked_for: dict[str, object], of_all: int | None, budget_tokens: int | None
) -> None:
    allowances = Allowances(loop_guard=LoopGuard(max_reasoning_tokens=of_all))
    found, _ = with_allowances(asked(loop_guard=asked_for), key(loop_guard=False), allowances)
    assert (found.guards_loops, found.max_reasoning_tokens) == (True, budget_tokens)


@pytest.mark.parametrize(
    ("asked_for", "param"),
    [
        ({"max_reasoning_tokens": 0}, "loop_guard.max_reasoning_tokens"),
        ({"max_reasoning_tokens": "1"}, "loop_guard.max_reasoning_tokens"),
        ({"budget": 1}, "loop_guard.budget"),
    ],
)
def test_a_mistake_in_the_budget_is_told_by_its_field(asked_for: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        with_allowances(asked(loop_guard=asked_for), key(), Allowances())
    assert caught.value.param == param


def test_a_switch_that_is_no_boolean_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        with_allowances(asked(loop_guard="yes"), key(), Allowances())
    assert caught.value.param == "loop_guard"


@pytest.mark.parametrize(
    ("of_key", "of_all", "is_kept"),
    [
        ({}, WebSearch.OFF, False),
        ({}, WebSearch.ALLOWED, True),
        ({"web_search": True}, WebSearch.OFF, True),
        ({"web_search": False}, WebSearch.ALLOWED, False),
    ],
)
def test_a_search_is_kept_where_it_is_allowed(
    of_key: dict[str, bool], of_all: WebSearch, is_kept: bool
) -> None:
    tool = {"type": "web_search"}
    found, notes = with_allowances(asked(**{WEB_SEARCH: tool}), key(**of_key), Allowances(web_search=of_all))
    assert (WEB_SEARCH in found.extra, bool(notes)) == (is_kept, not is_kept)


def test_a_request_that_asks_for_nothing_more_is_left_alone() -> None:
    request = asked(seed=1)
    assert with_allowances(request, key(), Allowances()) == (request, [])
