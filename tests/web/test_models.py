"""`/v1/models` in both shapes, with Codex's metadata; aliases, and how to be without them."""

from __future__ import annotations

import pytest

from service.core.dialects.openai_responses.models import CodexModel, codex_models
from tests.web.rig import Start

ANTHROPIC = {"anthropic-version": "2026-10-21"}


async def test_openai_s_list_has_codex_s_metadata_beside_it(start: Start) -> None:
    async with start() as rig, rig.http.get(rig.url("/v1/models?client_version=0.169.0")) as response:
        listing = await response.json()
    assert listing["object"] == "list"
    ids = [model["id"] for model in listing["data"]]
    assert ids[0] == "mimo-v2.6-pro"
    assert [model["slug"] for model in listing["models"]] == ids
    first = listing["models"][0]
    assert set(first) == set(codex_models([CodexModel(model_id="m")])[0])
    assert first["context_window"] == 1_048_576
    assert first["input_modalities"] == ["text", "image"]
    assert first["apply_patch_tool_type"] == "freeform"
    assert [model["priority"] for model in listing["models"]] == list(range(len(ids)))


async def test_anthropic_s_header_asks_for_anthropic_s_shape(start: Start) -> None:
    async with start() as rig:
        for path, headers in (("/v1/models", ANTHROPIC), ("/anthropic/v1/models", {})):
            async with rig.http.get(rig.url(path), headers=headers) as response:
                listing = await response.json()
                assert response.headers["request-id"]
            assert listing["has_more"] is False
            assert listing["data"][0]["type"] == "model"
            assert "models" not in listing


async def test_alias_leads_to_a_model_and_is_told(start: Start) -> None:
    async with start() as rig:
        async with rig.http.get(rig.url("/v1/models/claude-opus-5-5")) as response:
            assert (await response.json())["id"] == "mimo-v2.6-pro"
            assert "claude-opus-5-5" in response.headers["x-mimo-gateway-notes"]
        async with rig.http.get(rig.url("/v1/models/mimo-v2.6-flash")) as response:
            assert "x-mimo-gateway-notes" not in response.headers


@pytest.mark.parametrize("name", ["gpt-6", "gpt-6-codex"])
async def test_names_whose_tools_come_in_another_form_are_not_served(start: Start, name: str) -> None:
    async with start() as rig, rig.http.get(rig.url(f"/v1/models/{name}")) as response:
        assert response.status == 404


async def test_shipped_alias_is_switched_off_by_an_empty_target(start: Start) -> None:
    async with start(model_aliases={"claude-*": "", "claude-*haiku*": ""}) as rig:
        body = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "x"}]}
        async with rig.http.post(rig.url("/v1/chat/completions"), json=body) as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "model_not_found"
        async with rig.http.get(rig.url("/v1/models/gpt-5"), headers=ANTHROPIC) as response:
            assert response.status == 200
        async with rig.http.get(rig.url("/v1/models/claude-haiku-5-5"), headers=ANTHROPIC) as response:
            assert response.status == 404
            assert (await response.json())["error"]["type"] == "not_found_error"
