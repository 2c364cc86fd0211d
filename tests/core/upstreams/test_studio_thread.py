"""What a conversation at the studio is told by: nothing that differs gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Reasoning,
    ResponseFormat,
    ResponseFormatKind,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolSpec,
    Turn,
)
from service.core.errors import (
    ContextOverflow,
    GatewayError,
    InvalidRequest,
    UpstreamAccountError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.core.upstreams.studio_thread import (
    CONVERSATION_LOST,
    Canonical,
    History,
    as_lost,
    canonical_turn,
    pieces,
    settings_of,
    turns_known,
)
from service.core.web_search import WEB_SEARCH
from tests import strategies

# --- the encoding can be read back: so it is injective ------------------------------------------------------

values = st.recursive(
    st.none() | st.text() | st.text(alphabet="0123456789:()-"),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=20,
)


def encoded(value: Canonical) -> bytes:
    return b"".join(pieces(value))


def read_back(content: bytes) -> list[Canonical]:
    """Every value that stands in the bytes, one after the other."""
    found, end = _items(content, 0)
    assert end == len(content)
    return found


def _items(content: bytes, at: int) -> tuple[list[Canonical], int]:
    found: list[Canonical] = []
    while at < len(content) and content[at : at + 1] != b")":
        value, at = _item(content, at)
        found.append(value)
    return found, at


def _item(content: bytes, at: int) -> tuple[Canonical, int]:
    if content[at : at + 1] == b"-":
        return None, at + 1
    if content[at : at + 1] == b"(":
        inner, at = _items(content, at + 1)
        assert content[at : at + 1] == b")"
        return tuple(inner), at + 1
    mark = content.index(b":", at)
    end = mark + 1 + int(content[at:mark])
    return content[mark + 1 : end].decode("utf-8", "surrogatepass"), end


@given(st.lists(values, max_size=5))
def test_no_two_rows_of_values_have_the_same_bytes(row: list[Canonical]) -> None:
    """What can be read back is told apart: settings and turns follow one another just so."""
    assert read_back(b"".join(map(encoded, row))) == row


@given(strategies.conversations(), strategies.conversations())
def test_histories_that_differ_have_other_digests(one: Conversation, other: Conversation) -> None:
    """Two conversations have the same digest just when they are the same to the studio."""
    same = [canonical_turn(turn) for turn in one.turns] == [canonical_turn(turn) for turn in other.turns]
    assert (digest(*one.turns) == digest(*other.turns)) is same


@given(strategies.conversations(), st.data())
def test_a_turn_left_out_is_seen(conversation: Conversation, data: st.DataObject) -> None:
    turns = list(conversation.turns)
    gone = data.draw(st.integers(min_value=0, max_value=len(turns) - 1))
    assert digest(*turns[:gone], *turns[gone + 1 :]) != digest(*turns)


# --- turns --------------------------------------------------------------------------------------------------


def digest(*turns: Turn, settings: Canonical = ()) -> str:
    history = History(settings)
    history.add(turns)
    return history.digest()


def said(text: str, role: Role = Role.USER) -> Turn:
    return Turn(role=role, parts=(Text(text=text),))


def called(arguments: str, **more: Any) -> Turn:
    call = ToolCall(name="f", arguments=arguments, **{"call_id": "c1", **more})
    return Turn(role=Role.ASSISTANT, parts=(call,))


IMAGE = Media(kind=MediaKind.IMAGE, data="AAAA", mime_type="image/png")
RESULT = ToolResult(call_id="c1", parts=(Text(text="ok"),))


def with_part(part: Any, role: Role = Role.USER) -> Turn:
    return Turn(role=role, parts=(part,))


DIFFERENT: list[tuple[str, Turn, Turn]] = [
    ("a text", said("a"), said("b")),
    ("blank space of a question", said("a"), said("a ")),
    ("a role", said("a"), said("a", Role.SYSTEM)),
    ("a name", said("a"), replace(said("a"), name="n")),
    ("an empty name", said("a"), replace(said("a"), name="")),
    ("parts of a question", said("ab"), Turn(role=Role.USER, parts=(Text(text="a"), Text(text="b")))),
    ("a call", said("", Role.ASSISTANT), called("{}")),
    ("arguments", called('{"a":1}'), called('{"a":2}')),
    ("the order of arguments", called('{"a":1,"b":2}'), called('{"b":2,"a":1}')),
    ("a number's form", called('{"a":1}'), called('{"a":1.0}')),
    ("large numbers", called('{"a":18446744073709551616}'), called('{"a":18446744073709551617}')),
    ("a number and its text", called('{"a":1}'), called('{"a":"1"}')),
    ("a word and its text", called('{"a":null}'), called('{"a":"None"}')),
    ("a list and an object", called('{"a":["b","c"]}'), called('{"a":{"b":"c"}}')),
    ("broken arguments", called('{"a":'), called('{"a"')),
    ("broken arguments and a string", called('{"a":'), called('"{\\"a\\":"')),
    (
        "a call's id",
        called("{}"),
        with_part(ToolCall(call_id="c2", name="f", arguments="{}"), Role.ASSISTANT),
    ),
    ("a call's namespace", called("{}"), called("{}", namespace="n")),
    ("an image's content", with_part(IMAGE), with_part(replace(IMAGE, data="AAAB"))),
    ("an image's place", with_part(IMAGE), with_part(replace(IMAGE, data=None, url="AAAA"))),
    ("an image's type", with_part(IMAGE), with_part(replace(IMAGE, mime_type="image/jpeg"))),
    ("an image's options", with_part(IMAGE), with_part(replace(IMAGE, options={"fps": 2}))),
    ("an answer's image", said("", Role.ASSISTANT), with_part(IMAGE, Role.ASSISTANT)),
    ("a result", with_part(RESULT), with_part(replace(RESULT, parts=(Text(text="no"),)))),
    ("a result's success", with_part(RESULT), with_part(replace(RESULT, is_error=False))),
    ("a result's name", with_part(RESULT), with_part(replace(RESULT, name="f"))),
    ("a question's thinking", said("a"), Turn(role=Role.USER, parts=(Reasoning(text="t"), Text(text="a")))),
]


@pytest.mark.parametrize(("one", "other"), [pytest.param(*row[1:], id=row[0]) for row in DIFFERENT])
def test_an_edit_is_seen(one: Turn, other: Turn) -> None:
    assert digest(one) != digest(other)


SAME: list[tuple[str, Turn, Turn]] = [
    (
        "reasoning of an answer",
        said("a", Role.ASSISTANT),
        Turn(role=Role.ASSISTANT, parts=(Reasoning(text="t"), Text(text="a"))),
    ),
    (
        "parts of an answer",
        said("ab", Role.ASSISTANT),
        Turn(role=Role.ASSISTANT, parts=(Text(text="a"), Text(text="b"))),
    ),
    ("blank space round an answer", said("a", Role.ASSISTANT), said(" a\n", Role.ASSISTANT)),
    ("blank space in JSON", called('{"a": [1]}'), called('{"a":[1]}')),
    ("escapes in JSON", called('{"a": "\\u00e9"}'), called('{"a":"é"}')),
    ("no arguments", called(""), called("{}")),
    ("a freeform call", called('{"input": "ls"}'), called("ls", is_custom=True)),
    ("where a field stood", with_part(IMAGE), with_part(replace(IMAGE, at="messages[0]"))),
]


@pytest.mark.parametrize(("one", "other"), [pytest.param(*row[1:], id=row[0]) for row in SAME])
def test_what_clients_write_anew_is_no_edit(one: Turn, other: Turn) -> None:
    assert digest(one) == digest(other)


def test_turns_may_be_added_bit_by_bit() -> None:
    history = History(("s",))
    history.add([said("a")])
    first = history.digest()
    history.add([said("b")])
    assert first == digest(said("a"), settings=("s",))
    assert history.digest() == digest(said("a"), said("b"), settings=("s",))


@pytest.mark.parametrize(
    ("roles", "known"),
    [("u", 0), ("su", 0), ("ua", 0), ("uau", 2), ("uauau", 4), ("uat", 2), ("uats", 2), ("", 0)],
)
def test_what_the_studio_may_know_ends_with_the_last_answer(roles: str, known: int) -> None:
    of = {"s": Role.SYSTEM, "u": Role.USER, "a": Role.ASSISTANT, "t": Role.TOOL}
    assert turns_known([said("x", of[letter]) for letter in roles]) == known


# --- settings -----------------------------------------------------------------------------------------------

PLAIN = Conversation(model="m", turns=(said("be kind", Role.SYSTEM), said("hi")))
TOOL = ToolSpec(name="f", description="d")
CHANGES: list[Conversation] = [
    replace(PLAIN, model="n"),
    replace(PLAIN, thinking=Thinking.DISABLED),
    replace(PLAIN, sampling=Sampling(temperature=0.5)),
    replace(PLAIN, sampling=Sampling(top_p=0.5)),
    replace(PLAIN, extra={WEB_SEARCH: {"type": "web_search"}}),
    replace(PLAIN, tools=(TOOL,)),
    replace(PLAIN, tools=(replace(TOOL, description="e"),)),
    replace(PLAIN, tools=(replace(TOOL, parameters={"type": "object"}),)),
    replace(PLAIN, tools=(TOOL,), tool_choice=ToolChoice(mode=ToolChoiceMode.REQUIRED)),
    replace(PLAIN, tools=(TOOL,), tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, name="f")),
    replace(PLAIN, tools=(TOOL,), tool_choice=ToolChoice(allows_parallel=False)),
    replace(PLAIN, response_format=ResponseFormat(kind=ResponseFormatKind.JSON_OBJECT)),
    replace(PLAIN, turns=(said("be rude", Role.SYSTEM), said("hi"))),
]


def test_every_setting_that_the_studio_is_told_counts() -> None:
    every = [settings_of(one, offers_tools=True) for one in (PLAIN, *CHANGES)]
    assert len(set(every)) == len(every)
    with_tool = replace(PLAIN, tools=(TOOL,))
    assert settings_of(with_tool, offers_tools=False) == settings_of(PLAIN, offers_tools=True)


@pytest.mark.parametrize(
    "change",
    [
        {"streams": True},
        {"includes_usage": True},
        {"sampling": Sampling(max_output_tokens=5, stop=("x",))},
        {"extra": {"user": "someone", WEB_SEARCH: {}}},
        {"guards_loops": True},
    ],
)
def test_what_the_studio_is_not_told_does_not(change: dict[str, Any]) -> None:
    assert settings_of(replace(PLAIN, **change), offers_tools=True) == settings_of(PLAIN, offers_tools=True)


# --- failures -----------------------------------------------------------------------------------------------

MAY_BE_LOST: list[GatewayError] = [
    UpstreamRefused("x", status=404),
    UpstreamRefused("x", status=400),
    UpstreamUnavailable("answered with error 4041", status=200),
    UpstreamProtocolError("no stream", status=200),
    ContextOverflow("x"),
]
SOMETHING_ELSE: list[GatewayError] = [
    UpstreamAccountError("x", status=401),
    UpstreamRateLimited("x", status=429),
    UpstreamUnavailable("x", status=503),
    UpstreamUnavailable("no connection"),
    UpstreamTimeout(waited_s=1, phase="idle"),
    InvalidRequest("x"),
]


@pytest.mark.parametrize("error", MAY_BE_LOST, ids=lambda error: f"{error.kind}-{error.message}")
def test_a_refusal_to_go_on_is_told_by_its_code(error: GatewayError) -> None:
    assert as_lost(error).code == CONVERSATION_LOST


@pytest.mark.parametrize("error", SOMETHING_ELSE, ids=lambda error: f"{error.kind}-{error.message}")
def test_what_concerns_the_account_or_the_traffic_stays_what_it_is(error: GatewayError) -> None:
    assert as_lost(error) is error
