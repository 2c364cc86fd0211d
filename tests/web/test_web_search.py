"""MiMo's web search: off unless it is allowed, and its sources as citations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.config import Tools, WebSearch
from service.simulator import SimulatorOptions
from tests.web.rig import Rig, Start

ALLOWED = Tools(web_search=WebSearch.ALLOWED)


async def search(rig: Rig) -> tuple[dict[str, Any], str, Any]:
    """The answer, its notes, and what the upstream was sent."""
    body = {
        "model": "mimo-v2.6-pro",
        "messages": [{"role": "user", "content": "What is new? [[sim: search]]"}],
        "tools": [{"type": "web_search"}],
    }
    async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
        assert response.status == 200
        notes = response.headers.get("x-mimo-gateway-notes", "")
        return await response.json(), notes, rig.simulator.record.requests[-1].body


async def test_a_search_is_left_out_and_noted_where_it_is_not_allowed(rig: Rig) -> None:
    _, notes, sent = await search(rig)
    assert "web search is not allowed here" in notes
    assert "tools" not in sent
    assert sent.get("modelConfig", {}).get("webSearchStatus", "disabled") == "disabled"


async def test_an_allowed_search_reaches_the_platform_and_comes_back_cited(start: Start) -> None:
    options = SimulatorOptions()
    searching = tuple(replace(account, has_web_search=True) for account in options.platform)
    async with start("platform", tools=ALLOWED, options=replace(options, platform=searching)) as rig:
        answer, _, sent = await search(rig)
        assert sent["tools"] == [{"type": "web_search"}]
        assert answer["choices"][0]["message"]["annotations"][0]["type"] == "url_citation"


async def test_an_allowed_search_is_switched_on_in_the_studio(start: Start) -> None:
    async with start("studio", tools=ALLOWED) as rig:
        _, _, sent = await search(rig)
        assert sent["modelConfig"]["webSearchStatus"] == "auto"
