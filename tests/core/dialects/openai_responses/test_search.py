"""OpenAI's hosted web search: what a request asks for, what an answer shows, what comes back later."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import Response

from service.core.completion import collect
from service.core.dialects.openai_responses.response import encode_completion
from service.core.dialects.openai_responses.stream import StreamEncoder
from service.core.errors import InvalidRequest, Overloaded
from service.core.events import (
    Citation,
    Event,
    Failed,
    Finish,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from service.core.web_search import WEB_SEARCH
from tests.core.dialects.openai_responses.samples import HEAD, counter, request_of, without_ids
from tests.grammar.openai_responses import check_stream

ONE, TWO = Citation("https://a.com/1", "A", "About a."), Citation("https://b.com", "B")
STOP = Finish(FinishReason.STOP)


def asked(tool: dict[str, Any], **fields: Any) -> object:
    """What is asked of MiMo's search."""
    request = request_of(tools=[tool], **fields)
    assert request.notes == ()
    return request.conversation.extra.get(WEB_SEARCH)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {}, id="bare"),
        pytest.param({"external_web_access": True}, {}, id="with access to the web"),
        pytest.param({"search_context_size": "low"}, {"limit": 3}, id="little context"),
        pytest.param({"search_context_size": "medium"}, {}, id="MiMo's own measure"),
        pytest.param({"search_context_size": "high"}, {"limit": 10}, id="much context"),
        pytest.param(
            {"user_location": {"type": "approximate", "country": "FR", "timezone": "CET", "city": None}},
            {"user_location": {"type": "approximate", "country": "FR"}},
            id="place",
        ),
        pytest.param({"user_location": {"type": "approximate"}}, {}, id="nowhere"),
        pytest.param(
            {"filters": {"allowed_domains": ["a.com"]}}, {"allowed_domains": ["a.com"]}, id="allowed domains"
        ),
        pytest.param(
            {"filters": {"blocked_domains": ["a.com"]}}, {"blocked_domains": ["a.com"]}, id="blocked domains"
        ),
    ],
)
@pytest.mark.parametrize(
    "kind", ["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]
)
def test_every_version_of_the_tool_is_read(
    kind: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert asked({"type": kind, **fields}) == {"type": "web_search", **expected}


def test_most_calls_of_hosted_tools_bound_the_search() -> None:
    assert asked({"type": "web_search"}, max_tool_calls=3) == {"type": "web_search", "max_keyword": 3}
    assert asked({"type": "function", "name": "f"}, max_tool_calls=3) is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"filters": {"allowed_domains": [1]}}, "tools[0].filters.allowed_domains[0]"),
        ({"filters": []}, "tools[0].filters"),
        ({"user_location": "here"}, "tools[0].user_location"),
        ({"search_context_size": 3}, "tools[0].search_context_size"),
        ({"external_web_access": "no"}, "tools[0].external_web_access"),
    ],
)
def test_a_mistake_is_refused_by_its_place(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked({"type": "web_search", **fields})
    assert refused.value.param == param


# --- answers ------------------------------------------------------------------------------------------------


def shown(events: list[Event], **fields: Any) -> list[dict[str, Any]]:
    """The output items, which streamed are the same."""
    encoder = StreamEncoder(HEAD, request_of(**fields), new_id=counter())
    frames = check_stream(b"".join(map(encoder.feed, events)))
    encoded = encode_completion(collect(events), HEAD, request_of(**fields), new_id=counter())
    streamed = frames[-1]["response"]
    assert without_ids(streamed) == without_ids(encoded.response)
    Response.model_validate(encoded.response)
    output: list[dict[str, Any]] = orjson.loads(orjson.dumps(encoded.output))
    return output


def test_a_search_is_an_item_and_its_sources_are_annotations() -> None:
    search, message = shown([ONE, TWO, TextDelta("So"), TextDelta(" it is."), STOP])
    assert (search["type"], search["status"], search["id"][:3]) == ("web_search_call", "completed", "ws_")
    assert search["action"] == {"type": "search", "query": ""}
    annotations = message["content"][0]["annotations"]
    assert [(one["type"], one["url"], one["start_index"]) for one in annotations] == [
        ("url_citation", "https://a.com/1", 9),
        ("url_citation", "https://b.com", 9),
    ]


def test_sources_stand_in_the_item_for_whom_asks() -> None:
    search, _ = shown([ONE, TextDelta("a"), STOP], include=["web_search_call.action.sources"])
    assert search["action"]["sources"] == [{"type": "url", "url": "https://a.com/1"}]


def test_each_search_belongs_to_the_text_after_it() -> None:
    call: list[Event] = [ToolCallStart(0, "c", "get_weather"), ToolCallDelta(0, "{}"), ToolCallEnd(0)]
    finish = Finish(FinishReason.TOOL_CALLS)
    items = shown([TextDelta("a"), ONE, TextDelta("b"), TWO, *call, TextDelta("c"), finish])
    assert [item["type"] for item in items] == [
        "message",
        "web_search_call",
        "message",
        "web_search_call",
        "function_call",
        "message",
    ]
    cited = [item["content"][0]["annotations"] for item in items if item["type"] == "message"]
    assert [[one["url"] for one in annotations] for annotations in cited] == [
        [],
        ["https://a.com/1"],
        ["https://b.com"],
    ]


def test_a_search_without_text_is_shown() -> None:
    assert [item["type"] for item in shown([ONE, STOP])] == ["web_search_call"]


def test_sources_that_come_inside_a_call_stand_after_it() -> None:
    events: list[Event] = [ToolCallStart(0, "c", "get_weather"), ONE, ToolCallDelta(0, "{}"), ToolCallEnd(0)]
    items = shown([*events, Finish(FinishReason.TOOL_CALLS)])
    assert [item["type"] for item in items] == ["function_call", "web_search_call"]


def test_a_failure_after_the_search_holds_what_was_shown() -> None:
    encoder = StreamEncoder(HEAD, request_of(), new_id=counter())
    events: list[Event] = [ONE, TextDelta("a"), Failed(Overloaded("x"))]
    frames = check_stream(b"".join(map(encoder.feed, events)))
    assert [item["type"] for item in frames[-1]["response"]["output"]] == ["web_search_call", "message"]


# --- history ------------------------------------------------------------------------------------------------


def test_a_search_comes_back_with_the_answer_that_it_led_to() -> None:
    items = shown([ONE, TextDelta("So it is."), STOP])
    request = request_of(
        input=[{"role": "user", "content": "New?"}, *items, {"role": "user", "content": "And?"}]
    )
    assert [turn.text for turn in request.conversation.turns] == ["New?", "So it is.", "And?"]
    assert request.notes == ()
