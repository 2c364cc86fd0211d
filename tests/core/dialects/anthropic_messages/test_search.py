"""Anthropic's web search: what a request asks for, what an answer shows, what comes back with the history."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types import Message

from service.core.completion import collect
from service.core.conversation import Role, Text
from service.core.dialects.anthropic_messages.blocks import decoded_parts
from service.core.dialects.anthropic_messages.reading import Reading
from service.core.dialects.anthropic_messages.request import decode_object
from service.core.dialects.anthropic_messages.request_client import encode_object
from service.core.dialects.anthropic_messages.response import encode_completion
from service.core.dialects.anthropic_messages.usage import decoded_usage
from service.core.errors import InvalidRequest
from service.core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
    UsageReport,
)
from service.core.web_search import WEB_SEARCH
from tests.core.dialects.anthropic_messages.answers import ESTIMATE, HEAD, accumulated, as_json, checked

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
OWN = {"name": "look", "input_schema": {"type": "object"}}
ONE = Citation("https://a.com/1", "A", "About a.", "2026-09-21")
TWO = Citation("https://b.com")
STOP = Finish(FinishReason.STOP)


# --- requests -----------------------------------------------------------------------------------------------


def asked(tool: dict[str, Any], **more: object) -> object:
    """What is asked of MiMo's search."""
    messages = [{"role": "user", "content": "What is new?"}]
    fields = {"model": "m", "max_tokens": 9, "messages": messages, "tools": [tool], **more}
    decoded = decode_object(fields)
    assert decoded.notes == ()
    return decoded.conversation.extra.get(WEB_SEARCH)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {}, id="bare"),
        pytest.param({"max_uses": 8}, {"max_keyword": 8}, id="uses"),
        pytest.param({"max_uses": None, "user_location": None}, {}, id="null is absent"),
        pytest.param(
            {"user_location": {"type": "approximate", "country": "FR", "city": "Lyon", "timezone": "CET"}},
            {"user_location": {"type": "approximate", "country": "FR", "city": "Lyon"}},
            id="place without its time zone",
        ),
        pytest.param({"allowed_domains": ["a.com"]}, {"allowed_domains": ["a.com"]}, id="allowed"),
        pytest.param({"blocked_domains": ["a.com"]}, {"blocked_domains": ["a.com"]}, id="blocked"),
        pytest.param({"allowed_callers": ["direct"]}, {}, id="called directly"),
    ],
)
@pytest.mark.parametrize("version", ["20250305", "20260209", "20260318", "20270101"])
def test_every_version_of_the_tool_is_read(version: str, fields: dict[str, Any], expected: object) -> None:
    tool = {"type": f"web_search_{version}", "name": "web_search", **fields}
    assert asked(tool) == {"type": "web_search", **expected}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"max_uses": 0}, "tools.0.max_uses"),
        ({"max_uses": "8"}, "tools.0.max_uses"),
        ({"allowed_domains": [1]}, "tools.0.allowed_domains.0"),
        ({"allowed_domains": ["a"], "blocked_domains": ["b"]}, "tools.0"),
        ({"user_location": "here"}, "tools.0.user_location"),
    ],
)
def test_a_mistake_is_refused_by_its_place(fields: dict[str, Any], at: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked({**SEARCH, **fields})
    assert refused.value.param == at


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_search"}])
def test_a_demand_for_the_search_is_told_to_it(choice: dict[str, str]) -> None:
    assert asked(SEARCH, tool_choice=choice) == {"type": "web_search", "force_search": True}


def test_a_demand_for_any_of_own_tools_forces_no_search() -> None:
    assert asked(SEARCH, tools=[SEARCH, OWN], tool_choice={"type": "any"}) == {"type": "web_search"}


def test_the_platforms_messages_is_not_told_of_a_search() -> None:
    messages = [{"role": "user", "content": "What is new?"}]
    decoded = decode_object({"model": "m", "max_tokens": 9, "messages": messages, "tools": [SEARCH]})
    assert set(encode_object(decoded.conversation)) == {"model", "messages", "max_tokens"}


def test_a_search_that_was_taken_away_is_not_asked_for() -> None:
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "web_search"}}
    messages = [{"role": "user", "content": "Hi"}, {"role": "system", "content": [removal]}]
    assert asked(SEARCH, messages=messages) is None


# --- answers ------------------------------------------------------------------------------------------------


