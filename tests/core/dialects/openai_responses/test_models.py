"""Codex's model metadata."""

from __future__ import annotations

import orjson

from service.core.dialects.openai_responses.models import DEFAULT_INSTRUCTIONS, CodexModel, codex_models

# What Codex 0.169 refuses to read an entry without.
_NEEDED = {
    "slug",
    "display_name",
    "description",
    "default_reasoning_level",
    "supported_reasoning_levels",
    "shell_type",
    "visibility",
    "supported_in_api",
    "availability_nux",
    "upgrade",
    "priority",
    "base_instructions",
    "apply_patch_tool_type",
    "truncation_policy",
    "supports_parallel_tool_calls",
    "context_window",
    "experimental_supported_tools",
    "supports_reasoning_summaries",
    "support_verbosity",
    "default_verbosity",
    "input_modalities",
    "web_search_tool_type",
}


def test_every_field_is_there() -> None:
    (model,) = codex_models([CodexModel(model_id="mimo-v2.6-pro")])
    assert set(model) >= _NEEDED
    assert model["slug"] == model["display_name"] == model["description"] == "mimo-v2.6-pro"
    assert model["base_instructions"] == DEFAULT_INSTRUCTIONS
    orjson.dumps(model)


def test_facts_are_told() -> None:
    pro, flash = codex_models(
        [
            CodexModel(
                model_id="mimo-v2.6-pro",
                display_name="MiMo V2.6 Pro",
                description="The large one.",
                context_window_tokens=1_048_576,
                takes_images=True,
                priority=1,
                instructions="Be brief.",
            ),
            CodexModel(model_id="mimo-v2-flash", can_think=False, takes_parallel_calls=False),
        ]
    )
    assert pro["display_name"] == "MiMo V2.6 Pro"
    assert pro["description"] == "The large one."
    assert pro["context_window"] == 1_048_576
    assert pro["input_modalities"] == ["text", "image"]
    assert pro["priority"] == 1
    assert pro["base_instructions"] == "Be brief."
    assert pro["default_reasoning_level"] == "medium"
    assert flash["input_modalities"] == ["text"]
    assert flash["default_reasoning_level"] == "none"
    assert flash["supported_reasoning_levels"] == [
        {"effort": "none", "description": "No thinking: the fastest answers"}
    ]
    assert flash["supports_reasoning_summaries"] is False
    assert flash["supports_parallel_tool_calls"] is False
