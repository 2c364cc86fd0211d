"""OpenAI's hosted web search as MiMo's: the tool of a request.

Source: openai-python 3.52 types/responses/web_search_tool.py, web_search_preview_tool.py; read 2026-11-21."""

from __future__ import annotations

from service.core.dialects.openai_responses.fields import Fields
from service.core.json_body import optional_array, optional_object, optional_string, wrong_type
from service.core.web_search import search_tool


def is_web_search(kind: object) -> bool:
    """Every version: web_search, web_search_2025_08_26, web_search_preview, web_search_preview_2025_03_11."""
    return isinstance(kind, str) and (kind == "web_search" or kind.startswith("web_search_"))


def decode_search(tool: Fields, path: str) -> dict[str, object]:
    """The tool in MiMo's terms (`service.core.web_search`). Raises InvalidRequest with the field at fault."""
    filters = optional_object(tool, "filters", path) or {}
    return search_tool(
        context_size=optional_string(tool, "search_context_size", path),
        place=optional_object(tool, "user_location", path),
        allowed_domains=_domains(filters, "allowed_domains", f"{path}.filters"),
        blocked_domains=_domains(filters, "blocked_domains", f"{path}.filters"),
    )


def _domains(filters: Fields, key: str, path: str) -> list[str]:
    domains: list[str] = []
    for index, domain in enumerate(optional_array(filters, key, path) or []):
        if not isinstance(domain, str):
            raise wrong_type(domain, f"{path}.{key}[{index}]", "a string")
        domains.append(domain)
    return domains
