"""MiMo's own web search: what the wire is told, and which sources may be shown."""

from __future__ import annotations

import pytest

from service.core.events import Citation, TextDelta
from service.core.web_search import domain_instruction, forced, search_tool, source_filter, wire_tool


def test_the_wire_is_told_what_it_knows() -> None:
    tool = search_tool(
        max_uses=8,
        context_size="high",
        place={"type": "approximate", "country": "FR", "timezone": "CET"},
        allowed_domains=["a.com"],
    )
    assert wire_tool(forced(tool)) == {
        "type": "web_search",
        "force_search": True,
        "max_keyword": 8,
        "limit": 10,
        "user_location": {"type": "approximate", "country": "FR"},
    }


@pytest.mark.parametrize(("sent", "told"), [(0, 1), (5, 5), (80, 50), ("7", "7")])
def test_counts_are_brought_into_mimos_range(sent: object, told: object) -> None:
    assert wire_tool({"type": "web_search", "max_keyword": sent, "limit": None}) == {
        "type": "web_search",
        "max_keyword": told,
    }


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({}, ""),
        ({"allowed_domains": [1, ""]}, ""),
        ({"allowed_domains": "a.com"}, ""),
        ({"allowed_domains": ["a.com", "b.com"]}, "use these sites only: a.com, b.com."),
        ({"blocked_domains": ["a.com"]}, "use nothing from these sites: a.com."),
    ],
)
def test_domains_are_asked_for_in_words(tool: dict[str, object], words: str) -> None:
    assert domain_instruction(tool).endswith(words)
    assert bool(domain_instruction(tool)) == bool(words)


@pytest.mark.parametrize(
    ("domain", "url", "is_of"),
    [
        ("a.com", "https://a.com/1", True),
        ("a.com", "https://docs.a.com:8443/1", True),
        ("a.com", "https://ba.com/1", False),
        ("www.a.com", "https://a.com", True),
        ("A.com", "https://user@A.COM/", True),
        ("https://a.com/blog", "https://a.com/blog/x", True),
        ("a.com/blog", "https://a.com/news", False),
        ("a.com/*/x", "https://a.com/one/x1", True),
        ("a.com/[x]?", "https://a.com/x1", False),
        ("a.com", "https://b.com/?u=https://a.com/", False),
        ("a.com", "a.com/1", True),
    ],
)
def test_a_site_is_a_host_with_those_below_it(domain: str, url: str, is_of: bool) -> None:
    allowed, blocked = (
        source_filter({"allowed_domains": [domain]}),
        source_filter({"blocked_domains": [domain]}),
    )
    assert allowed is not None
    assert blocked is not None
    source = Citation(url)
    assert allowed.feed(source) == ([source] if is_of else [])
    assert blocked.feed(source) == ([] if is_of else [source])


def test_other_events_pass() -> None:
    stage = source_filter({"allowed_domains": ["a.com"]})
    assert stage is not None
    assert stage.feed(TextDelta("b.com")) == [TextDelta("b.com")]


@pytest.mark.parametrize("tool", [None, {}, {"type": "web_search"}])
def test_without_domains_there_is_nothing_to_filter(tool: object) -> None:
    assert source_filter(tool) is None