def shown(events: list[Event]) -> dict[str, Any]:
    """The message, which streamed is the same to the real package."""
    body = encode_completion(collect(events), HEAD, input_tokens_estimate=ESTIMATE)
    whole = as_json(Message.model_validate_json(body))
    assert accumulated(checked(events)) == whole
    return whole


def test_a_search_is_a_call_its_result_and_citations_of_the_text() -> None:
    message = shown([ONE, TWO, ReasoningDelta("Hm."), TextDelta("So"), TextDelta(" it is."), STOP])
    call, result, thinking, text = message["content"]
    assert call == {
        "type": "server_tool_use",
        "id": "srvtoolu_10",
        "name": "web_search",
        "input": {"query": ""},
    }
    assert (result["type"], result["tool_use_id"]) == ("web_search_tool_result", call["id"])
    assert [(found["url"], found["title"], found.get("page_age")) for found in result["content"]] == [
        ("https://a.com/1", "A", "2026-09-21"),
        ("https://b.com", "https://b.com", None),
    ]
    assert (thinking["type"], text["text"]) == ("thinking", "So it is.")
    assert [(cited["type"], cited["url"], cited["cited_text"]) for cited in text["citations"]] == [
        ("web_search_result_location", "https://a.com/1", "About a."),
        ("web_search_result_location", "https://b.com", ""),
    ]
    assert message["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_each_search_is_cited_by_the_text_after_it() -> None:
    call: list[Event] = [ToolCallStart(0, "c", "look"), ToolCallEnd(0)]
    used = UsageReport(Usage(input_tokens=3, searches=7))
    message = shown(
        [
            TextDelta("a"),
            ONE,
            TextDelta("b"),
            TWO,
            TextDelta("c"),
            *call,
            used,
            Finish(FinishReason.TOOL_CALLS),
        ]
    )
    kinds = ["text", "server_tool_use", "web_search_tool_result"] * 2 + ["text", "tool_use"]
    assert [block["type"] for block in message["content"]] == kinds
    cited = [block.get("citations", []) for block in message["content"] if block["type"] == "text"]
    assert [[one["url"] for one in citations] for citations in cited] == [
        [],
        ["https://a.com/1"],
        ["https://b.com"],
    ]
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 7
    assert len({block["id"] for block in message["content"] if block["type"] == "server_tool_use"}) == 2


def test_a_search_without_text_is_shown() -> None:
    assert [block["type"] for block in shown([ONE, STOP])["content"]] == [
        "server_tool_use",
        "web_search_tool_result",
    ]


def test_sources_that_come_inside_a_call_stand_after_it() -> None:
    message = shown([ToolCallStart(0, "c", "look"), ONE, ToolCallEnd(0), Finish(FinishReason.TOOL_CALLS)])
    assert [block["type"] for block in message["content"]][:2] == ["tool_use", "server_tool_use"]


def test_searches_are_read_from_usage() -> None:
    fields = {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0}}
    assert decoded_usage(fields).searches == 3


# --- history ------------------------------------------------------------------------------------------------


def text_of(*blocks: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    reading = Reading()
    parts = decoded_parts(list(blocks), "content", Role.ASSISTANT, reading)
    return "".join(part.text for part in parts if isinstance(part, Text)), reading.notes


def test_an_answer_with_a_search_comes_back_with_what_was_found() -> None:
    body = encode_completion(collect([ONE, TWO, TextDelta("So it is."), STOP]), HEAD)
    text, notes = text_of(*orjson.loads(body)["content"])
    assert text == "[Found on the web: A (https://a.com/1): About a.; https://b.com]\n\nSo it is."
    assert notes == ()


def result(content: object) -> dict[str, Any]:
    return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param(
            [{"type": "web_search_result", "url": "https://c.com", "encrypted_content": "EpMB"}],
            "[Found on the web: https://c.com]\n\n",
            id="of Anthropic, which is encrypted",
        ),
        pytest.param(
            [{"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "mimo:%%"}],
            "[Found on the web: T (u)]\n\n",
            id="changed on the way",
        ),
        pytest.param(
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            "[The web search failed: max_uses_exceeded]\n\n",
            id="failed",
        ),
    ],
)
def test_results_of_other_searches_are_read_as_far_as_they_can_be(content: object, text: str) -> None:
    assert text_of(result(content)) == (text, ())


@pytest.mark.parametrize("content", ["x", [{"type": "web_search_result"}], {}])
def test_a_broken_result_is_refused_by_its_place(content: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        text_of(result(content))
    assert str(refused.value.param).startswith("content.0.content")
