"""Anthropic's web search tool over MiMo's: the tool in requests, its blocks in answers and in history.

A search of an answer is shown as Anthropic shows its own: `server_tool_use`, `web_search_tool_result`, and
the sources as citations of the text that follows. MiMo tells the sources of a search and nothing of the
search itself, so the `query` is empty; it does not tell which words a source supports, so the text after the
search cites all of them. `encrypted_content`, which clients send back unread, carries MiMo's summary of the
page: in a later request the model reads again what it had found.

Source: anthropic 2.11.0, types/web_search_tool_*.py, types/server_tool_use_block.py and
types/citations_web_search_result_location.py; MiMo's sources from mimo-api.md, section 1.5. Read 2026-11-21.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from service.core.dialects.anthropic_messages.fields import (
    Fields,
    fields_at,
    joined,
    optional_count,
    optional_fields,
    optional_items,
    refuse,
    required_name,
)
from service.core.events import Citation
from service.core.web_search import search_tool

TOOL_NAME = "web_search"
# Every version of the tool: web_search_20250305, _20260209, _20260318 and what may follow.
TOOL_TYPE_PREFIX = "web_search_"

_SEALED = "mimo:"
_MAX_CITED_CHARACTERS = 150  # as Anthropic has it


# --- requests -----------------------------------------------------------------------------------------------


def can_be_called_directly(tool: Fields, at: str) -> bool:
    """False for a tool that only Anthropic's code execution may call: it is not here."""
    callers = optional_items(tool, "allowed_callers", at)
    return not callers or "direct" in callers


def decoded_search(tool: Fields, at: str) -> dict[str, object]:
    """The tool in MiMo's terms (`service.core.web_search`). Raises InvalidRequest with the field at fault."""
    allowed, blocked = (_domains(tool, f"{kind}_domains", at) for kind in ("allowed", "blocked"))
    if allowed and blocked:
        refuse(at, "Only one of allowed_domains and blocked_domains can be given")
    return search_tool(
        max_uses=optional_count(tool, "max_uses", at, minimum=1),
        place=optional_fields(tool, "user_location", at),
        allowed_domains=allowed,
        blocked_domains=blocked,
    )


def _domains(tool: Fields, key: str, at: str) -> list[str]:
    domains: list[str] = []
    for number, domain in enumerate(optional_items(tool, key, at)):
        if not isinstance(domain, str):
            refuse(joined(at, f"{key}.{number}"), "Input should be a valid string")
        domains.append(domain)
    return domains


def readable_results(block: Fields, at: str) -> str:
    """What a search of an earlier answer found, as one line of that answer; "" when it found nothing.

    A page's content can be read where this gateway wrote it; Anthropic's own is encrypted."""
    content = block.get("content")
    if not isinstance(content, list):
        error = fields_at(content, joined(at, "content"))
        return f"[The web search failed: {required_name(error, 'error_code', joined(at, 'content'))}]\n\n"
    found = []
    for number, item in enumerate(content):
        where = joined(at, f"content.{number}")
        result = fields_at(item, where)
        title, url, summary = result.get("title"), required_name(result, "url", where), _unsealed(result)
        named = f"{title} ({url})" if isinstance(title, str) and title not in ("", url) else url
        found.append(f"{named}: {summary}" if summary else named)
    return f"[Found on the web: {'; '.join(found)}]\n\n" if found else ""


def _unsealed(result: Fields) -> str:
    sealed = result.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed.startswith(_SEALED):
        return ""
    try:
        return base64.b64decode(sealed[len(_SEALED) :], validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


# --- answers ------------------------------------------------------------------------------------------------


def search_call(answer_id: str, number: int) -> dict[str, object]:
    """The `server_tool_use` block of the answer's search `number` (from 0)."""
    call_id = f"srvtoolu_{answer_id.removeprefix('msg_')}{number}"
    return {"type": "server_tool_use", "id": call_id, "name": TOOL_NAME, "input": {"query": ""}}


def search_result(call: Fields, sources: Sequence[Citation]) -> dict[str, object]:
    """The `web_search_tool_result` block that answers `call`."""
    found = [
        {
            "type": "web_search_result",
            "url": source.url,
            "title": source.title or source.url,
            "encrypted_content": _SEALED + base64.b64encode(source.summary.encode()).decode(),
            "page_age": source.published or None,
        }
        for source in sources
    ]
    return {"type": "web_search_tool_result", "tool_use_id": call["id"], "content": found}


def text_citations(sources: Sequence[Citation]) -> list[dict[str, object]]:
    """The sources as citations of a text block."""
    return [
        {
            "type": "web_search_result_location",
            "url": source.url,
            "title": source.title or source.url,
            "encrypted_index": f"{_SEALED}{number}",
            "cited_text": source.summary[:_MAX_CITED_CHARACTERS],
        }
        for number, source in enumerate(sources)
    ]
