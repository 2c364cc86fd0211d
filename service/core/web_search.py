"""MiMo's own web search, in whose terms every dialect's hosted search tool is kept: what was asked for, what
the wire can be told of it, and which sources may be shown.

`Conversation.extra[WEB_SEARCH]` holds one object: the fields of MiMo's tool (mimo-api.md 1.4) and, beside
them, `allowed_domains` or `blocked_domains`, which MiMo has no word for. Those are asked for in the prompt,
and a source that they rule out is not shown. MiMo bills searches apart from tokens, by the keyword: what
clients call a limit of uses is its `max_keyword`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from service.core.events import Citation, Event

# The key of `Conversation.extra`.
WEB_SEARCH = "web_search_tool"

_WIRE_FIELDS = ("type", "force_search", "max_keyword", "limit", "user_location")
_COUNTS = ("max_keyword", "limit")
_MAX_COUNT = 50
_PLACE = ("country", "region", "city", "district", "longitude", "latitude")
# Pages for each keyword; MiMo's own 5 is "medium".
_PAGES_BY_CONTEXT_SIZE: Mapping[str | None, int] = {"low": 3, "high": 10}


def search_tool(
    *,
    max_uses: int | None = None,
    context_size: str | None = None,
    place: Mapping[str, object] | None = None,
    allowed_domains: Sequence[str] = (),
    blocked_domains: Sequence[str] = (),
) -> dict[str, object]:
    """What a hosted search tool asks for, as the value of `extra[WEB_SEARCH]`. `place` is a dialect's
    `user_location`; what MiMo does not know of it (a time zone) is left out."""
    tool: dict[str, object] = {"type": "web_search"}
    if max_uses is not None:
        tool["max_keyword"] = max_uses
    if context_size in _PAGES_BY_CONTEXT_SIZE:
        tool["limit"] = _PAGES_BY_CONTEXT_SIZE[context_size]
    known = {name: value for name in _PLACE if (value := (place or {}).get(name)) is not None}
    if known:
        tool["user_location"] = {"type": "approximate", **known}
    if allowed_domains:
        tool["allowed_domains"] = list(allowed_domains)
    if blocked_domains:
        tool["blocked_domains"] = list(blocked_domains)
    return tool


def forced(tool: Mapping[str, object]) -> dict[str, object]:
    """The tool for a request that demands a search."""
    return {**tool, "force_search": True}


def wire_tool(tool: Mapping[str, object]) -> dict[str, object]:
    """The tool as MiMo's Chat takes it: its own fields only, counts within 1 to 50."""
    told = {name: tool[name] for name in _WIRE_FIELDS if tool.get(name) is not None}
    for name in _COUNTS:
        count = told.get(name)
        if type(count) is int:
            told[name] = min(max(count, 1), _MAX_COUNT)
    return told


def domain_instruction(tool: Mapping[str, object]) -> str:
    """The domains in words for the prompt; "" when there are none."""
    if allowed := _domains(tool, "allowed_domains"):
        return f"When you search the web, use these sites only: {', '.join(allowed)}."
    if blocked := _domains(tool, "blocked_domains"):
        return f"When you search the web, use nothing from these sites: {', '.join(blocked)}."
    return ""


def source_filter(tool: object) -> SourceFilter | None:
    """The stage that keeps sources out which the request's domains rule out; None when none are."""
    if not isinstance(tool, Mapping) or not domain_instruction(tool):
        return None
    return SourceFilter(_domains(tool, "allowed_domains"), _domains(tool, "blocked_domains"))


class SourceFilter:
    """Drops the citations of other sites than the allowed, or of blocked ones."""

    def __init__(self, allowed: Sequence[str], blocked: Sequence[str]) -> None:
        self._allowed, self._blocked = allowed, blocked

    def feed(self, event: Event) -> list[Event]:
        if not isinstance(event, Citation):
            return [event]
        if self._allowed:
            return [event] if _is_of(event.url, self._allowed) else []
        return [] if _is_of(event.url, self._blocked) else [event]


def _domains(tool: Mapping[str, object], name: str) -> list[str]:
    value = tool.get(name)
    return (
        [domain for domain in value if isinstance(domain, str) and domain] if isinstance(value, list) else []
    )


def _is_of(url: str, domains: Sequence[str]) -> bool:
    """Whether the page is of one of the sites. A site is a host with those below it, and may name a path in
    which `*` stands for anything."""
    place = url.partition("://")[2] or url
    host = place.partition("/")[0].rpartition("@")[2].partition(":")[0].lower()
    path = "/" + place.partition("/")[2]
    for domain in domains:
        wanted = (domain.partition("://")[2] or domain).lower()
        site, _, below = wanted.partition("/")
        site = site.removeprefix("www.")
        is_host = host == site or host.endswith("." + site)
        if is_host and fnmatchcase(path.lower(), f"/{below.replace('[', '[[]').replace('?', '[?]')}*"):
            return True
    return False
